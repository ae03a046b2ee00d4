//! When to ping, and when silence has lasted too long; pure, with time handed in.

use std::time::Duration;

use oriel_proto::limits::SILENT_HALF_INTERVALS;
use tokio::time::Instant;

/// The bounds of a heartbeat that a gateway may ask for.
const BOUNDS: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(600));

/// The pulse of one connection.
#[derive(Debug)]
pub(super) struct Pulse {
    every: Duration,
    heard: Instant,
    ping_at: Instant,
    /// The oldest ping that was not answered: its number and when it was sent.
    asked: Option<(u32, Instant)>,
    rtt: Option<Duration>,
}

impl Pulse {
    /// A connection that was heard at `now`; `chance` in 0..1 spreads the first ping.
    pub(super) fn new(heartbeat_ms: u32, now: Instant, chance: f64) -> Self {
        let every = Duration::from_millis(heartbeat_ms.into()).clamp(BOUNDS.0, BOUNDS.1);
        Self { every, heard: now, ping_at: now + jittered(every, chance), asked: None, rtt: None }
    }

    /// Something came; gives how long nothing had come before it.
    pub(super) fn hear(&mut self, now: Instant) -> Duration {
        now.duration_since(std::mem::replace(&mut self.heard, now))
    }

    /// The ping `n` is being sent at `now`.
    pub(super) fn ping(&mut self, n: u32, now: Instant, chance: f64) {
        self.asked.get_or_insert((n, now));
        self.ping_at = now + jittered(self.every, chance);
    }

    /// The answer to the ping `n` came, which answers those before it too.
    pub(super) fn pong(&mut self, n: u32, now: Instant) {
        if let Some((_, at)) = self.asked.take_if(|(asked, _)| !precedes(n, *asked)) {
            self.rtt = Some(now.duration_since(at));
        }
    }

    /// When the next ping is due.
    pub(super) const fn ping_at(&self) -> Instant {
        self.ping_at
    }

    /// When silence will have lasted too long.
    pub(super) fn silent_at(&self) -> Instant {
        self.heard + self.every * SILENT_HALF_INTERVALS / 2
    }

    /// The last measured round trip in milliseconds.
    pub(super) fn rtt_ms(&self) -> Option<u32> {
        self.rtt.map(|rtt| u32::try_from(rtt.as_millis()).unwrap_or(u32::MAX))
    }
}

/// Whether the ping `n` was sent before `other`, however often the numbers have wrapped.
pub(super) const fn precedes(n: u32, other: u32) -> bool {
    n != other && other.wrapping_sub(n) < u32::MAX / 2
}

/// Up to a fifth early, so that agents that started together do not ping together.
fn jittered(every: Duration, chance: f64) -> Duration {
    every.mul_f64(0.8 + 0.2 * chance.clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ping_is_due_within_each_interval_and_silence_ends_after_two_and_a_half() {
        let start = Instant::now();
        let after = |ms| start + Duration::from_millis(ms);
        let mut pulse = Pulse::new(1_000, start, 0.0);
        assert_eq!(pulse.ping_at(), after(800));
        assert_eq!(pulse.silent_at(), after(2_500));
        pulse.ping(7, after(800), 1.0);
        assert_eq!(pulse.ping_at(), after(1_800));
        pulse.hear(after(900));
        pulse.pong(7, after(900));
        assert_eq!((pulse.rtt_ms(), pulse.silent_at()), (Some(100), after(3_400)));
    }

    #[test]
    fn the_round_trip_counts_from_the_first_unanswered_ping() {
        let start = Instant::now();
        let mut pulse = Pulse::new(1_000, start, 0.0);
        let after = |secs| start + Duration::from_secs(secs);
        pulse.ping(u32::MAX, start, 0.0);
        pulse.ping(3, after(1), 0.0);
        pulse.pong(u32::MAX - 1, after(1));
        assert_eq!(pulse.rtt_ms(), None, "an answer to a ping that was sent before");
        pulse.pong(3, after(2));
        assert_eq!(pulse.rtt_ms(), Some(2_000));
        pulse.pong(3, after(9));
        assert_eq!(pulse.rtt_ms(), Some(2_000));
    }
}
