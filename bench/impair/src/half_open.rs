//! `oriel-impair half-open`: packets that vanish without a FIN, and who notices when.

use std::{
    thread,
    time::{Duration, Instant},
};

use crate::{
    api::Answer,
    failure::Failure,
    impairment::{Impairment, duration},
    link::Way,
    report::Report,
    world::{CAMERA, ONLINE_WITHIN, Programs, Setup, World},
};

/// What the gateway allows after a call that timed out, and silence at a heartbeat of two seconds.
const FOUND_WITHIN: Duration = Duration::from_secs(5);

/// What measuring may add: scheduling, and a call's way through the gateway.
const GRACE: Duration = Duration::from_millis(300);

/// How soon after healing the agent must be back: the kernel's and the agent's waits have grown during a cut of ten seconds.
const BACK_WITHIN: Duration = Duration::from_secs(20);

/// How long something is waited for that must happen.
const PATIENCE: Duration = Duration::from_secs(80);

/// Callers that ask at the moment of the cut.
const CALLERS: usize = 20;

/// Packets that vanish without a FIN.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct HalfOpen {
    /// One way, in each direction
    #[arg(long, value_name = "TIME", default_value = "50ms", value_parser = duration)]
    delay: Duration,
    #[command(flatten)]
    programs: Programs,
}

impl HalfOpen {
    /// Runs each fault; tells whether all promises held.
    pub(crate) fn run(&self) -> Result<bool, Failure> {
        let mut report = Report::default();
        self.found_by_a_call(&mut report)?;
        for (ways, name) in [
            (&[Way::Up, Way::Down][..], "both ways"),
            (&[Way::Up], "what the agent says"),
            (&[Way::Down], "what the gateway says"),
        ] {
            self.found_when_idle(&mut report, ways, name)?;
        }
        self.short_cut(&mut report)?;
        Ok(report.end())
    }

    fn world(&self, heartbeat: &'static str) -> Result<World, Failure> {
        let impairment = Impairment { delay: self.delay, ..Impairment::NONE };
        World::start(&self.programs, &Setup { impairment, heartbeat, events: 100, picture: None })
    }

    /// The link is cut under callers, long before any heartbeat would tell.
    fn found_by_a_call(&self, report: &mut Report) -> Result<(), Failure> {
        let world = self.world("30s")?;
        world.beside_the_gateway(|| {
            let cut = Instant::now();
            world.pair.link.cut_all();
            thread::scope(|scope| {
                // It can wait, so it is to be answered over the agent's next link.
                let patient = scope.spawn(|| ask(&world, 99, "60s"));
                let callers: Vec<_> = (0..CALLERS)
                    .map(|n| {
                        let world = &world;
                        scope.spawn(move || (ask(world, n + 1, "2s"), Instant::now()))
                    })
                    .collect();
                let answers: Vec<_> = callers.into_iter().map(joined).collect();
                let first = answers.iter().map(|(_, at)| *at).min().unwrap_or(cut);
                judge_callers(report, &answers);

                let closed = world.gateway.says("disconnected", cut, PATIENCE).map(|at| at - first).ok();
                within(
                    report,
                    "the first call that timed out finds it",
                    closed,
                    FOUND_WITHIN,
                    Duration::ZERO,
                );
                let silent = world.gateway.says("ByGateway(Silent)", cut, Duration::ZERO).is_ok();
                report.check("the gateway closes it as silent (4008)", silent, "by its log");
                let offline = ask(&world, 5, "10s");
                let held = offline.code == "camera_offline" && offline.took < Duration::from_secs(1);
                report.check("callers hear at once that the camera is offline", held, &offline.summary());
                back(report, &world, "a gateway that found it")?;
                let answer = joined(patient);
                let held = answer.status == 200;
                report.check("who can wait is answered over the next link", held, &answer.summary());
                Ok(())
            })
        })?;
        world.end()
    }

