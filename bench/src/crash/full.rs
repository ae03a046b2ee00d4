//! `crash full`: the disk that holds the gateway's data is full for a while, three times, while cameras upload.
//!
//! The first time the gateway lives on, and must say that it stores nothing, acknowledge nothing, and go on asking cameras. Then it
//! is killed while the disk is full and started again on the full disk; then it is asked to stop and started again. Whether it
//! starts there and says so, or refuses and says why, is told; both are well. When there is room again everything must
//! arrive by itself. In the end each camera's list of what it wrote is compared with the store, as in `deaths.rs`; so is the log
//! of one real agent's camera, which is the one that is asked.
//!
//! Seen failing against scripts that start a gateway otherwise (`--oriel`): with its data elsewhere, so that it went on acknowledging
//! and said nothing; with an error in its log every second; and with five events taken from its file before a start.
//!
//! What is full is a disk of its own (`full/disk.rs`), filled by a file that takes whatever room there is (`full/ballast.rs`).

mod ballast;
mod disk;
mod scene;
mod watch;

use std::{ops::Range, path::PathBuf, time::Duration};

use rand::{RngExt, SeedableRng, rngs::SmallRng};
use tokio::time::sleep;

use self::scene::Scene;
use crate::{failure::Result, report::Report};

/// Seconds of undisturbed uploads before each time.
const BETWEEN: Range<f64> = 1.0..3.0;

/// A gateway whose disk is full
#[derive(Debug, clap::Args)]
pub(super) struct FullDisk {
    /// Cameras that write and upload events, beside that of a real agent
    #[arg(long, value_name = "N", default_value = "20", value_parser = clap::value_parser!(u16).range(1..=1_000))]
    cameras: u16,
    /// Repeats the run with this seed
    #[arg(long, value_name = "N")]
    pub(super) seed: Option<u64>,
    /// Another gateway than the program beside this one
    #[arg(long, value_name = "FILE")]
    oriel: Option<PathBuf>,
}

/// What becomes of the gateway while the disk is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// It lives on.
    Lives,
    /// It is killed and started again.
    Killed,
    /// It is asked to stop and started again.
    Stopped,
}

impl Fate {
    /// What the names of its figures begin with.
    const fn when(self) -> &'static str {
        match self {
            Self::Lives => "full",
            Self::Killed => "full, killed",
            Self::Stopped => "full, stopped",
        }
    }
}

impl FullDisk {
    /// Runs it; whether everything held.
    pub(super) async fn run(self, seed: u64) -> Result<bool> {
        let mut report = Report::begin("crash full", seed);
        let mut chance = SmallRng::seed_from_u64(seed);
        let mut scene = Scene::set(self.cameras.into(), self.oriel, seed, &report).await?;
        for fate in [Fate::Lives, Fate::Killed, Fate::Stopped] {
            sleep(Duration::from_secs_f64(chance.random_range(BETWEEN))).await;
            scene.fill(fate, &mut report).await?;
        }
        scene.end(&mut report).await?;
        Ok(report.verdict())
    }
}
