//! How many events a second the gateway takes when agents upload as fast as they may, against the rate at which the same rows get
//! into the same table with nothing around it.

use std::time::Duration;

use rand::{SeedableRng, rngs::SmallRng};
use tokio::{task::spawn_blocking, time::Instant};

use super::{
    agents::Fleet,
    camera::FULL,
    raw::{Raw, Row},
};
use crate::{
    failure::Result,
    gateway::Gateway,
    measure::{others, taken},
    process,
    report::Report,
    stats::{Interval, median, median_time},
};

/// The share of the raw rate that the gateway must reach.
const SHARE: f64 = 0.6;

/// What one side did in one round.
#[derive(Clone, Copy, Debug)]
struct Side {
    /// Events a second.
    rate: f64,
    /// Its processor time per event.
    processor: Duration,
    /// The share of this machine that other programs took meanwhile, 0 to 1.
    others: f64,
}

/// How the rates are measured.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plan {
    /// Rounds, in each of which both sides take the same events, the raw one first.
    pub(super) rounds: usize,
    /// Events of each camera in a round.
    pub(super) each: u64,
    /// Draws the interval behind the median.
    pub(super) seed: u64,
}

/// Measures both in turn; the most events a second that the gateway took in a round.
pub(super) async fn measure(
    gateway: &Gateway,
    fleet: &Fleet,
    plan: Plan,
    report: &mut Report,
) -> Result<f64> {
    let mut raw = Raw::open().await?;
    let (mut raws, mut takes) = (Vec::new(), Vec::new());
    for round in 1..=plan.rounds {
        let rows = rows(fleet, plan.each);
        fleet.prepare(plan.each)?;
        let written;
        (raw, written) = spawn_blocking(move || write(raw, &rows)).await??;
        let taken = take(gateway, fleet).await?;
        report.progress(format!(
            "round {round}: raw {:.0} events/s, gateway {:.0} events/s ({:.2})",
            written.rate,
            taken.rate,
            taken.rate / written.rate
        ));
        raws.push(written);
        takes.push(taken);
    }
    let (kept, sent) = (raw.count()?, fleet.counts().sent);
    report.check(kept == sent, format!("the raw side has {kept} rows, and {sent} events were sent"));
    tell(&raws, &takes, plan, report);
    Ok(takes.iter().map(|side| side.rate).fold(0.0, f64::max))
}

/// The rows that the next `each` events of every camera come to, in the order in which their frames take turns.
fn rows(fleet: &Fleet, each: u64) -> Vec<Row> {
    let mut rows = Vec::new();
    for first in (1..=each).step_by(FULL as usize) {
        for (n, camera) in fleet.cameras.iter().enumerate() {
            let written = camera.counts().written;
            let frame = first..=each.min(first + FULL - 1);
            rows.extend(frame.map(|seq| Row::of(n + 1, &camera.story, written + seq)));
        }
    }
    rows
}

/// Writes the rows and nothing else.
fn write(mut raw: Raw, rows: &[Row]) -> Result<(Raw, Side)> {
    let before = Reading::take(None)?;
    raw.write(rows)?;
    let side = Reading::take(None)?.since(&before, rows.len() as u64);
    Ok((raw, side))
}

/// Lets all that is written go up, and waits until it is acknowledged.
async fn take(gateway: &Gateway, fleet: &Fleet) -> Result<Side> {
    let (before, acked) = (Reading::take(Some(gateway.pid()))?, fleet.counts().acked);
    fleet.open();
    fleet.acknowledged(|counts| counts.written).await?;
    let side = Reading::take(Some(gateway.pid()))?.since(&before, fleet.counts().acked - acked);
    fleet.close();
    Ok(side)
}

/// What is read at the beginning and at the end.
struct Reading {
    at: Instant,
    /// Of the process that keeps the events.
    keeper: Duration,
    own: Duration,
    machine: Duration,
}

impl Reading {
    /// Reads what this gateway has used; none means that this process itself keeps the events.
    fn take(gateway: Option<u32>) -> Result<Self> {
        let own = process::processor(std::process::id())?;
        let gateway = gateway.map(process::processor).transpose()?;
        Ok(Self {
            at: Instant::now(),
            keeper: gateway.unwrap_or(own),
            own: own + gateway.unwrap_or_default(),
            machine: process::machine()?,
        })
    }

    /// What was done since `before` with so many events.
    fn since(&self, before: &Self, events: u64) -> Side {
        let (took, events) = (self.at - before.at, events as f64);
        Side {
            rate: events / took.as_secs_f64(),
            processor: (self.keeper - before.keeper).div_f64(events),
            others: others(self.machine - before.machine, self.own - before.own, took),
        }
    }
}

fn tell(raws: &[Side], takes: &[Side], plan: Plan, report: &mut Report) {
    for (name, sides) in [("raw", raws), ("gateway", takes)] {
        let rate = median(sides.iter().map(|side| side.rate).collect());
        let processor = median_time(sides.iter().map(|side| side.processor)).as_secs_f64() * 1e6;
        let told = format!("{rate:.0} events/s, {processor:.2} us of processor time each");
        report.figure(&format!("rate: {name}"), told);
    }
    let ratios = takes.iter().zip(raws).map(|(take, raw)| take.rate / raw.rate).collect();
    let ratio = Interval::of(ratios, &mut SmallRng::seed_from_u64(plan.seed));
    report.figure("rate: gateway to raw", &ratio);
    let all = raws.iter().chain(takes).map(|side| side.others);
    report.figure("rate: other programs took", taken(all));
    let why = format!("the gateway takes {:.2} of the raw rate, not {SHARE}", ratio.median);
    report.check(ratio.median >= SHARE, why);
}