    /// Nobody asks; the heartbeats of both ends tell.
    fn found_when_idle(&self, report: &mut Report, ways: &[Way], name: &str) -> Result<(), Failure> {
        let world = self.world("2s")?;
        let cut = Instant::now();
        ways.iter().for_each(|way| world.pair.link.cut(*way, true));
        let gateway = world.gateway.says("disconnected", cut, PATIENCE).map(|at| at - cut).ok();
        let agent = world.agent.says("not connected", cut, PATIENCE).map(|at| at - cut).ok();
        // A gateway that still hears the agent has nothing to notice until the agent has left.
        let heard = if ways.contains(&Way::Up) { Duration::ZERO } else { agent.unwrap_or_default() };
        within(report, &format!("idle, {name} cut: the agent notices"), agent, FOUND_WITHIN, GRACE);
        within(
            report,
            &format!("idle, {name} cut: the gateway notices"),
            gateway,
            heard + FOUND_WITHIN,
            GRACE,
        );
        // Long enough for the waits between two tries to grow.
        thread::sleep(Duration::from_secs(10).saturating_sub(cut.elapsed()));
        back(report, &world, &format!("{name} cut for ten seconds"))?;
        world.end()
    }

    /// A cut that ends before anybody counts it as one.
    fn short_cut(&self, report: &mut Report) -> Result<(), Failure> {
        let world = self.world("2s")?;
        let answer = world.beside_the_gateway(|| {
            let cut = Instant::now();
            world.pair.link.cut_all();
            thread::scope(|scope| {
                let caller = scope.spawn(|| ask(&world, 5, "10s"));
                thread::sleep(Duration::from_secs(1));
                world.pair.link.heal();
                let answer = joined(caller);
                let kept = world.gateway.says("disconnected", cut, Duration::ZERO).is_err();
                Ok((answer, kept))
            })
        })?;
        let (answer, kept) = answer;
        let figures = format!("{}, the connection was kept: {kept}", answer.summary());
        report.check("a cut of a second costs nothing but time", answer.status == 200 && kept, &figures);
        world.end()
    }
}

/// Heals the link and waits until the camera answers again.
fn back(report: &mut Report, world: &World, what: &str) -> Result<(), Failure> {
    let healed = Instant::now();
    world.pair.link.heal();
    let taken = world.until_online(healed).map_or(ONLINE_WITHIN, |at| at - healed);
    let answer = world.beside_the_gateway(|| Ok(ask(world, 5, "10s")))?;
    let held = taken <= BACK_WITHIN && answer.status == 200;
    let figures = format!("{:.1} s after healing, then {}", taken.as_secs_f64(), answer.summary());
    report.check(&format!("{what}: the agent is back within {} s", BACK_WITHIN.as_secs()), held, &figures);
    Ok(())
}

fn judge_callers(report: &mut Report, answers: &[(Answer, Instant)]) {
    let limit = Duration::from_secs(2) + GRACE;
    let clear = answers.iter().filter(|(answer, _)| answer.code == "camera_timeout" && answer.took <= limit);
    let clear = clear.count();
    let longest = answers.iter().map(|(answer, _)| answer.took).max().unwrap_or_default();
    let figures = format!(
        "{clear} of {} heard camera_timeout, the last after {} ms",
        answers.len(),
        longest.as_millis()
    );
    report.check("callers with 2 s hear in time that no answer came", clear == answers.len(), &figures);
}

fn within(report: &mut Report, promise: &str, took: Option<Duration>, limit: Duration, grace: Duration) {
    let figures = match took {
        Some(took) => format!("after {:.2} s", took.as_secs_f64()),
        None => format!("not within {} s", PATIENCE.as_secs()),
    };
    let held = took.is_some_and(|took| took <= limit + grace);
    report.check(&format!("{promise} within {:.1} s", limit.as_secs_f64()), held, &figures);
}

/// Asks for some events; each number is a question of its own.
fn ask(world: &World, events: usize, timeout: &str) -> Answer {
    let path = format!("/v1/cameras/{CAMERA}/events?limit={events}&timeout={timeout}");
    world.api.ask(&path, PATIENCE)
}

fn joined<T>(thread: thread::ScopedJoinHandle<'_, T>) -> T {
    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}
