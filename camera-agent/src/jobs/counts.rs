//! Events counted per stretch of time and kind, while they pass by in order.

use std::collections::BTreeMap;

use oriel_proto::{Event, Kind, Timestamp, call::EventCount};

/// The counts of the stretch that is passing by.
#[derive(Debug)]
pub(super) struct Counts {
    bucket_us: i64,
    at: Timestamp,
    kinds: BTreeMap<Kind, u64>,
}

impl Counts {
    /// Stretches of `bucket_ms` milliseconds (at least 1), counted from 1970.
    pub(super) fn new(bucket_ms: u64) -> Self {
        let bucket_us = i64::try_from(bucket_ms.max(1)).unwrap_or(i64::MAX).saturating_mul(1_000);
        Self { bucket_us, at: Timestamp::MIN, kinds: BTreeMap::new() }
    }

    /// Counts an event; gives the counts of the stretch that it ended, if it did.
    pub(super) fn add(&mut self, event: &Event) -> Vec<EventCount> {
        let micros = event.at.as_micros();
        let at = Timestamp::from_micros(micros.saturating_sub(micros.rem_euclid(self.bucket_us)));
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
