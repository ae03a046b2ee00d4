//! Query: pages and an export of a store that is large, by cameras that stay connected and upload more; then lines of many cameras that
//! have left, and of some that are there and never answer.
//!
//! The events of a camera are a millisecond apart by its clock, so that 3.6 s of it are what an hour is for a camera that writes one
//! every second.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use oriel_gateway::clock::Rfc3339;
use oriel_proto::{Seq, Timestamp};
use rand::{Rng, RngExt, SeedableRng, rngs::SmallRng};
use serde::Deserialize;
use tokio::{
    select,
    time::{Instant, interval, sleep},
};

use super::{
    agents::Fleet,
    camera::{Camera, FULL},
    silent,
};
use crate::{
    failure::{Doing, Failure, Result},
    fleet,
    gateway::{Gateway, Options},
    http::Caller,
    process,
    report::{Report, mebibytes, millis, seconds},
    stats::Times,
    target::source,
};

/// Frames of each camera that wait to go up at the same time while the store is filled.
const FRAMES: u64 = 8;

/// An hour of a camera, in events.
const HOUR: u64 = 3_600;

/// Events of a page.
const PAGE: usize = 100;

/// Pages that are asked for before any is measured, and then.
const WARM_UP: usize = 500;
const MEASURED: usize = 2_000;

/// How long 99 of 100 pages may take, and those behind a cursor.
const PAGE_WITHIN: Duration = Duration::from_millis(20);
const NEXT_WITHIN: Duration = Duration::from_millis(10);

/// How much the gateway may grow while it exports, and how long the log of what is written ahead may get, in bytes.
const GROWTH: u64 = 64 << 20;
const AHEAD: u64 = 64 << 20;

/// How long cameras upload before the export begins, and how many events of each then wait to go up.
const BEFORE: Duration = Duration::from_secs(2);
const SUPPLY: u64 = 1_000;

/// How often memory and files are looked at.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Step {
    /// Pages, and those behind them
    Pages,
    /// One answer of very many lines while more comes in
    Export,
    /// Lines of many cameras of which some never answer
    Silent,
}

/// Pages and an export of a large store, and lines of cameras that never answer
#[derive(Debug, clap::Args)]
pub(crate) struct Query {
    /// Cameras, each with an agent of its own
    #[arg(long, value_name = "N", default_value = "1000", value_parser = clap::value_parser!(u16).range(1..=4_000))]
    cameras: u16,
    /// Events of all cameras together
    #[arg(long, value_name = "N", default_value = "10000000", value_parser = clap::value_parser!(u32).range(100_000..))]
    events: u32,
    /// Events that are exported, about
    #[arg(long, value_name = "N", default_value = "1000000", value_parser = clap::value_parser!(u32).range(1_000..))]
    exported: u32,
    /// Measures this alone; repeatable
    #[arg(long, value_name = "STEP", value_enum)]
    only: Vec<Step>,
    /// Repeats the run with this seed
    #[arg(long, value_name = "N")]
    pub(crate) seed: Option<u64>,
    /// Another gateway than the program beside this one
    #[arg(long, value_name = "FILE")]
    oriel: Option<PathBuf>,
}

#[derive(Deserialize)]
struct Page {
    events: Vec<serde::de::IgnoredAny>,
    next: Option<String>,
    complete: bool,
}

impl Query {
    /// Runs it; whether everything held.
    pub(crate) async fn run(self, seed: u64) -> Result<bool> {
        let mut report = Report::begin("query", seed);
        let (cameras, each) = (usize::from(self.cameras), u64::from(self.events) / u64::from(self.cameras));
        report.figure("load", format!("{cameras} cameras with {each} events each"));
        let data = tempfile::Builder::new().prefix("oriel-bench-").tempdir()?;
        let options = Options {
            program: self.oriel.clone(),
            data: Some(data.path().join("data")),
            flags: ["--retention-events", "1000000000"].map(str::to_owned).into(),
            ..Options::default()
        };
        let gateway = Gateway::start(options).await?;
        let fleet = Fleet::start(fleet::enrolled(&gateway, cameras, 1).await?, seed).await?;
        fill(&fleet, each, &report).await?;
        if self.wants(Step::Pages) {
            pages(&gateway, &fleet, each, seed, &mut report).await?;
        }
        if self.wants(Step::Export) {
            let share = u64::from(self.exported) / u64::from(self.cameras);
            export(&gateway, &fleet, share, &data.path().join("data/oriel.db-wal"), &mut report).await?;
        }
        if self.wants(Step::Silent) {
            silent::measure(&gateway, fleet, &mut report).await?;
        }
        gateway.warnings()?.iter().take(10).for_each(|warning| report.progress(warning));
        Ok(report.verdict())
    }

    fn wants(&self, step: Step) -> bool {
        self.only.is_empty() || self.only.contains(&step)
    }
}

/// Uploads so many events of each camera.
async fn fill(fleet: &Fleet, each: u64, report: &Report) -> Result<()> {
    let (start, mut told) = (Instant::now(), 0);
    let mut left = each;
    while left > 0 {
        let some = left.min(FRAMES * FULL);
        fleet.prepare(some)?;
        fleet.open();
        fleet.acknowledged(|counts| counts.written).await?;
        fleet.close();
        left -= some;
        let tenths = (each - left) * 10 / each;
        if tenths > told {
            told = tenths;
            report.progress(format!("{} events are stored", fleet.counts().acked));
        }
    }
    report.figure("filled in", seconds(start.elapsed()));
    Ok(())
}

