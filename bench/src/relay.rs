//! Relay: how close the gateway comes to the least that a relay of this kind can do, in throughput, latency and processor time.
//!
//! Both do the same job with the same bytes on the way out: a GET, a question down a device's socket, 20 events up, JSON. The
//! sides are measured in turn, so that a machine which is busy for a while is so for each of them, and only ratios of one round
//! are judged. Every question is another one, because the gateway lets equal ones share an answer.

mod caller;
mod device;
mod markdown;
mod measure;
mod nats;
mod outcome;
mod phase;
mod picture;
mod side;

use std::{fs, path::PathBuf, sync::Arc, time::Duration};

use rand::{SeedableRng, rngs::SmallRng};

use self::{
    measure::{Bench, Measured},
    outcome::Outcome,
    phase::{PHASES, Phase},
    side::Side,
};
use crate::{
    failure::{Doing, Failure, Result},
    fleet::{self, camera, prompt},
    gateway::{Gateway, Options},
    report::Report,
    thread::Thread,
};

/// Longer than any fleet of this size takes to connect.
const CONNECT_WITHIN: Duration = Duration::from_secs(30);

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
        let path = format!("/v1/cameras/{}/events?limit={}&order=desc", camera(0)?, self.events);
        let answer = gateway.caller(std::net::Ipv4Addr::LOCALHOST).get(&path).await?.must_be(200)?.body;
        let (up, out) = (prepared.len(), answer.len());
        report
            .figure("an answer", format!("{} events, {up} bytes of MessagePack, {out} of JSON", self.events));
        let null = side::null(&answer, self.cameras, devices.handle()).await?;
        let mut sides = vec![null, Side::oriel(&gateway)];
        if !self.without_nats {
            match side::nats(&answer, self.cameras, devices.handle()).await.doing("nats")? {
                Some(nats) => sides.push(nats),
                None => report.figure("nats", "not installed, so not measured"),
            }
        }
        let rounds = self.measure(&sides, &phases, &report).await?;
        let outcome = Outcome::of(&sides, &phases, rounds, &mut SmallRng::seed_from_u64(seed));
        outcome.tell(&mut report);
        for (path, text) in [
            (&self.markdown, markdown::table(&outcome, self.rounds)),
            (&self.svg, picture::draw(&outcome, self.rounds)),
        ] {
            if let Some(path) = path {
                fs::write(path, text).doing(path.display())?;
            }
        }
        let joined = gateway.metric("oriel_calls_joined_total").await?;
        let joined = joined.ok_or_else(|| Failure::new("the gateway does not count who shared an answer"))?;
        report.none("callers who shared an answer", joined as u64);
        report.check(roll.present() == self.cameras, "agents lost their connection");
        Ok(report.verdict())
    }

    /// What each phase gave for each side, round by round.
    async fn measure(
        &self,
        sides: &[Side],
        phases: &[&Phase],
        report: &Report,
    ) -> Result<Vec<Vec<Vec<Measured>>>> {
        let bench = Bench::new(self.cameras, self.events, Duration::from_millis(self.phase))?;
        let mut all = vec![vec![Vec::new(); sides.len()]; phases.len()];
        for round in 0..self.rounds {
            for (phase, all) in phases.iter().zip(&mut all) {
                for turn in 0..sides.len() {
                    // Whoever was first is last in the next round.
                    let turn = if round.is_multiple_of(2) { turn } else { sides.len() - 1 - turn };
                    let measured = bench.measure(&sides[turn], phase).await?;
                    let told = measured.to_string();
                    report.progress(format!(
                        "round {}, {}: {}: {told}",
                        round + 1,
                        phase.name,
                        sides[turn].name
                    ));
                    all[turn].push(measured);
                }
            }
        }
        Ok(all)
    }
}
