//! What a ring holds, in memory: times and sizes in order, and which of them go when room is needed.

use std::{collections::VecDeque, ops::Range};

use oriel_proto::{Timestamp, call::ImageMatch};

use crate::spool::CLOCK_SET;

/// How far ahead of the clock a picture's time may be, in milliseconds: cameras have clocks of their own. What lies further ahead
/// was kept before the clock was set back.
const AHEAD_MS: i64 = 60_000;

/// What a file takes on disk is a multiple of this many bytes on most devices; a million small pictures would take much more than their
/// sizes say.
pub(super) const BLOCK: u64 = 4_096;

/// One kept picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    /// When it was taken, in milliseconds since 1970; its identity.
    pub(crate) at_ms: i64,
    /// Its size.
    pub(crate) bytes: u32,
}

impl Row {
    /// When it was taken.
    pub(crate) fn at(self) -> Timestamp {
        Timestamp::from_millis(self.at_ms)
    }

    /// The bytes that it takes on disk: whole blocks.
    pub(super) fn on_disk(self) -> u64 {
        u64::from(self.bytes).next_multiple_of(BLOCK)
    }
}

/// Whether a picture is older than `before_ms`. The age of one that was taken before the clock was set is not known.
pub(super) fn has_expired(at_ms: i64, before_ms: i64) -> bool {
    (CLOCK_SET.as_micros() / 1_000..before_ms).contains(&at_ms)
}

/// The rows of a ring, oldest first; each takes 16 bytes.
#[derive(Debug, Default)]
pub(super) struct Index {
    rows: VecDeque<Row>,
    bytes: u64,
}

impl Index {
    /// Rows in any order, no two of one time.
    pub(super) fn new(mut rows: Vec<Row>) -> Self {
        rows.sort_unstable_by_key(|row| row.at_ms);
        let bytes = rows.iter().map(|row| row.on_disk()).sum();
        Self { rows: rows.into(), bytes }
    }

    /// What all of them take on disk.
    pub(super) const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Whether a row has this time.
    pub(super) fn holds(&self, at_ms: i64) -> bool {
        self.place(at_ms).is_ok()
    }

    /// Adds a row, or replaces that of the same time.
    pub(super) fn insert(&mut self, row: Row) {
        match self.place(row.at_ms) {
            Ok(place) => {
                let old = std::mem::replace(&mut self.rows[place], row);
                self.bytes -= old.on_disk();
            }
            // Nearly always the end, which moves nothing.
            Err(place) => self.rows.insert(place, row),
        }
        self.bytes += row.on_disk();
    }

    /// Takes a row out; false when there is none of this time.
    pub(super) fn remove(&mut self, at_ms: i64) -> bool {
        let removed = self.place(at_ms).ok().and_then(|place| self.rows.remove(place));
        self.bytes -= removed.map_or(0, Row::on_disk);
        removed.is_some()
    }

    /// The row that a question means, by a clock that says `now_ms`.
    pub(super) fn find(&self, matching: &ImageMatch, at_ms: i64, now_ms: i64) -> Option<Row> {
        let place = match matching {
            ImageMatch::Exact => self.place(at_ms).ok(),
            ImageMatch::Before => self.behind(at_ms).checked_sub(1),
            ImageMatch::After => Some(self.from(at_ms)),
            ImageMatch::Latest => self.latest(now_ms),
            _ => None,
        };
        self.rows.get(place?).copied()
    }

    /// The times before and after this one.
    pub(super) fn around(&self, at_ms: i64) -> (Option<i64>, Option<i64>) {
        let at = |place| self.rows.get(place).map(|row: &Row| row.at_ms);
        (self.from(at_ms).checked_sub(1).and_then(at), at(self.behind(at_ms)))
    }

    /// The first `most` rows of these times, or the last ones with `desc`, in that order.
    pub(super) fn page(&self, times: &Range<i64>, desc: bool, most: usize) -> Vec<Row> {
        let (begin, end) = (self.from(times.start), self.from(times.end));
        if begin >= end {
            return Vec::new();
        }
        let rows = self.rows.range(begin..end).copied();
        if desc { rows.rev().take(most).collect() } else { rows.take(most).collect() }
    }

    /// The oldest row that has expired.
    pub(super) fn expired(&self, before_ms: i64) -> Option<Row> {
        let known_age = self.from(CLOCK_SET.as_micros() / 1_000);
        self.rows.get(known_age).filter(|row| has_expired(row.at_ms, before_ms)).copied()
    }

    /// Which row goes first, by a clock that says `now_ms`, when there is no room for them and `new`; none when `new` itself goes.
    /// It is the oldest, and after the clock was set back the oldest of the larger part, past or future: so neither keeps the
    /// other out for ever.
    pub(super) fn victim(&self, now_ms: i64, new: Option<Row>) -> Option<Row> {
        let future = self.future(now_ms);
        let is_ahead = |row: &Row| row.at_ms > now_ms.saturating_add(AHEAD_MS);
        let sizes = |rows: &mut dyn Iterator<Item = Row>| rows.map(Row::on_disk).sum::<u64>();
        let ahead = sizes(&mut self.rows.range(future..).copied().chain(new.filter(is_ahead)));
        let all = self.bytes + sizes(&mut new.into_iter());
        let from_future = ahead > all / 2;
        let oldest = if from_future { self.rows.get(future) } else { self.rows.range(..future).next() };
        let oldest = oldest.copied();
        match new.filter(|new| is_ahead(new) == from_future) {
            Some(new) => oldest.filter(|oldest| oldest.at_ms < new.at_ms),
            None => oldest,
        }
    }

    /// The newest row that is not ahead of the clock, or of all when each is: the clock was set back.
    fn latest(&self, now_ms: i64) -> Option<usize> {
        match self.future(now_ms) {
            0 => self.rows.len().checked_sub(1),
            future => Some(future - 1),
        }
    }

    /// The place of the first row that is ahead of the clock.
    fn future(&self, now_ms: i64) -> usize {
        self.behind(now_ms.saturating_add(AHEAD_MS))
    }

    fn place(&self, at_ms: i64) -> Result<usize, usize> {
        self.rows.binary_search_by_key(&at_ms, |row| row.at_ms)
    }

    /// The place of the first row at or after a time.
    fn from(&self, at_ms: i64) -> usize {
        self.rows.partition_point(|row| row.at_ms < at_ms)
    }

    /// The place of the first row after a time.
    fn behind(&self, at_ms: i64) -> usize {
        self.rows.partition_point(|row| row.at_ms <= at_ms)
    }
}
