//! Stills that somebody puts into a folder: a camera by FTP, or a program. Each is taken once, when it is whole, with its time.

mod error;
mod look;
mod name;
mod rest;
mod scan;
mod shelf;
#[cfg(test)]
mod tests;
mod watcher;

use std::{
    convert::Infallible,
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use bytes::Bytes;
use jiff::tz::TimeZone;
use oriel_proto::{
    ImageClass, Timestamp,
    call::{ImageMatch, Order},
};
use tokio::time::{Instant, sleep_until};

pub(crate) use self::error::FolderError;
use self::{
    look::{Look, look},
    rest::Rest,
    scan::{Cut, Most, Scan, Stamp, is_hidden, scan},
    shelf::Shelf,
    watcher::Watcher,
};
use super::{Source, SourceError, feed::Feed, sorting::Sorting};
use crate::{
    config::{FolderConfig, Times},
    disk::off_runtime,
    foreign::tame,
    pictures::Picture,
    ring::{RingError, Span},
};

/// How long a file must not have changed to be taken, where the system does not say that it was closed.
const SETTLED: Duration = Duration::from_secs(2);

/// How long a picture that is not whole may stay so before it counts as cut off: an upload may pause.
const GIVEN_UP: Duration = Duration::from_secs(60);

/// How often the folder is looked through while the system tells of each file: what it left out is found so.
const SELDOM: Duration = Duration::from_secs(10);

/// The least time between two lines in the log about files that are left alone.
const SAID_EVERY: Duration = Duration::from_secs(10);

/// How far ahead of the clock the time in a name is believed: a wrong time zone, but no wrong year.
const AHEAD: Duration = Duration::from_secs(26 * 3_600);

/// How far the time of a picture can have been moved on because others had it.
const MOVED: Duration = Duration::from_millis(50);

/// A folder that is filled by somebody.
#[derive(Debug)]
pub(super) struct Folder {
    config: FolderConfig,
    zone: TimeZone,
    sorting: Sorting,
    shelf: Shelf,
    /// Whether all that lay here at the start was dealt with.
    is_through: bool,
    /// What was passed over at the last look, as there is too much.
    cut: Option<Cut>,
    left: Left,
}

/// Files that are no pictures.
#[derive(Debug, Default)]
struct Left {
    count: u64,
    said: Option<Instant>,
}

impl Folder {
    /// The folder that the options name.
    pub(super) fn new(config: &FolderConfig) -> Self {
        Self {
            config: config.clone(),
            // A zone that is not known is refused before.
            zone: config.zone().unwrap_or(TimeZone::UTC),
            sorting: Sorting::new(config.class.clone()),
            shelf: Shelf::default(),
            is_through: false,
            cut: None,
            left: Left::default(),
        }
    }

    async fn feed(&mut self, feed: &Feed) -> Result<Infallible, SourceError> {
        let mut watcher = Watcher::new(&self.config.path);
        let again = watcher.bell();
        loop {
            let took = self.look_through(&mut watcher, feed).await?;
            let usual = if watcher.tells() && !self.shelf.is_waiting() { SELDOM } else { SETTLED };
            let mut rest = Rest::new(Instant::now(), took, usual);
            loop {
                tokio::select! {
                    path = watcher.closed() => {
                        if self.closed(path, feed).await? {
                            rest.hurry();
                        }
                    }
                    () = again.notified() => rest.hurry(),
                    () = sleep_until(rest.end()) => break,
                }
            }
        }
    }

    /// Takes all that is new, the oldest first. Gives how long it took to walk through the folder.
    async fn look_through(&mut self, watcher: &mut Watcher, feed: &Feed) -> Result<Duration, SourceError> {
        let (root, depth, began) = (self.config.path.clone(), self.config.depth, Instant::now());
        let found = off_runtime(move || scan(&root, depth, Most::USUAL)).await.ok_or(FolderError::Closing)?;
        let Scan { folders, files, cut } = found.map_err(|e| self.failed(e))?;
        watcher.watch(folders).await;
        let took = began.elapsed();
        self.tell(cut, feed);
        self.shelf.begin_turn();
        let waiting = files.into_iter().filter_map(|(path, stamp)| {
            let unchanged = self.shelf.see(&path, stamp)?;
            (unchanged >= SETTLED).then(|| (self.time(&path, stamp, feed), path, stamp, unchanged))
        });
        let mut waiting: Vec<_> = waiting.collect();
        self.shelf.end_turn();
        waiting.sort();
        let oldest = if self.is_through || self.config.remove { None } else { self.oldest(feed).await? };
        for (at, path, stamp, unchanged) in waiting {
            if oldest.is_some_and(|oldest| at < oldest) {
                // It was taken before the last start, and has left the ring since.
                self.shelf.put(&path, stamp, None);
                continue;
            }
            self.take(&path, unchanged >= GIVEN_UP, feed).await?;
        }
        self.is_through = true;
        Ok(took)
    }

    /// Takes a file that was closed or moved in; gives whether the folder must be looked through instead.
    async fn closed(&mut self, path: PathBuf, feed: &Feed) -> Result<bool, SourceError> {
        if is_hidden(&path) {
            return Ok(false);
        }
        self.take(&path, true, feed).await
    }

    /// Takes a file if it is a picture; `is_final` when it will not grow any more. Gives whether it is a folder.
    async fn take(&mut self, path: &Path, is_final: bool, feed: &Feed) -> Result<bool, SourceError> {
        let owned = path.to_owned();
        let looked = off_runtime(move || look(&owned)).await.ok_or(FolderError::Closing)?;
        match looked {
            Look::Picture(jpeg, stamp) => self.keep(path, jpeg, stamp, feed).await?,
            // It may still grow.
            Look::Cut(_) if !is_final => {}
            Look::Cut(stamp) => {
                self.shelf.put(path, stamp, None);
                self.leave(path, "the JPEG is cut off", feed);
            }
            Look::Foreign(why, stamp) => {
                self.shelf.put(path, stamp, None);
                self.leave(path, &why, feed);
            }
            Look::Folder => return Ok(true),
            Look::Gone => {}
        }
        Ok(false)
    }

    /// Keeps a picture, unless it is kept already, and removes its file if that is wanted.
    async fn keep(&mut self, path: &Path, jpeg: Bytes, stamp: Stamp, feed: &Feed) -> Result<(), SourceError> {
        let at = self.time(path, stamp, feed);
        let mut kept: Vec<_> = self.kept(path, at, &jpeg, feed).await?.into_iter().collect();
        if kept.is_empty() {
            for class in self.sorting.classes(at) {
                match feed.keep(Picture { class: class.clone(), at, jpeg: jpeg.clone() }).await {
                    Ok(known_by) => {
                        self.sorting.kept(&class, at);
                        kept.extend(known_by.map(|at| (class, at)));
                    }
                    Err(e @ (RingError::TooLarge { .. } | RingError::Time(_))) => {
                        self.leave(path, &e.to_string(), feed);
                    }
                    // It is taken when the disk has room again.
                    Err(e) => return Err(e.into()),
                }
            }
        }
        self.shelf.put(path, stamp, kept.first().map(|(_, at)| *at));
        if self.config.remove && !kept.is_empty() {
            self.remove(path, stamp, &kept, feed).await;
        }
        Ok(())
    }

    /// Removes a file that is still what was kept, once that survives a power cut.
    async fn remove(&mut self, path: &Path, stamp: Stamp, kept: &[(ImageClass, Timestamp)], feed: &Feed) {
        for (class, at) in kept {
            let Some(ring) = feed.camera().pictures.ring(class) else { return };
            if let Err(e) = ring.sync(*at).await {
                return self.leave(path, &format!("it is not removed: {e}"), feed);
            }
        }
        let owned = path.to_owned();
        let removed = off_runtime(move || match owned.symlink_metadata() {
            Ok(about) if about.is_file() && Stamp::of(&about) == stamp => std::fs::remove_file(&owned),
            _ => Ok(()),
        });
        if let Some(Err(e)) = removed.await {
            self.leave(path, &format!("it cannot be removed: {e}"), feed);
        }
    }

    /// When the picture of a file was taken.
    fn time(&self, path: &Path, stamp: Stamp, feed: &Feed) -> Timestamp {
        let now = feed.camera().pictures.time();
        let name =
            path.file_name().and_then(|name| name.to_str()).filter(|_| self.config.times == Times::Name);
        let named =
            name.and_then(|name| name::time_in(name, &self.zone)).filter(|at| *at <= now.after(AHEAD));
        let at = named.unwrap_or_else(|| Timestamp::from(stamp.changed).min(now));
        Timestamp::from_millis(at.as_micros().div_euclid(1_000))
    }

    /// The series and time of this very picture if it is kept: it was taken before the last start, lies here twice, or its file was
    /// only touched.
    async fn kept(
        &self,
        path: &Path,
        at: Timestamp,
        jpeg: &Bytes,
        feed: &Feed,
    ) -> Result<Option<(ImageClass, Timestamp)>, RingError> {
        let Some(class) = self.first_class(feed) else { return Ok(None) };
        let Some(ring) = feed.camera().pictures.ring(class) else { return Ok(None) };
        let span = Span::new(Some(at), Some(at.after(MOVED)), &Order::Asc);
        let rows = ring.page(&span, MOVED.as_millis() as usize).await?;
        // As long as each has the time behind the one before, a picture of this time may have been moved there.
        let moved = rows
            .into_iter()
            .enumerate()
            .take_while(|(n, row)| row.at() == at.after(Duration::from_millis(*n as u64)))
            .map(|(_, row)| row);
        let last = match self.shelf.kept(path) {
            Some(last) => ring.find(&ImageMatch::Exact, last).await?,
            None => None,
        };
        for row in last.into_iter().chain(moved).filter(|row| row.bytes as usize == jpeg.len()) {
            // Another one may have the same time and size. One that cannot be read is no copy either.
            if ring.read(row).await.is_ok_and(|kept| kept.as_ref() == Some(jpeg)) {
                return Ok(Some((class.clone(), row.at())));
            }
        }
        Ok(None)
    }

    /// The time of the oldest picture that is kept.
    async fn oldest(&self, feed: &Feed) -> Result<Option<Timestamp>, RingError> {
        let Some(ring) = self.first_class(feed).and_then(|class| feed.camera().pictures.ring(class)) else {
            return Ok(None);
        };
        let rows = ring.page(&Span::new(None, None, &Order::Asc), 1).await?;
        Ok(rows.first().map(|row| row.at()))
    }

    /// The series that all pictures go to.
    fn first_class<'a>(&self, feed: &'a Feed) -> Option<&'a ImageClass> {
        feed.camera().offers.classes.first()
    }

    /// Counts a file that is left alone, and says so; of many at once, now and then.
    fn leave(&mut self, path: &Path, why: &str, feed: &Feed) {
        self.left.count += 1;
        if self.left.said.is_none_or(|said| said.elapsed() >= SAID_EVERY) {
            self.left.said = Some(Instant::now());
            let (camera, file) = (feed.camera().id(), tame(&path.display().to_string()));
            tracing::warn!(%camera, left_alone = self.left.count, "{file} is left alone: {}", tame(why));
        }
    }

    /// Tells that the source works, and what is passed over.
    fn tell(&mut self, cut: Option<Cut>, feed: &Feed) {
        let was = std::mem::replace(&mut self.cut, cut);
        let Some(cut) = cut else { return feed.works() };
        let why = format!("the folder {} {cut}", self.config.path.display());
        if was != Some(cut) {
            tracing::warn!(camera = %feed.camera().id(), "{why}");
        }
        feed.works_in_part(why);
    }

    fn failed(&self, error: io::Error) -> FolderError {
        let path = self.config.path.clone();
        match error.kind() {
            io::ErrorKind::NotFound => FolderError::Missing(path),
            _ => FolderError::Unreadable { path, source: error },
        }
    }
}

impl Source for Folder {
    async fn run(&mut self, feed: &Feed) -> SourceError {
        let Err(e) = self.feed(feed).await;
        e
    }
}
