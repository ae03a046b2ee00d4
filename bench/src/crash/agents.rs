//! `crash agent`: real agents, whose spools are on this disk, are killed one at a time at random moments and started again at
//! once; the gateway lives.
//!
//! The only source that an agent has is the simulator, which takes nothing from outside, so nobody else can write its events
//! down. What they must be is known in two ways, of which neither asks the spool's file or the store:
//!
//! - A witness asks each camera for its own log all the time (`source=camera`). The agent answers from what is committed, so
//!   everything that was ever seen was written durably, and must be there in the end: at the camera, and in the store.
//! - Each life of an agent tells the story of its seed from the beginning, and the story is learned from another camera. So what
//!   the store tells of each life must be the story's beginning without a gap, whoever has seen it.
//!
//! This proves that nothing is lost which was seen, that nothing is lost in the middle, and that nothing is doubled or out of
//! order. It cannot prove it of an event which was written less than a question's time before a death and was the last of its
//! life: who loses that at the device and everywhere else does so unseen.
//!
//! Seen failing against agents whose spools were changed behind their backs whenever they were dead: the last five events gone as
//! if they had never been written, and the last two gone as if they had been acknowledged.

use std::{collections::BTreeSet, net::Ipv4Addr, ops::Range, path::PathBuf, time::Duration};

use oriel_gateway::clock;
use oriel_proto::{CameraId, Timestamp};
use rand::{RngExt, SeedableRng, rngs::SmallRng};
use tokio::time::{Instant, sleep};

use super::{
    compare::{Tally, compare, holes},
    row::{self, Log},
    story::Story,
    witness::{Seen, Witness},
};
use crate::{
    device::{Device, Simulated},
    failure::{Failure, Result},
    fleet,
    gateway::{Gateway, Options},
    report::Report,
    target::source,
};

/// Seconds between two deaths.
const BETWEEN: Range<f64> = 0.05..1.5;

/// An agent is connected and has shown an event by then.
const SHOWN_WITHIN: Duration = Duration::from_secs(30);

/// What is left is uploaded by then.
const UPLOADED_WITHIN: Duration = Duration::from_secs(30);

/// Between two looks at something that is waited for.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// An agent's last life writes one event at its beginning, and nothing more in this time.
const QUIET: Duration = Duration::from_secs(86_400);

/// Seconds that a life may be longer than all deaths can take.
const SPARE: f64 = 120.0;

/// Deaths between two words of progress.
const TOLD_EVERY: u32 = 10;

/// Real agents, one at a time
#[derive(Debug, clap::Args)]
pub(super) struct KilledAgents {
    /// How often an agent is killed
    #[arg(long, value_name = "N", default_value = "100")]
    rounds: u32,
    /// Agents, each with one simulated camera
    #[arg(long, value_name = "N", default_value = "5", value_parser = clap::value_parser!(u16).range(1..=1_000))]
    agents: u16,
    /// Events that all of them write in a second
    #[arg(long, value_name = "N", default_value = "50", value_parser = clap::value_parser!(u16).range(1..))]
    rate: u16,
    /// Repeats the run with this seed
    #[arg(long, value_name = "N")]
    pub(super) seed: Option<u64>,
    /// Another gateway than the program beside this one
    #[arg(long, value_name = "FILE")]
    oriel: Option<PathBuf>,
    /// Another agent than the program beside this one
    #[arg(long, value_name = "FILE")]
    camera_agent: Option<PathBuf>,
}

/// An agent that is killed.
struct Victim {
    camera: CameraId,
    device: Device,
    story: Story,
    /// When each of its lives began.
    lives: Vec<Timestamp>,
    witness: Witness,
}

/// What came of one agent.
#[derive(Debug, Default, PartialEq, Eq)]
struct Outcome {
    /// The gateway's store against all that is known.
    store: Tally,
    /// The camera's own log against what was seen of it.
    camera: Tally,
    /// Lives that did not tell their story.
    broken: u64,
    /// Numbers that are left out.
    holes: u64,
    /// Epochs beside the first.
    epochs: u64,
    written: u64,
    seen: u64,
    incomplete: bool,
}

impl KilledAgents {
    /// Runs it; whether everything held.
    pub(super) async fn run(self, seed: u64) -> Result<bool> {
        let mut report = Report::begin("crash agent", seed);
        report.figure("load", format!("{} agents, {} events/s in all", self.agents, self.rate));
        let mut chance = SmallRng::seed_from_u64(seed);
        let options = Options { program: self.oriel.clone(), ..Options::default() };
        let gateway = Gateway::start(options).await?;
        let mut victims = Vec::new();
        for n in 0..self.agents.into() {
            victims.push(self.victim(&gateway, n, chance.random()).await?);
        }
        for victim in &victims {
            victim.shown().await?;
        }
        for death in 1..=self.rounds {
            sleep(Duration::from_secs_f64(chance.random_range(BETWEEN))).await;
            let place = chance.random_range(0..victims.len());
            victims[place].die().await?;
            if death % TOLD_EVERY == 0 {
                let seen = victims.iter().map(|victim| victim.witness.count()).sum::<usize>();
                report.progress(format!("{death} deaths, {seen} events seen"));
            }
        }
        let mut all = Vec::new();
        for victim in victims {
            all.push(victim.finish(&gateway, &report).await?);
        }
        self.tell(&gateway, &all, &mut report).await?;
        gateway.warnings()?.iter().take(10).for_each(|warning| report.progress(warning));
        Ok(report.verdict())
    }

