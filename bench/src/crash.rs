//! Crash: a program dies in the middle of its work, again and again; no event may be lost, doubled, changed or out of its order.
//!
//! The victim is the gateway, under uploads of simulated cameras, or one real agent after the other; or it is the gateway's disk,
//! which loses its power or is full. What was written is known from elsewhere than from who is asked for it in the end: from the
//! simulated cameras' own lists, and from what real cameras showed and the stories that they tell.

mod agents;
mod camera;
mod compare;
mod deaths;
mod full;
mod gateway;
mod light;
mod load;
mod outcome;
mod power;
mod row;
mod story;
mod upload;
mod witness;

use clap::Subcommand;
use tokio::signal::unix::{SignalKind, signal};

use crate::failure::{Failure, Result};

/// A program that is killed again and again while events are uploaded, or a disk that fails
#[derive(Debug, clap::Args)]
pub(crate) struct Crash {
    #[command(subcommand)]
    victim: Victim,
}

#[derive(Debug, Subcommand)]
enum Victim {
    Gateway(gateway::KilledGateway),
    Agent(agents::KilledAgents),
    Power(power::PowerCuts),
    Full(full::FullDisk),
}

impl Crash {
    /// Runs it; whether everything held.
    pub(crate) async fn run(self, seed: u64) -> Result<bool> {
        match self.victim {
            Victim::Gateway(gateway) => gateway.run(seed).await,
            Victim::Agent(agents) => agents.run(seed).await,
            Victim::Power(power) => unless_told_to_end(power.run(seed)).await,
            Victim::Full(full) => unless_told_to_end(full.run(seed)).await,
        }
    }

    /// The seed that repeats a run.
    pub(crate) const fn seed(&self) -> Option<u64> {
        match &self.victim {
            Victim::Gateway(gateway) => gateway.load.seed,
            Victim::Agent(agents) => agents.seed,
            Victim::Power(power) => power.load.seed,
            Victim::Full(full) => full.seed,
        }
    }
}

/// Carries a scenario out unless this program is told to end meanwhile; what was mounted for it is unmounted then too.
async fn unless_told_to_end(scenario: impl Future<Output = Result<bool>>) -> Result<bool> {
    let [mut term, mut int] = [signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?];
    tokio::select! {
        held = scenario => held,
        _ = term.recv() => Err(Failure::new("told to end")),
        _ = int.recv() => Err(Failure::new("interrupted")),
    }
}
