//! Events and pictures counted per stretch of time, while they pass by in order.

use std::collections::BTreeMap;

use oriel_proto::{Event, Kind, Timestamp, call::EventCount, image::ImageCount};

use crate::ring::Row;

/// Stretches of time of one length, counted from 1970.
#[derive(Clone, Copy, Debug)]
struct Stretches {
    micros: i64,
}

impl Stretches {
    /// Stretches of `bucket_ms` milliseconds, at least 1.
    fn new(bucket_ms: u64) -> Self {
        Self { micros: i64::try_from(bucket_ms.max(1)).unwrap_or(i64::MAX).saturating_mul(1_000) }
    }

    /// Where the stretch begins that a time lies in.
    const fn of(self, time: Timestamp) -> Timestamp {
        let micros = time.as_micros();
        Timestamp::from_micros(micros.saturating_sub(micros.rem_euclid(self.micros)))
    }
}

/// The events of the stretch that is passing by, by their kinds.
#[derive(Debug)]
pub(super) struct EventCounts {
    stretches: Stretches,
    at: Timestamp,
    kinds: BTreeMap<Kind, u64>,
}

impl EventCounts {
    /// Stretches of `bucket_ms` milliseconds (at least 1), counted from 1970.
    pub(super) fn new(bucket_ms: u64) -> Self {
        Self { stretches: Stretches::new(bucket_ms), at: Timestamp::MIN, kinds: BTreeMap::new() }
    }

    /// Counts an event; gives the counts of the stretch that it ended, if it did.
    pub(super) fn add(&mut self, event: &Event) -> Vec<EventCount> {
        let at = self.stretches.of(event.at);
        let full = if at == self.at { Vec::new() } else { self.take() };
        self.at = at;
        *self.kinds.entry(event.kind.clone()).or_default() += 1;
        full
    }

    /// The counts so far, which are forgotten.
    pub(super) fn take(&mut self) -> Vec<EventCount> {
        let at = self.at;
        std::mem::take(&mut self.kinds)
            .into_iter()
            .map(|(kind, count)| EventCount { at, kind, count })
            .collect()
    }
}

/// The pictures of the stretch that is passing by.
#[derive(Debug)]
pub(super) struct ImageCounts {
    stretches: Stretches,
    passing: Option<ImageCount>,
}

impl ImageCounts {
    /// Stretches of `bucket_ms` milliseconds (at least 1), counted from 1970.
    pub(super) fn new(bucket_ms: u64) -> Self {
        Self { stretches: Stretches::new(bucket_ms), passing: None }
    }

    /// Counts a picture; gives the count of the stretch that it ended, if it did.
    pub(super) fn add(&mut self, row: Row) -> Option<ImageCount> {
        let (at, bytes) = (self.stretches.of(row.at()), u64::from(row.bytes));
        match &mut self.passing {
            Some(passing) if passing.at == at => {
                passing.count += 1;
                passing.bytes += bytes;
                None
            }
            passing => passing.replace(ImageCount { at, count: 1, bytes }),
        }
    }

    /// The count so far.
    pub(super) fn end(self) -> Option<ImageCount> {
        self.passing
    }
}
