//! Storm: 10,000 agents connect, lose their gateway to a power cut, and come back by themselves.
//!
//! Each agent has a token, an address and a camera of its own and waits between tries exactly as `camera_agent::backoff`
//! says. The gateway is started anew once after the enrolment, so that the memory before and after is that of processes which
//! have lived through the same.
//!
//! Seen failing against gateways that were broken on purpose: one that accepts a connection only every 5 ms (not back in
//! time), and one that keeps what every handshake allocated (memory).

use std::{
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use oriel_proto::{AgentFrame, frame::Request};
use tokio::time::sleep;

use crate::{
    failure::{Doing, Failure, Result},
    fleet::{
        self,
        answer::{marker, page},
        life::{self, Roll},
    },
    gateway::{Gateway, Options},
    process,
    report::{Report, mebibytes, seconds},
};

/// By then all must be back.
const BACK_WITHIN: Duration = Duration::from_secs(15);

/// By then all must be back by TLS.
const BACK_WITHIN_TLS: Duration = Duration::from_secs(30);

/// How much more memory the gateway may have a minute after the return, as a share of that before.
const GROWTH: f64 = 0.10;

/// How long after the return its memory is looked at.
const LOOK_AFTER: Duration = Duration::from_secs(60);

/// A run without success ends then.
const GIVE_UP: Duration = Duration::from_secs(240);

/// Many agents that lose their gateway at once
#[derive(Debug, clap::Args)]
pub(crate) struct Storm {
    /// Agents, each with one camera
    #[arg(long, value_name = "N", default_value = "10000")]
    agents: usize,
    /// Let them connect by TLS
    #[arg(long)]
    tls: bool,
    /// Milliseconds between the gateway's death and its next start
    #[arg(long, value_name = "MS", default_value = "1000")]
    down: u64,
    /// Repeats the run with this seed
    #[arg(long, value_name = "N")]
    pub(crate) seed: Option<u64>,
    /// Another gateway than the program beside this one
    #[arg(long, value_name = "FILE")]
    oriel: Option<PathBuf>,
}

impl Storm {
    /// Runs it; whether everything held.
    pub(crate) async fn run(self, seed: u64) -> Result<bool> {
        let mut report = Report::begin("storm", seed);
        report.figure("agents", format!("{}{}", self.agents, if self.tls { " by TLS" } else { "" }));
        let options = Options { program: self.oriel.clone(), tls: self.tls, ..Options::default() };
        let mut gateway = Gateway::start(options).await?;
        let start = Instant::now();
        let members = fleet::enrolled(&gateway, self.agents, 1).await?;
        report.figure("enrolment", seconds(start.elapsed()));
        gateway.terminate()?;
        gateway.ended(Duration::from_secs(15)).await?;
        gateway.start_again().await?;
        let (roll, lives) = life::start(members, answer, seed);
        self.arrive(&gateway, &roll, &mut report, "first").await?;
        sleep(Duration::from_secs(5)).await;
        let before = gateway.resident()?;
        report.figure("memory before the kill", mebibytes(before));
        roll.endings();
        gateway.kill().await?;
        sleep(Duration::from_millis(self.down)).await;
        gateway.start_again().await?;
        let back = self.arrive(&gateway, &roll, &mut report, "return").await?;
        let most = if self.tls { BACK_WITHIN_TLS } else { BACK_WITHIN };
        report.check(back <= most, format!("all back only after {}", seconds(back)));
        report.figure("memory right after the return", mebibytes(gateway.resident()?));
        sleep(LOOK_AFTER).await;
        let after = gateway.resident()?;
        let growth = after as f64 / before as f64 - 1.0;
        let told = format!("{} ({:+.1} %)", mebibytes(after), growth * 100.0);
        report.figure("memory a minute later", &told);
        report.check(growth <= GROWTH, format!("memory a minute after the return: {told}"));
        self.settle(&gateway, &roll, &mut report).await?;
        drop(lives);
        Ok(report.verdict())
    }

    /// Waits until all agents are registered with a gateway that has just become ready; how long that took.
    async fn arrive(
        &self,
        gateway: &Gateway,
        roll: &Arc<Roll>,
        report: &mut Report,
        which: &str,
    ) -> Result<Duration> {
        let (start, own) = (Instant::now(), std::process::id());
        let (gateway_busy, agents_busy) = (gateway.processor()?, process::processor(own)?);
        if !roll.reaches(self.agents, GIVE_UP).await {
            let why = format!("only {} are there: {}", roll.present(), roll.endings());
            return Err(Failure::new(why)).doing(which);
        }
        let took = start.elapsed();
        report.figure(&format!("{which}: until the last is registered"), seconds(took));
        let each = |busy: Duration| format!("{:.0} us", busy.as_secs_f64() * 1e6 / self.agents as f64);
        let busy = gateway.processor()?.saturating_sub(gateway_busy);
        report.figure(&format!("{which}: gateway's processor time per agent"), each(busy));
        let busy = process::processor(own)?.saturating_sub(agents_busy);
        report.figure(&format!("{which}: an agent's own processor time"), each(busy));
        report.figure(&format!("{which}: how tries ended"), roll.endings());
        Ok(took)
    }

    /// Everybody is still there, for the gateway too.
    async fn settle(&self, gateway: &Gateway, roll: &Roll, report: &mut Report) -> Result<()> {
        let counted = gateway.metric("oriel_agents").await?.unwrap_or_default();
        report.figure("agents that the gateway counts", counted);
        let all = roll.present() == self.agents && counted as usize == self.agents;
        report.check(all, format!("{} are there and {counted} are counted", roll.present()));
        report.figure("gateway's descriptors", process::descriptors(gateway.pid())?);
        for warning in gateway.warnings()?.iter().take(10) {
            report.progress(warning);
        }
        Ok(())
    }
}

fn answer(request: &Request) -> Vec<AgentFrame> {
    vec![page(request.id, marker(request))]
}
