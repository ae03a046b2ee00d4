//! A thousand slow readers at once, and what others notice of them.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use tokio::{
    task::JoinSet,
    time::{Instant, sleep},
};

use super::{QUICK, hang_up::stopped, long_camera, reader::Reader};
use crate::{
    failure::{Failure, Result},
    fleet::long::{Logs, Progress},
    gateway::Gateway,
    load::{Good, Traffic},
    process,
    report::{Report, mebibytes, millis, seconds},
    stats::median,
    target::source,
    thread::Thread,
};

/// How much memory the gateway may need for all of them.
const GROWTH: u64 = 64_000_000;

/// How much longer the others may take.
const RATIO: f64 = 1.10;

/// How long the others are measured in each phase.
const PHASE: Duration = Duration::from_secs(10);

/// The buffers between agents and readers are full when less than this flows in a second.
const SETTLED: u64 = 4 << 20;

/// By then they are.
const SETTLES_WITHIN: Duration = Duration::from_secs(120);

/// Callers of the others, and questions that they ask in a second.
const CALLERS: usize = 32;
const ASKED: u32 = 500;

/// Measures the others in turn: alone, and beside so many readers.
pub(super) async fn measure(
    gateway: &Gateway,
    logs: &Arc<Logs>,
    clients: usize,
    rounds: usize,
    report: &mut Report,
) -> Result<()> {
    let mut others = Good::new(gateway, (0..CALLERS).map(|n| source(30_000 + n)), QUICK, ASKED)?;
    others.ask(Duration::from_secs(2)).await?;
    let before = gateway.resident()?;
    let (mut alone, mut beside) = (Traffic::default(), Traffic::default());
    let (mut ratios, mut most, mut buffers, mut longest) = (Vec::new(), 0, 0, Duration::ZERO);
    for round in 1..=rounds {
        let quiet = others.ask(PHASE).await?;
        let crowd = Crowd::gather(gateway, logs, clients, round).await?;
        most = most.max(crowd.settle(gateway, logs).await?);
        let slowed = others.ask(PHASE).await?;
        most = most.max(gateway.resident()?);
        buffers = buffers.max(process::tcp_buffers()?);
        let p99 = [&quiet, &slowed].map(|traffic| traffic.times.quantile(0.99));
        ratios.push(p99[1].as_secs_f64() / p99[0].as_secs_f64());
        let [calm, crowded] = p99.map(millis);
        let memory = mebibytes(gateway.resident()?);
        report.progress(format!("round {round}: p99 {calm}, with readers {crowded}, gateway {memory}"));
        report.check(crowd.readers.iter().all(|slow| !slow.is_over()), "slow readers were cut off");
        longest = longest.max(crowd.scatter().await?);
        alone.append(quiet);
        beside.append(slowed);
    }
    report.figure("slow readers", clients);
    report.figure("memory before", mebibytes(before));
    report.figure("most memory with them", mebibytes(most));
    let growth = most.saturating_sub(before);
    report.check(growth <= GROWTH, format!("memory grew by {}", mebibytes(growth)));
    report.figure("memory of all TCP sockets of this machine, of both ends", mebibytes(buffers));
    report.figure("until the last agent was told that all hung up", seconds(longest));
    for (name, traffic) in [("others alone", &alone), ("others beside them", &beside)] {
        let times = [0.5, 0.99, 1.0].map(|q| millis(traffic.times.quantile(q)));
        report.figure(name, format!("p50 {}, p99 {}, longest {}", times[0], times[1], times[2]));
        traffic.failures.iter().take(5).for_each(|failure| report.progress(failure));
        report.none(&format!("{name}: failed"), traffic.failures.len() as u64);
    }
    let told = ratios.iter().map(|ratio| format!("{ratio:.2}")).collect::<Vec<_>>().join(", ");
    let ratio = median(ratios);
    report.figure("p99 beside them to p99 alone", format!("{ratio:.2} (of {told})"));
    report.check(ratio <= RATIO, format!("p99 of others is {ratio:.2} times that alone"));
    Ok(())
}

/// Slow readers, and how far their answers have come.
struct Crowd {
    readers: Vec<super::reader::Slow>,
    answers: Vec<Arc<Progress>>,
    /// Where they read: they stand for other machines.
    _thread: Thread,
}

impl Crowd {
    async fn gather(gateway: &Gateway, logs: &Logs, clients: usize, round: usize) -> Result<Self> {
        let thread = Thread::start_behind_others()?;
        let (mut opening, mut readers, mut answers) = (JoinSet::new(), Vec::new(), Vec::new());
        for n in 0..clients {
            let (marker, camera) = (format!("slow-{round}-{n}"), long_camera(n));
            let (target, key) = (gateway.target.clone(), gateway.key.clone());
            // Spread over the second: reading all at once, they would be a burst of this program's own work.
            let phase = Duration::from_secs(1).mul_f64(n as f64 / clients as f64);
            let open = async move {
                let reader = Reader::open_at(&target, &key, source(50_000 + n), &camera, &marker).await;
                (reader.map(|reader| reader.read_slowly(phase)), marker)
            };
            opening.spawn_on(open, thread.handle());
        }
        while let Some(opened) = opening.join_next().await {
            let (reader, marker) = opened?;
            readers.push(reader?);
            answers.push(logs.take(&marker).ok_or_else(|| Failure::new("an agent was not asked"))?);
        }
        Ok(Self { readers, answers, _thread: thread })
    }

    /// Waits until the buffers are full; the most memory that the gateway had meanwhile.
    async fn settle(&self, gateway: &Gateway, logs: &Logs) -> Result<u64> {
        let (start, mut most) = (Instant::now(), 0);
        loop {
            let sent = logs.sent.load(Ordering::Relaxed);
            for _ in 0..10 {
                sleep(Duration::from_millis(100)).await;
                most = most.max(gateway.resident()?);
            }
            if logs.sent.load(Ordering::Relaxed) - sent < SETTLED {
                return Ok(most);
            }
            if start.elapsed() > SETTLES_WITHIN {
                return Err(Failure::new("the buffers never fill"));
            }
        }
    }

    /// Lets all hang up; how long it took until the last agent was told.
    async fn scatter(self) -> Result<Duration> {
        let start = Instant::now();
        drop(self.readers);
        for answer in &self.answers {
            stopped(answer).await?;
        }
        Ok(start.elapsed())
    }
}
