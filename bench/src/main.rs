//! `oriel-bench`: fleets of light agents, load and faults against an Oriel gateway; each scenario prints its figures, its seed
//! and a verdict.
//!
//! # Layout
//!
//! - `chaos`, `storm`, `timeouts`, `slow_clients`, `readers`, `drain`, `crash`, `ingest` with `query`, `relay`, `idle`,
//!   `images`, `scale` (which is called `fleet`): the scenarios, each a subcommand; `table`: all figures of some of them in one document.
//! - `null_relay`, `nats_front`: what the gateway is compared with, subcommands too; `front`: HTTP for both.
//! - `measure`: callers, and what a server does meanwhile; `crew`: many agents in processes of their own; `program`: such processes.
//! - `gateway`: a gateway as a process; `process`: what the system says of it; `authority`: its certificate.
//! - `enroll`: tokens for many; `fleet`: light agents; `http`: callers, `load`: steady traffic; `target`: from where and whereto; `thread`: tasks apart.
//! - `report`: figures and verdict; `stats`: quantiles; `failure`: why a scenario broke off.

mod authority;
mod chaos;
mod crash;
mod crew;
mod device;
mod drain;
mod enroll;
mod failure;
mod fleet;
mod front;
mod gateway;
mod http;
mod idle;
mod images;
mod ingest;
mod load;
mod measure;
mod nats_front;
mod null_relay;
mod process;
mod program;
mod readers;
mod relay;
mod report;
mod scale;
mod slow_clients;
mod stats;
mod storm;
mod table;
mod target;
mod thread;
mod timeouts;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use tokio::runtime::Builder;

/// Fleets of light agents, load and faults against an Oriel gateway, each with a verdict.
#[derive(Debug, Parser)]
#[command(name = "oriel-bench", version, max_term_width = 100, arg_required_else_help = true)]
struct Line {
    #[command(subcommand)]
    scenario: Scenario,
}

#[derive(Debug, Subcommand)]
enum Scenario {
    Chaos(chaos::Chaos),
    Storm(storm::Storm),
    Timeouts(timeouts::Timeouts),
    SlowClients(slow_clients::SlowClients),
    Readers(readers::Readers),
    Drain(drain::Drain),
    Crash(crash::Crash),
    Ingest(ingest::Ingest),
    Query(ingest::query::Query),
    Idle(idle::Idle),
    Images(images::Images),
    Relay(relay::Relay),
    Fleet(scale::Scale),
    Table(table::Table),
    #[command(hide = true)]
    Crew(crew::Crew),
    #[command(hide = true)]
    NullRelay(null_relay::NullRelay),
    #[command(hide = true)]
    NatsFront(nats_front::NatsFront),
}

impl Scenario {
    fn run(self) -> failure::Result<bool> {
        let seed = self.seed().unwrap_or_else(rand::random);
        // Only this one needs no other process, so that its clock may stand still.
        let runtime = match &self {
            Self::Timeouts(_) => Builder::new_current_thread().enable_all().start_paused(true).build()?,
            _ => Builder::new_multi_thread().enable_all().build()?,
        };
        match self {
            Self::Chaos(chaos) => runtime.block_on(chaos.run(seed)),
            Self::Storm(storm) => runtime.block_on(storm.run(seed)),
            Self::Timeouts(timeouts) => runtime.block_on(timeouts.run(seed)),
            Self::SlowClients(slow_clients) => runtime.block_on(slow_clients.run(seed)),
            Self::Readers(readers) => runtime.block_on(readers.run(seed)),
            Self::Drain(drain) => runtime.block_on(drain.run(seed)),
            Self::Crash(crash) => runtime.block_on(crash.run(seed)),
            Self::Ingest(ingest) => runtime.block_on(ingest.run(seed)),
            Self::Query(query) => runtime.block_on(query.run(seed)),
            Self::Idle(idle) => runtime.block_on(idle.run(seed)),
            Self::Images(images) => runtime.block_on(images.run(seed)),
            Self::Relay(relay) => runtime.block_on(relay.run(seed)),
            Self::Fleet(scale) => runtime.block_on(scale.run(seed)),
            Self::Table(table) => runtime.block_on(table.run(seed)),
            Self::Crew(crew) => runtime.block_on(crew.run()),
            Self::NullRelay(null_relay) => runtime.block_on(null_relay.run()),
            Self::NatsFront(nats_front) => runtime.block_on(nats_front.run()),
        }
    }

    const fn seed(&self) -> Option<u64> {
        match self {
            Self::Chaos(chaos) => chaos.seed,
            Self::Storm(storm) => storm.seed,
            Self::Timeouts(timeouts) => timeouts.seed,
            Self::SlowClients(slow_clients) => slow_clients.seed,
            Self::Readers(readers) => readers.seed,
            Self::Drain(drain) => drain.seed,
            Self::Crash(crash) => crash.seed(),
            Self::Ingest(ingest) => ingest.seed,
            Self::Query(query) => query.seed,
            Self::Idle(idle) => idle.seed,
            Self::Images(images) => images.seed,
            Self::Relay(relay) => relay.seed,
            Self::Fleet(scale) => scale.seed,
            Self::Table(table) => table.seed,
            Self::Crew(_) | Self::NullRelay(_) | Self::NatsFront(_) => None,
        }
    }
}

fn main() -> ExitCode {
    let held = Line::parse().scenario.run().unwrap_or_else(|failure| {
        report::broke_off(&failure);
        false
    });
    if held { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