/// Pages of any hour of any camera, and the ones behind them.
async fn pages(gateway: &Gateway, fleet: &Fleet, each: u64, seed: u64, report: &mut Report) -> Result<()> {
    let mut rng = SmallRng::seed_from_u64(seed);
    let mut caller = gateway.caller(source(1));
    let (mut first, mut next) = (Times::default(), Times::default());
    let (mut short, mut incomplete) = (0, 0);
    for n in 0..WARM_UP + MEASURED {
        let path = hour(fleet, each, &mut rng)?;
        let (page, took) = ask(&mut caller, &path).await?;
        let cursor = page.next.clone().ok_or_else(|| Failure::new(format!("{path} has no next page")))?;
        let (behind, took_next) = ask(&mut caller, &format!("{path}&cursor={cursor}")).await?;
        if n >= WARM_UP {
            first.push(took);
            next.push(took_next);
        }
        for page in [page, behind] {
            short += u64::from(page.events.len() != PAGE);
            incomplete += u64::from(!page.complete);
        }
    }
    for (name, times, within) in [("page", &first, PAGE_WITHIN), ("next page", &next, NEXT_WITHIN)] {
        let [p50, p99, longest] = [0.5, 0.99, 1.0].map(|q| times.quantile(q));
        let told = format!("{}, {}, {}", millis(p50), millis(p99), millis(longest));
        report.figure(&format!("{name}: p50, p99, longest of {}", times.len()), told);
        report.check(p99 <= within, format!("the p99 of a {name} is {}", millis(p99)));
    }
    report.none("pages without their hundred events", short);
    report.none("pages that are not called complete", incomplete);
    Ok(())
}

/// The question for an hour of some camera.
fn hour(fleet: &Fleet, each: u64, rng: &mut impl Rng) -> Result<String> {
    let camera = &fleet.cameras[rng.random_range(0..fleet.cameras.len())];
    let begin = rng.random_range(1..=each.saturating_sub(HOUR).max(1));
    let order = if rng.random() { "asc" } else { "desc" };
    let (from, to) = (at(camera, begin), at(camera, (begin + HOUR).min(each)));
    Ok(format!("/v1/cameras/{}/events?order={order}&limit={PAGE}&from={from}&to={to}", camera.story.id))
}

fn at(camera: &Arc<Camera>, seq: Seq) -> Rfc3339 {
    Rfc3339(camera.story.event(seq).at)
}

async fn ask(caller: &mut Caller, path: &str) -> Result<(Page, Duration)> {
    let start = Instant::now();
    let reply = caller.get(path).await.doing(path)?.must_be(200).doing(path)?;
    let took = start.elapsed();
    Ok((reply.json()?, took))
}

/// The first events of every camera, all in one answer, while more come in.
async fn export(
    gateway: &Gateway,
    fleet: &Fleet,
    share: u64,
    ahead: &Path,
    report: &mut Report,
) -> Result<()> {
    fleet.prepare(SUPPLY)?;
    fleet.open();
    sleep(BEFORE).await;
    let earliest = fleet.cameras.iter().map(|camera| camera.story.event(1).at).min().unwrap_or_default();
    let (from, to) = (earliest, earliest.after(Duration::from_millis(share)));
    let path = format!("/v1/events?order=asc&from={}&to={}", Rfc3339(from), Rfc3339(to));
    let (memory, acked, start) = (gateway.resident()?, fleet.counts().acked, Instant::now());
    let mut caller = gateway.caller(source(2));
    let exported = async {
        // A line for each camera's end, and the last one, are no events.
        let lines = caller.count_lines(&path).await?;
        Ok::<_, Failure>(lines.saturating_sub(fleet.cameras.len() as u64 + 1))
    };
    let (mut most, mut longest) = (memory, 0);
    let watch = async {
        let mut look = interval(LOOK_EVERY);
        loop {
            look.tick().await;
            most = most.max(gateway.resident()?);
            longest = longest.max(process::file_length(ahead)?);
        }
    };
    let exported = select! {
        exported = exported => exported?,
        broke = watch => return broke,
    };
    let took = start.elapsed();
    let stored = fleet.counts().acked - acked;
    fleet.close();
    fleet.acknowledged(|counts| counts.sent).await?;
    let wanted = covered(fleet, from, to);
    report.figure("exported", format!("{exported} events in {}", seconds(took)));
    report.figure("stored meanwhile", format!("{stored} events"));
    report.check(exported == wanted, format!("{exported} events were exported, not {wanted}"));
    report.check(stored > 0, "nothing was stored meanwhile");
    let growth = most.saturating_sub(memory);
    report.figure("memory", format!("{} before, {} more at most", mebibytes(memory), mebibytes(growth)));
    report.check(growth <= GROWTH, format!("the gateway grew by {}", mebibytes(growth)));
    report.figure("written ahead at most", mebibytes(longest));
    report.check(longest <= AHEAD, format!("{} were written ahead", mebibytes(longest)));
    Ok(())
}

/// How many events lie in this time.
fn covered(fleet: &Fleet, from: Timestamp, to: Timestamp) -> u64 {
    let of = |camera: &Arc<Camera>| {
        let written = camera.counts().written;
        (1..=written)
            .map(|seq| camera.story.event(seq).at)
            .take_while(|at| *at < to)
            .filter(|at| *at >= from)
            .count()
    };
    fleet.cameras.iter().map(of).sum::<usize>() as u64
}
