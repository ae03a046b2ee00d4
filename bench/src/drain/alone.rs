//! One gateway that is asked to stop while questions of all lengths are open, and started again.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::{
    BACK_WITHIN, Drain, back, gone,
    traffic::{Asked, Outcome, Plan, Traffic, counted},
};
use crate::{
    failure::Result,
    fleet::{self, life},
    report::{Report, seconds},
};

/// Light agents, which take up to `LONGEST` to answer.
const SLOW: usize = 10;
const LONGEST: Duration = Duration::from_secs(10);

/// Load before the word to stop: longer than any answer takes.
const BEFORE: Duration = Duration::from_secs(12);

/// What is open when the gateway is asked to stop may go on for so long.
const FINISH_WITHIN: Duration = Duration::from_secs(8);

/// A question that was sent so shortly before the word may still be on its way to the gateway.
const ON_ITS_WAY: Duration = Duration::from_millis(100);

/// An agent's answer may take so long to its caller, and timers may be so late.
const ANSWERING: Duration = Duration::from_millis(150);

/// Asks the only gateway to stop.
pub(super) async fn stop(drain: &Drain, seed: u64, report: &mut Report) -> Result<()> {
    let mut gateway = drain.gateway().await?;
    let devices = drain.devices(&[&gateway]).await?;
    let members = fleet::enrolled_from(&gateway, drain.agents, SLOW).await?;
    let (_roll, lives) = life::start(members, seed);
    let all = drain.agents + SLOW;
    back(&gateway, all, Duration::from_secs(30)).await?;
    let plan = Plan { agents: drain.agents, slow: SLOW, longest: LONGEST, rate: drain.rate, seed };
    let traffic = Traffic::start(plan, &[&gateway]);
    sleep(BEFORE).await;
    let word = Instant::now();
    gateway.terminate()?;
    gone(&mut gateway, report).await?;
    let asked = traffic.finish().await?;
    gateway.start_again().await?;
    let took = back(&gateway, all, Duration::from_secs(60)).await?;
    tell(&asked, word, report);
    report.figure("agents back after the next start", seconds(took));
    report.check(took <= BACK_WITHIN, format!("agents back only after {}", seconds(took)));
    gateway.warnings()?.iter().take(5).for_each(|warning| report.progress(warning));
    drop((devices, lives));
    Ok(())
}

fn tell(asked: &[Asked], word: Instant, report: &mut Report) {
    let before = |asked: &&Asked| asked.at + ON_ITS_WAY <= word && asked.ended >= word;
    let open = asked.iter().filter(before).collect::<Vec<_>>();
    let in_time = |asked: &&&Asked| asked.at + asked.takes + ANSWERING <= word + FINISH_WITHIN;
    report.figure("questions", asked.len());
    report.figure("questions open at the word to stop", open.len());
    let due = open.iter().filter(in_time).collect::<Vec<_>>();
    report.figure("of which would end within 8 s", due.len());
    report.check(due.len() > 100, "too few questions were open");
    let lost = due.iter().filter(|asked| !asked.is_well()).collect::<Vec<_>>();
    for asked in lost.iter().take(10) {
        let (early, takes) = (word - asked.at, asked.takes);
        let end = asked.ended - word;
        report.progress(format!(
            "asked {early:?} before the word, takes {takes:?}: {:?} after {end:?}",
            asked.first
        ));
    }
    report.none("of which did not end well", lost.len() as u64);
    let longer = open.iter().filter(|asked| !in_time(asked)).map(|asked| &asked.first);
    report.figure("those that would take longer", counted(longer));
    let later =
        asked.iter().filter(|asked| asked.at > word).map(|asked| kind(&asked.first)).collect::<Vec<_>>();
    report.figure("questions asked after the word", counted(later.iter()));
    let calm = asked.iter().filter(|asked| asked.ended < word && !asked.is_well()).count();
    report.none("questions that failed before it", calm as u64);
}

/// How a question ended, whatever the reason of a broken one.
fn kind(outcome: &Outcome) -> Outcome {
    match outcome {
        Outcome::Broken(why) => Outcome::Broken(why.split(':').next().unwrap_or_default().to_owned()),
        other => other.clone(),
    }
}
