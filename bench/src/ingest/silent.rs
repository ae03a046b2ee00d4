//! Lines of many cameras of which some are connected and never answer: what is kept comes at once, and at the deadline the answer
//! ends and says of whom it has nothing.
//!
//! Seen failing with agents that answer at once: then nobody is said not to have.

use std::{collections::BTreeMap, time::Duration};

use oriel_proto::CameraId;
use serde::{Deserialize, de::IgnoredAny};
use serde_json::json;
use tokio::time::{Instant, sleep};

use super::agents::Fleet;
use crate::{
    failure::{Doing, Failure, Result},
    fleet::{self, life::CONNECT_WITHIN, silent},
    gateway::Gateway,
    http::{Caller, TimedLines},
    report::{Report, millis, seconds},
    stats::Times,
    target::source,
};

/// Cameras that are asked, where the store has as many, and those among them that never answer.
const ASKED: usize = 500;
const SILENT: usize = 20;

/// How long cameras may take, and how much later than that the answer may end.
const TIMEOUT: Duration = Duration::from_secs(2);
const LATE: Duration = Duration::from_millis(250);

/// How long the first line may take.
const FIRST_WITHIN: Duration = Duration::from_millis(100);

/// How often it is asked.
const ROUNDS: usize = 5;

/// The newest events of each camera that are asked for.
const EACH: usize = 100;

/// Longer than a gateway takes to notice that agents have left.
const GONE_WITHIN: Duration = Duration::from_secs(10);

/// How often it is asked whether they have.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// One line of the answer.
#[derive(Deserialize)]
struct Line {
    camera: Option<CameraId>,
    camera_end: Option<CameraEnd>,
    end: Option<End>,
}

#[derive(Deserialize)]
struct CameraEnd {
    camera: CameraId,
    coverage: Vec<Stretch>,
}

#[derive(Deserialize)]
struct Stretch {
    missing: Option<String>,
}

/// What the last line says.
#[derive(Debug, Deserialize)]
struct End {
    complete: bool,
    cameras: usize,
    missing: BTreeMap<String, usize>,
}

/// What an answer says, line by line.
#[derive(Default)]
struct Said {
    /// Events of each camera.
    events: BTreeMap<CameraId, usize>,
    /// Cameras that ended.
    ended: usize,
    /// Those of which something is missing because they did not answer.
    silent: Vec<CameraId>,
    end: Option<End>,
}

/// Ends the fleet, has silent cameras come in its place, and asks all of them together.
pub(super) async fn measure(gateway: &Gateway, fleet: Fleet, report: &mut Report) -> Result<()> {
    let before = report.faults().len();
    let stored: Vec<_> = fleet.cameras.iter().map(|camera| camera.story.id.clone()).collect();
    drop(fleet);
    let mut caller = gateway.caller(source(3));
    gone(&mut caller).await?;
    let members = fleet::enrolled_from(gateway, stored.len(), SILENT).await?;
    let quiet: Vec<_> = members.iter().flat_map(|member| member.cameras.clone()).collect();
    let (roll, _lives) = silent::start(members);
    if !roll.reaches(SILENT, CONNECT_WITHIN).await {
        return Err(Failure::new(format!("not all silent agents could connect: {}", roll.endings())));
    }
    let stored = &stored[..stored.len().min(ASKED - SILENT)];
    let mut caller = narrow(gateway, caller, &[stored, &quiet].concat()).await?;
    let path = format!("/v1/events?limit={EACH}&timeout={}s", TIMEOUT.as_secs());
    let (mut first, mut whole) = (Times::default(), Times::default());
    for _ in 0..ROUNDS {
        let lines = caller.time_lines(&path).await?;
        first.push(lines.first);
        whole.push(lines.whole);
        compare(&read(&lines)?, stored, &quiet, report);
    }
    tell(&first, &whole, stored.len() + SILENT, report);
    report.check(roll.present() == SILENT, "silent agents lost their connection");
    report.step("silent cameras", before);
    Ok(())
}

