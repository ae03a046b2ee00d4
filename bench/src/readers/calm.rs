//! One slow reader of a real agent's log, and small questions to the same camera beside it.

use std::time::Duration;

use oriel_proto::{CameraId, limits::WINDOW};
use tokio::time::{Instant, sleep};

use super::reader::Reader;
use crate::{
    failure::Result,
    gateway::Gateway,
    http::Caller,
    report::{Report, mebibytes, millis},
    stats::{Times, median},
    target::source,
};

/// How much longer a small question may take beside a slow reader.
const RATIO: f64 = 2.0;

/// Small questions in each phase.
const QUESTIONS: usize = 400;

/// Measures it in turn: alone, and beside the reader from its first byte on.
pub(super) async fn measure(
    gateway: &Gateway,
    camera: &CameraId,
    rounds: usize,
    report: &mut Report,
) -> Result<()> {
    let mut caller = gateway.caller(source(40_000));
    online(&mut caller, camera).await?;
    let bytes = whole(gateway, camera).await?;
    report.figure("log of the real agent", format!("{:.1} MB as lines", bytes as f64 / 1e6));
    report.check(bytes > 15_000_000, "the real agent's log is too short");
    let (mut alone, mut beside) = (Times::default(), Times::default());
    let (mut ratios, mut before, mut most) = (Vec::new(), 0, 0);
    for round in 0..=rounds {
        let quiet = ask(&mut caller, camera).await?;
        let calm = gateway.resident()?;
        let slow =
            Reader::open(gateway, source(40_001), camera.as_str(), "").await?.read_slowly(Duration::ZERO);
        let slowed = ask(&mut caller, camera).await?;
        report.check(!slow.is_over(), "a slow reader was cut off");
        // The first round is not counted: what is allocated once is allocated then.
        if round > 0 {
            before = if round == 1 { calm } else { before };
            most = most.max(gateway.resident()?);
            ratios.push(slowed.quantile(0.5).as_secs_f64() / quiet.quantile(0.5).as_secs_f64());
            alone.append(quiet);
            beside.append(slowed);
        }
        drop(slow);
        sleep(Duration::from_millis(200)).await;
    }
    let told = |times: &Times| [0.5, 0.99].map(|q| millis(times.quantile(q))).join(", p99 ");
    report.figure("a small question alone: p50", told(&alone));
    report.figure("beside a slow reader of 20 MB: p50", told(&beside));
    let ratio = median(ratios);
    report.figure("beside to alone, median of the rounds' medians", format!("{ratio:.2}"));
    report.check(
        ratio <= RATIO,
        format!("a small question takes {ratio:.2} times as long beside a slow reader"),
    );
    let growth = most.saturating_sub(before);
    report.figure("memory for one slow reader", mebibytes(growth));
    report.check(growth <= u64::from(WINDOW), format!("one reader took {}", mebibytes(growth)));
    Ok(())
}

async fn online(caller: &mut Caller, camera: &CameraId) -> Result<()> {
    let path = format!("/v1/cameras/{camera}/events?source=camera&limit=1&wait_online=60s&timeout=60s");
    // The log is written before the agent connects.
    caller.get(&path).await?.must_be(200).map(drop)
}

/// Reads the whole log; how many bytes its lines have.
async fn whole(gateway: &Gateway, camera: &CameraId) -> Result<usize> {
    let mut reader = Reader::open(gateway, source(40_001), camera.as_str(), "").await?;
    let mut bytes = 0;
    loop {
        let got = reader.read(1 << 20).await?;
        bytes += got;
        if got < 1 << 20 {
            return Ok(bytes);
        }
    }
}

async fn ask(caller: &mut Caller, camera: &CameraId) -> Result<Times> {
    let mut times = Times::default();
    for n in 0..QUESTIONS {
        let path =
            format!("/v1/cameras/{camera}/events?source=camera&limit=5&q=motion&timeout={}ms", 20_000 + n);
        let start = Instant::now();
        caller.get(&path).await?.must_be(200)?;
        times.push(start.elapsed());
    }
    Ok(times)
}
