//! Chaos: many questions, and everything that can go wrong at once; no answer may reach a wrong caller and nothing may stay.
//!
//! Callers hang up, agents are late, silent, stubborn, answer twice and answer others' questions, drop their sockets and dial
//! again, with and without keeping the old one. Each question carries a marker in `q` that its camera echoes. Who asks whom,
//! how long it waits and what the camera does with it follow from the seed.
//!
//! Seen failing against gateways that were broken on purpose: one whose pending table gives the answer to an unknown question
//! to any other that waits (wrong replies), one whose dropped ticket stays in the table (pending entries), and one that closes
//! the older link at once when a newer one is ready (unexpected codes).

mod agent;
mod ask;
mod manner;

use std::{
    net::Ipv4Addr,
    path::PathBuf,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use tokio::{
    task::JoinSet,
    time::{interval, sleep, timeout},
};

use self::{
    agent::Stage,
    ask::{Exam, Tally},
};
use crate::{
    failure::{Failure, Result},
    fleet,
    gateway::{Gateway, Options},
    report::{Report, mebibytes},
};

/// How long after the last answer the gateway may still know of a question.
const SETTLE: Duration = Duration::from_secs(1);

/// How often progress is told.
const TOLD_EVERY: Duration = Duration::from_secs(5);

/// No question takes longer: none is ever answered later than this after the last was asked.
const LAST_WITHIN: Duration = Duration::from_secs(60);

/// Questions under every kind of disturbance
#[derive(Debug, clap::Args)]
pub(crate) struct Chaos {
    /// Questions to ask
    #[arg(long, value_name = "N", default_value = "1000000")]
    requests: u64,
    /// Cameras to ask
    #[arg(long, value_name = "N", default_value = "500")]
    cameras: usize,
    /// Cameras of one agent
    #[arg(long, value_name = "N", default_value = "5")]
    each: usize,
    /// Callers at once, each with a connection of its own
    #[arg(long, value_name = "N", default_value = "400")]
    callers: u64,
    /// Repeats the run with this seed
    #[arg(long, value_name = "N")]
    pub(crate) seed: Option<u64>,
    /// Another gateway than the program beside this one
    #[arg(long, value_name = "FILE")]
    oriel: Option<PathBuf>,
}

impl Chaos {
    /// Runs it; whether everything held.
    pub(crate) async fn run(self, seed: u64) -> Result<bool> {
        let mut report = Report::begin("chaos", seed);
        let gateway = Gateway::start(Options { program: self.oriel.clone(), ..Options::default() }).await?;
        let members = fleet::enrolled(&gateway, self.cameras, self.each).await?;
        let stage = Stage::new(members.len());
        let mut agents = JoinSet::new();
        for member in members {
            agents.spawn(agent::run(member, Arc::clone(&stage), seed));
        }
        if !stage.all_announced(Duration::from_secs(30)).await {
            return Err(Failure::new("not all agents could connect"));
        }
        report.progress("all agents are connected");
        let (before, busy) = (gateway.resident()?, gateway.processor()?);
        let start = std::time::Instant::now();
        let tally = self.ask(&gateway, &report, seed).await?;
        let took = start.elapsed();
        let used = gateway.processor()?.saturating_sub(busy);
        sleep(SETTLE).await;
        let open = gateway.metric("oriel_calls_open").await?;
        let after = gateway.resident()?;
        tally.tell(&mut report);
        report.figure("questions per second", format!("{:.0}", self.requests as f64 / took.as_secs_f64()));
        let each = used.as_secs_f64() * 1e6 / self.requests as f64;
        report.figure("gateway's processor time per question", format!("{each:.1} us"));
        match open {
            Some(open) => report.none("pending entries 1 s after the end", open.abs() as u64),
            None => report.check(false, "the gateway has no metric oriel_calls_open"),
        }
        report.figure("gateway's memory before", mebibytes(before));
        report.figure("gateway's memory after", mebibytes(after));
        self.look(&gateway, &stage, &mut report).await?;
        Ok(report.verdict())
    }

    /// Asks everything, and tells how far it is.
    async fn ask(&self, gateway: &Gateway, report: &Report, seed: u64) -> Result<Tally> {
        let exam = Arc::new(Exam::new(seed, self.requests, self.cameras, self.each, self.callers));
        let mut callers = JoinSet::new();
        for n in 0..self.callers {
            callers.spawn(ask::call(gateway.caller(ask::source(n)), Arc::clone(&exam), n));
        }
        let (mut tally, mut told) = (Tally::default(), interval(TOLD_EVERY));
        told.tick().await;
        while !callers.is_empty() {
            tokio::select! {
                Some(done) = callers.join_next() => tally.add(done?),
                _ = told.tick() => {
                    let (asked, memory) = (exam.asked(), mebibytes(gateway.resident()?));
                    report.progress(format!("{asked} asked, gateway {memory}, faults {}", exam.faults()));
                }
            }
            if exam.asked() >= self.requests && !callers.is_empty() {
                let rest = async {
                    while let Some(done) = callers.join_next().await {
                        tally.add(done?);
                    }
                    Ok::<_, Failure>(())
                };
                timeout(LAST_WITHIN, rest).await.map_err(|_| Failure::new("some questions never end"))??;
            }
        }
        Ok(tally)
    }

    /// What the gateway and the agents say afterwards.
    async fn look(&self, gateway: &Gateway, stage: &Stage, report: &mut Report) -> Result<()> {
        let counted = async |name| Ok::<_, Failure>(gateway.metric(name).await?.unwrap_or_default() as u64);
        let late = counted("oriel_frames_late_total").await?;
        report.figure("answers that nobody waited for", late);
        report.check(late > 0 || self.requests < 10_000, "no answer was late: nothing was tried");
        report.none("frames that the gateway took for broken", counted("oriel_frames_broken_total").await?);
        report.figure("reconnects", stage.reconnects.load(Ordering::Relaxed));
        report.figure("hand-overs", stage.moves.load(Ordering::Relaxed));
        for cut in stage.cuts() {
            report.progress(&cut);
        }
        report.none("agents cut off", stage.cuts().len() as u64);
        report.none("questions at a wrong agent", stage.astray.load(Ordering::Relaxed));
        let here = gateway.caller(Ipv4Addr::LOCALHOST).get("/healthz").await?.status;
        report.check(here == 200, "the gateway is not healthy");
        Ok(())
    }
}
