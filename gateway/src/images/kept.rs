//! Pictures that are here: those under way for several, and those that were asked for lately. Together they have a bound in bytes;
//! beyond it pictures pass through without being shared.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use moka::sync::Cache;
use oriel_proto::{Timestamp, call::ImageMatch};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::Instant,
};

use super::{
    Series, Wanted,
    picture::{Begun, Picture},
};

/// Pictures larger than this pass through without being shared: a few would take the room of hundreds.
const LARGEST: u64 = 4 << 20;

/// What a kept picture takes beside its bytes.
const OVERHEAD: u64 = 1 << 10;

/// Bytes of room that are counted as one.
const UNIT: u64 = 1 << 10;

/// Series whose newest kept picture is remembered.
const SERIES: u64 = 20_000;

/// Whoever asks for the latest picture within this time of another one asks at the same time.
const AT_ONCE: Duration = Duration::from_secs(1);

/// Pictures under way by what was asked, and since when.
type Coming = Mutex<HashMap<Wanted, (Weak<Picture>, Instant)>>;

/// The pictures that are here; clones share them.
#[derive(Clone, Debug)]
pub(super) struct Kept {
    /// By the time of the picture.
    whole: Cache<(Series, Timestamp), Arc<Picture>>,
    /// The time of the newest that was kept.
    newest: Cache<Series, Timestamp>,
    coming: Arc<Coming>,
    /// In units; taken by what is kept and by what only slow readers still hold.
    room: Arc<Semaphore>,
}

impl Kept {
    /// None yet; at most so many bytes, of which half is for those that nobody reads.
    pub(super) fn new(bytes: u64) -> Self {
        let units = usize::try_from(bytes / UNIT).unwrap_or(usize::MAX).min(Semaphore::MAX_PERMITS);
        let weigh = |_: &(Series, Timestamp), picture: &Arc<Picture>| {
            u32::try_from(picture.head().length + OVERHEAD).unwrap_or(u32::MAX)
        };
        Self {
            whole: Cache::builder().max_capacity(bytes / 2).weigher(weigh).build(),
            newest: Cache::new(SERIES),
            coming: Arc::default(),
            room: Arc::new(Semaphore::new(units)),
        }
    }

    /// Room for a picture of so many bytes; none when there is none.
    pub(super) fn room(&self, length: u64) -> Option<OwnedSemaphorePermit> {
        let units = u32::try_from((length + OVERHEAD).div_ceil(UNIT)).ok().filter(|_| length <= LARGEST)?;
        Arc::clone(&self.room).try_acquire_many_owned(units).ok()
    }

    /// A picture of exactly this time.
    pub(super) fn at(&self, series: &Series, at: Timestamp) -> Option<Arc<Picture>> {
        self.whole.get(&(series.clone(), at))
    }

    /// The newest that was kept of a series.
    pub(super) fn newest(&self, series: &Series) -> Option<Arc<Picture>> {
        self.at(series, self.newest.get(series)?)
    }

    /// The picture that an equal question has begun to bring.
    pub(super) fn coming(&self, wanted: &Wanted) -> Option<Arc<Picture>> {
        let coming = lock(&self.coming);
        let (picture, since) = coming.get(wanted)?;
        let is_latest = wanted.matching == ImageMatch::Latest;
        // What was the latest when somebody began to read it slowly may be so no more.
        if is_latest && since.elapsed() > AT_ONCE { None } else { picture.upgrade() }
    }

    /// A picture begins to come, which others may join until it is whole.
    pub(super) fn begin(&self, wanted: Wanted, begun: Begun, room: OwnedSemaphorePermit) -> Arc<Picture> {
        let mut coming = lock(&self.coming);
        let picture = Arc::new_cyclic(|weak| {
            let done = Done { kept: self.clone(), wanted: wanted.clone(), picture: weak.clone() };
            Picture::new(begun, room, done)
        });
        coming.insert(wanted, (Arc::downgrade(&picture), Instant::now()));
        drop(coming);
        picture.end_if_it_came_whole();
        picture
    }
}

/// What is to be done when a picture is whole, or nobody reads it any more.
#[derive(Debug)]
pub(super) struct Done {
    kept: Kept,
    wanted: Wanted,
    picture: Weak<Picture>,
}

impl Done {
    /// It is whole: keeps it for a while.
    pub(super) fn keep(self, picture: &Arc<Picture>) {
        let (kept, series, at) = (&self.kept, &self.wanted.series, picture.head().at);
        kept.whole.insert((series.clone(), at), Arc::clone(picture));
        if self.wanted.matching == ImageMatch::Latest {
            kept.newest.insert(series.clone(), at);
        }
    }
}

impl Drop for Done {
    fn drop(&mut self) {
        let mut coming = lock(&self.kept.coming);
        // An equal question may have brought another one meanwhile.
        if coming.get(&self.wanted).is_some_and(|(present, _)| present.ptr_eq(&self.picture)) {
            coming.remove(&self.wanted);
        }
    }
}

fn lock(coming: &Coming) -> MutexGuard<'_, HashMap<Wanted, (Weak<Picture>, Instant)>> {
    coming.lock().unwrap_or_else(PoisonError::into_inner)
}
