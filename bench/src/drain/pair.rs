//! Two gateways with folders of their own, and agents enrolled at both.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::{
    BACK_WITHIN, Drain, back, gone, moves,
    traffic::{Asked, Outcome, Plan, Traffic, counted},
};
use crate::{
    failure::Result,
    gateway::Gateway,
    report::{Report, millis, seconds},
    stats::Times,
};

/// Load before anything happens, and after it has.
const BEFORE: Duration = Duration::from_secs(5);
const AFTER: Duration = Duration::from_secs(5);

/// What is counted after a kill: the questions asked within this time.
const SHAKEN: Duration = Duration::from_secs(10);

/// The share of those that may fail.
const MAY_FAIL: f64 = 0.001;

/// Asks the first of two gateways to stop.
pub(super) async fn stop(drain: &Drain, seed: u64, report: &mut Report) -> Result<()> {
    let (mut first, second) = (drain.gateway().await?, drain.gateway().await?);
    let devices = drain.devices(&[&first, &second]).await?;
    let traffic = Traffic::start(plan(drain, seed), &[&first, &second]);
    sleep(BEFORE).await;
    let word = Instant::now();
    first.terminate()?;
    gone(&mut first, report).await?;
    sleep(AFTER).await;
    let asked = traffic.finish().await?;
    tell(&asked, word, report);
    report.none("questions that failed", asked.iter().filter(|asked| !asked.is_well()).count() as u64);
    moves::check(&devices, &first, &second, report)?;
    warnings(&[&first, &second], report)
}

/// Kills the first of two gateways.
pub(super) async fn kill(drain: &Drain, seed: u64, report: &mut Report) -> Result<()> {
    let (mut first, second) = (drain.gateway().await?, drain.gateway().await?);
    let devices = drain.devices(&[&first, &second]).await?;
    let traffic = Traffic::start(plan(drain, seed), &[&first, &second]);
    sleep(BEFORE).await;
    let word = Instant::now();
    first.kill().await?;
    let took = back(&second, drain.agents, Duration::from_secs(60)).await?;
    report.figure("until all agents are at the second", seconds(took));
    report.check(took <= BACK_WITHIN, format!("all at the second only after {}", seconds(took)));
    sleep(SHAKEN.saturating_sub(word.elapsed())).await;
    let asked = traffic.finish().await?;
    tell(&asked, word, report);
    // Those under way when it was killed count too.
    let shaken = asked.iter().filter(|asked| asked.ended >= word).collect::<Vec<_>>();
    let failed = shaken.iter().filter(|asked| !asked.is_well()).count();
    let share = failed as f64 / shaken.len() as f64;
    report.figure(
        "of the questions since the kill failed",
        format!("{failed} of {} ({:.3} %)", shaken.len(), share * 100.0),
    );
    report.check(share <= MAY_FAIL, format!("{failed} of {} questions failed", shaken.len()));
    let calm = asked.iter().filter(|asked| asked.ended < word && !asked.is_well()).count();
    report.none("questions that failed before it", calm as u64);
    drop(devices);
    warnings(&[&second], report)
}

fn plan(drain: &Drain, seed: u64) -> Plan {
    Plan { agents: drain.agents, slow: 0, longest: Duration::ZERO, rate: drain.rate, seed }
}

fn tell(asked: &[Asked], word: Instant, report: &Report) {
    report.figure("questions", asked.len());
    let since = || asked.iter().filter(|asked| asked.ended >= word);
    report.figure("since then the first said", counted(since().map(|asked| &asked.first)));
    report.figure("and the second", counted(since().filter_map(|asked| asked.second.as_ref())));
    let times = |asked: &mut dyn Iterator<Item = &Asked>| -> String {
        let times: Times = asked.map(|asked| asked.ended - asked.at).collect();
        [0.5, 0.99, 1.0].map(|q| millis(times.quantile(q))).join(", ")
    };
    report.figure("p50, p99 and longest before", times(&mut asked.iter().filter(|asked| asked.ended < word)));
    report.figure("p50, p99 and longest since", times(&mut since()));
    for failed in asked.iter().filter(|asked| !asked.is_well()).take(10) {
        let Asked { at, first, second, .. } = failed;
        let when = at.saturating_duration_since(word);
        let second = second.as_ref().unwrap_or(&Outcome::Well);
        report.progress(format!("failed: {} after the word: {first:?}, then {second:?}", seconds(when)));
    }
}

fn warnings(gateways: &[&Gateway], report: &Report) -> Result<()> {
    for gateway in gateways {
        gateway.warnings()?.iter().take(5).for_each(|warning| report.progress(warning));
    }
    Ok(())
}
