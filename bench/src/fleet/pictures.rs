//! Light agents with pictures: one of any time, the latest, and moving ones. They send as fast as credit allows; what they were
//! asked and what they have shown is known to who asks.

mod session;

use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError,
    atomic::{AtomicU64, AtomicUsize, Ordering},
};

use bytes::Bytes;
use camera_agent::backoff::Ending;
use oriel_proto::{ImageClass, Timestamp, limits::PART_BYTES};
use rand::{Rng, SeedableRng, rngs::SmallRng};
use tokio::{runtime::Handle, sync::watch, task::JoinSet, time::Instant};

use self::session::Session;
use super::{Member, life::Roll};

/// Bytes of a picture in one piece: what a Part has room for beside its names and lengths.
pub(crate) const PIECE: usize = PART_BYTES - 16;

/// What a JPEG begins and ends with.
const BEGIN: &[u8] = b"\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00";
const END: &[u8] = b"\xff\xd9";

/// The pictures that every camera shows, whatever time is asked for.
#[derive(Clone, Debug)]
pub(crate) struct Album {
    /// Small.
    pub(crate) preview: Bytes,
    /// Full size.
    pub(crate) main: Bytes,
}

impl Album {
    /// Pictures of so many bytes.
    pub(crate) fn new(preview: usize, main: usize) -> Self {
        Self { preview: jpeg(preview), main: jpeg(main) }
    }

    /// That of a class.
    fn of(&self, class: &ImageClass) -> &Bytes {
        if *class == ImageClass::Main { &self.main } else { &self.preview }
    }
}

/// What begins and ends as a JPEG, of so many bytes; nobody on the way looks further.
fn jpeg(bytes: usize) -> Bytes {
    let mut jpeg = vec![0; bytes.max(BEGIN.len() + END.len())];
    SmallRng::seed_from_u64(bytes as u64).fill_bytes(&mut jpeg);
    // Without anything that looks like a marker, or like a boundary of what stands around it.
    jpeg.iter_mut().for_each(|byte| *byte &= 0x7f);
    let end = jpeg.len() - END.len();
    jpeg[..BEGIN.len()].copy_from_slice(BEGIN);
    jpeg[end..].copy_from_slice(END);
    jpeg.into()
}

/// What the agents were asked, and have shown.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// Questions for one picture.
    pub(crate) asked: AtomicU64,
    /// Streams that were asked for.
    pub(crate) streams: AtomicU64,
    open: AtomicUsize,
    /// The most streams that were open at one time.
    pub(crate) most: AtomicUsize,
    shown: Mutex<Vec<Timestamp>>,
    stopped: Mutex<Option<Instant>>,
    held: watch::Sender<bool>,
}

impl Seen {
    /// The times of the moving pictures that were sent whole.
    pub(crate) fn shown(&self) -> Vec<Timestamp> {
        lock(&self.shown).clone()
    }

    /// When the last stream was stopped, if none is open.
    pub(crate) fn stopped(&self) -> Option<Instant> {
        lock(&self.stopped).filter(|_| self.open.load(Ordering::Relaxed) == 0)
    }

    /// Whether answers wait for the moment.
    pub(crate) fn hold(&self, held: bool) {
        self.held.send_replace(held);
    }

    fn begins(&self) {
        self.streams.fetch_add(1, Ordering::Relaxed);
        let open = self.open.fetch_add(1, Ordering::Relaxed) + 1;
        self.most.fetch_max(open, Ordering::Relaxed);
    }

    fn shows(&self, at: Timestamp) {
        lock(&self.shown).push(at);
    }

    fn stops(&self) {
        self.open.fetch_sub(1, Ordering::Relaxed);
        *lock(&self.stopped) = Some(Instant::now());
    }
}

/// Starts them on `handle`; each serves one connection, and its end is told.
pub(crate) fn start(
    members: Vec<Member>,
    album: &Album,
    handle: &Handle,
) -> (Arc<Roll>, Arc<Seen>, JoinSet<Ending>) {
    let (roll, seen, mut lives) = (Arc::<Roll>::default(), Arc::<Seen>::default(), JoinSet::new());
    for member in members {
        let session = Session::new(album.clone(), Arc::clone(&seen), Arc::clone(&roll));
        let life = async move {
            match session.live(member).await {
                Ok(never) => match never {},
                Err(ending) => ending,
            }
        };
        lives.spawn_on(life, handle);
    }
    (roll, seen, lives)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_begins_and_ends_as_one_and_looks_like_none_between() {
        for bytes in [0, 100, 20_000] {
            let jpeg = jpeg(bytes);
            assert!(oriel_proto::jpeg::begins(&jpeg) && jpeg.ends_with(END));
            assert_eq!(jpeg.len(), bytes.max(22));
            assert_eq!(jpeg.iter().filter(|byte| **byte == 0xff).count(), 3, "{bytes}");
        }
    }
}
