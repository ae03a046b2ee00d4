//! Readers that hang up in the middle of a log: when the agent was told, and what it had sent meanwhile.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use rand::{RngExt, SeedableRng, rngs::SmallRng};
use tokio::time::{Instant, interval, sleep, timeout};

use super::{long_camera, reader::Reader};
use crate::{
    failure::{Failure, Result},
    fleet::long::{Logs, Progress},
    gateway::Gateway,
    report::{Report, millis},
    stats::Times,
    target::source,
};

/// The agent must have stopped by then; a round trip on this machine is far below a millisecond and not added.
const STOPPED_WITHIN: Duration = Duration::from_millis(250);

/// What it may have sent after the reader hung up.
const SENT_AFTER: u64 = 256_000;

/// What a reader takes before it hangs up, in bytes.
const READ: std::ops::Range<usize> = 100_000..10_000_000;

/// Hangs up so often: at readers in full flight, and every fourth time at a slow one.
pub(super) async fn measure(
    gateway: &Gateway,
    logs: &Arc<Logs>,
    count: usize,
    seed: u64,
    report: &mut Report,
) -> Result<()> {
    let mut rng = SmallRng::seed_from_u64(seed);
    let (mut times, mut most) = (Times::default(), 0);
    for n in 0..count {
        let marker = format!("hang-up-{n}");
        let mut reader = Reader::open(gateway, source(41_000 + n), &long_camera(n), &marker).await?;
        let progress = logs.take(&marker).ok_or_else(|| Failure::new("the agent was not asked"))?;
        let slow = if n % 4 == 3 {
            let slow = reader.read_slowly(Duration::ZERO);
            sleep(Duration::from_millis(rng.random_range(200..2_000))).await;
            Hanging::Slow(slow)
        } else {
            reader.read(rng.random_range(READ)).await?;
            Hanging::Quick(reader)
        };
        let (sent, start) = (progress.sent.load(Ordering::Relaxed), Instant::now());
        drop(slow);
        times.push(stopped(&progress).await?.saturating_duration_since(start));
        most = most.max(progress.sent.load(Ordering::Relaxed) - sent);
    }
    let longest = times.longest();
    let told = [0.5, 0.9, 1.0].map(|q| millis(times.quantile(q)));
    report.figure("from a hang-up until the agent was told: p50, p90, longest", told.join(", "));
    report.check(longest <= STOPPED_WITHIN, format!("an agent was told only after {}", millis(longest)));
    report.figure("most bytes that it had sent meanwhile", most);
    report.check(most <= SENT_AFTER, format!("an agent sent {most} bytes after the hang-up"));
    Ok(())
}

/// What is dropped.
#[allow(dead_code, reason = "held to be dropped")]
enum Hanging {
    Quick(Reader),
    Slow(super::reader::Slow),
}

/// When the agent was told.
pub(super) async fn stopped(progress: &Progress) -> Result<Instant> {
    let told = async {
        let mut again = interval(Duration::from_millis(1));
        loop {
            again.tick().await;
            if let Some(at) = progress.stopped() {
                return at;
            }
        }
    };
    let told = timeout(Duration::from_secs(30), told).await;
    told.map_err(|_| Failure::new("an agent was never told that its reader hung up"))
}
