//! When a silent peer counts as gone: a pure type, moved by the times it is told.

use std::time::Duration;

use oriel_proto::limits::SILENT_HALF_INTERVALS;
use tokio::time::Instant;

/// A peer that was asked whether it is there must be heard within this time: five seconds, less what it takes to close and to tell.
const PROBE: Duration = Duration::from_millis(4_900);

/// What to do when the alarm rings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Something was heard meanwhile: look again then.
    Alive(Instant),
    /// Nothing was heard for two and a half intervals, or since it was asked.
    Silent,
}

/// Remembers when the peer was last heard.
#[derive(Clone, Copy, Debug)]
pub(super) struct Heartbeat {
    patience: Duration,
    heard: Instant,
    /// When it was asked; none once it was heard after that.
    asked: Option<Instant>,
}

impl Heartbeat {
    /// A peer that pings every `interval` and was heard `now`.
    pub(super) fn new(interval: Duration, now: Instant) -> Self {
        Self { patience: interval * SILENT_HALF_INTERVALS / 2, heard: now, asked: None }
    }

    /// Something came. The alarm is not moved for it: it finds out when it rings, which is rare, while frames are not.
    pub(super) fn heard(&mut self, now: Instant) {
        self.heard = now;
        self.asked = None;
    }

    /// It is asked whether it is there.
    pub(super) fn ask(&mut self, now: Instant) {
        self.asked.get_or_insert(now);
    }

    /// When to look next.
    pub(super) fn alarm(&self) -> Instant {
        let silent = self.heard + self.patience;
        self.asked.map_or(silent, |asked| silent.min(asked + PROBE))
    }

    /// What the alarm means `now`.
    pub(super) fn judge(&self, now: Instant) -> Verdict {
        if now < self.alarm() { Verdict::Alive(self.alarm()) } else { Verdict::Silent }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_is_silent_after_two_and_a_half_intervals() {
        let start = Instant::now();
        let second = Duration::from_secs(1);
        let mut heartbeat = Heartbeat::new(30 * second, start);
        assert_eq!(heartbeat.judge(start + 74 * second), Verdict::Alive(start + 75 * second));
        assert_eq!(heartbeat.judge(start + 75 * second), Verdict::Silent);
        heartbeat.heard(start + 74 * second);
        assert_eq!(heartbeat.judge(start + 75 * second), Verdict::Alive(start + 149 * second));
    }

    #[test]
    fn a_peer_that_was_asked_is_silent_within_five_seconds() {
        let start = Instant::now();
        let second = Duration::from_secs(1);
        let mut heartbeat = Heartbeat::new(30 * second, start);
        heartbeat.ask(start + second);
        heartbeat.ask(start + 3 * second);
        assert_eq!(heartbeat.judge(start + 5 * second), Verdict::Alive(start + second + PROBE));
        assert_eq!(heartbeat.judge(start + second + PROBE), Verdict::Silent);
        assert!(PROBE < 5 * second);
        heartbeat.heard(start + 5 * second);
        assert_eq!(heartbeat.judge(start + 6 * second), Verdict::Alive(start + 80 * second));
    }
}
