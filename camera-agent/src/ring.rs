//! Pictures of one camera and series on disk: bounded by bytes and by age, in the order of their times, which are their identity.

mod files;
mod index;
#[cfg(test)]
mod tests;

use std::{
    io,
    ops::Range,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use oriel_proto::{
    ImageClass, Timestamp,
    call::{ImageMatch, Order},
    jpeg::{self, JpegError},
    limits::IMAGE_PIXELS,
};

pub(crate) use self::index::Row;
use self::{
    files::Found,
    index::{Index, has_expired},
};
use crate::{disk::off_runtime, spool::Clock};

/// Why a ring cannot do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum RingError {
    /// Its folder cannot be read.
    #[error("the pictures in {} cannot be read: {source}", path.display())]
    Read {
        /// The folder or file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A picture cannot be written.
    #[error("the picture {} cannot be written: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// What is left of a picture cannot be removed.
    #[error("the picture {} cannot be removed: {source}", path.display())]
    Remove {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It is no whole picture.
    #[error("this is no picture: {0}")]
    Broken(#[from] JpegError),
    /// Nobody would decode it.
    #[error("a picture of {0} pixels has more than {IMAGE_PIXELS}")]
    Pixels(u32),
    /// It alone is larger than the ring.
    #[error("a picture of {bytes} bytes has no room among {most}")]
    TooLarge {
        /// Its size.
        bytes: u64,
        /// The most bytes of all pictures.
        most: u64,
    },
    /// Its time has no place in a calendar of four digits.
    #[error("the time {0:?} is none that a picture can have")]
    Time(Timestamp),
    /// The camera has no such series.
    #[error("there are no pictures of class {0}")]
    Class(ImageClass),
    /// The program is stopping.
    #[error("the pictures are being closed")]
    Closing,
}

/// How much a ring may hold, and for how long.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// The most bytes of pictures on disk, in whole blocks.
    pub(crate) bytes: u64,
    /// How long a picture is kept.
    pub(crate) retention: Duration,
}

/// Which pictures a list is about, and in which direction.
#[derive(Clone, Debug)]
pub(crate) struct Span {
    times: Range<i64>,
    desc: bool,
}

impl Span {
    /// From a time on, which is included, up to another one, which is not.
    pub(crate) fn new(from: Option<Timestamp>, to: Option<Timestamp>, order: &Order) -> Self {
        let times = from.map_or(i64::MIN, ceil_ms)..to.map_or(i64::MAX, ceil_ms);
        Self { times, desc: *order == Order::Desc }
    }

    /// What is left of it behind a row.
    pub(crate) const fn go_on_behind(&mut self, row: Row) {
        if self.desc {
            self.times.end = row.at_ms;
        } else {
            self.times.start = row.at_ms.saturating_add(1);
        }
    }
}

/// A handle to one ring; clones share it. What is on its disk is looked at once, when it is first needed.
#[derive(Clone, Debug)]
pub(crate) struct Ring {
    disk: Arc<Disk>,
    /// Held by whoever changes files.
    writer: Arc<tokio::sync::Mutex<()>>,
}

impl Ring {
    /// The ring in a folder, which is made with the first picture; does not look at it yet.
    pub(crate) fn new(folder: &Path, bounds: Bounds, clock: Clock) -> Self {
        Self { disk: Arc::new(Disk::new(folder, bounds, clock)), writer: Arc::default() }
    }

    /// Looks what is on the disk, unless that is known.
    pub(crate) async fn open(&self) -> Result<(), RingError> {
        if self.disk.lock().is_some() { Ok(()) } else { self.change(|_| Ok(())).await }
    }

    /// Keeps a picture; gives the time it is known by, which is moved on while another picture has it. One that is older than all
    /// that a full ring holds, or past its time, is dropped at once: then it gives none.
    pub(crate) async fn keep(&self, at: Timestamp, jpeg: Bytes) -> Result<Option<Timestamp>, RingError> {
        self.change(move |disk| disk.keep(at, &jpeg)).await
    }

    /// Has the picture of this time survive a power cut. Pictures are not written so by themselves: that would wear out the disk.
    pub(crate) async fn sync(&self, at: Timestamp) -> Result<(), RingError> {
        self.change(move |disk| disk.sync(at)).await
    }

    /// Drops what is past its time.
    pub(crate) async fn tidy(&self) -> Result<(), RingError> {
        self.change(|disk| {
            disk.drop_expired(disk.now_ms());
            Ok(())
        })
        .await
    }

    /// The picture that a question means.
    pub(crate) async fn find(&self, matching: &ImageMatch, at: Timestamp) -> Result<Option<Row>, RingError> {
        self.open().await?;
        let at_ms = match matching {
            ImageMatch::Exact if at.as_micros().rem_euclid(1_000) != 0 => return Ok(None),
            ImageMatch::After => ceil_ms(at),
            _ => floor_ms(at),
        };
        let now_ms = self.disk.now_ms();
        Ok(self.disk.lock().as_ref().and_then(|index| index.find(matching, at_ms, now_ms)))
    }

    /// The times of the pictures before and after this time.
    pub(crate) fn around(&self, at: Timestamp) -> (Option<Timestamp>, Option<Timestamp>) {
        let (prev, next) = self.disk.lock().as_ref().map_or((None, None), |index| index.around(floor_ms(at)));
        (prev.map(Timestamp::from_millis), next.map(Timestamp::from_millis))
    }

    /// The next pictures of a list, at most so many.
    pub(crate) async fn page(&self, span: &Span, most: usize) -> Result<Vec<Row>, RingError> {
        self.open().await?;
        let index = self.disk.lock();
        Ok(index.as_ref().map(|index| index.page(&span.times, span.desc, most)).unwrap_or_default())
    }

    /// The bytes of a picture; none when it is gone or was cut, after which the ring knows it no longer.
    pub(crate) async fn read(&self, row: Row) -> Result<Option<Bytes>, RingError> {
        let disk = self.disk.clone();
        off_runtime(move || disk.read(row)).await.unwrap_or(Err(RingError::Closing))
    }

    /// Bytes of pictures on disk, in whole blocks; 0 as long as nobody has looked.
    pub(crate) fn bytes(&self) -> u64 {
        self.disk.lock().as_ref().map_or(0, Index::bytes)
    }

    /// Runs `work` off the runtime, alone among those that change files, with the index at hand.
    async fn change<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Disk) -> Result<T, RingError> + Send + 'static,
    ) -> Result<T, RingError> {
        let (disk, writer) = (self.disk.clone(), self.writer.clone().lock_owned().await);
        let done = off_runtime(move || {
            // Also when nobody waits any more, the next change comes after this one.
            let _writer = writer;
            disk.look()?;
            work(&disk)
        });
        done.await.unwrap_or(Err(RingError::Closing))
    }
}

