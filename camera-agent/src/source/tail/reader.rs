//! Reads a log line by line through everything that happens to its files; waits for nothing, and is never used on the runtime.

use std::{
    fs::{File, Metadata},
    io,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use tokio::time::Instant;

use super::{
    files::{self, Found},
    line::{HEAD_BYTES, Line, zeros},
    place::{Place, changed, inode, line_begin, read_at},
};

/// How many bytes are read at once.
const CHUNK: u64 = 64 << 10;

/// The most lines of one transaction.
const MOST_LINES: usize = 500;

/// How far the end of a line longer than a chunk is looked for at a time.
const LOOK_BYTES: u64 = 16 << 20;

/// How far back the beginning of a line is looked for that has no end at the first start.
const BACK: u64 = CHUNK;

/// How long a rotated file must have been quiet before the next one is begun: each process of a program opens the new file by itself.
pub(super) const QUIET: Duration = Duration::from_secs(1);

/// How long after that the next file is begun even so.
pub(super) const QUIET_WITHIN: Duration = Duration::from_secs(60);

/// How far the times of files may be behind the clock.
const FILE_CLOCK: Duration = Duration::from_millis(10);

/// A log that is being read.
#[derive(Debug)]
pub(super) struct Reader {
    log: PathBuf,
    place: Place,
    /// The file that the place is in.
    file: Option<File>,
    /// What is known of the line behind the place when that is a long one.
    begun: Begun,
    /// When something was read last.
    read: Option<Instant>,
    /// When the next file was seen to be written.
    next: Option<Instant>,
}

/// What a look at the log gave.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Look {
    /// The place has moved, behind these lines.
    Lines(Vec<Line>),
    /// There is more to look at.
    More,
    /// Nothing is left to read now.
    End,
    /// Nothing is left to read of a file that was rotated.
    Rotated,
    /// The file is not there.
    Missing,
}

/// What a file gave.
enum Part {
    Lines(Vec<Line>, Place),
    /// It has no whole line yet; what there is of one.
    End(Option<Line>),
    /// The end of a line must be looked for further behind.
    More,
    /// It is no longer what it was.
    Changed,
}

impl Reader {
    /// Reads on from a place.
    pub(super) const fn new(log: PathBuf, place: Place) -> Self {
        Self { log, place, file: None, begun: Begun::NOTHING, read: None, next: None }
    }

    /// Where the first start begins: at the end, or at the beginning if that is wanted or nothing is there.
    pub(super) fn first_place(log: &Path, from_start: bool) -> io::Result<Place> {
        let now = SystemTime::now() - FILE_CLOCK;
        match files::open(log)?.filter(|_| !from_start) {
            Some(Found { file, about }) => {
                // A line that is not whole yet is written from now on.
                let begin = line_begin(&file, about.len(), BACK)?;
                Place::inside(&file, &about, begin.unwrap_or(about.len()))
            }
            None => Ok(Place::nowhere(now)),
        }
    }

    /// How far it has read.
    pub(super) const fn place(&self) -> &Place {
        &self.place
    }

    /// Reads on, at most a few hundred lines.
    pub(super) fn look(&mut self, now: Instant) -> io::Result<Look> {
        if self.file.is_none() && !self.open()? {
            return Ok(Look::Missing);
        }
        // Looked at before the file is read to its end: what was written before the next one is in it by then.
        let next = self.next(now)?;
        let Some(file) = &self.file else { return Ok(Look::Missing) };
        match read(file, &self.place, &mut self.begun)? {
            Part::Lines(lines, place) => {
                (self.place, self.begun, self.read) = (place, Begun::NOTHING, Some(now));
                Ok(Look::Lines(lines))
            }
            Part::More => Ok(Look::More),
            Part::Changed => {
                self.file = None;
                Ok(if self.open()? { Look::More } else { Look::Missing })
            }
            Part::End(rest) => Ok(match next {
                Next::None => Look::End,
                Next::Later => Look::Rotated,
                Next::Now(found) => {
                    self.begin(found);
                    // Nobody will end it.
                    Look::Lines(rest.into_iter().collect())
                }
            }),
        }
    }

    /// Finds the file that the place is in, or what came after it; false when there is none.
    fn open(&mut self) -> io::Result<bool> {
        self.begun = Begun::NOTHING;
        let found = match files::find(&self.log, &self.place)? {
            Some(found) => Some(found),
            // A folder that changes while it is listed may hide a file once.
            None => files::find(&self.log, &self.place)?,
        };
        if let Some(Found { file, about }) = found {
            self.place.inode = inode(&about);
            (self.file, self.next) = (Some(file), None);
            return Ok(true);
        }
        if let Some((Found { file, about }, left)) = files::shortened(&self.log, &self.place)? {
            // What was written since is behind what is left; to read some of that again loses nothing.
            let begin = line_begin(&file, left, BACK)?.unwrap_or(left);
            self.place = Place::inside(&file, &about, begin)?;
            (self.file, self.next) = (Some(file), None);
            return Ok(true);
        }
        let found = match files::rotated_after(&self.log, &self.place, false) {
            Some(found) => Some(found),
            None => files::open(&self.log)?,
        };
        let is_there = found.is_some();
        found.into_iter().for_each(|found| self.begin(found));
        Ok(is_there)
    }

