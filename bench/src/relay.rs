//! Relay: how close the gateway comes to the least that a relay of this kind can do, in throughput, latency and processor time.
//!
//! Both do the same job with the same bytes on the way out: a GET, a question down a device's socket, 20 events up, JSON. The
//! sides are measured in turn, so that a machine which is busy for a while is so for each of them, and only ratios of one round
//! are judged. Every question is another one, because the gateway lets equal ones share an answer.

mod markdown;
mod nats;
mod outcome;
mod phase;
mod picture;
mod rathole;
mod side;

use std::{fs, path::PathBuf, sync::Arc, time::Duration};

use bytes::Bytes;
use rand::{SeedableRng, rngs::SmallRng};
use tokio::runtime::Handle;

pub(crate) use self::outcome::Outcome;
use self::{
    phase::{PHASES, Phase},
    side::Side,
};
use crate::{
    failure::{Doing, Failure, Result},
    fleet::{self, camera, life::CONNECT_WITHIN, prompt},
    gateway::{Gateway, Options},
    measure::{Bench, Measured},
    report::Report,
    thread::Thread,
};

/// The gateway against the null relay
#[derive(Debug, clap::Args)]
pub(crate) struct Relay {
    /// Rounds, in each of which every side is measured once in each phase
    #[arg(long, value_name = "N", default_value = "7")]
    rounds: usize,
    /// How long a phase is measured, in milliseconds
    #[arg(long, value_name = "MS", default_value = "2000")]
    phase: u64,
    /// Cameras, each with an agent
    #[arg(long, value_name = "N", default_value = "100")]
    cameras: usize,
    /// Events of an answer
    #[arg(long, value_name = "N", default_value = "20")]
    events: u64,
    /// Only the phases whose name contains this, for instance "256" or "one camera"
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    only: String,
    /// Leave NATS out, even where nats-server is installed
    #[arg(long)]
    without_nats: bool,
    /// Leave rathole out, even where it is installed
    #[arg(long)]
    without_rathole: bool,
    /// File to write the tables to, as Markdown
    #[arg(long, value_name = "FILE")]
    markdown: Option<PathBuf>,
    /// File to draw the ratios into
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
    /// Repeats the run with this seed
    #[arg(long, value_name = "N")]
    pub(crate) seed: Option<u64>,
    /// Another gateway than the program beside this one
    #[arg(long, value_name = "FILE")]
    oriel: Option<PathBuf>,
}

impl Relay {
    /// Runs it; whether everything held.
    pub(crate) async fn run(self, seed: u64) -> Result<bool> {
        let mut report = Report::begin("relay", seed);
        let outcome = self.measure(seed, &mut report).await?;
        for (path, text) in [(&self.markdown, outcome.markdown()), (&self.svg, outcome.svg())] {
            if let Some(path) = path {
                fs::write(path, text).doing(path.display())?;
            }
        }
        Ok(report.verdict())
    }

    /// Measures all sides and tells what came of it.
    pub(crate) async fn measure(&self, seed: u64, report: &mut Report) -> Result<Outcome> {
        let phases: Vec<_> = PHASES.iter().filter(|phase| phase.name.contains(&self.only)).collect();
        if phases.is_empty() {
            return Err(Failure::new(format!("no phase is called {:?}", self.only)));
        }
        let devices = Thread::start()?;
        let gateway = Gateway::start(Options { program: self.oriel.clone(), ..Options::default() }).await?;
        let members = fleet::enrolled(&gateway, self.cameras, 1).await?;
        let prepared = Arc::new(prompt::Prepared::new(self.events)?);
        let (roll, _lives) = prompt::start(members, &prepared, devices.handle());
        if !roll.reaches(self.cameras, CONNECT_WITHIN).await {
            return Err(Failure::new("not all agents could connect"));
        }
        let answer = gateway.answer(&camera(0)?, self.events).await?;
        let (up, out) = (prepared.len(), answer.len());
        report
            .figure("an answer", format!("{} events, {up} bytes of MessagePack, {out} of JSON", self.events));
        let sides = self.sides(&gateway, &answer, devices.handle(), report).await?;
        let rounds = self.rounds(&sides, &phases, report).await?;
        let names: Vec<_> = sides.iter().map(|side| side.subject.name).collect();
        let outcome = Outcome::of(&names, &phases, &rounds, &mut SmallRng::seed_from_u64(seed));
        outcome.tell(report);
        let joined = gateway.metric("oriel_calls_joined_total").await?;
        let joined = joined.ok_or_else(|| Failure::new("the gateway does not count who shared an answer"))?;
        report.none("callers who shared an answer", joined as u64);
        let counted = gateway.metric("oriel_agents").await?;
        report.check(counted == Some(self.cameras as f64), "agents lost their connection");
        Ok(outcome)
    }

    /// The gateway and all that it is compared with here; devices answer with `answer`.
    async fn sides(
        &self,
        gateway: &Gateway,
        answer: &Bytes,
        handle: &Handle,
        report: &Report,
    ) -> Result<Vec<Side>> {
        let mut sides = vec![side::null(answer, self.cameras, handle).await?, Side::oriel(gateway)];
        if !self.without_nats {
            match side::nats(answer, self.cameras, handle).await.doing("nats")? {
                Some(nats) => sides.push(nats),
                None => report.figure("nats", "not installed, so not measured"),
            }
        }
        if !self.without_rathole {
            match side::rathole(answer, handle).await.doing("rathole")? {
                Some(rathole) => sides.push(rathole),
                None => report.figure("rathole", "not installed, so not measured"),
            }
        }
        Ok(sides)
    }

    /// What each phase gave for each side, round by round.
    async fn rounds(
        &self,
        sides: &[Side],
        phases: &[&Phase],
        report: &Report,
    ) -> Result<Vec<Vec<Vec<Measured>>>> {
        let bench = Bench::new(Duration::from_millis(self.phase))?;
        let mut all = vec![vec![Vec::new(); sides.len()]; phases.len()];
        for round in 0..self.rounds {
            for (phase, all) in phases.iter().zip(&mut all) {
                for turn in 0..sides.len() {
                    // Whoever was first is last in the next round.
                    let turn = if round.is_multiple_of(2) { turn } else { sides.len() - 1 - turn };
                    let side = &sides[turn];
                    if !side.can(phase) {
                        continue;
                    }
                    let way = phase.way(self.cameras, self.events);
                    let measured =
                        bench.measure(&side.subject, &way, &side.helpers).await.doing(phase.name)?;
                    let (round, name) = (round + 1, side.subject.name);
                    report.progress(format!("round {round}, {}: {name}: {measured}", phase.name));
                    all[turn].push(measured);
                }
            }
        }
        Ok(all)
    }
}
