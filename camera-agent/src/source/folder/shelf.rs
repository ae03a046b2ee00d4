//! Which files of a folder were dealt with, so that each is taken once, and how long the others have not changed.

use std::{
    collections::HashMap,
    hash::{BuildHasher as _, RandomState},
    path::Path,
    time::{Duration, SystemTime},
};

use oriel_proto::Timestamp;
use tokio::time::Instant;

use super::scan::Stamp;

/// The files that are known, by a hash of their paths: a hundred thousand of them take a few megabytes.
#[derive(Debug, Default)]
pub(super) struct Shelf {
    known: HashMap<u64, Known>,
    hasher: RandomState,
    turn: u64,
}

#[derive(Clone, Copy, Debug)]
struct Known {
    stamp: Stamp,
    /// The time that the last picture in it is known by, if that was kept.
    kept: Option<Timestamp>,
    /// When it was first seen as it is; none once it was dealt with.
    waiting: Option<Instant>,
    /// The last turn that saw it.
    turn: u64,
}

impl Shelf {
    /// A file was seen; gives how long it has not changed, none when it was dealt with.
    pub(super) fn see(&mut self, path: &Path, stamp: Stamp) -> Option<Duration> {
        let (now, turn) = (Instant::now(), self.turn);
        let new = Known { stamp, kept: None, waiting: Some(now), turn };
        let known = self.known.entry(self.hasher.hash_one(path)).or_insert(new);
        if known.stamp != stamp {
            *known = Known { kept: known.kept, ..new };
        }
        known.turn = turn;
        // The clock that files are stamped by may be another, but an old file is old by any.
        let by_clock = SystemTime::now().duration_since(stamp.changed).unwrap_or_default();
        known.waiting.map(|since| by_clock.max(now - since))
    }

    /// A file was dealt with as it is; its picture is known by the time `kept`, if there is one and that was kept.
    pub(super) fn put(&mut self, path: &Path, stamp: Stamp, kept: Option<Timestamp>) {
        let known = Known { stamp, kept, waiting: None, turn: self.turn };
        self.known.insert(self.hasher.hash_one(path), known);
    }

    /// The time that the last picture in a file is known by, if one was kept.
    pub(super) fn kept(&self, path: &Path) -> Option<Timestamp> {
        self.known.get(&self.hasher.hash_one(path))?.kept
    }

    /// Whether a file waits to be dealt with.
    pub(super) fn is_waiting(&self) -> bool {
        self.known.values().any(|known| known.waiting.is_some())
    }

    /// A turn through the whole folder begins.
    pub(super) const fn begin_turn(&mut self) {
        self.turn += 1;
    }

    /// It has ended: what it did not see is gone.
    pub(super) fn end_turn(&mut self) {
        self.known.retain(|_, known| known.turn == self.turn);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stamp(bytes: u64) -> Stamp {
        Stamp { bytes, changed: SystemTime::now() + Duration::from_secs(3_600) }
    }

    #[tokio::test(start_paused = true)]
    async fn a_file_that_is_dealt_with_waits_again_once_it_changes() {
        let (mut shelf, path, first) = (Shelf::default(), Path::new("a.jpg"), stamp(1));
        assert_eq!(shelf.see(path, first), Some(Duration::ZERO));
        tokio::time::advance(Duration::from_secs(3)).await;
        assert_eq!(shelf.see(path, first), Some(Duration::from_secs(3)));
        let at = Some(Timestamp::from_millis(1));
        shelf.put(path, first, at);
        assert_eq!((shelf.see(path, first), shelf.is_waiting()), (None, false));
        assert_eq!((shelf.see(path, stamp(2)), shelf.is_waiting()), (Some(Duration::ZERO), true));
        assert_eq!(shelf.kept(path), at);
    }

    #[tokio::test(start_paused = true)]
    async fn a_file_that_is_gone_is_forgotten() {
        let (mut shelf, path, first) = (Shelf::default(), Path::new("a.jpg"), stamp(1));
        shelf.put(path, first, None);
        for _ in 0..2 {
            shelf.begin_turn();
            shelf.end_turn();
        }
        assert_eq!(shelf.see(path, first), Some(Duration::ZERO));
    }

    #[test]
    fn an_old_file_has_not_changed_for_long() {
        let changed = SystemTime::now() - Duration::from_secs(60);
        let waited = Shelf::default().see(Path::new("a.jpg"), Stamp { bytes: 1, changed });
        assert!(waited >= Some(Duration::from_secs(60)));
    }
}
