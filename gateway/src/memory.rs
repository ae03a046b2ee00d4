//! Gives memory back to the system when a crowd has come or gone: the C library keeps what thousands of handshakes allocated.

use tokio::task::spawn_blocking;

use crate::metrics::Metrics;

/// Connections that make a crowd.
const CROWD: i64 = 1_000;

/// How long a crowd must be gone, in seconds: who comes back soon needs the memory again, and giving it back holds up everybody
/// else for milliseconds.
const GONE_FOR: u32 = 5;

/// How many were there since memory was last given back.
#[derive(Debug, Default)]
pub(crate) struct Crowd {
    last: i64,
    fewest: i64,
    most: i64,
    /// Seconds since a crowd has gone.
    gone_for: u32,
}

impl Crowd {
    /// Looks once a second; gives memory back when a crowd has come, or has been gone for long, and nobody moves any more.
    pub(crate) fn look(&mut self, metrics: &Metrics) {
        if self.is_settled(metrics.connections.get() + metrics.agents.get()) {
            // Not waited for: it takes some milliseconds.
            drop(spawn_blocking(oriel_trim::trim));
        }
    }

    fn is_settled(&mut self, now: i64) -> bool {
        let still = (now - self.last).abs() < CROWD / 10;
        (self.last, self.fewest, self.most) = (now, self.fewest.min(now), self.most.max(now));
        let has_gone = still && self.most - now >= CROWD;
        self.gone_for = if has_gone { self.gone_for + 1 } else { 0 };
        let due = (still && now - self.fewest >= CROWD) || self.gone_for >= GONE_FOR;
        if due {
            (self.fewest, self.most, self.gone_for) = (now, now, 0);
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// When memory is given back while so many are there, second by second.
    fn due(counts: impl IntoIterator<Item = i64>) -> Vec<usize> {
        let mut crowd = Crowd::default();
        let due = counts.into_iter().enumerate().filter(|(_, now)| crowd.is_settled(*now));
        due.map(|(second, _)| second).collect()
    }

    #[test]
    fn memory_is_given_back_once_when_a_crowd_has_come() {
        assert_eq!(due([50, 2_000, 9_000, 10_000, 10_010, 10_020, 9_990, 10_000]), [4]);
    }

    #[test]
    fn memory_is_given_back_once_when_a_crowd_has_been_gone_for_five_seconds() {
        let counts = [5_000, 5_000, 5_000, 20].into_iter().chain([20; 150]);
        assert_eq!(due(counts), [1, 8]);
    }

    #[test]
    fn a_crowd_that_comes_back_is_another_one() {
        assert_eq!(due([2_000, 2_000, 10, 10, 2_000, 2_000, 2_000]), [1, 5]);
    }
}
