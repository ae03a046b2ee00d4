//! What a spool knows of itself without reading its file: epochs, the next numbers, and what it has said about time.

use std::time::Duration;

use oriel_proto::{
    Epoch, Seq, Timestamp,
    frame::{SpoolState, Upload},
};

/// How far the clock may go back before a new epoch begins; smaller steps are held.
const HELD_BACK: Duration = Duration::from_secs(2);

/// The most epochs that are announced: what fits one frame beside the camera's facts.
const ANNOUNCED: usize = 128;

/// One epoch of a spool.
#[derive(Clone, Copy, Debug)]
pub(crate) struct EpochHead {
    /// Its number in the file, in order of creation.
    pub(crate) n: i64,
    /// Its name.
    pub(crate) id: Epoch,
    /// The oldest event kept; `next` when none is.
    pub(crate) first: Seq,
    /// The number of the next event.
    pub(crate) next: Seq,
    /// The last event that the gateway acknowledged, 0 for none.
    pub(crate) acked: Seq,
    /// Whether a conflict ended it: what was not acknowledged lives in a later epoch.
    pub(crate) superseded: bool,
}

/// The spool's state in memory.
#[derive(Debug)]
pub(crate) struct Head {
    /// All epochs, oldest first; never empty once the spool is open.
    pub(crate) epochs: Vec<EpochHead>,
    /// The time of the newest event of the present epoch.
    pub(crate) last_at: Timestamp,
    /// Bytes in use on disk.
    pub(crate) bytes: u64,
    /// The latest `as_of` ever said: what is written later must be later.
    said: Timestamp,
    /// The time of the first event that is being written at this moment.
    writing: Option<Timestamp>,
}

impl Head {
    pub(crate) fn new(epochs: Vec<EpochHead>, last_at: Timestamp) -> Self {
        Self { epochs, last_at, bytes: 0, said: Timestamp::MIN, writing: None }
    }

    /// The latest time said to be complete.
    pub(crate) const fn said(&self) -> Timestamp {
        self.said
    }

    /// Keeps a promise of an earlier run of the program, or of the file before it was opened anew.
    pub(crate) fn keep_said(&mut self, said: Timestamp) {
        self.said = self.said.max(said);
    }

    /// The epoch that events are written to.
    pub(crate) fn current(&self) -> Option<&EpochHead> {
        self.epochs.last()
    }

    /// The epoch of that name.
    pub(crate) fn find(&mut self, id: Epoch) -> Option<&mut EpochHead> {
        self.epochs.iter_mut().find(|epoch| epoch.id == id)
    }

    /// Whether the clock went back too far for the present epoch.
    pub(crate) fn went_back(&self, now: Timestamp) -> bool {
        now < self.floor().before(HELD_BACK)
    }

    /// Begins a write at `now` or as soon after it as order allows; returns the first time to use.
    pub(crate) fn begin_write(&mut self, now: Timestamp) -> Timestamp {
        let at = now.max(self.floor());
        self.writing = Some(at);
        at
    }

    /// Ends a write, successful or not.
    pub(crate) fn end_write(&mut self) {
        self.writing = None;
    }

    /// Forgets what the former epoch bound; for a new epoch.
    pub(crate) fn begin_epoch(&mut self, epoch: EpochHead, last_at: Timestamp) {
        self.epochs.push(epoch);
        self.last_at = last_at;
        self.said = Timestamp::MIN;
    }

    /// A time up to which everything written is below `next`; what comes later will be later than it.
    pub(crate) fn as_of(&mut self, now: Timestamp) -> Timestamp {
        let mut as_of = now.max(self.last_at);
        if let Some(writing) = self.writing {
            as_of = as_of.min(writing.before(Duration::from_micros(1)));
        }
        self.said = self.said.max(as_of);
        as_of
    }

    /// The epochs as they are announced, oldest first: those that hold events, and the present one.
    pub(crate) fn states(&mut self, now: Timestamp) -> Vec<SpoolState> {
        let as_of = self.as_of(now);
        let present = self.current().map(|epoch| epoch.n);
        let held = self.epochs.iter().filter(|epoch| epoch.first < epoch.next || Some(epoch.n) == present);
        let mut states: Vec<_> = held
            .rev()
            .take(ANNOUNCED)
            .map(|epoch| SpoolState { epoch: epoch.id, first: epoch.first, next: epoch.next, as_of })
            .collect();
        states.reverse();
        states
    }

    /// The lowest time that the next event may have.
    fn floor(&self) -> Timestamp {
        let after_said = match self.said {
            Timestamp::MIN => Timestamp::MIN,
            said => said.after(Duration::from_micros(1)),
        };
        self.last_at.max(after_said)
    }
}

impl EpochHead {
    /// A new epoch without events.
    pub(crate) const fn new(n: i64, id: Epoch) -> Self {
        Self { n, id, first: 1, next: 1, acked: 0, superseded: false }
    }

    /// Whether its events up to `seq` may leave the spool without being lost.
    pub(crate) fn is_free(&self, seq: Seq, upload: &Upload) -> bool {
        self.superseded || *upload == Upload::OnDemand || seq <= self.acked
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head() -> Head {
        Head::new(vec![EpochHead::new(1, Epoch::new())], Timestamp::from_millis(10_000))
    }

    #[test]
    fn nothing_is_written_at_or_before_what_was_said_to_be_complete() {
        let mut head = head();
        let said = head.as_of(Timestamp::from_millis(20_000));
        assert_eq!(said, Timestamp::from_millis(20_000));
        assert!(head.begin_write(Timestamp::from_millis(19_000)) > said);
    }

    #[test]
    fn what_is_being_written_is_not_said_to_be_complete() {
        let mut head = head();
        let at = head.begin_write(Timestamp::from_millis(20_000));
        assert!(head.as_of(Timestamp::from_millis(30_000)) < at);
        head.end_write();
        assert_eq!(head.as_of(Timestamp::from_millis(30_000)), Timestamp::from_millis(30_000));
    }

    #[test]
    fn a_small_step_back_is_held_and_a_large_one_is_not() {
        let head = head();
        assert!(!head.went_back(Timestamp::from_millis(8_000)));
        assert!(head.went_back(Timestamp::from_millis(7_999)));
    }
}