    fn begin(&mut self, Found { file, about }: Found) {
        // It may have been written to after its last whole line.
        let left = self.file.take().and_then(|left| left.metadata().ok()).map_or(0, |left| changed(&left));
        self.place = Place::beginning(&about, self.place.changed.max(left));
        (self.file, self.begun, self.next) = (Some(file), Begun::NOTHING, None);
    }

    /// What comes after the file that is being read, if that is no longer the log.
    fn next(&mut self, now: Instant) -> io::Result<Next> {
        let present = files::open(&self.log)?;
        if present.as_ref().is_some_and(|present| inode(&present.about) == self.place.inode) {
            self.next = None;
            return Ok(Next::None);
        }
        if let Some(found) = files::rotated_after(&self.log, &self.place, true) {
            return Ok(Next::Now(found));
        }
        // A program goes on writing to the rotated file until it opens the new one.
        let Some(present) = present.filter(|present| present.about.len() > 0) else { return Ok(Next::Later) };
        let since = *self.next.get_or_insert(now);
        let quiet = now.saturating_duration_since(self.read.map_or(since, |read| read.max(since)));
        if quiet < QUIET && now.saturating_duration_since(since) < QUIET_WITHIN {
            return Ok(Next::Later);
        }
        // A folder that changes while it is listed may hide a file once.
        Ok(Next::Now(files::rotated_after(&self.log, &self.place, true).unwrap_or(present)))
    }
}

/// What comes after a file.
enum Next {
    /// It is still the log.
    None,
    /// Nothing yet.
    Later,
    Now(Found),
}

/// The whole lines of a file behind a place.
fn read(file: &File, place: &Place, begun: &mut Begun) -> io::Result<Part> {
    let about = file.metadata()?;
    let marked = place.marked();
    let bytes = read_at(file, place.offset - marked, marked + CHUNK)?;
    let (before, fresh) = bytes.split_at(bytes.len().min(marked as usize));
    if !place.is_behind(before) {
        return Ok(Part::Changed);
    }
    let ends = fresh.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(at, _)| at);
    let (mut lines, mut begin) = (Vec::new(), 0);
    for end in ends.take(MOST_LINES) {
        lines.extend(Line::new(&fresh[begin..end], (end - begin) as u64));
        begin = end + 1;
    }
    if begin > 0 {
        let place = place.after(file, &about, begin as u64, &bytes[..before.len() + begin])?;
        return Ok(Part::Lines(lines, place));
    }
    if (fresh.len() as u64) < CHUNK {
        return Ok(Part::End(Line::new(fresh, fresh.len() as u64)));
    }
    if begun.searched == 0 {
        begun.take(fresh);
    }
    long_line(file, &about, place, begun)
}

/// Looks for the end of a line that is longer than a chunk.
fn long_line(file: &File, about: &Metadata, place: &Place, begun: &mut Begun) -> io::Result<Part> {
    let most = begun.searched + LOOK_BYTES;
    while begun.searched < most {
        let bytes = read_at(file, place.offset + begun.searched, CHUNK)?;
        let end = bytes.iter().position(|byte| *byte == b'\n');
        begun.take(&bytes[..end.unwrap_or(bytes.len())]);
        if end.is_some() {
            let behind = Place::inside(file, about, place.offset + begun.searched + 1)?;
            return Ok(Part::Lines(begun.line(file, place)?.into_iter().collect(), behind));
        }
        if (bytes.len() as u64) < CHUNK {
            return Ok(Part::End(begun.line(file, place)?));
        }
    }
    Ok(Part::More)
}

/// What is known of a line that is longer than a chunk.
#[derive(Clone, Copy, Debug)]
struct Begun {
    /// How many bytes hold no end of it.
    searched: u64,
    /// How many zeros it begins with.
    zeros: u64,
}

impl Begun {
    const NOTHING: Self = Self { searched: 0, zeros: 0 };

    /// Takes the next bytes of it.
    fn take(&mut self, bytes: &[u8]) {
        if self.zeros == self.searched {
            self.zeros += zeros(bytes) as u64;
        }
        self.searched += bytes.len() as u64;
    }

    /// The line behind a place, as far as it is known.
    fn line(&self, file: &File, place: &Place) -> io::Result<Option<Line>> {
        let bytes = self.searched - self.zeros;
        let head = read_at(file, place.offset + self.zeros, bytes.min(HEAD_BYTES as u64))?;
        Ok(Line::new(&head, bytes))
    }
}