/// The folder and what is known of it; reads and writes where it stands.
struct Disk {
    folder: PathBuf,
    bounds: Bounds,
    clock: Clock,
    /// None until the folder could be read.
    index: Mutex<Option<Index>>,
    /// How a file is removed.
    discard: fn(&Path) -> io::Result<()>,
    /// Whether the last file could not be removed.
    is_stuck: AtomicBool,
}

impl Disk {
    fn new(folder: &Path, bounds: Bounds, clock: Clock) -> Self {
        let (folder, index, is_stuck) = (folder.to_owned(), Mutex::new(None), AtomicBool::new(false));
        Self { folder, bounds, clock, index, discard: files::remove, is_stuck }
    }

    /// Reads the folder, unless that was done; drops what is beyond its bounds.
    fn look(&self) -> Result<(), RingError> {
        if self.lock().is_some() {
            return Ok(());
        }
        let unreadable = |source| RingError::Read { path: self.folder.clone(), source };
        let index = Index::new(files::scan(&self.folder).map_err(unreadable)?);
        *self.lock() = Some(index);
        let now_ms = self.now_ms();
        self.drop_expired(now_ms);
        self.make_room(now_ms, None);
        Ok(())
    }

    fn keep(&self, at: Timestamp, jpeg: &[u8]) -> Result<Option<Timestamp>, RingError> {
        let pixels = jpeg::check(jpeg)?.pixels();
        if pixels > IMAGE_PIXELS {
            return Err(RingError::Pixels(pixels));
        }
        let (size, most) = (jpeg.len() as u64, self.bounds.bytes);
        let too_large = || RingError::TooLarge { bytes: size, most };
        let bytes = u32::try_from(size).map_err(|_| too_large())?;
        let now_ms = self.now_ms();
        self.drop_expired(now_ms);
        let (at_ms, path) = self.free(floor_ms(at)).ok_or(RingError::Time(at))?;
        let row = Row { at_ms, bytes };
        if row.on_disk() > most {
            return Err(too_large());
        }
        if has_expired(at_ms, self.oldest_ms(now_ms)) || !self.make_room(now_ms, Some(row)) {
            return Ok(None);
        }
        let failed = |source| RingError::Write { path: path.clone(), source };
        files::write(&self.folder, &path, jpeg).map_err(failed)?;
        self.with(|index| index.insert(row));
        Ok(Some(row.at()))
    }

