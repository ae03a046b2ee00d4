//! Ingest: how fast uploads become rows on the disk, how soon one of them can be asked for, and what others notice of it.
//!
//! Agents with a camera each upload what was made and encoded before, so that what they cost is hardly seen. Their events are
//! counted when they are acknowledged, in the end also by the gateway and by what the store shows.
//!
//! - The rate is told against that of a file with the same tables and settings, into which this program writes the same rows with
//!   nothing around it, in commits of 1,000; both keep growing by the same rows, in turn.
//! - Then there is one event each millisecond, and some of them are asked for until the store tells of them.
//! - At last small questions go to other cameras, alone and beside an upload that is as fast as it can be.
//!
//! Seen failing against gateways that were broken on purpose: one whose syncs take 60 ms longer (rate, and time until visible),
//! one that keeps its thread for 2 ms whenever more than 4 KiB have come at once (questions beside ingest), one that counts its own
//! words as stored (count); and against one that was built without optimisation (rate, and questions beside ingest).

mod agents;
mod beside;
mod camera;
pub(crate) mod query;
mod rate;
mod raw;
mod silent;
mod visible;

use std::path::PathBuf;

use self::{agents::Fleet, rate::Plan};
use crate::{
    failure::{Failure, Result},
    fleet::{
        self,
        life::{self, CONNECT_WITHIN},
    },
    gateway::{Gateway, Options},
    report::Report,
    target::source,
};

/// Cameras that do not upload, and are asked.
const OTHERS: usize = 20;

/// Agents that upload as fast as they may
#[derive(Debug, clap::Args)]
pub(crate) struct Ingest {
    /// Rounds, in each of which both sides are measured once
    #[arg(long, value_name = "N", default_value = "5", value_parser = clap::value_parser!(u16).range(1..))]
    rounds: u16,
    /// Agents that upload, each with one camera
    #[arg(long, value_name = "N", default_value = "20", value_parser = clap::value_parser!(u16).range(1..=1_000))]
    agents: u16,
    /// Events that each side takes in a round of the rate
    #[arg(long, value_name = "N", default_value = "400000", value_parser = clap::value_parser!(u32).range(10_000..))]
    events: u32,
    /// Repeats the run with this seed
    #[arg(long, value_name = "N")]
    pub(crate) seed: Option<u64>,
    /// Another gateway than the program beside this one
    #[arg(long, value_name = "FILE")]
    oriel: Option<PathBuf>,
}

impl Ingest {
    /// Runs it; whether everything held.
    pub(crate) async fn run(self, seed: u64) -> Result<bool> {
        let mut report = Report::begin("ingest", seed);
        let (agents, rounds) = (usize::from(self.agents), usize::from(self.rounds));
        let each = u64::from(self.events) / u64::from(self.agents);
        let told = format!("{agents} agents, {rounds} rounds, {each} events of each in a round of the rate");
        report.figure("load", told);
        let gateway = Gateway::start(Options { program: self.oriel.clone(), ..Options::default() }).await?;
        let mut others = fleet::enrolled(&gateway, OTHERS + agents, 1).await?;
        let fleet = Fleet::start(others.split_off(OTHERS), seed).await?;
        let (roll, _lives) = life::start(others, seed);
        if !roll.reaches(OTHERS, CONNECT_WITHIN).await {
            return Err(Failure::new("not all agents that are asked could connect"));
        }
        let plan = Plan { rounds, each, seed };
        let fastest = rate::measure(&gateway, &fleet, plan, &mut report).await?;
        visible::measure(&gateway, &fleet, &mut report).await?;
        beside::measure(&gateway, &fleet, rounds, fastest, &mut report).await?;
        count(&gateway, &fleet, &mut report).await?;
        report.check(roll.present() == OTHERS, "agents that are asked lost their connection");
        gateway.warnings()?.iter().take(10).for_each(|warning| report.progress(warning));
        Ok(report.verdict())
    }
}

/// What was sent is stored, once, by everybody's count.
async fn count(gateway: &Gateway, fleet: &Fleet, report: &mut Report) -> Result<()> {
    let counts = fleet.counts();
    report.figure("events sent", counts.sent);
    report.none("sent and not acknowledged", counts.sent - counts.acked);
    let stored = gateway.metric("oriel_events_stored_total").await?;
    report.check(
        stored == Some(counts.sent as f64),
        format!("{} events were sent, and the gateway counts {stored:?} as stored", counts.sent),
    );
    let doubled = gateway.metric("oriel_events_doubled_total").await?;
    let doubled = doubled.ok_or_else(|| Failure::new("the gateway does not count doubled events"))?;
    report.none("doubled", doubled as u64);
    let (mut caller, mut behind) = (gateway.caller(source(40_000)), 0);
    for camera in fleet.cameras.iter() {
        let newest = visible::newest(&mut caller, &camera.story).await?;
        behind += u64::from(newest != camera.counts().acked);
    }
    report.none("cameras whose newest event is not the last acknowledged", behind);
    let faults = fleet.faults();
    faults.iter().take(10).for_each(|fault| report.progress(fault));
    report.none("words of the gateway that are not true", faults.len() as u64);
    Ok(())
}
