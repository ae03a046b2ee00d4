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
    /// Bytes in use on disk, those of a broken file set aside among them.
    pub(crate) bytes: u64,
    /// The latest `as_of` that may be said, as it stands on the disk: what is written later, also after a kill, is later.
    said: Timestamp,
}

impl Head {
    pub(crate) const fn new(epochs: Vec<EpochHead>, last_at: Timestamp, said: Timestamp) -> Self {
        Self { epochs, last_at, bytes: 0, said }
    }

    /// The latest time that may be said to be complete.
    pub(crate) const fn said(&self) -> Timestamp {
        self.said
    }

    /// That everything up to `said` is complete may be said from now on: it is on the disk.
    pub(crate) fn may_say(&mut self, said: Timestamp) {
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

    /// The first time to use for a write at `now`: that, or as soon after it as order allows.
    pub(crate) fn first_at(&self, now: Timestamp) -> Timestamp {
        now.max(self.floor())
    }

    /// Forgets what the former epoch bound; for a new epoch.
    pub(crate) fn begin_epoch(&mut self, epoch: EpochHead, last_at: Timestamp) {
        self.epochs.push(epoch);
        self.last_at = last_at;
        self.said = Timestamp::MIN;
    }

    /// A time up to which everything written is below `next`; what comes later will be later than it. Only what the disk knows
    /// is said: a kill would make the program forget the rest, and a clock set back write there.
    pub(crate) fn as_of(&self, now: Timestamp) -> Timestamp {
        self.said.min(now.max(self.last_at))
    }

    /// The epochs as they are announced, oldest first: those that hold events, those of which a loss has still to be told where all of a
    /// log goes up, and the present one.
    pub(crate) fn states(&self, now: Timestamp, upload: &Upload) -> Vec<SpoolState> {
        let as_of = self.as_of(now);
        let present = self.current().map(|epoch| epoch.n);
        let owes = |epoch: &EpochHead| !epoch.is_free(epoch.next.saturating_sub(1), upload);
        let is_announced =
            |epoch: &&EpochHead| epoch.first < epoch.next || owes(epoch) || Some(epoch.n) == present;
        let mut states: Vec<_> = self
            .epochs
            .iter()
            .filter(is_announced)
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
        Head::new(vec![EpochHead::new(1, Epoch::new())], Timestamp::from_millis(10_000), Timestamp::MIN)
    }

    #[test]
    fn nothing_is_written_at_or_before_what_was_said_to_be_complete() {
        let mut head = head();
        head.may_say(Timestamp::from_millis(20_000));
        let said = head.as_of(Timestamp::from_millis(20_000));
        assert_eq!(said, Timestamp::from_millis(20_000));
        assert!(head.first_at(Timestamp::from_millis(19_000)) > said);
    }

    #[test]
    fn nothing_is_said_that_the_disk_does_not_know_or_that_lies_ahead() {
        let mut head = head();
        assert_eq!(head.as_of(Timestamp::from_millis(30_000)), Timestamp::MIN);
        head.may_say(Timestamp::from_millis(20_000));
        assert_eq!(head.as_of(Timestamp::from_millis(30_000)), Timestamp::from_millis(20_000));
        assert_eq!(head.as_of(Timestamp::from_millis(15_000)), Timestamp::from_millis(15_000));
    }

    #[test]
    fn a_small_step_back_is_held_and_a_large_one_is_not() {
        let head = head();
        assert!(!head.went_back(Timestamp::from_millis(8_000)));
        assert!(head.went_back(Timestamp::from_millis(7_999)));
    }

    #[test]
    fn an_epoch_that_has_lost_all_that_it_had_not_sent_is_announced_until_that_is_told() {
        let lost = EpochHead { first: 8, next: 8, ..EpochHead::new(1, Epoch::new()) };
        let epochs = vec![lost, EpochHead::new(2, Epoch::new())];
        let mut head = Head::new(epochs, Timestamp::from_millis(10_000), Timestamp::MIN);
        let announced = |head: &Head, upload| head.states(Timestamp::from_millis(11_000), &upload).len();
        assert_eq!((announced(&head, Upload::Live), announced(&head, Upload::OnDemand)), (2, 1));
        head.epochs[0].acked = 7;
        assert_eq!(announced(&head, Upload::Live), 1);
    }
}
