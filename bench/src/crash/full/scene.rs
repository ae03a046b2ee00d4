//! A gateway on a small disk with those who upload to it, and what happens when the disk is full.

use std::{net::Ipv4Addr, path::PathBuf, time::Duration};

use oriel_proto::CameraId;
use tokio::time::{Instant, sleep};

use super::{
    Fate,
    ballast::Ballast,
    disk::SmallDisk,
    watch::{self, Seen},
};
use crate::{
    crash::{compare::compare, light::Fleet, outcome, row},
    device::{Device, Simulated},
    failure::{Failure, Result},
    fleet::{self, life::CONNECT_WITHIN},
    gateway::{Gateway, Options},
    report::{Report, mebibytes, millis, seconds},
};

/// Bytes of the disk: room for a run of some minutes, and soon filled.
const DISK: u64 = 48 << 20;

/// Cameras of one simulated agent.
const EACH: usize = 5;

/// Events that each simulated camera writes in a second.
const RATE: u32 = 20;

/// The time between two events of the real agent's camera.
const INTERVAL: Duration = Duration::from_millis(100);

/// A gateway says by then that its store cannot be written: once what it has set aside in its files is used up.
const TROUBLED_WITHIN: Duration = Duration::from_secs(30);

/// Acknowledgements that were on their way have come by then.
const SETTLED_AFTER: Duration = Duration::from_secs(1);

/// How long the disk stays full for a gateway that lives on, twice: before and after the real agent was killed.
const FULL_FOR: Duration = Duration::from_secs(6);

/// How long a gateway is watched that started on a full disk.
const WATCHED_FOR: Duration = Duration::from_secs(3);

/// A gateway that is asked to stop ends by then.
const STOPPED_WITHIN: Duration = Duration::from_secs(15);

/// Once there is room, everything that was written until then is stored by then.
const ARRIVED_WITHIN: Duration = Duration::from_secs(10);

/// What the real agent's camera wrote until the end is in the store by then: its agent may be in a long wait.
const LAST_WITHIN: Duration = Duration::from_secs(60);

/// Between two looks at something that is waited for.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// All who take part; dropped in this order, so that the disk is unmounted last.
#[derive(Debug)]
pub(super) struct Scene {
    fleet: Fleet,
    /// A real agent, and its camera, which can be asked.
    device: Device,
    camera: CameraId,
    gateway: Gateway,
    disk: SmallDisk,
}

impl Scene {
    /// Mounts the disk, and starts the gateway there and all agents.
    pub(super) async fn set(
        cameras: usize,
        oriel: Option<PathBuf>,
        seed: u64,
        report: &Report,
    ) -> Result<Self> {
        report.figure(
            "load",
            format!("{cameras} cameras, {EACH} an agent, {RATE} events/s each; a real agent"),
        );
        let disk = SmallDisk::mount(DISK)?;
        report.figure("disk", disk.what());
        let data = Some(disk.path().join("data"));
        let gateway = Gateway::start(Options { program: oriel, data, ..Options::default() }).await?;
        let members = fleet::enrolled(&gateway, cameras, EACH).await?;
        let camera = fleet::camera(cameras)?;
        let simulated = Simulated { interval: INTERVAL, live: true, ..Simulated::default() };
        let device = Device::start_as(&camera, &[&gateway], simulated).await?;
        let fleet = Fleet::start(members, RATE, seed);
        if !fleet.stage.roll.reaches(fleet.agents, CONNECT_WITHIN).await {
            return Err(Failure::new(format!("not all agents could connect: {:?}", fleet.stage.faults())));
        }
        Ok(Self { fleet, device, camera, gateway, disk })
    }

    /// Fills the disk, looks at what happens, and removes the ballast again.
    pub(super) async fn fill(&mut self, fate: Fate, report: &mut Report) -> Result<()> {
        let (when, errors) = (fate.when(), self.errors()?.len());
        let ballast = Ballast::fill(&self.disk.path());
        let said = watch::troubled(&self.gateway, TROUBLED_WITHIN).await?;
        report.figure(&format!("{when}: said after"), said.map_or_else(|| "never".to_owned(), seconds));
        report.check(said.is_some(), format!("{when}: the gateway does not say that its store is full"));
        sleep(SETTLED_AFTER).await;
        let acked = self.fleet.counts().acked;
        let serves_since = match fate {
            Fate::Lives => {
                self.live(errors, report).await?;
                Some(acked)
            }
            Fate::Killed => {
                self.gateway.kill().await?;
                self.start_on_full_disk(when, report).await?
            }
            Fate::Stopped => {
                // It says goodbye to its agents.
                self.fleet.stage.darken(true);
                self.gateway.terminate()?;
                let (start, status) = (Instant::now(), self.gateway.ended(STOPPED_WITHIN).await?);
                let told = format!("{}, {status}", seconds(start.elapsed()));
                report.figure(&format!("{when}: ended after"), told);
                self.start_on_full_disk(when, report).await?
            }
        };
        if serves_since.is_some() {
            let lost = outcome::acked_lost(&self.gateway, &self.fleet, report).await;
            report.none(&format!("{when}: acknowledged, and not in the store"), lost);
        }
        let more = self.fleet.counts().acked - serves_since.unwrap_or(acked);
        report.none(&format!("{when}: events that were acknowledged"), more);
        self.errors()?.iter().skip(errors).take(5).for_each(|line| report.progress(line));
        report.figure(&format!("{when}: errors in the log"), self.errors()?.len() - errors);
        report.figure(&format!("{when}: ballast"), mebibytes(ballast.remove().await?));
        if serves_since.is_none() {
            self.gateway.start_again().await?;
        }
        self.recover(when, report).await
    }

