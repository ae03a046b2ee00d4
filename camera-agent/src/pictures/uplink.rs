//! How many bytes per second one camera's pictures may take of the connection.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::{Instant, sleep_until};

use crate::precedence::{Lane, Precedence};

/// What was not used may be caught up with, but no more than this time's worth.
const BURST: Duration = Duration::from_secs(1);

/// The budget of one camera, over all its connections.
#[derive(Debug)]
pub(crate) struct Uplink {
    /// None without a bound.
    bytes_per_second: Option<u64>,
    /// When everything that was taken will have been sent at this rate.
    sent_at: Mutex<Option<Instant>>,
    precedence: Precedence,
    /// Those of one lane wait in order of arrival.
    singles: tokio::sync::Mutex<()>,
    lives: tokio::sync::Mutex<()>,
}

impl Uplink {
    /// A budget of so many bytes per second, or none.
    pub(super) fn new(bytes_per_second: Option<u64>) -> Self {
        Self {
            bytes_per_second,
            sent_at: Mutex::default(),
            precedence: Precedence::default(),
            singles: tokio::sync::Mutex::default(),
            lives: tokio::sync::Mutex::default(),
        }
    }

    /// Whether bytes of a single answer could be sent at once, without waiting.
    pub(crate) fn is_free(&self) -> bool {
        self.bytes_per_second
            .is_none_or(|_| self.singles.try_lock().is_ok() && self.free_at() <= Instant::now())
    }

    /// Waits until `bytes` may be sent. A live picture waits as long as anything else does.
    pub(crate) async fn take(&self, bytes: usize, lane: Lane) {
        let Some(rate) = self.bytes_per_second else { return };
        match lane {
            Lane::Single => {
                let _claim = self.precedence.claim();
                let _turn = self.singles.lock().await;
                sleep_until(self.free_at()).await;
                self.spend(bytes, rate);
            }
            Lane::Live => {
                let _turn = self.lives.lock().await;
                loop {
                    self.precedence.clear().await;
                    let at = self.free_at();
                    if at <= Instant::now() {
                        break;
                    }
                    sleep_until(at).await;
                }
                self.spend(bytes, rate);
            }
        }
    }

    /// When more may be sent.
    fn free_at(&self) -> Instant {
        let sent_at = *self.sent_at.lock().unwrap_or_else(PoisonError::into_inner);
        sent_at.and_then(|at| at.checked_sub(BURST)).unwrap_or_else(Instant::now)
    }

    fn spend(&self, bytes: usize, rate: u64) {
        let takes = Duration::from_secs_f64(bytes as f64 / rate as f64);
        let now = Instant::now();
        let mut sent_at = self.sent_at.lock().unwrap_or_else(PoisonError::into_inner);
        *sent_at = Some(sent_at.map_or(now, |at| at.max(now)) + takes);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn over_any_time_no_more_is_sent_than_was_allowed() {
        let uplink = Uplink::new(Some(100_000));
        let started = Instant::now();
        for n in 1..=200_u32 {
            uplink.take(8_000, Lane::Single).await;
            // The clock has milliseconds.
            let allowed = 100_000.0 * (started.elapsed().as_secs_f64() + 1.001) + 8_000.0;
            assert!(f64::from(n) * 8_000.0 <= allowed, "{n}");
        }
        assert_eq!(started.elapsed().as_secs(), 14, "and it is used");
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_not_used_for_long_is_caught_up_with_for_a_second_only() {
        let uplink = Uplink::new(Some(100_000));
        uplink.take(1, Lane::Live).await;
        tokio::time::sleep(Duration::from_secs(3_600)).await;
        let started = Instant::now();
        for _ in 0..30 {
            uplink.take(10_000, Lane::Live).await;
        }
        assert!((1_800..=2_000).contains(&started.elapsed().as_millis()), "{:?}", started.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn a_single_answer_goes_before_live_pictures_that_waited_longer() {
        let uplink = Arc::new(Uplink::new(Some(10_000)));
        uplink.take(100_000, Lane::Live).await;
        let (done_tx, mut done_rx) = tokio::sync::mpsc::unbounded_channel();
        for (lane, after_ms) in [(Lane::Live, 0), (Lane::Live, 1), (Lane::Single, 500), (Lane::Single, 600)] {
            let (uplink, done_tx) = (uplink.clone(), done_tx.clone());
            tokio::spawn(async move {
                tokio::time::sleep(Duration::from_millis(after_ms)).await;
                uplink.take(10_000, lane).await;
                done_tx.send((lane, after_ms)).unwrap();
            });
        }
        let mut order = Vec::new();
        for _ in 0..4 {
            order.push(done_rx.recv().await.unwrap());
        }
        let wanted = [(Lane::Single, 500), (Lane::Single, 600), (Lane::Live, 0), (Lane::Live, 1)];
        assert_eq!(order, wanted);
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_bound_nothing_waits() {
        let (uplink, started) = (Uplink::new(None), Instant::now());
        for _ in 0..100 {
            uplink.take(usize::MAX, Lane::Live).await;
        }
        assert_eq!(started.elapsed(), Duration::ZERO);
    }
}
