//! `crash power`: the gateway keeps its data on a disk whose power is cut at random moments while simulated cameras upload; what
//! was not synced is gone, but for pages and names that are kept by chance, and the gateway is started again at once.
//!
//! Each death is a power cut in the middle of the gateway's work, also of a sync: the power fails, the gateway is killed, the power
//! is cut. What a gateway without a disk says to its agents between the first and the second, nobody would have heard. Cameras
//! send again what was not acknowledged to them, so in the end nothing may be missing. How the gateway dies and what is compared
//! in the end is in `deaths.rs`; what a cut takes is in `powercut/src/lib.rs`.
//!
//! Seen failing on a disk that lies (`--lie`): nothing is left of what was acknowledged. And against a gateway whose syncs of the
//! write-ahead log did nothing, by a library that was loaded before it: what was acknowledged last was gone after two cuts.

mod disk;

use self::disk::Disk;
use super::{
    deaths::{ENOUGH, Trial},
    light::Stage,
    load::Load,
};
use crate::{
    failure::Result,
    gateway::{Gateway, Options},
    report::Report,
};

/// The power of the gateway's disk, under uploads of simulated cameras; needs /dev/fuse, and root
#[derive(Debug, clap::Args)]
pub(super) struct PowerCuts {
    /// How often it is cut
    #[arg(long, value_name = "N", default_value = "100")]
    rounds: u32,
    #[command(flatten)]
    pub(super) load: Load,
    /// On a disk that says that it synced and does not: must fail
    #[arg(long)]
    lie: bool,
}

impl PowerCuts {
    /// Runs it; whether everything held.
    pub(super) async fn run(self, seed: u64) -> Result<bool> {
        let mut report = Report::begin("crash power", seed);
        let Self { rounds, load, lie } = self;
        load.tell(&report);
        // Before the gateway, so that it is unmounted after its end.
        let mut disk = Disk::mount(seed, lie).await?;
        let (program, data) = (load.oriel.clone(), Some(disk.path().join("data")));
        let mut gateway = Gateway::start(Options { program, data, ..Options::default() }).await?;
        let cut = async |gateway: &mut Gateway, stage: &Stage| {
            stage.darken(true);
            disk.fail().await?;
            gateway.kill().await?;
            disk.cut().await
        };
        let trial = Trial { load: &load, rounds, seed };
        let ready = trial.run(&mut gateway, cut, &mut report).await?;
        let loss = disk.loss();
        report.figure("lost in all cuts", loss.lost());
        report.figure("kept by chance in all cuts", loss.kept());
        let tried = !loss.is_nothing() || ready.len() < ENOUGH;
        report.check(tried, "no cut took anything: nothing was tried");
        if gateway.has_ended()?.is_none() {
            gateway.kill().await?;
        }
        report.figure("the disk", disk.unmount().await?);
        Ok(report.verdict())
    }
}
