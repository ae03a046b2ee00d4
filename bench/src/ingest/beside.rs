//! What who asks other cameras notices while agents upload as fast as they may.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::{OTHERS, agents::Fleet};
use crate::{
    failure::{Failure, Result},
    gateway::Gateway,
    load::{Good, Traffic},
    report::{Report, millis},
    stats::median,
    target::source,
};

/// How much longer the questions may take.
const RATIO: f64 = 2.0;

/// How long they are measured in each phase.
const PHASE: Duration = Duration::from_secs(5);

/// How long the upload goes on before they are.
const WARM_UP: Duration = Duration::from_millis(500);

/// How many events wait to go up, as a multiple of what the gateway took in the same time before.
const SUPPLY: f64 = 1.5;

/// The least share of what the gateway took when nobody asked that it must take meanwhile: else this is no full ingest.
const FULL: f64 = 0.25;

/// Callers, and questions that they ask in a second.
const CALLERS: usize = 32;
const ASKED: u32 = 500;

/// Measures questions in turn, alone and beside the upload; `fastest` is how many events a second the gateway took alone.
pub(super) async fn measure(
    gateway: &Gateway,
    fleet: &Fleet,
    rounds: usize,
    fastest: f64,
    report: &mut Report,
) -> Result<()> {
    let mut others = Good::new(gateway, (0..CALLERS).map(|n| source(30_000 + n)), OTHERS, ASKED)?;
    others.ask(Duration::from_secs(2)).await?;
    let supply = fastest * (PHASE + WARM_UP).as_secs_f64() * SUPPLY;
    let (mut alone, mut beside) = (Traffic::default(), Traffic::default());
    let (mut ratios, mut rates) = (Vec::new(), Vec::new());
    for round in 1..=rounds {
        fleet.prepare((supply / fleet.cameras.len() as f64) as u64)?;
        let quiet = others.ask(PHASE).await?;
        let (busy, rate) = beside_upload(&mut others, fleet).await?;
        let p99 = [&quiet, &busy].map(|traffic| traffic.times.quantile(0.99));
        ratios.push(p99[1].as_secs_f64() / p99[0].as_secs_f64());
        rates.push(rate);
        let [calm, pressed] = p99.map(millis);
        report.progress(format!("round {round}: p99 {calm}, beside {rate:.0} events/s {pressed}"));
        alone.append(quiet);
        beside.append(busy);
    }
    for (name, traffic) in [("questions alone", &alone), ("questions beside ingest", &beside)] {
        let times = [0.5, 0.99, 1.0].map(|q| millis(traffic.times.quantile(q)));
        report.figure(name, format!("p50 {}, p99 {}, longest {}", times[0], times[1], times[2]));
        traffic.failures.iter().take(5).for_each(|failure| report.progress(failure));
        report.none(&format!("{name}: failed"), traffic.failures.len() as u64);
    }
    let rate = median(rates);
    report.figure("events/s meanwhile", format!("{rate:.0}"));
    report.check(rate >= FULL * fastest, format!("only {rate:.0} events/s beside the questions"));
    let told = ratios.iter().map(|ratio| format!("{ratio:.2}")).collect::<Vec<_>>().join(", ");
    let ratio = median(ratios);
    report.figure("p99 beside ingest to p99 alone", format!("{ratio:.2} (of {told})"));
    report.check(ratio <= RATIO, format!("p99 beside ingest is {ratio:.2} times that alone"));
    Ok(())
}

/// Asks while all agents upload; how many events a second went up meanwhile.
async fn beside_upload(others: &mut Good, fleet: &Fleet) -> Result<(Traffic, f64)> {
    fleet.open();
    sleep(WARM_UP).await;
    let (start, before) = (Instant::now(), fleet.counts().acked);
    let busy = others.ask(PHASE).await?;
    let rate = (fleet.counts().acked - before) as f64 / start.elapsed().as_secs_f64();
    let all_have = fleet.cameras.iter().all(|camera| {
        let counts = camera.counts();
        counts.sent < counts.written
    });
    if !all_have {
        return Err(Failure::new("agents had nothing more to send"));
    }
    fleet.close();
    fleet.acknowledged(|counts| counts.sent).await?;
    Ok((busy, rate))
}
