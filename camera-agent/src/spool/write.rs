//! Writing events, and dropping the oldest when there are too many or they are too old.

use std::time::Duration;

use oriel_proto::{EventId, Seq, Timestamp, event::LossReason, frame::Upload};
use rusqlite::params;

use super::{
    Draft, Place, SpoolError,
    db::Db,
    head::EpochHead,
    losses, places,
    rows::{self, signed},
};

/// Events dropped at a time when the spool is full: a few pages, so that a full spool does not pay at every event.
const DROP_ROWS: u64 = 64;

/// Events dropped in one transaction because they are too old.
const DROP_OLD_ROWS: u64 = 1_000;

/// How often age is looked at.
const TIDY_EVERY: Duration = Duration::from_secs(60);

/// Clocks before this (2020-01-01) were never set: such events and pictures are not old, their age is unknown.
pub(crate) const CLOCK_SET: Timestamp = Timestamp::from_millis(1_577_836_800_000);

impl Db {
    /// Writes `drafts` and the places of their sources in one transaction; when this returns they survive a power cut.
    pub(crate) fn write(&mut self, drafts: Vec<Draft>, places: &[Place]) -> Result<Vec<EventId>, SpoolError> {
        let now = self.now();
        let live = drafts.iter().any(|draft| draft.at.is_none());
        if live && self.head().went_back(now) {
            tracing::warn!("the clock went back: a new epoch begins");
            self.begin_epoch()?;
        }
        let earliest = drafts.iter().map(|draft| draft.at.unwrap_or(now)).min().unwrap_or(now);
        let floor = self.head().first_at(earliest);
        let ids = self.insert(drafts, places, now, floor)?;
        // The events are safe: whoever wrote them must not write them again because something else failed.
        if let Err(e) = self.keep_bounds(now) {
            tracing::warn!("the oldest events could not be dropped: {e}");
        }
        Ok(ids)
    }

    fn insert(
        &mut self,
        drafts: Vec<Draft>,
        places: &[Place],
        now: Timestamp,
        floor: Timestamp,
    ) -> Result<Vec<EventId>, SpoolError> {
        let Some(epoch) = self.head().current().copied() else { return Err(SpoolError::NoEpoch) };
        let (mut at, mut seq) = (floor, epoch.next);
        let tx = self.conn.transaction()?;
        let mut ids = Vec::with_capacity(drafts.len());
        for draft in drafts {
            at = at.max(draft.at.unwrap_or(now));
            rows::insert(&tx, epoch.n, seq, &rows::finished(draft, at))?;
            ids.push(EventId { epoch: epoch.id, seq });
            seq += 1;
        }
        tx.prepare_cached("UPDATE epoch SET next = ?2, said = ?3 WHERE n = ?1")?.execute(params![
            epoch.n,
            signed(seq),
            at.as_micros()
        ])?;
        places.iter().try_for_each(|place| places::set(&tx, place))?;
        tx.commit()?;
        let mut head = self.head();
        head.last_at = head.last_at.max(at);
        head.may_say(at);
        if let Some(epoch) = head.find(epoch.id) {
            epoch.next = seq;
        }
        Ok(ids)
    }

    /// Drops what is too much, and from time to time what is too old.
    pub(crate) fn keep_bounds(&mut self, now: Timestamp) -> Result<(), SpoolError> {
        if self.measure()? > self.bounds.bytes {
            self.remove_aside();
            while self.measure()? > self.bounds.bytes && self.drop_oldest()? {}
        }
        if now.since(self.tidied) >= TIDY_EVERY || now < self.tidied {
            self.tidied = now;
            self.drop_old(now)?;
        }
        Ok(())
    }

    /// Drops some of the oldest events; false when only one is left.
    fn drop_oldest(&mut self) -> Result<bool, SpoolError> {
        let Some(epoch) = self.head().epochs.iter().find(|epoch| epoch.first < epoch.next).copied() else {
            return Ok(false);
        };
        let is_current = self.head().current().is_some_and(|current| current.n == epoch.n);
        let keep = u64::from(is_current);
        let last = (epoch.first + DROP_ROWS - 1).min(epoch.next - 1 - keep);
        if last < epoch.first {
            return Ok(false);
        }
        self.drop_through(&epoch, last)?;
        Ok(true)
    }

    /// Drops events past the retention that wait for nobody.
    fn drop_old(&mut self, now: Timestamp) -> Result<(), SpoolError> {
        let limit = now.before(self.bounds.retention);
        let epochs: Vec<EpochHead> = self.head().epochs.clone();
        for epoch in epochs.iter().filter(|epoch| epoch.first < epoch.next) {
            if rows::at(&self.conn, epoch.n, epoch.first)?.is_none_or(|at| at < CLOCK_SET || at >= limit) {
                continue;
            }
            let mut last = rows::first_at_or_after(&self.conn, epoch, limit)? - 1;
            if !epoch.is_free(last, &self.bounds.upload) {
                last = last.min(epoch.acked);
            }
            // In steps, so that what a long outage left does not fill the disk once more on its way out.
            let mut step = *epoch;
            while last >= step.first {
                let until = last.min(step.first + DROP_OLD_ROWS - 1);
                self.drop_through(&step, until)?;
                step.first = until + 1;
            }
        }
        Ok(())
    }

    /// Removes the events of `epoch` up to `last` and notes why they are gone.
    fn drop_through(&mut self, epoch: &EpochHead, last: Seq) -> Result<(), SpoolError> {
        let unacked = match self.bounds.upload {
            Upload::OnDemand => LossReason::PastRetention,
            _ => LossReason::Dropped,
        };
        let acked = last.min(epoch.acked);
        let stretches =
            [(epoch.first, acked, LossReason::PastRetention), (epoch.first.max(acked + 1), last, unacked)];
        let tx = self.conn.transaction()?;
        for (first, last, why) in stretches.iter().filter(|(first, last, _)| first <= last) {
            let from = rows::at(&tx, epoch.n, *first)?.unwrap_or_default();
            let to = rows::at(&tx, epoch.n, *last)?.unwrap_or(from);
            losses::add(&tx, epoch.id, (*first, *last), (from, to), why)?;
        }
        tx.execute("DELETE FROM event WHERE epoch = ?1 AND seq <= ?2", params![epoch.n, signed(last)])?;
        tx.execute("UPDATE epoch SET first = ?2 WHERE n = ?1", params![epoch.n, signed(last + 1)])?;
        tx.commit()?;
        if let Some(epoch) = self.head().find(epoch.id) {
            epoch.first = last + 1;
        }
        Ok(())
    }
}
