//! One phase of one side: callers ask for a while, and what the server did meanwhile is read from its processes.

use std::{
    fmt,
    num::NonZeroUsize,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{
    task::JoinSet,
    time::{Instant, sleep},
};

use super::{
    caller::{Caller, Script},
    phase::Phase,
    side::Side,
};
use crate::{
    failure::{Failure, Result},
    process,
    report::millis,
    stats::Times,
    target::source,
    thread::Thread,
};

/// How long callers ask before anything counts.
const WARM_UP: Duration = Duration::from_millis(400);

/// Where the callers' addresses begin, behind those of all agents.
const FIRST_SOURCE: usize = 30_000;

/// Callers on a thread of their own.
#[derive(Debug)]
pub(super) struct Bench {
    cameras: usize,
    events: u64,
    time: Duration,
    /// The number of the next question, of all sides and phases.
    next: Arc<AtomicU64>,
    thread: Thread,
}

/// What one side did in one phase of one round.
#[derive(Clone, Debug)]
pub(super) struct Measured {
    /// Requests per second.
    pub(super) rate: f64,
    /// The time of an answer in the middle.
    pub(super) p50: Duration,
    /// The time that one of a hundred answers exceeds.
    pub(super) p99: Duration,
    /// The server's processor time per request.
    pub(super) processor: Duration,
    /// The share of this machine that other programs took meanwhile, 0 to 1.
    pub(super) others: f64,
}

/// What is read at the beginning and at the end.
struct Reading {
    at: Instant,
    answered: u64,
    server: Duration,
    /// Server, devices and callers.
    own: Duration,
    machine: Duration,
}

/// What callers share while they ask.
#[derive(Debug, Default)]
struct Progress {
    answered: AtomicU64,
    counts: AtomicBool,
    stop: AtomicBool,
}

impl Bench {
    /// Asks for `events` events of up to `cameras` cameras, for so long in each phase.
    pub(super) fn new(cameras: usize, events: u64, time: Duration) -> Result<Self> {
        Ok(Self { cameras, events, time, next: Arc::default(), thread: Thread::start()? })
    }

    /// Measures one phase.
    pub(super) async fn measure(&self, side: &Side, phase: &Phase) -> Result<Measured> {
        let cameras = if phase.all_cameras { self.cameras } else { 1 };
        let script = Script::new(side, cameras, self.events, phase.alone, Arc::clone(&self.next))?;
        let (script, progress) = (Arc::new(script), Arc::<Progress>::default());
        let mut asking = JoinSet::new();
        for n in 0..phase.callers {
            let caller = Caller::new(Arc::clone(&script), n, source(FIRST_SOURCE + n));
            asking.spawn_on(ask(caller, Arc::clone(&progress)), self.thread.handle());
        }
        sleep(WARM_UP).await;
        progress.counts.store(true, Ordering::Relaxed);
        let before = Reading::take(side, &progress)?;
        sleep(self.time).await;
        let after = Reading::take(side, &progress)?;
        progress.stop.store(true, Ordering::Relaxed);
        let mut times = Times::default();
        while let Some(done) = asking.join_next().await {
            times.append(done??);
        }
        if after.answered == before.answered {
            return Err(Failure::new(format!("{} answered nothing: {}", side.name, phase.name)));
        }
        Ok(after.since(&before, &times))
    }
}

impl Reading {
    fn take(side: &Side, progress: &Progress) -> Result<Self> {
        let server = side.processor()?;
        Ok(Self {
            at: Instant::now(),
            answered: progress.answered.load(Ordering::Relaxed),
            server,
            own: server + process::processor(std::process::id())?,
            machine: process::machine()?,
        })
    }

    /// What was done since `before`, by answers that took these `times`.
    fn since(&self, before: &Self, times: &Times) -> Measured {
        let (took, answered) = (self.at - before.at, (self.answered - before.answered) as f64);
        let others = (self.machine - before.machine).saturating_sub(self.own - before.own);
        let processors = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        Measured {
            rate: answered / took.as_secs_f64(),
            p50: times.quantile(0.5),
            p99: times.quantile(0.99),
            processor: (self.server - before.server).div_f64(answered),
            others: others.as_secs_f64() / took.as_secs_f64() / processors as f64,
        }
    }
}

/// Asks until it is to stop; gives the times of what counts.
async fn ask(mut caller: Caller, progress: Arc<Progress>) -> Result<Times> {
    let mut times = Times::default();
    while !progress.stop.load(Ordering::Relaxed) {
        let counts = progress.counts.load(Ordering::Relaxed);
        let start = Instant::now();
        caller.ask().await?;
        progress.answered.fetch_add(1, Ordering::Relaxed);
        if counts {
            times.push(start.elapsed());
        }
    }
    Ok(times)
}

impl fmt::Display for Measured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (p50, p99) = (millis(self.p50), millis(self.p99));
        let processor = self.processor.as_secs_f64() * 1e6;
        write!(f, "{:.0} requests/s, p50 {p50}, p99 {p99}, {processor:.1} us each", self.rate)
    }
}
