//! What simulated cameras write and upload while their gateway dies, as flags.

use std::path::PathBuf;

use super::light::Fleet;
use crate::{failure::Result, fleet, gateway::Gateway, report::Report};

/// What they write and upload, and at which gateway.
#[derive(Debug, clap::Args)]
pub(super) struct Load {
    /// Cameras that write and upload events
    #[arg(long, value_name = "N", default_value = "200")]
    cameras: usize,
    /// Cameras of one agent
    #[arg(long, value_name = "N", default_value = "10", value_parser = clap::value_parser!(u16).range(1..=1_024))]
    each: u16,
    /// Events that each camera writes in a second
    #[arg(long, value_name = "N", default_value = "50", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    rate: u32,
    /// Repeats the run with this seed
    #[arg(long, value_name = "N")]
    pub(super) seed: Option<u64>,
    /// Another gateway than the program beside this one
    #[arg(long, value_name = "FILE")]
    pub(super) oriel: Option<PathBuf>,
}

impl Load {
    /// Prints it.
    pub(super) fn tell(&self, report: &Report) {
        let Self { cameras, each, rate, .. } = self;
        report.figure("load", format!("{cameras} cameras, {each} an agent, {rate} events/s each"));
    }

    /// Enrols agents for all cameras and starts them.
    pub(super) async fn start(&self, gateway: &Gateway, seed: u64) -> Result<Fleet> {
        let members = fleet::enrolled(gateway, self.cameras, self.each.into()).await?;
        Ok(Fleet::start(members, self.rate, seed))
    }
}