    /// The `n`th agent, whose camera tells the story of this seed.
    async fn victim(&self, gateway: &Gateway, n: usize, seed: u32) -> Result<Victim> {
        let interval = Duration::from_secs(1) * u32::from(self.agents) / u32::from(self.rate);
        let simulated = Simulated {
            interval: interval.max(Duration::from_millis(1)),
            seed: Some(seed),
            live: true,
            program: self.camera_agent.clone(),
            ..Simulated::default()
        };
        let longest = f64::from(self.rounds) * BETWEEN.end + SPARE;
        let length = (longest / simulated.interval.as_secs_f64()).ceil() as u64;
        let twin = fleet::camera(usize::from(self.agents) + n)?;
        let story = Story::learn(gateway, &twin, length, &simulated).await?;
        let camera = fleet::camera(n)?;
        let lives = vec![clock::now()];
        let device = Device::start_as(&camera, &[gateway], simulated).await?;
        let witness = Witness::start(gateway.caller(source(n)), camera.clone());
        Ok(Victim { camera, device, story, lives, witness })
    }

    async fn tell(&self, gateway: &Gateway, all: &[Outcome], report: &mut Report) -> Result<()> {
        let sum = |of: fn(&Outcome) -> u64| all.iter().map(of).sum::<u64>();
        let (mut store, mut camera) = (Tally::default(), Tally::default());
        for outcome in all {
            store.add(outcome.store);
            camera.add(outcome.camera);
        }
        report.figure("deaths", self.rounds);
        report.figure("events written", sum(|outcome| outcome.written));
        report.figure("of which seen before their agent died", sum(|outcome| outcome.seen));
        let twice = gateway.metric("oriel_events_doubled_total").await?.unwrap_or_default();
        report.figure("what came that the gateway held already", twice);
        store.tell(report);
        report.none("numbers left out", sum(|outcome| outcome.holes));
        report.none("lives that did not tell their story", sum(|outcome| outcome.broken));
        report.none("seen at a camera, and lost there", camera.lost);
        let otherwise = camera.changed + camera.doubled + camera.disordered;
        report.none("shown otherwise by a camera later", otherwise);
        report.none("epochs that began anew", sum(|outcome| outcome.epochs));
        report.none("logs that are not called complete", sum(|outcome| outcome.incomplete.into()));
        Ok(())
    }
}

impl Victim {
    /// Waits until its camera has shown an event.
    async fn shown(&self) -> Result<()> {
        let start = Instant::now();
        while self.witness.count() == 0 {
            if start.elapsed() > SHOWN_WITHIN {
                return Err(Failure::new(format!("{} shows nothing", self.camera)));
            }
            sleep(LOOK_EVERY).await;
        }
        Ok(())
    }

    /// Dies and lives again.
    async fn die(&mut self) -> Result<()> {
        let lives = &mut self.lives;
        self.device.kill_and_start(|| lives.push(clock::now())).await
    }

    /// Lives a last time, in which it writes one event and uploads what is left; what came of it.
    async fn finish(mut self, gateway: &Gateway, report: &Report) -> Result<Outcome> {
        self.device.simulated.interval = QUIET;
        self.die().await?;
        let mut caller = gateway.caller(Ipv4Addr::LOCALHOST);
        let born = self.lives.last().copied().unwrap_or_default();
        let start = Instant::now();
        let shown = loop {
            let log = row::log(&mut caller, &self.camera, "source=camera&wait_online=30s").await;
            match log {
                Ok(log) if log.rows.last().is_some_and(|last| last.at >= born) => break log,
                _ if start.elapsed() > SHOWN_WITHIN => {
                    return Err(Failure::new(format!("{} shows nothing in its last life", self.camera)));
                }
                _ => sleep(LOOK_EVERY).await,
            }
        };
        let start = Instant::now();
        let stored = loop {
            let log = row::log(&mut caller, &self.camera, "source=store").await?;
            let is_there = |last| log.rows.iter().any(|row| row.id == last);
            let is_whole = shown.rows.last().is_none_or(|last| is_there(last.id));
            // How far the log reached is what the answer says of its beginning; its last rows may have come since.
            if (is_whole && log.complete) || start.elapsed() > UPLOADED_WITHIN {
                break log;
            }
            sleep(LOOK_EVERY).await;
        };
        let Self { camera, device, story, lives, witness } = self;
        device.warnings()?.iter().take(3).for_each(|warning| report.progress(warning));
        let outcome = Outcome::of(witness.finish().await?, &shown, &stored, &story, &lives);
        if outcome.is_well() {
            report.progress(format!("{camera}: {} lives, {} events", lives.len(), outcome.written));
        } else {
            report.progress(format!("{camera}: {} lives: {outcome:?}", lives.len()));
        }
        Ok(outcome)
    }
}

impl Outcome {
    /// Compares what was seen, what the camera shows and what the store tells in the end.
    fn of(mut seen: Seen, shown: &Log, stored: &Log, story: &Story, lives: &[Timestamp]) -> Self {
        let (before, in_time) = (seen.rows(), seen.in_time(lives));
        let mut camera = compare(&before, &shown.rows);
        // Most of what the camera shows beside that was written when nobody asked.
        camera.strange = 0;
        camera.changed += seen.changed;
        shown.rows.iter().for_each(|row| seen.note(row.clone()));
        let known = seen.rows();
        let epochs = known.iter().map(|row| row.id.epoch).collect::<BTreeSet<_>>();
        Self {
            store: compare(&known, &stored.rows),
            camera,
            broken: story.broken(lives, &stored.rows),
            holes: holes(&stored.rows),
            epochs: epochs.len().saturating_sub(1) as u64,
            written: shown.rows.len() as u64,
            seen: in_time,
            incomplete: !stored.complete,
        }
    }

    /// Whether nothing is wrong with it.
    fn is_well(&self) -> bool {
        let well = Self { written: self.written, seen: self.seen, ..Self::default() };
        *self == well
    }
}
