//! What is told in the end, against what is known to have been written.

use std::collections::HashMap;

use oriel_proto::{Epoch, EventId, Seq};

use super::row::Row;
use crate::report::Report;

/// What became of events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    /// Written, and not told.
    pub(super) lost: u64,
    /// The first of those.
    pub(super) first_lost: Option<EventId>,
    /// Told once more than written.
    pub(super) doubled: u64,
    /// Told with another time or other words than written.
    pub(super) changed: u64,
    /// Told, and never written.
    pub(super) strange: u64,
    /// Told before one that is older.
    pub(super) disordered: u64,
}

impl Tally {
    /// Counts all of another.
    pub(super) fn add(&mut self, other: Self) {
        self.lost += other.lost;
        self.first_lost = self.first_lost.or(other.first_lost);
        self.doubled += other.doubled;
        self.changed += other.changed;
        self.strange += other.strange;
        self.disordered += other.disordered;
    }

    /// Tells the figures, all of which must be 0.
    pub(super) fn tell(self, report: &mut Report) {
        report.none("lost", self.lost);
        report.none("doubled", self.doubled);
        report.none("out of order", self.disordered);
        report.none("other than it was written", self.changed);
        report.none("never written", self.strange);
    }
}

/// Compares a whole log, oldest first, with what was written, each event once.
pub(super) fn compare(written: &[Row], told: &[Row]) -> Tally {
    let mut left: HashMap<EventId, (&Row, u64)> = written.iter().map(|row| (row.id, (row, 0))).collect();
    let mut tally = Tally { disordered: disordered(told), ..Tally::default() };
    for row in told {
        match left.get_mut(&row.id) {
            None => tally.strange += 1,
            Some((written, times)) => {
                *times += 1;
                tally.changed += u64::from(*written != row);
            }
        }
    }
    tally.doubled = left.values().map(|(_, times)| times.saturating_sub(1)).sum();
    let lost = left.into_iter().filter(|(_, (_, times))| *times == 0).map(|(id, _)| id).collect::<Vec<_>>();
    Tally { lost: lost.len() as u64, first_lost: lost.into_iter().min(), ..tally }
}

/// Numbers that are left out between the first of an epoch, which is 1, and the last that is told.
pub(super) fn holes(told: &[Row]) -> u64 {
    let mut epochs = HashMap::<Epoch, Vec<Seq>>::new();
    for row in told {
        epochs.entry(row.id.epoch).or_default().push(row.id.seq);
    }
    let holes = epochs.into_values().map(|mut seqs| {
        seqs.sort_unstable();
        seqs.dedup();
        seqs.last().map_or(0, |last| last.saturating_sub(seqs.len() as u64))
    });
    holes.sum()
}

/// Events whose time is before that of the one before them, or whose number is not above that of the one before them in its epoch.
fn disordered(told: &[Row]) -> u64 {
    let mut last = HashMap::<Epoch, Seq>::new();
    let mut count = 0;
    for (n, row) in told.iter().enumerate() {
        let before = last.insert(row.id.epoch, row.id.seq);
        let earlier = n > 0 && row.at < told[n - 1].at;
        // One that is told twice has a place of its own among the figures.
        count += u64::from(earlier || before.is_some_and(|before| row.id.seq < before));
    }
    count
}

#[cfg(test)]
mod tests {
    use oriel_proto::{Event, Kind, Severity, Timestamp, event::Data};

    use super::*;

    fn rows() -> Vec<Row> {
        let epoch = Epoch::new();
        let event = |seq: u64| Event {
            at: Timestamp::from_millis(seq.cast_signed()),
            kind: Kind::Motion,
            severity: Severity::Info,
            description: format!("number {seq}"),
            data: Data::new(),
            image_at: None,
            was: None,
        };
        (1..=5).map(|seq| Row::of(epoch, seq, event(seq))).collect()
    }

    #[test]
    fn what_is_as_it_was_written_is_well() {
        assert_eq!(compare(&rows(), &[]).lost, 5);
        let rows = rows();
        assert_eq!(compare(&rows, &rows), Tally::default());
        assert_eq!(holes(&rows), 0);
    }

    #[test]
    fn a_lost_one_is_missed_in_the_middle_and_at_the_end() {
        let rows = rows();
        for n in [2, 4] {
            let mut told = rows.clone();
            told.remove(n);
            let missed = Tally { lost: 1, first_lost: Some(rows[n].id), ..Tally::default() };
            assert_eq!(compare(&rows, &told), missed);
            assert_eq!(holes(&told), u64::from(n == 2));
        }
    }

    #[test]
    fn one_that_is_told_twice_is_seen() {
        let rows = rows();
        let mut told = rows.clone();
        told.insert(2, rows[1].clone());
        assert_eq!(compare(&rows, &told), Tally { doubled: 1, ..Tally::default() });
    }

    #[test]
    fn an_older_one_behind_a_newer_one_is_seen() {
        let rows = rows();
        let mut told = rows.clone();
        told.swap(1, 2);
        assert_eq!(compare(&rows, &told), Tally { disordered: 1, ..Tally::default() });
    }

    #[test]
    fn other_words_another_time_and_foreign_events_are_seen() {
        let rows = rows();
        let mut told = rows.clone();
        told[0].at = Timestamp::default();
        told[1].said = rows[2].said.clone();
        told.push(Row { id: EventId { seq: 6, ..rows[4].id }, ..rows[4].clone() });
        assert_eq!(compare(&rows, &told), Tally { changed: 2, strange: 1, ..Tally::default() });
    }
}
