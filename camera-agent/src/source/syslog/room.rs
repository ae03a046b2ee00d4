//! Places for senders that stay connected, of which no address gets all.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// Senders that may be connected at once.
pub(super) const CONNECTIONS: usize = 64;

/// How many senders of each address are connected.
#[derive(Debug, Default)]
pub(super) struct Room(Mutex<HashMap<IpAddr, usize>>);

impl Room {
    /// A place for a sender at this address, until it is dropped; none when its address has as many as are free. So a whole site
    /// behind one address has room, who is quiet stays connected, and another address still finds a place.
    pub(super) fn take(self: &Arc<Self>, from: IpAddr) -> Option<Held> {
        let mut taken = self.taken();
        let free = CONNECTIONS.saturating_sub(taken.values().sum());
        let own = taken.get(&from).copied().unwrap_or_default();
        if own >= free {
            return None;
        }
        taken.insert(from, own + 1);
        Some(Held { room: self.clone(), from })
    }

    fn taken(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A sender's place.
#[derive(Debug)]
pub(super) struct Held {
    room: Arc<Room>,
    from: IpAddr,
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut taken = self.room.taken();
        match taken.get_mut(&self.from) {
            Some(own) if *own > 1 => *own -= 1,
            _ => drop(taken.remove(&self.from)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All places that an address gets.
    fn take_all(room: &Arc<Room>, last: u8) -> Vec<Held> {
        std::iter::from_fn(|| room.take([192, 0, 2, last].into())).collect()
    }

    #[test]
    fn an_address_gets_no_more_places_than_it_leaves_free() {
        let room = Arc::new(Room::default());
        let held: Vec<_> = (0..8).map(|last| take_all(&room, last)).collect();
        assert_eq!(held.iter().map(Vec::len).collect::<Vec<_>>(), [32, 16, 8, 4, 2, 1, 1, 0]);
    }

    #[test]
    fn a_place_that_was_left_is_free_again() {
        let room = Arc::new(Room::default());
        let mut held = take_all(&room, 1);
        assert!(held.pop().is_some() && room.take([192, 0, 2, 1].into()).is_some());
        drop(held);
        assert!(room.taken().is_empty());
        assert_eq!(take_all(&room, 2).len(), CONNECTIONS / 2);
    }
}
