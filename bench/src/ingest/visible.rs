//! How soon an event can be asked for: from the moment at which it is given to its agent's socket until the store tells of it.

use std::{sync::Arc, time::Duration};

use oriel_proto::{EventId, Seq};
use serde::Deserialize;
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::task::AbortOnDropHandle;

use super::{
    agents::Fleet,
    camera::{Camera, Story},
};
use crate::{
    failure::{Doing, Failure, Result},
    gateway::Gateway,
    http::Caller,
    report::{Report, millis},
    stats::Times,
    target::source,
    thread::Thread,
};

/// By then an event can be asked for, 99 times of 100.
const VISIBLE_WITHIN: Duration = Duration::from_millis(50);

/// An event that cannot be asked for by then never will be.
const GIVE_UP: Duration = Duration::from_secs(10);

/// Between two events of all cameras together.
const BETWEEN: Duration = Duration::from_millis(1);

/// How much slower the events may come than they should.
const SLOWER: f64 = 0.05;

/// How many events are timed: enough for a p99.
const MARKS: usize = 500;

/// Writes an event every millisecond, each camera in its turn, and times some of them.
pub(super) async fn measure(gateway: &Gateway, fleet: &Fleet, report: &mut Report) -> Result<()> {
    let (start, before) = (Instant::now(), fleet.counts().written);
    fleet.open();
    let writing = AbortOnDropHandle::new(fleet.handle().spawn(write(fleet.cameras.to_vec())));
    let thread = Thread::start()?;
    let caller = gateway.caller(source(40_000));
    let probing = AbortOnDropHandle::new(thread.handle().spawn(probe(caller, fleet.cameras.to_vec())));
    let times = tokio::select! {
        times = probing => times??,
        broke_off = writing => {
            broke_off??;
            return Err(Failure::new("nobody writes any more"));
        }
    };
    let written = fleet.counts().written - before;
    let rate = written as f64 / start.elapsed().as_secs_f64();
    fleet.acknowledged(|counts| counts.written).await?;
    fleet.close();
    let told = [0.5, 0.99, 1.0].map(|q| millis(times.quantile(q))).join(", ");
    report.figure("visible: events/s", format!("{rate:.0}"));
    report.figure(&format!("visible: p50, p99, longest of {}", times.len()), told);
    let least = (1.0 - SLOWER) / BETWEEN.as_secs_f64();
    report.check(rate >= least, format!("only {rate:.0} events/s were written while events were timed"));
    let p99 = times.quantile(0.99);
    report.check(p99 <= VISIBLE_WITHIN, format!("the p99 until an event is visible is {}", millis(p99)));
    Ok(())
}

/// Writes events for as long as it is polled.
async fn write(cameras: Vec<Arc<Camera>>) -> Result<()> {
    let mut next = interval(BETWEEN);
    next.set_missed_tick_behavior(MissedTickBehavior::Burst);
    loop {
        for camera in &cameras {
            next.tick().await;
            camera.write()?;
        }
    }
}

/// Times one event after the other: asks for the newest one without a pause until it is that, or a later one.
async fn probe(mut caller: Caller, cameras: Vec<Arc<Camera>>) -> Result<Times> {
    let mut times = Times::default();
    for camera in cameras.iter().cycle().take(MARKS) {
        let handed = camera.mark().await?;
        while newest(&mut caller, &camera.story).await? < handed.seq {
            if handed.at.elapsed() > GIVE_UP {
                return Err(Failure::new(format!("{}: {} is never visible", camera.story.id, handed.seq)));
            }
        }
        times.push(handed.at.elapsed());
    }
    Ok(times)
}

#[derive(Deserialize)]
struct Page {
    events: Vec<Line>,
}

#[derive(Deserialize)]
struct Line {
    id: String,
}

/// The number of the newest event of a camera in the store; 0 when that is not the camera's own.
pub(super) async fn newest(caller: &mut Caller, story: &Story) -> Result<Seq> {
    let path = format!("/v1/cameras/{}/events?source=store&limit=1", story.id);
    let page: Page = caller.get(&path).await.doing(&path)?.must_be(200).doing(&path)?.json()?;
    let id: Option<EventId> = page.events.first().map(|line| line.id.parse()).transpose()?;
    Ok(id.filter(|id| id.epoch == story.epoch).map_or(0, |id| id.seq))
}
