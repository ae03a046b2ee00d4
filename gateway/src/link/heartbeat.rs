//! When a silent peer counts as gone: a pure type, moved by the times it is told.

use std::time::Duration;

use oriel_proto::limits::SILENT_HALF_INTERVALS;
use tokio::time::Instant;

/// What to do when the alarm rings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Something was heard meanwhile: look again then.
    Alive(Instant),
    /// Nothing was heard for two and a half intervals.
    Silent,
}

/// Remembers when the peer was last heard.
#[derive(Clone, Copy, Debug)]
pub(super) struct Heartbeat {
    patience: Duration,
    heard: Instant,
}

impl Heartbeat {
    /// A peer that pings every `interval` and was heard `now`.
    pub(super) fn new(interval: Duration, now: Instant) -> Self {
        Self { patience: interval * SILENT_HALF_INTERVALS / 2, heard: now }
    }

    /// Something came. The alarm is not moved for it: it finds out when it rings, which is rare, while frames are not.
    pub(super) fn heard(&mut self, now: Instant) {
        self.heard = now;
    }

    /// When to look next.
    pub(super) fn alarm(&self) -> Instant {
        self.heard + self.patience
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
}
