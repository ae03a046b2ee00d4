//! Gives memory back to the system when a crowd has come or gone: the C library keeps what thousands of handshakes allocated.

use tokio::task::spawn_blocking;

use crate::metrics::Metrics;

/// Connections that make a crowd.
const CROWD: i64 = 1_000;

/// How many were there, and how many when memory was last given back.
#[derive(Debug, Default)]
pub(crate) struct Crowd {
    last: i64,
    settled: i64,
}

impl Crowd {
    /// Looks once a second; gives memory back when a crowd has come or gone and nobody moves any more.
    pub(crate) fn look(&mut self, metrics: &Metrics) {
        if self.is_settled(metrics.connections.get() + metrics.agents.get()) {
            // Not waited for: it takes some milliseconds.
            drop(spawn_blocking(oriel_trim::trim));
        }
    }

    fn is_settled(&mut self, now: i64) -> bool {
        let still = (now - self.last).abs() < CROWD / 10;
        let due = still && (now - self.settled).abs() >= CROWD;
        self.last = now;
        if due {
            self.settled = now;
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_given_back_once_when_a_crowd_has_come_or_gone() {
        let mut crowd = Crowd::default();
        let due =
            [50, 2_000, 9_000, 10_000, 10_010, 10_020, 9_990, 300, 20, 20].map(|now| crowd.is_settled(now));
        assert_eq!(due, [false, false, false, false, true, false, false, false, false, true]);
    }
}
