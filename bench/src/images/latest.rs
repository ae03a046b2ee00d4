//! The latest pictures: a thousand equal questions at once, and those of 500 cameras of which 20 never answer.
//!
//! Seen failing against a gateway whose questions share no answer, and one that leaves out the last reason.

use std::{collections::BTreeSet, sync::atomic::Ordering, time::Duration};

use oriel_proto::CameraId;
use serde::Deserialize;
use tokio::{
    task::JoinSet,
    time::{Instant, interval, timeout},
};

use super::{
    CAMERAS, SILENT, World,
    parts::{Part, Parts},
};
use crate::{
    failure::{Doing, Failure, Result},
    fleet::camera,
    gateway::Gateway,
    report::{Report, millis, seconds},
    stats::Times,
    target::source,
};

/// How long cameras may take, and how much later than that the answer may end.
const TIMEOUT: Duration = Duration::from_secs(2);
const LATE: Duration = Duration::from_millis(250);

/// How often all cameras are asked.
const ROUNDS: usize = 5;

/// All equal questions are at the gateway by then.
const ASKED_WITHIN: Duration = Duration::from_secs(30);

/// Where callers' addresses begin, behind those of all agents.
const FIRST_SOURCE: usize = 40_000;

/// What the last part says.
#[derive(Deserialize)]
struct Last {
    complete: bool,
    missing: Vec<Missing>,
}

#[derive(Deserialize)]
struct Missing {
    camera: CameraId,
    code: String,
}

/// Measures both.
pub(super) async fn measure(world: &World, equal: usize, report: &mut Report) -> Result<()> {
    let before = report.faults().len();
    at_once(world, equal, report).await?;
    report.step("equal questions", before);
    let before = report.faults().len();
    of_all(world, report).await?;
    report.step("the latest of all cameras", before);
    Ok(())
}

/// So many ask the same before the camera answers.
async fn at_once(world: &World, equal: usize, report: &mut Report) -> Result<()> {
    let path = format!("/v1/cameras/{}/images/latest?timeout=60s", camera(0)?);
    let asked = world.seen.asked.load(Ordering::Relaxed);
    let joined = joined(&world.gateway).await?;
    world.seen.hold(true);
    let mut asking = JoinSet::new();
    for n in 0..equal {
        let (mut caller, path) = (world.gateway.caller(source(FIRST_SOURCE + n)), path.clone());
        asking.spawn(async move { caller.get(&path).await?.must_be(200) });
    }
    let all_wait = async {
        let mut again = interval(Duration::from_millis(20));
        while self::joined(&world.gateway).await? < joined + (equal - 1) as f64 {
            again.tick().await;
        }
        Ok::<_, Failure>(())
    };
    let all_wait = timeout(ASKED_WITHIN, all_wait).await;
    world.seen.hold(false);
    let shared = all_wait.is_ok_and(|all| all.is_ok());
    report.check(shared, "not all equal questions share an answer");
    let mut whole = 0;
    while let Some(answer) = asking.join_next().await {
        whole += usize::from(answer??.body == world.album.preview);
    }
    let asked = world.seen.asked.load(Ordering::Relaxed) - asked;
    report.figure(&format!("{equal} equal questions at once"), format!("the camera was asked {asked} times"));
    report.check(asked == 1, format!("the camera was asked {asked} times"));
    report.none("without the whole picture", (equal - whole) as u64);
    Ok(())
}

async fn joined(gateway: &Gateway) -> Result<f64> {
    let joined = gateway.metric("oriel_calls_joined_total").await?;
    joined.ok_or_else(|| Failure::new("the gateway does not count who shared an answer"))
}

/// All cameras at once, of which some never answer.
async fn of_all(world: &World, report: &mut Report) -> Result<()> {
    let mut caller = world.gateway.caller(source(FIRST_SOURCE));
    // The connection is open before anything is timed.
    caller.get("/v1/cameras?limit=1").await?.must_be(200)?;
    let silent = (CAMERAS - SILENT..CAMERAS).map(camera).collect::<Result<BTreeSet<_>>>()?;
    let path = format!("/v1/images/latest?timeout={}s", TIMEOUT.as_secs());
    let (mut pictures, mut whole) = (Times::default(), Times::default());
    for _ in 0..ROUNDS {
        let (begun, mut parts, mut came) = (Instant::now(), Parts::default(), Vec::new());
        let mut opened = caller.open(&path).await?;
        while let Some(piece) = opened.next().await? {
            parts.take(&piece, |part| came.push((begun.elapsed(), part)))?;
        }
        whole.push(begun.elapsed());
        let Some((_, last)) = came.pop() else { return Err(Failure::new("an answer without parts")) };
        compare(world, &came, &last, &silent, report)?;
        pictures.push(came.last().map(|(at, _)| *at).unwrap_or_default());
    }
    let name = format!("{CAMERAS} cameras, {SILENT} of them silent");
    let [middle, longest] = [0.5, 1.0].map(|q| pictures.quantile(q));
    let told = format!("{}, {}", millis(middle), millis(longest));
    report.figure(&format!("{name}: until the last picture, p50, longest of {ROUNDS}"), told);
    report.check(longest <= TIMEOUT, format!("the last picture took {}", seconds(longest)));
    let longest = whole.longest();
    report.figure(&format!("{name}: whole answer, longest"), seconds(longest));
    let why = format!("with {} the answer took {}", seconds(TIMEOUT), seconds(longest));
    report.check(longest <= TIMEOUT + LATE, why);
    Ok(())
}

/// Every other camera's picture is there, and of exactly the silent ones it is said that they did not answer.
fn compare(
    world: &World,
    came: &[(Duration, Part)],
    last: &Part,
    silent: &BTreeSet<CameraId>,
    report: &mut Report,
) -> Result<()> {
    let of: BTreeSet<_> = came.iter().map(|(_, part)| &*part.camera).collect();
    let is_picture = |part: &Part| part.at.is_some() && part.bytes == world.album.preview.len();
    let good = came.iter().filter(|(_, part)| is_picture(part)).count();
    let expected = CAMERAS - SILENT;
    report.check(
        good == expected && of.len() == expected,
        format!("{good} pictures of {} cameras instead of {expected}", of.len()),
    );
    let last: Last = serde_json::from_slice(&last.text).doing("the last part")?;
    let timed_out = last.missing.iter().filter(|missing| missing.code == "camera_timeout");
    let timed_out: BTreeSet<_> = timed_out.map(|missing| missing.camera.clone()).collect();
    let explained = !last.complete && last.missing.len() == SILENT && timed_out == *silent;
    let told = last.missing.len();
    report.check(explained, format!("{told} reasons, camera_timeout of {} cameras", timed_out.len()));
    Ok(())
}
