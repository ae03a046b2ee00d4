//! One run: everybody comes online, things break for a while, everything heals, and nothing may be wrong at any step.

use std::{
    cell::Cell,
    collections::HashMap,
    hash::{DefaultHasher, Hash, Hasher},
    path::Path,
    rc::Rc,
    time::{Duration, Instant},
};

use turmoil::{Builder, Sim};

use crate::{
    asking::run_client,
    faults,
    plan::{Node, Plan, STEP, Trouble},
    watch::unrest,
    world::{Phase, World},
};

/// When the simulation begins: 2026-01-01.
const EPOCH: Duration = Duration::from_secs(1_767_225_600);

/// Messages that one connection carries at most in one direction before its sender waits, and connections that a listener takes in
/// one step.
const TCP_CAPACITY: usize = 32;

/// How often a message mends a path that loses messages.
const MENDS: f64 = 0.05;

/// How long everybody may take to come online at first.
const FIRST_ONLINE_WITHIN: Duration = Duration::from_secs(30);

/// How long everybody may take to come online again: two and a half heartbeats until the loss is noticed, a dial that hangs, and
/// the longest wait between two dials.
const ONLINE_WITHIN: Duration = Duration::from_secs(20 + 30 + 60 + 5);

/// How long work may go on for which nobody waits, once nothing is broken.
const QUIET_WITHIN: Duration = Duration::from_secs(10);

/// How long a question may stay open whose caller left unheard: who takes nothing for five minutes is given up.
const GIVEN_UP_WITHIN: Duration = Duration::from_secs(300 + 10);

/// How long programs may take to stop.
const STOP_WITHIN: Duration = Duration::from_secs(12);

thread_local! {
    /// When the present step began, for the log.
    pub(crate) static NOW: Cell<Duration> = const { Cell::new(Duration::ZERO) };
}

/// What a run came to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Summary {
    /// Questions that were asked.
    pub(crate) questions: usize,
    /// Those that were answered.
    pub(crate) answered: usize,
    /// Those that failed as they should.
    pub(crate) failed: usize,
    /// Simulated time.
    pub(crate) simulated: Duration,
    /// Made of everything that the clients saw and of when they did.
    pub(crate) fingerprint: u64,
}

struct Run {
    sim: Sim<'static>,
    world: Rc<World>,
    seen: DefaultHasher,
    summary: Summary,
    begun: Instant,
    /// Callers whose leaving was lost on its way.
    unheard: usize,
}

/// Runs a plan in `folder`; the error is the first invariant that did not hold.
pub(crate) fn run(plan: Plan, folder: &Path) -> Result<Summary, String> {
    let mut run = Run::new(plan, folder);
    run.come_online()?;
    run.storm()?;
    run.heal()?;
    run.stop()?;
    run.summary.simulated = run.sim.elapsed();
    run.summary.fingerprint = run.seen.finish();
    Ok(run.summary)
}

impl Run {
    fn new(plan: Plan, folder: &Path) -> Self {
        oriel_chance::tell(plan.seed);
        oriel_chance::set_clock(EPOCH);
        let mut sim = Builder::new()
            .rng_seed(plan.seed)
            .epoch(std::time::UNIX_EPOCH + EPOCH)
            .simulation_duration(Duration::from_secs(3_600))
            .tick_duration(STEP)
            .min_message_latency(plan.latency.0)
            .max_message_latency(plan.latency.1)
            .repair_rate(MENDS)
            .tcp_capacity(TCP_CAPACITY)
            .enable_random_order()
            .build();
        let addresses: HashMap<_, _> =
            plan.nodes().into_iter().map(|node| (node, sim.lookup(node.to_string()))).collect();
        let world = World::new(plan, folder.to_owned(), addresses);
        for n in 0..world.plan.gateways {
            let world = Rc::clone(&world);
            sim.host(Node::Gateway(n).to_string(), move || Rc::clone(&world).run_gateway(n));
        }
        let summary =
            Summary { questions: 0, answered: 0, failed: 0, simulated: Duration::ZERO, fingerprint: 0 };
        Self { sim, world, seen: DefaultHasher::new(), summary, begun: Instant::now(), unheard: 0 }
    }

    /// One step, and a look at everything behind it. True when all clients have ended.
    fn step(&mut self) -> Result<bool, String> {
        NOW.set(self.sim.elapsed());
        oriel_chance::set_clock(EPOCH + self.sim.elapsed());
        let ended = self.sim.step().map_err(|error| format!("a host ended: {error}"))?;
        let mut watch = self.world.watch.borrow_mut();
        watch.look(&self.world, self.sim.elapsed());
        for asked in self.world.asked.take() {
            (self.sim.elapsed(), asked.got.status, asked.got.body.len()).hash(&mut self.seen);
            self.summary.questions += 1;
            self.unheard += usize::from(asked.left_unheard(&watch));
            self.summary.answered += usize::from(asked.got.status == Some(200));
            self.summary.failed += usize::from(asked.got.status.is_some_and(|status| status != 200));
            if let Some(fault) = asked.fault(&self.world, &watch) {
                let (end, from, to) = (&asked.end, asked.from, asked.to);
                self.world.violated(|| {
                    format!("{fault}\n  {:?}\n  from {from:?} to {to:?}, {end:?}", asked.question)
                });
            }
        }
        if crate::panicked() {
            self.world.violated(|| "something panicked".into());
        }
        match self.world.wrong() {
            Some(wrong) => Err(format!("{wrong}\n  at {:?}, {:?}", self.sim.elapsed(), self.world.phase())),
            None => Ok(ended),
        }
    }