/// Waits until no camera is connected.
async fn gone(caller: &mut Caller) -> Result<()> {
    #[derive(Deserialize)]
    struct List {
        cameras: Vec<IgnoredAny>,
    }
    let until = Instant::now() + GONE_WITHIN;
    loop {
        let list: List = caller.get("/v1/cameras?status=online&limit=1").await?.must_be(200)?.json()?;
        if list.cameras.is_empty() {
            return Ok(());
        }
        if Instant::now() > until {
            return Err(Failure::new("the gateway does not notice that all agents have left"));
        }
        sleep(LOOK_EVERY).await;
    }
}

/// Somebody who sees these cameras alone, who are more than a question can name; his connection is open.
async fn narrow(gateway: &Gateway, mut admin: Caller, cameras: &[CameraId]) -> Result<Caller> {
    #[derive(Deserialize)]
    struct Made {
        secret: String,
    }
    let wanted = json!({"name": "of some cameras", "role": "viewer", "cameras": cameras});
    let made: Made = admin.post("/v1/keys", &wanted).await?.must_be(201)?.json()?;
    let mut caller = Caller::new(gateway.target.clone(), source(3), &made.secret);
    caller.get("/v1/cameras?limit=1").await?.must_be(200)?;
    Ok(caller)
}

fn read(lines: &TimedLines) -> Result<Said> {
    let mut said = Said::default();
    for line in lines.body.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        let line: Line = serde_json::from_slice(line).doing("a line")?;
        if let Some(camera) = line.camera {
            *said.events.entry(camera).or_default() += 1;
        }
        if let Some(CameraEnd { camera, coverage }) = line.camera_end {
            said.ended += 1;
            if coverage.iter().any(|stretch| stretch.missing.as_deref() == Some("camera_timeout")) {
                said.silent.push(camera);
            }
        }
        said.end = line.end.or(said.end);
    }
    said.silent.sort_unstable();
    Ok(said)
}

/// What is kept is all there, and exactly the silent cameras are said to have been.
fn compare(said: &Said, stored: &[CameraId], quiet: &[CameraId], report: &mut Report) {
    let asked = stored.len() + quiet.len();
    let short = stored.iter().filter(|camera| said.events.get(*camera) != Some(&EACH)).count();
    report.check(short == 0, format!("{short} stored cameras have not their {EACH} events"));
    report.check(said.ended == asked, format!("{} of {asked} cameras ended", said.ended));
    let mut quiet = quiet.to_vec();
    quiet.sort_unstable();
    report.check(said.silent == quiet, format!("camera_timeout is said of {:?}", said.silent));
    let explained = said.end.as_ref().is_some_and(|end| {
        let silent = end.missing.get("camera_timeout");
        !end.complete && end.cameras == asked && silent == Some(&quiet.len())
    });
    report.check(explained, format!("the last line says {:?}", said.end));
}

fn tell(first: &Times, whole: &Times, asked: usize, report: &mut Report) {
    let name = format!("{asked} cameras, {SILENT} of them silent");
    let [middle, longest] = [0.5, 1.0].map(|q| first.quantile(q));
    let told = format!("{}, {}", millis(middle), millis(longest));
    report.figure(&format!("{name}: first line, p50, longest of {ROUNDS}"), told);
    report.check(longest <= FIRST_WITHIN, format!("the first line took {}", millis(longest)));
    let [shortest, longest] = [0.0, 1.0].map(|q| whole.quantile(q));
    report.figure(&format!("{name}: whole answer"), format!("{} to {}", seconds(shortest), seconds(longest)));
    let in_time = shortest >= TIMEOUT && longest <= TIMEOUT + LATE;
    let timeout = seconds(TIMEOUT);
    report.check(
        in_time,
        format!("with {timeout} the answer took {} to {}", seconds(shortest), seconds(longest)),
    );
}
