//! How much a server does: callers ask for a while, and what the server did meanwhile is read from its processes.

pub(crate) mod caller;
mod measured;

use std::{
    net::SocketAddr,
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

pub(crate) use self::caller::Question;
use self::caller::{Caller, Script};
pub(crate) use self::measured::{Measured, Ratio, others, taken};
use crate::{
    failure::{Failure, Result},
    gateway::Gateway,
    process,
    stats::Times,
    target::{Target, source},
    thread::Thread,
};

/// The name of the side that everything is compared with.
pub(crate) const NULL: &str = "null relay";

/// The gateway's name.
pub(crate) const ORIEL: &str = "oriel";

/// How long callers ask before anything counts.
const WARM_UP: Duration = Duration::from_millis(400);

/// Where the callers' addresses begin, behind those of all agents.
const FIRST_SOURCE: usize = 30_000;

/// A server that is asked.
#[derive(Clone, Debug)]
pub(crate) struct Subject {
    /// What it is called.
    pub(crate) name: &'static str,
    /// Where it is.
    pub(crate) target: Target,
    /// What requests to it are allowed by.
    pub(crate) key: String,
    /// The processes that do its work.
    pub(crate) pids: Vec<u32>,
}

/// A way of asking.
#[derive(Clone, Debug)]
pub(crate) struct Way {
    /// Connections that ask at the same time, each one question after the other.
    pub(crate) callers: usize,
    /// The cameras that are asked in turn.
    pub(crate) cameras: Vec<usize>,
    /// Whether every request has a connection of its own.
    pub(crate) alone: bool,
    /// What they ask.
    pub(crate) question: Question,
}

impl Subject {
    /// The gateway.
    pub(crate) fn oriel(gateway: &Gateway) -> Self {
        let (target, key) = (gateway.target.clone(), gateway.key.clone());
        Self { name: ORIEL, target, key, pids: vec![gateway.pid()] }
    }

    /// One that looks at no key: its requests carry one that is as long as the gateway's.
    pub(crate) fn open(name: &'static str, address: SocketAddr, pids: Vec<u32>) -> Self {
        let key = "oak_".to_owned() + &"0".repeat(43);
        Self { name, target: Target { address, tls: None }, key, pids }
    }

    /// The processor time that all its processes have used.
    pub(crate) fn processor(&self) -> Result<Duration> {
        self.pids.iter().map(|pid| process::processor(*pid)).sum()
    }
}

/// Callers on a thread of their own.
#[derive(Debug)]
pub(crate) struct Bench {
    time: Duration,
    /// The number of the next question, of all that is asked.
    next: Arc<AtomicU64>,
    thread: Thread,
}

/// What is read at the beginning and at the end.
struct Reading {
    at: Instant,
    answered: u64,
    server: Duration,
    /// Server, callers, and all else that is known to belong to it.
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
    /// Asks for so long each time.
    pub(crate) fn new(time: Duration) -> Result<Self> {
        Ok(Self { time, next: Arc::default(), thread: Thread::start()? })
    }

    /// Measures what a server does when it is asked this way; `helpers` are processes that play its devices.
    pub(crate) async fn measure(&self, subject: &Subject, way: &Way, helpers: &[u32]) -> Result<Measured> {
        let script = Script::new(subject, &way.cameras, way.question, way.alone, Arc::clone(&self.next))?;
        let (script, progress) = (Arc::new(script), Arc::<Progress>::default());
        let mut asking = JoinSet::new();
        for n in 0..way.callers {
            let caller = Caller::new(Arc::clone(&script), n, source(FIRST_SOURCE + n));
            asking.spawn_on(ask(caller, Arc::clone(&progress)), self.thread.handle());
        }
        sleep(WARM_UP).await;
        progress.counts.store(true, Ordering::Relaxed);
        let before = Reading::take(subject, helpers, &progress)?;
        sleep(self.time).await;
        let after = Reading::take(subject, helpers, &progress)?;
        progress.stop.store(true, Ordering::Relaxed);
        let mut times = Times::default();
        while let Some(done) = asking.join_next().await {
            times.append(done??);
        }
        if after.answered == before.answered {
            return Err(Failure::new(format!("{} answered nothing", subject.name)));
        }
        Ok(after.since(&before, &times))
    }
}

impl Reading {
    fn take(subject: &Subject, helpers: &[u32], progress: &Progress) -> Result<Self> {
        let server = subject.processor()?;
        let own = helpers.iter().copied().chain([std::process::id()]).map(process::processor);
        let own: Duration = own.sum::<Result<_>>()?;
        Ok(Self {
            at: Instant::now(),
            answered: progress.answered.load(Ordering::Relaxed),
            server,
            own: server + own,
            machine: process::machine()?,
        })
    }

    /// What was done since `before`, by answers that took these `times`.
    fn since(&self, before: &Self, times: &Times) -> Measured {
        let (took, answered) = (self.at - before.at, (self.answered - before.answered) as f64);
        Measured {
            rate: answered / took.as_secs_f64(),
            p50: times.quantile(0.5),
            p99: times.quantile(0.99),
            processor: (self.server - before.server).div_f64(answered),
            others: others(self.machine - before.machine, self.own - before.own, took),
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
