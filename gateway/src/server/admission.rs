//! Who may connect: connections in total and per address, and a few more that are only told that there is no room.
//!
//! A trusted proxy has no address of its own here: it stands for many callers, so only the total bounds it.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::metrics::Metrics;

/// Connections beyond the limit that are answered with 503 instead of being dropped.
const OVERFLOW: usize = 256;

/// Counts connections; clones share the count.
#[derive(Clone, Debug)]
pub struct Admission(Arc<Door>);

#[derive(Debug)]
struct Door {
    most: usize,
    most_per_address: usize,
    count: Mutex<Count>,
    metrics: Arc<Metrics>,
}

#[derive(Debug, Default)]
struct Count {
    total: usize,
    overflow: usize,
    by_address: HashMap<IpAddr, usize>,
}

/// What becomes of a connection.
#[derive(Debug)]
pub enum Admitted {
    /// It is served for as long as this is held.
    Yes(Permit),
    /// It is told that there is no room, while this is held.
    Full(Overflow),
}

/// A connection's place.
#[derive(Debug)]
pub struct Permit {
    door: Arc<Door>,
    address: Option<IpAddr>,
}

/// The place of a connection that is being refused.
#[derive(Debug)]
pub struct Overflow(Arc<Door>);

impl Admission {
    /// Room for `most` connections, of which `most_per_address` may come from one address.
    pub fn new(most: usize, most_per_address: usize, metrics: Arc<Metrics>) -> Self {
        Self(Arc::new(Door { most, most_per_address, count: Mutex::default(), metrics }))
    }

    /// A place for a connection, counted for `address` if there is one; `None` when there is not even time to refuse it
    /// politely.
    pub fn admit(&self, address: Option<IpAddr>) -> Option<Admitted> {
        let mut count = self.0.lock();
        let here = address.and_then(|address| count.by_address.get(&address)).copied().unwrap_or_default();
        if count.total < self.0.most && here < self.0.most_per_address {
            count.total += 1;
            if let Some(address) = address {
                *count.by_address.entry(address).or_default() += 1;
            }
            self.0.metrics.connections.inc();
            return Some(Admitted::Yes(Permit { door: Arc::clone(&self.0), address }));
        }
        self.0.metrics.connections_refused.inc();
        if count.overflow >= OVERFLOW {
            return None;
        }
        count.overflow += 1;
        Some(Admitted::Full(Overflow(Arc::clone(&self.0))))
    }
}

impl Door {
    fn lock(&self) -> MutexGuard<'_, Count> {
        self.count.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut count = self.door.lock();
        count.total -= 1;
        if let Some(address) = self.address
            && let Some(here) = count.by_address.get_mut(&address)
        {
            *here -= 1;
            if *here == 0 {
                count.by_address.remove(&address);
            }
        }
        self.door.metrics.connections.dec();
    }
}

impl Drop for Overflow {
    fn drop(&mut self) {
        self.0.lock().overflow -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_address_cannot_take_every_place() {
        let admission = Admission::new(3, 2, Arc::default());
        let (here, there) = (Some([127, 0, 0, 1].into()), Some([127, 0, 0, 2].into()));
        let places = [admission.admit(here), admission.admit(here)];
        assert!(places.iter().all(|place| matches!(place, Some(Admitted::Yes(_)))));
        assert!(matches!(admission.admit(here), Some(Admitted::Full(_))));
        let other = admission.admit(there);
        assert!(matches!(other, Some(Admitted::Yes(_))));
        drop(places);
        assert!(matches!(admission.admit(here), Some(Admitted::Yes(_))), "places are given back");
    }

    #[test]
    fn a_proxy_may_take_every_place() {
        let admission = Admission::new(3, 1, Arc::default());
        let places: Vec<_> = (0..4).filter_map(|_| admission.admit(None)).collect();
        assert_eq!(places.iter().filter(|place| matches!(place, Admitted::Yes(_))).count(), 3);
    }

    #[test]
    fn beyond_the_overflow_nobody_is_answered() {
        let admission = Admission::new(0, 0, Arc::default());
        let told: Vec<_> = std::iter::from_fn(|| admission.admit(None)).collect();
        assert_eq!(told.len(), OVERFLOW);
    }
}