    /// The first time from `at_ms` on that nothing has, and its file.
    fn free(&self, mut at_ms: i64) -> Option<(i64, PathBuf)> {
        loop {
            let path = files::path(&self.folder, at_ms)?;
            if !self.with(|index| index.holds(at_ms)).unwrap_or(false) && !files::is_taken(&path) {
                return Some((at_ms, path));
            }
            at_ms += 1;
        }
    }

    /// Drops what goes first until `new` has room; false when that is `new` itself.
    fn make_room(&self, now_ms: i64, new: Option<Row>) -> bool {
        let needed = new.map_or(0, Row::on_disk);
        let fits = |index: &mut Index| index.bytes() + needed <= self.bounds.bytes;
        while !self.with(fits).unwrap_or(true) {
            match self.with(|index| index.victim(now_ms, new)).flatten() {
                Some(victim) => self.remove(victim),
                None => return false,
            }
        }
        true
    }

    fn drop_expired(&self, now_ms: i64) {
        let before_ms = self.oldest_ms(now_ms);
        while let Some(row) = self.with(|index| index.expired(before_ms)).flatten() {
            self.remove(row);
        }
    }

    /// Removes a picture. A file that stays is known no longer until the folder is read again: it must not keep new ones out.
    fn remove(&self, row: Row) {
        self.with(|index| index.remove(row.at_ms));
        let Some(path) = files::path(&self.folder, row.at_ms) else { return };
        let removed = (self.discard)(&path);
        let was_stuck = self.is_stuck.swap(removed.is_err(), Ordering::Relaxed);
        if let Some(source) = removed.err().filter(|_| !was_stuck) {
            tracing::warn!("{}; it is left there", RingError::Remove { path, source });
        }
    }

    fn sync(&self, at: Timestamp) -> Result<(), RingError> {
        let path = files::path(&self.folder, floor_ms(at)).ok_or(RingError::Time(at))?;
        files::sync(&self.folder, &path).map_err(|source| RingError::Write { path, source })
    }

    fn read(&self, row: Row) -> Result<Option<Bytes>, RingError> {
        let Some(path) = files::path(&self.folder, row.at_ms) else { return Ok(None) };
        match files::read(&path).map_err(|source| RingError::Read { path: path.clone(), source })? {
            Found::Picture(jpeg) => {
                // Somebody may have put another one in its place.
                let bytes = u32::try_from(jpeg.len()).unwrap_or(row.bytes);
                if bytes != row.bytes {
                    self.with(|index| index.holds(row.at_ms).then(|| index.insert(Row { bytes, ..row })));
                }
                Ok(Some(jpeg.into()))
            }
            Found::Nothing => {
                self.with(|index| index.remove(row.at_ms));
                Ok(None)
            }
            Found::Broken => {
                // Only the first that finds out removes the file: later its name may be that of another picture.
                if self.with(|index| index.remove(row.at_ms)).unwrap_or(false) {
                    tracing::warn!("{} is no whole picture and is removed", path.display());
                    files::discard(&path).map_err(|source| RingError::Remove { path, source })?;
                }
                Ok(None)
            }
        }
    }

    fn now_ms(&self) -> i64 {
        floor_ms((self.clock)())
    }

    /// The time of the oldest picture that is kept.
    fn oldest_ms(&self, now_ms: i64) -> i64 {
        now_ms.saturating_sub(i64::try_from(self.bounds.retention.as_millis()).unwrap_or(i64::MAX))
    }

    /// Does something with the index, if it is known.
    fn with<T>(&self, work: impl FnOnce(&mut Index) -> T) -> Option<T> {
        self.lock().as_mut().map(work)
    }

    fn lock(&self) -> MutexGuard<'_, Option<Index>> {
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Disk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Disk").field("folder", &self.folder).finish_non_exhaustive()
    }
}

const fn floor_ms(time: Timestamp) -> i64 {
    time.as_micros().div_euclid(1_000)
}

const fn ceil_ms(time: Timestamp) -> i64 {
    let micros = time.as_micros();
    micros.div_euclid(1_000) + if micros.rem_euclid(1_000) == 0 { 0 } else { 1 }
}
