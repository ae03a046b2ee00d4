//! When something is due that comes again and again.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

/// Something that is due at each multiple of a period; what was missed is left out.
#[derive(Clone, Debug)]
pub(super) struct Beat {
    start: Instant,
    period: Duration,
    next: u64,
}

impl Beat {
    /// Due at `start`, and then each `period`; never when that is zero.
    pub(super) const fn new(start: Instant, period: Duration) -> Self {
        Self { start, period, next: 0 }
    }

    /// When it is due next; none when never.
    pub(super) fn at(&self) -> Option<Instant> {
        if self.period.is_zero() {
            return None;
        }
        let nanos = self.period.as_nanos().checked_mul(u128::from(self.next))?;
        self.start.checked_add(Duration::from_nanos(u64::try_from(nanos).ok()?))
    }

    /// Its number, when it is due by `now`; then the next one is due after `now`.
    pub(super) fn take(&mut self, now: Instant) -> Option<u64> {
        self.at().filter(|at| *at <= now)?;
        let passed = now.saturating_duration_since(self.start).as_nanos() / self.period.as_nanos();
        let number = u64::try_from(passed).unwrap_or(u64::MAX);
        self.next = number.saturating_add(1);
        Some(number)
    }
}

/// Waits until it is time; for ever when that never is.
pub(super) async fn until(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn each_beat_is_taken_once_and_missed_ones_are_left_out() {
        let start = Instant::now();
        let mut beat = Beat::new(start, Duration::from_secs(2));
        let after = |ms| start + Duration::from_millis(ms);
        assert_eq!((beat.at(), beat.take(start), beat.take(start)), (Some(start), Some(0), None));
        assert_eq!((beat.at(), beat.take(after(1_999))), (Some(after(2_000)), None));
        assert_eq!((beat.take(after(7_000)), beat.at()), (Some(3), Some(after(8_000))));
    }

    #[tokio::test(start_paused = true)]
    async fn no_period_is_never_and_a_very_long_one_is_due_once() {
        let start = Instant::now();
        let mut never = Beat::new(start, Duration::ZERO);
        assert_eq!((never.at(), never.take(start)), (None, None));
        let mut once = Beat::new(start, Duration::from_millis(u64::MAX));
        assert_eq!((once.take(start), once.at()), (Some(0), None));
    }
}