    /// The gateway lives on, and the real agent comes anew; `before` is how many errors were logged when the disk was not full.
    async fn live(&mut self, before: usize, report: &mut Report) -> Result<()> {
        let (when, mut seen) = (Fate::Lives.when(), Seen::default());
        seen.look(&self.gateway, &self.camera, FULL_FOR).await?;
        self.device.kill_and_start(|| ()).await?;
        seen.look(&self.gateway, &self.camera, FULL_FOR).await?;
        seen.tell(when, report);
        let errors = self.errors()?.len() - before;
        report.check(
            errors == 1,
            format!("{when}: {errors} errors in the log of a gateway whose disk is full"),
        );
        Ok(())
    }

    /// Starts the gateway, which has ended, on the full disk. If it serves there: how many events were acknowledged when it said that
    /// its store is full, since some may have found room.
    async fn start_on_full_disk(&mut self, when: &str, report: &mut Report) -> Result<Option<u64>> {
        let start = Instant::now();
        let (name, refusal) = (format!("{when}: starts anew"), self.gateway.start_again().await.err());
        self.fleet.stage.darken(false);
        let took = seconds(start.elapsed());
        let Some(refusal) = refusal else {
            report.figure(&name, format!("after {took}, and serves"));
            let said = watch::troubled(&self.gateway, TROUBLED_WITHIN).await?;
            report.check(
                said.is_some(),
                format!("{when}: serves anew and does not say that its store is full"),
            );
            let (acked, mut seen) = (self.fleet.counts().acked, Seen::default());
            seen.look(&self.gateway, &self.camera, WATCHED_FOR).await?;
            seen.tell(when, report);
            return Ok(Some(acked));
        };
        let refusal = refusal.to_string();
        let last = refusal.lines().last().unwrap_or_default();
        report.figure(&name, format!("refuses after {took}: {last}"));
        report.check(
            last.contains("full"),
            format!("{when}: does not start, and does not say that the disk is full"),
        );
        Ok(None)
    }

    /// There is room again: everything that was written until now must come.
    async fn recover(&self, when: &str, report: &mut Report) -> Result<()> {
        let cameras = &self.fleet.cameras;
        let goals: Vec<u64> = cameras.iter().map(|camera| camera.counts().written).collect();
        let late = goals.iter().sum::<u64>().saturating_sub(self.fleet.counts().acked);
        let start = Instant::now();
        let well = watch::well(&self.gateway, ARRIVED_WITHIN).await?;
        let told = well.map_or_else(|| "never".to_owned(), millis);
        report.figure(&format!("{when}: well again after"), told);
        report
            .check(well.is_some(), format!("{when}: the gateway does not say that its store is well again"));
        let arrived = || cameras.iter().zip(&goals).all(|(camera, goal)| camera.counts().acked >= *goal);
        while !arrived() {
            if start.elapsed() > ARRIVED_WITHIN {
                report.check(false, format!("{when}: not everything arrives when there is room again"));
                break;
            }
            sleep(LOOK_EVERY).await;
        }
        let told = format!("{late} events, {}", seconds(start.elapsed()));
        report.figure(&format!("{when}: what had waited has arrived"), told);
        Ok(())
    }

    /// The lines that the gateway has logged as errors.
    fn errors(&self) -> Result<Vec<String>> {
        let warnings = self.gateway.warnings()?;
        Ok(warnings.into_iter().filter(|line| line.contains(" ERROR ")).collect())
    }

    /// Nothing more is written; compares what is stored with what was written, and unmounts the disk.
    pub(super) async fn end(mut self, report: &mut Report) -> Result<()> {
        self.fleet.stop_writing().await;
        report.progress("nothing more is written; waiting for the rest of the uploads");
        outcome::uploaded(&self.fleet, report).await;
        let counts = self.fleet.counts();
        report.figure("events written", counts.written);
        report.figure("acknowledged", counts.acked);
        report.figure("sent again", counts.again);
        outcome::compare(&self.gateway, &self.fleet, report).await;
        self.compare_real(report).await?;
        outcome::words(&self.gateway, &self.fleet, report)?;
        self.device.warnings()?.iter().take(5).for_each(|line| report.progress(line));
        let Self { fleet, device, camera: _, mut gateway, mut disk } = self;
        drop((fleet, device));
        gateway.kill().await?;
        disk.unmount()
    }

    /// Compares what the store tells of the real agent's camera with what that tells itself.
    async fn compare_real(&self, report: &mut Report) -> Result<()> {
        let mut caller = self.gateway.caller(Ipv4Addr::LOCALHOST);
        let shown = row::log(&mut caller, &self.camera, "source=camera&wait_online=30s&timeout=30s").await?;
        let last = shown.rows.last().map(|row| row.id);
        let start = Instant::now();
        let stored = loop {
            let log = row::log(&mut caller, &self.camera, "source=store").await?;
            let end = log.rows.iter().position(|row| Some(row.id) == last);
            if let Some(end) = end {
                // What comes behind was written later.
                break log.rows[..=end].to_vec();
            }
            if start.elapsed() > LAST_WITHIN {
                break log.rows;
            }
            sleep(LOOK_EVERY).await;
        };
        let tally = compare(&shown.rows, &stored);
        report.figure("events of the real agent", shown.rows.len());
        report.progress(format!("of the real agent: {tally:?}"));
        report.none("lost of the real agent", tally.lost);
        let otherwise = tally.doubled + tally.disordered + tally.changed + tally.strange;
        report.none("otherwise wrong of the real agent", otherwise);
        Ok(())
    }
}