    /// Steps until `done`, for a while; the last thing that was not done is the error.
    fn until(
        &mut self,
        within: Duration,
        mut done: impl FnMut(&mut Self, bool) -> Result<(), String>,
    ) -> Result<(), String> {
        let by = self.sim.elapsed() + within;
        loop {
            let ended = self.step()?;
            match done(self, ended) {
                Ok(()) => return Ok(()),
                Err(missing) if self.sim.elapsed() > by => {
                    return Err(format!("not within {within:?}: {missing}\n  at {:?}", self.sim.elapsed()));
                }
                Err(_) => {}
            }
        }
    }

    fn come_online(&mut self) -> Result<(), String> {
        self.until(FIRST_ONLINE_WITHIN, |run, _| {
            run.world.have_begun().then_some(()).ok_or_else(|| "the gateways begin".into())
        })?;
        for n in 0..self.world.plan.agents.len() {
            let world = Rc::clone(&self.world);
            self.sim.host(Node::Agent(n).to_string(), move || Rc::clone(&world).run_agent(n));
        }
        for n in 0..self.world.plan.clients.len() {
            self.sim.client(Node::Client(n).to_string(), run_client(Rc::clone(&self.world), n));
        }
        self.until(FIRST_ONLINE_WITHIN, |run, _| run.all_online())?;
        (0..self.world.plan.agents.len()).for_each(|agent| self.world.is_idle(agent));
        self.world.enter(Phase::Calm);
        self.until(FIRST_ONLINE_WITHIN, |run, _| {
            let read = run.world.truth.borrow().len() == run.world.cameras.len();
            read.then_some(()).ok_or_else(|| "all logs are read".into())
        })
    }

    fn storm(&mut self) -> Result<(), String> {
        let begin = self.sim.elapsed();
        self.world.storm_begins.set(begin);
        self.world.enter(Phase::Storm);
        let mut waiting = self.world.plan.troubles.clone();
        let mut active: Vec<Trouble> = Vec::new();
        while self.sim.elapsed() < begin + self.world.plan.storm || !active.is_empty() || !waiting.is_empty()
        {
            let now = self.sim.elapsed() - begin;
            while let Some(trouble) = waiting.first().copied().filter(|trouble| trouble.at <= now) {
                waiting.remove(0);
                tracing::info!(?trouble, "begins");
                faults::begin(&mut self.sim, &self.world, trouble.what);
                active.push(trouble);
            }
            for trouble in active.extract_if(.., |trouble| trouble.until <= now) {
                tracing::info!(?trouble, "ends");
                faults::end(&mut self.sim, &self.world, trouble.what)?;
            }
            self.note(&active);
            self.step()?;
        }
        Ok(())
    }

    /// Remembers what is broken now.
    fn note(&self, active: &[Trouble]) {
        let (mut watch, now) = (self.world.watch.borrow_mut(), self.sim.elapsed() + STEP);
        for trouble in active {
            watch.note(trouble.what, now);
        }
    }

    /// Nothing is broken any more: everybody comes back, nothing goes on that nobody waits for, and every question is answered.
    fn heal(&mut self) -> Result<(), String> {
        self.world.enter(Phase::Over);
        let silent_until = self.sim.elapsed() + self.world.plan.silence();
        while self.sim.elapsed() < silent_until {
            self.step()?;
        }
        self.until(ONLINE_WITHIN, |run, _| run.all_online())?;
        self.world.enter(Phase::Healed);
        self.until(ONLINE_WITHIN, |_, ended| ended.then_some(()).ok_or_else(|| "all clients end".into()))?;
        self.until(QUIET_WITHIN, |run, _| unrest(&run.world, run.unheard).map_or(Ok(()), Err))?;
        self.until(GIVEN_UP_WITHIN, |run, _| unrest(&run.world, 0).map_or(Ok(()), Err))
    }

    /// Everybody stops, in time and with nothing left behind; the programs see to that themselves.
    fn stop(&mut self) -> Result<(), String> {
        let agents = (0..self.world.plan.agents.len()).map(Node::Agent);
        let gateways = (0..self.world.plan.gateways).map(Node::Gateway);
        for nodes in [agents.collect::<Vec<_>>(), gateways.collect()] {
            nodes.iter().for_each(|node| self.world.stop(*node));
            self.until(STOP_WITHIN, |run, _| {
                let runs = nodes.iter().find(|node| run.sim.is_host_running(node.to_string()));
                runs.map_or(Ok(()), |node| Err(format!("{node} stops")))
            })?;
        }
        tracing::info!(took = ?self.begun.elapsed(), "done");
        Ok(())
    }

    fn all_online(&self) -> Result<(), String> {
        let watch = self.world.watch.borrow();
        let missing = (0..self.world.cameras.len()).find(|n| watch.places(&self.world, *n).is_empty());
        missing.map_or(Ok(()), |n| Err(format!("{} comes online", self.world.cameras[n])))
    }
}
