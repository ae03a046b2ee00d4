//! Questions at a steady rate, whatever becomes of earlier ones; callers with two gateways ask the second when the first fails.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use rand::{RngExt, SeedableRng, rngs::SmallRng};
use tokio::{
    task::{JoinHandle, JoinSet},
    time::{Instant, MissedTickBehavior, interval},
};
use tokio_util::sync::CancellationToken;

use crate::{
    failure::Result,
    gateway::Gateway,
    http::Caller,
    target::{Target, source},
};

/// What is asked, and of whom.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    /// Real agents, which answer at once.
    pub(super) agents: usize,
    /// Light agents, which take their time; they stand behind the real ones and get a tenth of the questions.
    pub(super) slow: usize,
    /// The longest that a light agent is asked to take.
    pub(super) longest: Duration,
    /// Questions a second.
    pub(super) rate: u32,
    /// Where the callers' luck begins.
    pub(super) seed: u64,
}

/// One question and how it ended.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    /// When it was asked.
    pub(super) at: Instant,
    /// How long its agent was asked to take.
    pub(super) takes: Duration,
    /// When it ended.
    pub(super) ended: Instant,
    /// What the first gateway said.
    pub(super) first: Outcome,
    /// What the second said, if it was asked.
    pub(super) second: Option<Outcome>,
}

/// How a gateway answered.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Outcome {
    /// Well.
    Well,
    /// With a failure.
    Failed(u16),
    /// Not at all.
    Broken(String),
}

impl Asked {
    /// Whether its caller got what it wanted.
    pub(super) fn is_well(&self) -> bool {
        self.second.as_ref().unwrap_or(&self.first) == &Outcome::Well
    }
}

/// Questions that are being asked.
pub(super) struct Traffic {
    stop: CancellationToken,
    asking: JoinHandle<Vec<Asked>>,
}

impl Traffic {
    /// Begins to ask.
    pub(super) fn start(plan: Plan, gateways: &[&Gateway]) -> Self {
        let stop = CancellationToken::new();
        let pools = gateways.iter().map(|gateway| Pool::new(gateway)).collect::<Arc<[_]>>();
        Self { asking: tokio::spawn(ask(plan, pools, stop.clone())), stop }
    }

    /// Asks nothing more, and gives everything that was asked, once it has ended.
    pub(super) async fn finish(self) -> Result<Vec<Asked>> {
        self.stop.cancel();
        Ok(self.asking.await?)
    }
}

async fn ask(plan: Plan, pools: Arc<[Pool]>, stop: CancellationToken) -> Vec<Asked> {
    let (mut asking, mut all) = (JoinSet::new(), Vec::new());
    let mut rng = SmallRng::seed_from_u64(plan.seed);
    let mut next = interval(Duration::from_secs(1) / plan.rate);
    next.set_missed_tick_behavior(MissedTickBehavior::Burst);
    for n in 0_u64.. {
        tokio::select! {
            _ = next.tick() => {}
            () = stop.cancelled() => break,
        }
        let question = Question::new(&plan, n, &mut rng);
        asking.spawn(question.ask(Arc::clone(&pools)));
        while let Some(Ok(asked)) = asking.try_join_next() {
            all.push(asked);
        }
    }
    while let Some(Ok(asked)) = asking.join_next().await {
        all.push(asked);
    }
    all
}

/// A question that is to be asked.
struct Question {
    path: String,
    takes: Duration,
}

impl Question {
    fn new(plan: &Plan, n: u64, rng: &mut SmallRng) -> Self {
        if plan.slow == 0 || !n.is_multiple_of(10) {
            let camera = rng.random_range(0..plan.agents);
            let path = format!(
                "/v1/cameras/camera-{camera}/events?source=camera&limit=5&q=n&timeout={}ms",
                20_000 + n % 1_000
            );
            return Self { path, takes: Duration::ZERO };
        }
        let camera = plan.agents + rng.random_range(0..plan.slow);
        let takes = plan.longest.mul_f64(rng.random());
        let ms = takes.as_millis();
        Self {
            path: format!("/v1/cameras/camera-{camera}/events?source=camera&q=wait-{ms}-{n}&timeout=20s"),
            takes,
        }
    }

    async fn ask(self, pools: Arc<[Pool]>) -> Asked {
        let (at, takes) = (Instant::now(), self.takes);
        let first = pools[0].ask(&self.path).await;
        let second = match (&first, pools.get(1)) {
            (Outcome::Failed(503) | Outcome::Broken(_), Some(pool)) => {
                Some(pool.ask(&format!("{}&wait_online=3s", self.path)).await)
            }
            _ => None,
        };
        Asked { at, takes, ended: Instant::now(), first, second }
    }
}

/// Callers of one gateway that have nothing to ask now.
struct Pool {
    target: Target,
    key: String,
    idle: Mutex<Vec<Caller>>,
    made: AtomicUsize,
}

impl Pool {
    fn new(gateway: &Gateway) -> Self {
        let (target, key) = (gateway.target.clone(), gateway.key.clone());
        Self { target, key, idle: Mutex::default(), made: AtomicUsize::new(0) }
    }

    async fn ask(&self, path: &str) -> Outcome {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut caller = idle.unwrap_or_else(|| {
            let n = self.made.fetch_add(1, Ordering::Relaxed);
            Caller::new(self.target.clone(), source(30_000 + n), &self.key)
        });
        let outcome = match caller.get(path).await {
            Ok(reply) if reply.status == 200 => Outcome::Well,
            Ok(reply) => Outcome::Failed(reply.status),
            Err(failure) => Outcome::Broken(failure.to_string()),
        };
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(caller);
        outcome
    }
}

/// Outcomes and how often each came, for people.
pub(super) fn counted<'a>(outcomes: impl Iterator<Item = &'a Outcome>) -> String {
    let mut counts = std::collections::BTreeMap::<String, usize>::new();
    for outcome in outcomes {
        *counts.entry(format!("{outcome:?}")).or_default() += 1;
    }
    let told = counts.iter().map(|(outcome, count)| format!("{count} x {outcome}"));
    let told = told.collect::<Vec<_>>().join(", ");
    if told.is_empty() { "none".into() } else { told }
}
