//! Storm: 10,000 agents connect, lose their gateway to a power cut, and come back by themselves.
//!
//! Each agent has a token, an address and a camera of its own and waits between tries exactly as `camera_agent::backoff`
//! says. The gateway is started anew once after the enrolment, so that the memory before and after is that of processes which
//! have lived through the same.
//!
//! Seen failing against gateways that were broken on purpose: one that accepts a connection only every 5 ms (not back in
//! time), and one that keeps what every handshake allocated (memory).

mod first;

use std::{
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use rand::{SeedableRng, rngs::SmallRng};
use tokio::{task::JoinSet, time::sleep};

pub(crate) use self::first::First;
use self::first::{Arrival, Departure};
use crate::{
    failure::{Doing, Failure, Result},
    fleet::{
        self, Member,
        life::{self, Roll},
    },
    gateway::{Gateway, Options},
    measure::{NULL, ORIEL},
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

/// What a crowd leaves behind in the system is gone by then.
const SETTLES: Duration = Duration::from_secs(1);

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
    /// Rounds of the first arrival, in each of which the null relay and the gateway start anew
    #[arg(long, value_name = "N", default_value = "1")]
    rounds: usize,
    /// Only the first arrival, which must be quick then
    #[arg(long)]
    first_only: bool,
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
        if self.first_only {
            self.measure(seed, &mut report).await?;
        } else {
            self.lose_and_return(seed, &mut report).await?;
        }
        Ok(report.verdict())
    }

    /// Measures the first arrival alone and tells what came of it.
    pub(crate) async fn measure(&self, seed: u64, report: &mut Report) -> Result<First> {
        let (mut gateway, members) = self.enrolled(report).await?;
        let (first, _fleet) = self.first(&mut gateway, &members, seed, report).await?;
        first.tell(report, &mut SmallRng::seed_from_u64(seed));
        first.check(report);
        Ok(first)
    }

    /// A gateway that has lived through nothing yet, and agents that it knows.
    async fn enrolled(&self, report: &Report) -> Result<(Gateway, Vec<Member>)> {
        report.figure("agents", format!("{}{}", self.agents, if self.tls { " by TLS" } else { "" }));
        let options = Options { program: self.oriel.clone(), tls: self.tls, ..Options::default() };
        let mut gateway = Gateway::start(options).await?;
        let start = Instant::now();
        let members = fleet::enrolled(&gateway, self.agents, 1).await?;
        report.figure("enrolment", seconds(start.elapsed()));
        gateway.stop_and_start().await?;
        Ok((gateway, members))
    }

    /// All arrive at both servers, in every round; who came to the gateway last stays.
    async fn first(
        &self,
        gateway: &mut Gateway,
        members: &[Member],
        seed: u64,
        report: &Report,
    ) -> Result<(First, (Arc<Roll>, JoinSet<()>))> {
        let mut first = First { agents: self.agents, gateway: Vec::new(), null: Vec::new() };
        for round in 1.. {
            if !self.tls {
                first.null.push(first::at_null_relay(self.agents).await?);
                sleep(SETTLES).await;
            }
            let (roll, mut lives) = life::start(members.iter().map(Member::anew).collect(), seed);
            first.gateway.push(self.arrive(gateway, &roll).await.doing("first")?);
            for (name, arrivals) in [(ORIEL, &first.gateway), (NULL, &first.null)] {
                arrivals.last().inspect(|last| report.progress(format!("round {round}: {name}: {last}")));
            }
            if round >= self.rounds {
                return Ok((first, (roll, lives)));
            }
            lives.shutdown().await;
            gateway.kill().await?;
            sleep(SETTLES).await;
            gateway.start_again().await?;
        }
        Err(Failure::new("no rounds"))
    }

    /// All arrive, lose their gateway, and come back.
    async fn lose_and_return(&self, seed: u64, report: &mut Report) -> Result<()> {
        let (mut gateway, members) = self.enrolled(report).await?;
        let (first, (roll, lives)) = self.first(&mut gateway, &members, seed, report).await?;
        first.tell(report, &mut SmallRng::seed_from_u64(seed));
        report.figure("first: how tries ended", roll.endings());
        sleep(Duration::from_secs(5)).await;
        let before = gateway.resident()?;
        report.figure("memory before the kill", mebibytes(before));
        gateway.kill().await?;
        sleep(Duration::from_millis(self.down)).await;
        gateway.start_again().await?;
        let back = self.arrive(&gateway, &roll).await.doing("return")?;
        back.tell("return", "gateway's", report);
        report.figure("return: how tries ended", roll.endings());
        let (back, most) = (back.took, if self.tls { BACK_WITHIN_TLS } else { BACK_WITHIN });
        report.check(back <= most, format!("all back only after {}", seconds(back)));
        report.figure("memory right after the return", mebibytes(gateway.resident()?));
        sleep(LOOK_AFTER).await;
        let after = gateway.resident()?;
        let growth = after as f64 / before as f64 - 1.0;
        let told = format!("{} ({:+.1} %)", mebibytes(after), growth * 100.0);
        report.figure("memory a minute later", &told);
        report.check(growth <= GROWTH, format!("memory a minute after the return: {told}"));
        self.settle(&gateway, &roll, report).await?;
        drop(lives);
        Ok(())
    }

    /// Waits until all agents are registered with a gateway that has just become ready.
    async fn arrive(&self, gateway: &Gateway, roll: &Roll) -> Result<Arrival> {
        let departure = Departure::to(gateway.pid())?;
        if !roll.reaches(self.agents, GIVE_UP).await {
            return Err(Failure::new(format!("only {} are there: {}", roll.present(), roll.endings())));
        }
        departure.arrived(self.agents)
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
