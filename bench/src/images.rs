//! Images: pictures through the gateway, as many as a relay can carry, to a thousand viewers of one camera, and of five hundred
//! cameras at once.
//!
//! First how many come through in a second, against the null relay, which passes the same pieces on; then what the gateway
//! keeps for each socket that moved pictures; then a thousand viewers of one camera's moving pictures, of whom a hundred read
//! 1 KB/s; then a thousand equal questions at once, and the latest pictures of 500 cameras of which 20 never answer.

mod latest;
mod parts;
mod rate;
mod viewers;

use std::{path::PathBuf, sync::Arc, time::Duration};

use tokio::task::JoinSet;

use crate::{
    failure::{Failure, Result},
    fleet::{
        self,
        life::{CONNECT_WITHIN, Roll},
        pictures::{self, Album, Seen},
        silent,
    },
    gateway::{Gateway, Options},
    idle::Idle,
    report::Report,
    thread::Thread,
};

/// Cameras in all, and those among them that never answer.
const CAMERAS: usize = 500;
const SILENT: usize = 20;

/// Pictures through the gateway
#[derive(Debug, clap::Args)]
pub(crate) struct Images {
    /// Rounds, in each of which both sides are measured once in each phase
    #[arg(long, value_name = "N", default_value = "7")]
    rounds: usize,
    /// How long a phase is measured, in milliseconds
    #[arg(long, value_name = "MS", default_value = "2000")]
    phase: u64,
    /// Bytes of a preview
    #[arg(long, value_name = "BYTES", default_value = "20000")]
    preview: usize,
    /// Bytes of a picture of full size
    #[arg(long, value_name = "BYTES", default_value = "300000")]
    main: usize,
    /// Agents whose memory is measured after their sockets moved pictures
    #[arg(long, value_name = "N", default_value = "10000")]
    agents: usize,
    /// Ask nothing of that memory: the target is for 10,000, over which what a process gains by living is spread
    #[arg(long)]
    tell_only: bool,
    /// Viewers of one camera's moving pictures, of whom one in ten reads 1 KB/s
    #[arg(long, value_name = "N", default_value = "1000")]
    viewers: usize,
    /// Pictures a second that they watch
    #[arg(long, value_name = "N", default_value = "5")]
    fps: u32,
    /// How long they are counted, in seconds
    #[arg(long, value_name = "S", default_value = "20")]
    watch: u64,
    /// Equal questions for the latest picture at one time
    #[arg(long, value_name = "N", default_value = "1000")]
    equal: usize,
    /// Only this step: rate, idle, viewers or latest
    #[arg(long, value_name = "STEP", default_value = "", hide_default_value = true, value_parser = ["", "rate", "idle", "viewers", "latest"])]
    only: String,
    /// Repeats the run with this seed
    #[arg(long, value_name = "N")]
    pub(crate) seed: Option<u64>,
    /// Another gateway than the program beside this one
    #[arg(long, value_name = "FILE")]
    oriel: Option<PathBuf>,
}

/// The gateway, and all cameras that are connected to it.
struct World {
    gateway: Gateway,
    album: Album,
    /// Those that answer, and what they were asked.
    answering: Arc<Roll>,
    seen: Arc<Seen>,
    silent: Arc<Roll>,
    /// Where agents are; callers are elsewhere.
    devices: Thread,
    _lives: JoinSet<camera_agent::backoff::Ending>,
    _silent: JoinSet<()>,
}

impl Images {
    /// Runs it; whether everything held.
    pub(crate) async fn run(self, seed: u64) -> Result<bool> {
        let mut report = Report::begin("images", seed);
        let wanted = |step: &str| self.only.is_empty() || self.only == step;
        if wanted("rate") || wanted("viewers") || wanted("latest") {
            let world = World::start(self.oriel.clone(), Album::new(self.preview, self.main)).await?;
            if wanted("rate") {
                let time = Duration::from_millis(self.phase);
                rate::measure(&world, self.rounds, time, seed, &mut report).await?;
            }
            if wanted("viewers") {
                let time = Duration::from_secs(self.watch);
                viewers::measure(&world, self.viewers, self.fps, time, &mut report).await?;
            }
            if wanted("latest") {
                latest::measure(&world, self.equal, &mut report).await?;
            }
            world.all_present(&mut report);
        }
        if wanted("idle") {
            let before = report.faults().len();
            Idle::with_pictures(self.agents, self.tell_only, self.oriel.clone()).measure(&mut report).await?;
            report.step("memory of a socket after pictures", before);
        }
        Ok(report.verdict())
    }
}

impl World {
    async fn start(program: Option<PathBuf>, album: Album) -> Result<Self> {
        let devices = Thread::start()?;
        let gateway = Gateway::start(Options { program, ..Options::default() }).await?;
        let mut members = fleet::enrolled(&gateway, CAMERAS, 1).await?;
        let (silent, quiet) = silent::start(members.split_off(CAMERAS - SILENT));
        let (answering, seen, lives) = pictures::start(members, &album, devices.handle());
        let all = silent.reaches(SILENT, CONNECT_WITHIN).await
            && answering.reaches(CAMERAS - SILENT, CONNECT_WITHIN).await;
        if !all {
            return Err(Failure::new("not all agents could connect"));
        }
        Ok(Self { gateway, album, answering, seen, silent, devices, _lives: lives, _silent: quiet })
    }

    fn all_present(&self, report: &mut Report) {
        let left = CAMERAS - self.answering.present() - self.silent.present();
        report.check(left == 0, format!("{left} agents lost their connection"));
    }
}
