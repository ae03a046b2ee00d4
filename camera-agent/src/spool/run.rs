//! One epoch's part of an answer: a time range is a range of numbers, minus what the asker holds.

use std::collections::VecDeque;

use oriel_proto::{
    LoggedEvent, Seq, SeqRange, Timestamp,
    call::{EventsCall, Order, Scanned},
    event::Position,
};

use super::{SpoolError, db::Db, head::EpochHead, rows};

/// One epoch being read.
#[derive(Debug)]
pub(crate) struct Run {
    epoch: EpochHead,
    desc: bool,
    /// All numbers that the question is about.
    range: SeqRange,
    start: Position,
    /// What is still to be read, in the direction of the answer.
    todo: VecDeque<SeqRange>,
    /// What has been read and not yet returned.
    buffer: VecDeque<LoggedEvent>,
    /// What disappeared while the answer was being read.
    missed: Vec<SeqRange>,
}

impl Run {
    /// The part of the question that is about `epoch`; none when nothing in it is.
    pub(crate) fn of(db: &Db, epoch: EpochHead, call: &EventsCall) -> Result<Option<Self>, SpoolError> {
        let at_or_after = |time| rows::first_at_or_after(&db.conn, &epoch, time);
        let mut first = call.from.map_or(Ok(epoch.first), at_or_after)?;
        let mut end = call.to.map_or(Ok(epoch.next), at_or_after)?;
        let desc = call.order == Order::Desc;
        if let Some(after) = call.after {
            let place = first_behind(db, &epoch, after, desc)?;
            if desc { end = end.min(place) } else { first = first.max(place) }
        }
        if first >= end {
            return Ok(None);
        }
        let range = SeqRange { first, last: end - 1 };
        let held = call.have.iter().filter(|have| have.epoch == epoch.id).flat_map(|have| &have.ranges);
        let mut todo = without(range, held.copied().collect());
        if desc {
            todo.reverse();
        }
        let seq = if desc { range.last } else { range.first };
        let at = rows::at(&db.conn, epoch.n, seq)?.unwrap_or_default();
        let start = Position { at, epoch: epoch.id, seq };
        let (buffer, missed) = (VecDeque::new(), Vec::new());
        Ok(Some(Self { epoch, desc, range, start, todo: todo.into(), buffer, missed }))
    }

    /// The place of the first event that the question is about.
    pub(crate) const fn start(&self) -> Position {
        self.start
    }

    /// The place of the next event.
    pub(crate) fn head(&self) -> Option<Position> {
        self.buffer.front().map(LoggedEvent::position)
    }

    /// Takes the next event.
    pub(crate) fn pop(&mut self) -> Option<LoggedEvent> {
        self.buffer.pop_front()
    }

    /// Reads on when nothing is left in memory.
    pub(crate) fn fill(&mut self, db: &Db, rows: u32, bytes: usize) -> Result<(), SpoolError> {
        while self.buffer.is_empty() {
            let Some(range) = self.todo.pop_front() else { return Ok(()) };
            let read = rows::read(&db.conn, &self.epoch, (range.first, range.last), self.desc, rows, bytes)?;
            db.note_unreadable(self.epoch.id, &read.unreadable);
            let read = read.events;
            self.note_missed(range, &read);
            if let Some(last) = read.last() {
                let rest = if self.desc {
                    SeqRange { first: range.first, last: last.seq - 1 }
                } else {
                    SeqRange { first: last.seq + 1, last: range.last }
                };
                if rest.first <= rest.last {
                    self.todo.push_front(rest);
                }
            }
            self.buffer = read.into();
        }
        Ok(())
    }

    /// Notes what of `range` is not there: dropped by the spool since the answer began, or unreadable.
    fn note_missed(&mut self, mut range: SeqRange, read: &[LoggedEvent]) {
        if read.is_empty() {
            self.missed.push(range);
        }
        for found in read {
            if self.desc {
                if found.seq < range.last {
                    self.missed.push(SeqRange { first: found.seq + 1, last: range.last });
                }
                range.last = found.seq.saturating_sub(1);
            } else {
                if found.seq > range.first {
                    self.missed.push(SeqRange { first: range.first, last: found.seq - 1 });
                }
                range.first = found.seq + 1;
            }
        }
    }

    /// The numbers that the answer is complete for so far.
    pub(crate) fn scanned(&self) -> Vec<Scanned> {
        let todo = self.todo.front().map(|range| if self.desc { range.last } else { range.first });
        let unread: Option<Seq> = self.buffer.front().map(|event| event.seq).or(todo);
        let done = match unread {
            None => self.range,
            Some(seq) if self.desc => SeqRange { first: seq + 1, last: self.range.last },
            Some(seq) => SeqRange { first: self.range.first, last: seq - 1 },
        };
        if done.first > done.last {
            return Vec::new();
        }
        let parts = without(done, self.missed.clone());
        parts
            .into_iter()
            .map(|part| Scanned { epoch: self.epoch.id, first: part.first, last: part.last })
            .collect()
    }
}

/// The first number of `epoch` behind `after` upwards, or the first not before it for `desc`.
fn first_behind(db: &Db, epoch: &EpochHead, after: Position, desc: bool) -> Result<Seq, SpoolError> {
    use std::cmp::Ordering::{Equal, Greater, Less};
    let behind_time = after.at.as_micros().checked_add(1).map(Timestamp::from_micros);
    let seq = match (epoch.id.cmp(&after.epoch), behind_time) {
        (Equal, _) if desc => after.seq,
        (Equal, _) => after.seq.saturating_add(1),
        (Greater, _) => rows::first_at_or_after(&db.conn, epoch, after.at)?,
        (Less, Some(time)) => rows::first_at_or_after(&db.conn, epoch, time)?,
        (Less, None) => epoch.next,
    };
    Ok(seq.clamp(epoch.first, epoch.next))
}

/// `range` without `held`, ascending; `held` may overlap, be in any order, or make no sense.
fn without(range: SeqRange, mut held: Vec<SeqRange>) -> Vec<SeqRange> {
    held.sort_unstable();
    let (mut parts, mut from) = (Vec::new(), range.first);
    for part in held.into_iter().filter(|part| part.first <= part.last && part.last >= range.first) {
        if part.first > range.last {
            break;
        }
        if part.first > from {
            parts.push(SeqRange { first: from, last: part.first - 1 });
        }
        from = from.max(part.last.saturating_add(1));
    }
    if from <= range.last {
        parts.push(SeqRange { first: from, last: range.last });
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(first: Seq, last: Seq) -> SeqRange {
        SeqRange { first, last }
    }

    #[test]
    fn what_the_asker_holds_is_cut_out_whatever_its_order() {
        let whole = range(10, 20);
        assert_eq!(without(whole, vec![]), [whole]);
        assert_eq!(without(whole, vec![range(15, 30), range(1, 11)]), [range(12, 14)]);
        assert_eq!(
            without(whole, vec![range(12, 13), range(12, 15), range(9, 3)]),
            [range(10, 11), range(16, 20)]
        );
        assert_eq!(without(whole, vec![range(0, u64::MAX)]), []);
    }
}
