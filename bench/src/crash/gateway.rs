//! `crash gateway`: the gateway is killed at random moments while simulated cameras upload, and started again at once.
//!
//! How, and what is compared in the end, is in `deaths.rs`.
//!
//! Seen failing against gateways whose file was changed behind their backs whenever they were dead: the last events of a camera
//! gone with their acknowledgement, one gone from the middle, one there twice, two with each other's time, one with other words;
//! and against one that takes a second longer to start.

use std::time::Duration;

use super::{deaths::Trial, load::Load};
use crate::{
    failure::Result,
    gateway::{Gateway, Options},
    report::{Report, millis},
};

/// A gateway that was killed must be ready again by then, 99 times of 100.
const READY_WITHIN: Duration = Duration::from_secs(1);

/// The gateway, under uploads of simulated cameras
#[derive(Debug, clap::Args)]
pub(super) struct KilledGateway {
    /// How often it is killed
    #[arg(long, value_name = "N", default_value = "100")]
    rounds: u32,
    #[command(flatten)]
    pub(super) load: Load,
}

impl KilledGateway {
    /// Runs it; whether everything held.
    pub(super) async fn run(self, seed: u64) -> Result<bool> {
        let mut report = Report::begin("crash gateway", seed);
        let Self { rounds, load } = self;
        load.tell(&report);
        let options = Options { program: load.oriel.clone(), ..Options::default() };
        let mut gateway = Gateway::start(options).await?;
        let trial = Trial { load: &load, rounds, seed };
        let ready = trial.run(&mut gateway, async |gateway, _| gateway.kill().await, &mut report).await?;
        let p99 = ready.quantile(0.99);
        report.check(p99 <= READY_WITHIN, format!("ready again only after {}", millis(p99)));
        Ok(report.verdict())
    }
}
