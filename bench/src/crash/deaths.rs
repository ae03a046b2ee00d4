//! Deaths of a gateway, one after the other, under uploads of simulated cameras, and what they leave in the end; it is started
//! again at once.
//!
//! A camera keeps a list of all that it wrote, and a spool from which it drops what was acknowledged, so that an
//! acknowledgement which a death takes back is a loss. In the end everything is uploaded, and the whole log of each camera is
//! read from the store and compared with its list.

use std::{net::Ipv4Addr, ops::Range, time::Duration};

use rand::{RngExt, SeedableRng, rngs::SmallRng};
use tokio::time::{Instant, sleep, timeout};

use super::{
    camera::Counts,
    light::{Fleet, Stage},
    load::Load,
    outcome,
};
use crate::{
    failure::{Failure, Result},
    fleet::life::CONNECT_WITHIN,
    gateway::Gateway,
    report::{Report, millis},
    stats::Times,
};

/// How long a gateway lives, in seconds from when it was ready.
const LIFE: Range<f64> = 0.2..2.0;

/// A gateway that is not ready by then never will be.
const GIVE_UP: Duration = Duration::from_secs(30);

/// Rounds between two words of progress.
const TOLD_EVERY: u32 = 10;

/// With so many rounds something was on its way at one of the deaths.
pub(super) const ENOUGH: usize = 10;

/// A gateway that dies again and again.
#[derive(Debug)]
pub(super) struct Trial<'a> {
    /// What it has to do meanwhile.
    pub(super) load: &'a Load,
    /// How often it dies.
    pub(super) rounds: u32,
    /// Repeats it.
    pub(super) seed: u64,
}

impl Trial<'_> {
    /// Has the gateway die by `die`, and tells what came of it; the times that it took until it was ready again.
    pub(super) async fn run(
        &self,
        gateway: &mut Gateway,
        die: impl AsyncFnMut(&mut Gateway, &Stage) -> Result<()>,
        report: &mut Report,
    ) -> Result<Times> {
        let mut fleet = self.load.start(gateway, self.seed).await?;
        let (ready, before) = self.die_often(gateway, &fleet, die, report).await?;
        fleet.stop_writing().await;
        report.progress("nothing more is written; waiting for the rest of the uploads");
        outcome::uploaded(&fleet, report).await;
        let counts = fleet.counts();
        report.figure("rounds", ready.len());
        report.figure("events written", counts.written);
        let told = format!("{}, of which {} before the last death", counts.acked, before.acked);
        report.figure("acknowledged", told);
        report.figure("sent again", counts.again);
        let tried = counts.again > 0 || ready.len() < ENOUGH;
        report.check(tried, "nothing was sent again: nothing was tried");
        let told = [0.5, 0.99, 1.0].map(|q| millis(ready.quantile(q))).join(", ");
        report.figure("ready again: p50, p99, longest", told);
        outcome::compare(gateway, &fleet, report).await;
        outcome::words(gateway, &fleet, report)?;
        Ok(ready)
    }

    /// Has it die until it does not come back, or comes back and has forgotten something; the times that it took until it was
    /// ready again, and how far all were at the last death.
    async fn die_often(
        &self,
        gateway: &mut Gateway,
        fleet: &Fleet,
        mut die: impl AsyncFnMut(&mut Gateway, &Stage) -> Result<()>,
        report: &mut Report,
    ) -> Result<(Times, Counts)> {
        let (mut times, mut before) = (Times::default(), Counts::default());
        let mut chance = SmallRng::seed_from_u64(self.seed);
        if !fleet.stage.roll.reaches(fleet.agents, CONNECT_WITHIN).await {
            return Err(Failure::new(format!("not all agents could connect: {:?}", fleet.stage.faults())));
        }
        for round in 1..=self.rounds {
            sleep(Duration::from_secs_f64(chance.random_range(LIFE))).await;
            if let Some(status) = gateway.has_ended()? {
                return Err(Failure::new(format!("the gateway ended by itself with {status}")));
            }
            before = fleet.counts();
            die(gateway, &fleet.stage).await?;
            let start = Instant::now();
            if let Err(failure) = live(gateway).await {
                report.progress(failure);
                report.check(false, format!("the gateway does not come back after death {round}"));
                break;
            }
            fleet.stage.darken(false);
            times.push(start.elapsed());
            if round % TOLD_EVERY == 0 || round == self.rounds {
                let (counts, took) = (fleet.counts(), millis(start.elapsed()));
                let (written, acked) = (counts.written, counts.acked);
                report.progress(format!(
                    "{round} deaths, {written} written, {acked} acknowledged, ready in {took}"
                ));
            }
            if !fleet.stage.faults().is_empty() {
                report.progress(format!("no more deaths after {round}: something is wrong already"));
                break;
            }
        }
        Ok((times, before))
    }
}

/// Starts it again and waits until it says that it is ready.
async fn live(gateway: &mut Gateway) -> Result<()> {
    gateway.start_again().await?;
    let asked = async {
        let mut caller = gateway.caller(Ipv4Addr::LOCALHOST);
        while !caller.get("/readyz").await.is_ok_and(|reply| reply.status == 200) {
            sleep(Duration::from_millis(1)).await;
        }
    };
    timeout(GIVE_UP, asked).await.map_err(|_| Failure::new("the gateway serves and is never ready"))
}
