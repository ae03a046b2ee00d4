//! Room for pictures that are gathered whole before they go on: one for all, of which nobody may hold more than half.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, Weak},
};

use oriel_proto::limits::IMAGE_BYTES;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::store::KeyId;

/// Bytes of room that are counted as one.
const UNIT: u64 = 1 << 10;

/// Where pictures are gathered.
#[derive(Debug)]
pub(super) struct Room {
    /// In units.
    all: Arc<Semaphore>,
    /// What each key may hold, in units.
    share: usize,
    /// Of keys that hold something or wait for it.
    shares: Mutex<HashMap<KeyId, Weak<Semaphore>>>,
}

/// What a picture takes of the room, as long as this is held.
#[derive(Debug)]
pub struct Taken {
    _share: OwnedSemaphorePermit,
    _all: OwnedSemaphorePermit,
}

impl Room {
    /// Of so many bytes, and at least twice those of the largest picture, so that it fits into a share.
    pub(super) fn new(bytes: u64) -> Self {
        let bytes = bytes.max(2 * IMAGE_BYTES as u64);
        let units = usize::try_from(bytes / UNIT).unwrap_or(usize::MAX).min(Semaphore::MAX_PERMITS);
        Self { all: Arc::new(Semaphore::new(units)), share: units / 2, shares: Mutex::default() }
    }

    /// Waits for the room of a picture of so many bytes.
    pub(super) async fn take(&self, key: KeyId, bytes: u64) -> Option<Taken> {
        let units = u32::try_from(bytes.div_ceil(UNIT)).ok()?;
        // In this order: whoever waits for its own share keeps nothing from others.
        let share = self.share(key).acquire_many_owned(units).await.ok()?;
        let all = Arc::clone(&self.all).acquire_many_owned(units).await.ok()?;
        Some(Taken { _share: share, _all: all })
    }

    fn share(&self, key: KeyId) -> Arc<Semaphore> {
        let mut shares = self.shares.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(share) = shares.get(&key).and_then(Weak::upgrade) {
            return share;
        }
        shares.retain(|_, share| share.strong_count() > 0);
        let share = Arc::new(Semaphore::new(self.share));
        shares.insert(key, Arc::downgrade(&share));
        share
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    const MIB: u64 = 1 << 20;

    #[tokio::test]
    async fn whoever_takes_all_it_can_leaves_room_for_another() {
        let room = Room::new(32 * MIB);
        let (greedy, other) = (KeyId::new(), KeyId::new());
        let held: Vec<_> =
            std::iter::from_fn(|| room.take(greedy, 4 * MIB).now_or_never().flatten()).take(20).collect();
        assert_eq!(held.len(), 4);
        assert!(room.take(other, 16 * MIB).now_or_never().is_some(), "the other half is there");
        drop(held);
        assert!(room.take(greedy, 16 * MIB).now_or_never().is_some(), "it is given back");
        room.take(other, 1).await;
        assert_eq!(room.shares.lock().unwrap().len(), 1, "keys that hold nothing are forgotten");
    }

    #[tokio::test]
    async fn the_largest_picture_finds_room_however_little_is_configured() {
        let taken = Room::new(MIB).take(KeyId::new(), IMAGE_BYTES as u64).now_or_never();
        assert!(taken.flatten().is_some());
    }
}
