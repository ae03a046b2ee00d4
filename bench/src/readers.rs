//! Readers: logs of 20 MB for clients that read 1 KB/s; nobody else waits for them, and they cost little memory.
//!
//! First one such client at a real agent, with small questions beside it; then readers that hang up in the middle, at a light
//! agent that knows when it was told and what it had sent; then 1,000 slow ones. What is compared is measured in turn.
//!
//! Seen failing against gateways that were broken on purpose: one that gives credit without anybody taking what came (memory,
//! and bytes sent after a hang-up), one that sends no Cancel (agents not stopped), and one that takes 20 ms for each Part of a
//! log while it holds the link (the small call beside it).

mod calm;
mod crowd;
mod hang_up;
mod reader;

use std::{path::PathBuf, time::Duration};

use crate::{
    device::Device,
    failure::{Failure, Result},
    fleet::{
        self, life,
        long::{self, Shape},
    },
    gateway::{Gateway, Options},
    report::Report,
};

/// Events of the real agent's log: 20 MB as lines.
const BACKFILL: u64 = 96_000;

/// Light agents with long logs.
const LONG: usize = 20;

/// Light agents whom the others ask.
const QUICK: usize = 20;

/// Clients that read slowly
#[derive(Debug, clap::Args)]
pub(crate) struct Readers {
    /// Clients that read 1 KB/s at the same time
    #[arg(long, value_name = "N", default_value = "1000")]
    clients: usize,
    /// Phases without and with slow clients, in turn
    #[arg(long, value_name = "N", default_value = "5")]
    rounds: usize,
    /// Readers that hang up
    #[arg(long, value_name = "N", default_value = "60")]
    hang_ups: usize,
    /// Repeats the run with this seed
    #[arg(long, value_name = "N")]
    pub(crate) seed: Option<u64>,
    /// Another gateway than the program beside this one
    #[arg(long, value_name = "FILE")]
    oriel: Option<PathBuf>,
}

impl Readers {
    /// Runs it; whether everything held.
    pub(crate) async fn run(self, seed: u64) -> Result<bool> {
        let mut report = Report::begin("readers", seed);
        let gateway = Gateway::start(Options { program: self.oriel.clone(), ..Options::default() }).await?;
        let mut quick = fleet::enrolled(&gateway, QUICK + LONG, 1).await?;
        let (logs, long) = long::start(quick.split_off(QUICK), Shape::default());
        let (roll, lives) = life::start(quick, seed);
        let real = fleet::camera(QUICK + LONG)?;
        let device = Device::start(&real, &[&gateway], BACKFILL).await?;
        let within = Duration::from_secs(30);
        if !roll.reaches(QUICK, within).await || !logs.reaches(LONG, within).await {
            return Err(Failure::new("not all agents could connect"));
        }
        calm::measure(&gateway, &real, self.rounds, &mut report).await?;
        drop(device);
        hang_up::measure(&gateway, &logs, self.hang_ups, seed, &mut report).await?;
        crowd::measure(&gateway, &logs, self.clients, self.rounds, &mut report).await?;
        let open = gateway.metric("oriel_calls_open").await?;
        report.check(open == Some(0.0), format!("open questions at the end: {open:?}"));
        report.check(roll.present() == QUICK && long.len() == LONG, "agents lost their connection");
        drop((lives, long));
        Ok(report.verdict())
    }
}

/// The camera of the `n`th light agent with a long log.
fn long_camera(n: usize) -> String {
    format!("camera-{}", QUICK + n % LONG)
}
