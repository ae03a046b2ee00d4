//! What travels up unasked: the next events, or the next stretch that was lost.

use oriel_proto::{Epoch, Event, Seq, Timestamp, event::LostRange};

use super::{SpoolError, db::Db, losses, rows};

/// The most events of one batch.
const BATCH_ROWS: u32 = 256;

/// What an upload sends next.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Next {
    /// Events of one epoch without a gap.
    Events {
        /// Their epoch.
        epoch: Epoch,
        /// The number of the first.
        first: Seq,
        /// The events.
        events: Vec<Event>,
        /// The number of the next event to be written.
        next: Seq,
        /// The clock when `next` was read.
        as_of: Timestamp,
    },
    /// Events that will never come.
    Lost(LostRange),
}

impl Db {
    /// What follows `sent` (per epoch the last number sent or acknowledged), oldest epoch first; at most about `bytes` of text.
    pub(crate) fn next_upload(
        &mut self,
        sent: &dyn Fn(Epoch) -> Seq,
        bytes: usize,
    ) -> Result<Option<Next>, SpoolError> {
        let epochs = self.head().epochs.clone();
        for epoch in epochs.iter().filter(|epoch| !epoch.superseded) {
            let from = sent(epoch.id).saturating_add(1);
            if from >= epoch.next {
                continue;
            }
            if from < epoch.first {
                return Ok(Some(Next::Lost(self.lost_before(epoch.id, from, epoch.first - 1)?)));
            }
            let now = self.now();
            let (next, as_of) = {
                let mut head = self.head();
                let as_of = head.as_of(now);
                (head.find(epoch.id).map_or(epoch.next, |epoch| epoch.next), as_of)
            };
            let found = rows::read(&self.conn, epoch, (from, next - 1), false, BATCH_ROWS, bytes)?;
            self.note_unreadable(epoch.id, &found.unreadable);
            let first = found.events.first().map(|event| event.seq);
            if first != Some(from) {
                let senseless = found.unreadable.iter().map(|(seq, _)| *seq).max();
                let last = first.map(|first| first - 1).or(senseless).unwrap_or(next - 1);
                return Ok(Some(Next::Lost(self.lost_before(epoch.id, from, last)?)));
            }
            let unbroken = found.events.into_iter().zip(from..).take_while(|(event, seq)| event.seq == *seq);
            let events = unbroken.map(|(logged, _)| logged.event).collect();
            return Ok(Some(Next::Events { epoch: epoch.id, first: from, events, next, as_of }));
        }
        Ok(None)
    }

    /// The stretch of lost events that begins at `from`, cut to `from..=last`.
    fn lost_before(&self, epoch: Epoch, from: Seq, last: Seq) -> Result<LostRange, SpoolError> {
        let known = losses::next(&self.conn, epoch, from)?;
        Ok(match known {
            Some(known) if known.first <= from => {
                LostRange { first: from, last: known.last.min(last), ..known }
            }
            Some(known) if known.first <= last => unknown(epoch, from, known.first - 1, known.from),
            _ => unknown(epoch, from, last, self.now()),
        })
    }
}

/// A stretch of which nothing is remembered but that it was before `to`.
fn unknown(epoch: Epoch, first: Seq, last: Seq, to: Timestamp) -> LostRange {
    let why = oriel_proto::event::LossReason::Unreadable;
    LostRange { epoch, first, last, from: Timestamp::from_micros(0), to, why }
}
