//! Drain: a gateway is asked to stop, or killed, under 1,000 questions a second.
//!
//! With two gateways and agents enrolled at both, callers ask the first and, when that fails, the second with `wait_online`;
//! with one, every question that was asked before the word to stop and would end within eight seconds ends well.
//!
//! Seen failing against gateways that were broken on purpose: one that sends no Drain (agents are not at the second before
//! their old socket closes), one that cuts what is open at once (questions fail), one that never ends (not gone in time); and
//! against one that waits for nobody to come online (questions fail after a kill).

mod alone;
mod moves;
mod pair;
mod traffic;

use std::{path::PathBuf, time::Duration};

use tokio::time::{Instant, sleep};

use crate::{
    device::Device,
    failure::{Failure, Result},
    fleet,
    gateway::{Gateway, Options},
    report::{Report, seconds},
};

/// A gateway that was asked to stop is gone by then.
const GONE_WITHIN: Duration = Duration::from_secs(10);

/// How long it is waited for.
const WAIT: Duration = Duration::from_secs(30);

/// By then agents are back.
const BACK_WITHIN: Duration = Duration::from_secs(3);

/// Events that each real agent has to tell.
const BACKFILL: u64 = 50;

/// A gateway that stops under load
#[derive(Debug, clap::Args)]
pub(crate) struct Drain {
    /// Real agents, each with one camera
    #[arg(long, value_name = "N", default_value = "50")]
    agents: usize,
    /// Questions a second
    #[arg(long, value_name = "N", default_value = "1000")]
    rate: u32,
    /// Kill the first of two gateways instead of asking it to stop
    #[arg(long, conflicts_with = "one")]
    kill: bool,
    /// Stop a gateway that is the only one
    #[arg(long)]
    one: bool,
    /// Repeats the run with this seed
    #[arg(long, value_name = "N")]
    pub(crate) seed: Option<u64>,
    /// Another gateway than the program beside this one
    #[arg(long, value_name = "FILE")]
    oriel: Option<PathBuf>,
}

impl Drain {
    /// Runs it; whether everything held.
    pub(crate) async fn run(self, seed: u64) -> Result<bool> {
        let name = match (self.kill, self.one) {
            (true, _) => "drain: the first of two gateways is killed",
            (_, true) => "drain: the only gateway is asked to stop",
            _ => "drain: the first of two gateways is asked to stop",
        };
        let mut report = Report::begin(name, seed);
        report.figure("load", format!("{} questions a second to {} real agents", self.rate, self.agents));
        match (self.kill, self.one) {
            (true, _) => pair::kill(&self, seed, &mut report).await?,
            (_, true) => alone::stop(&self, seed, &mut report).await?,
            _ => pair::stop(&self, seed, &mut report).await?,
        }
        Ok(report.verdict())
    }

    async fn gateway(&self) -> Result<Gateway> {
        Gateway::start(Options { program: self.oriel.clone(), ..Options::default() }).await
    }

    /// Starts the real agents, enrolled at all of `gateways`, and waits until they are connected to the first.
    async fn devices(&self, gateways: &[&Gateway]) -> Result<Vec<Device>> {
        let mut devices = Vec::new();
        for n in 0..self.agents {
            devices.push(Device::start(&fleet::camera(n)?, gateways, BACKFILL).await?);
        }
        back(gateways[0], self.agents, Duration::from_secs(60)).await?;
        Ok(devices)
    }
}

/// Waits until a gateway has so many agents; how long that took.
async fn back(gateway: &Gateway, agents: usize, within: Duration) -> Result<Duration> {
    let start = Instant::now();
    while start.elapsed() < within {
        if gateway.metric("oriel_agents").await? == Some(agents as f64) {
            return Ok(start.elapsed());
        }
        sleep(Duration::from_millis(20)).await;
    }
    let there = gateway.metric("oriel_agents").await?.unwrap_or_default();
    Err(Failure::new(format!("only {there} of {agents} agents are there after {}", seconds(within))))
}

/// Waits for the end of a gateway that was asked to stop just now.
async fn gone(gateway: &mut Gateway, report: &mut Report) -> Result<()> {
    let start = Instant::now();
    let status = gateway.ended(WAIT).await?;
    let took = start.elapsed();
    report.figure("from the word to stop to the end", seconds(took));
    report.check(took <= GONE_WITHIN, format!("gone only after {}", seconds(took)));
    report.figure("exit code", format!("{:?}", status.code()));
    report.check(status.success(), format!("it ended with {status}"));
    Ok(())
}
