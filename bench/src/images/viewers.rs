//! A thousand viewers of one camera's moving pictures, of whom one in ten reads 1 KB/s.
//!
//! Pictures are told apart by their times, which the camera's agent and each viewer write down. Of those that the agent has
//! sent while all watch, each viewer that reads as fast as it can must have seen nearly all.
//!
//! Seen failing against a gateway that goes on asking the camera when the last viewer has left, and one that makes every viewer wait
//! for half a picture's time.

use std::{
    sync::{Arc, Mutex, PoisonError, atomic::Ordering},
    time::{Duration, SystemTime},
};

use oriel_proto::Timestamp;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    task::JoinSet,
    time::{Instant, MissedTickBehavior, interval, interval_at, sleep, timeout},
};

use super::{World, parts::Parts};
use crate::{
    failure::{Doing, Failure, Result},
    fleet::camera,
    gateway::Gateway,
    http::{Caller, Opened},
    process,
    report::{Report, mebibytes, seconds},
    target::{Target, source},
    thread::Thread,
};

/// The least share of the camera's pictures that a quick viewer sees.
const SEEN: f64 = 0.90;

/// How much memory the gateway may need for all of them.
const GROWTH: u64 = 64_000_000;

/// How long the camera may go on after the last viewer has left.
const STOPPED_WITHIN: Duration = Duration::from_secs(1);

/// Of so many viewers one is slow, and reads so many bytes in a second.
const SLOW_IN: usize = 10;
const SLOW_RATE: usize = 1_000;

/// All have their first picture by then.
const BEGINS_WITHIN: Duration = Duration::from_secs(60);

/// How long all watch before anything counts: buffers fill meanwhile.
const WARM_UP: Duration = Duration::from_secs(3);

/// What was sent at the end is seen by then.
const ARRIVES_WITHIN: Duration = Duration::from_secs(1);

/// Where viewers' addresses begin, behind those of all agents.
const FIRST_SOURCE: usize = 30_000;

/// The times of the pictures that one viewer has seen.
type Times = Arc<Mutex<Vec<Timestamp>>>;

/// All viewers, who leave when it is dropped.
struct Audience {
    quick: Vec<Times>,
    watching: JoinSet<Result<()>>,
    slow: JoinSet<()>,
    /// Where they are: they stand for other machines.
    _thread: Thread,
}

/// Has so many watch for so long.
pub(super) async fn measure(
    world: &World,
    viewers: usize,
    fps: u32,
    time: Duration,
    report: &mut Report,
) -> Result<()> {
    let (faults, gateway) = (report.faults().len(), &world.gateway);
    let path = format!("/v1/cameras/{}/live?fps={fps}&timeout=60s", camera(0)?);
    // What is allocated once is allocated for the first one.
    drop(gateway.caller(source(FIRST_SOURCE)).open(&path).await?);
    stopped(world).await?;
    let (streams, memory) = (world.seen.streams.load(Ordering::Relaxed), gateway.resident()?);
    let mut audience = Audience::gather(gateway, &path, viewers).await?;
    let mut most = highest(gateway, WARM_UP).await?;
    let from = now();
    most = most.max(highest(gateway, time).await?);
    let to = now();
    sleep(ARRIVES_WITHIN).await;
    report.figure("viewers", format!("{viewers}, of whom {} read 1 KB/s", viewers / SLOW_IN));
    let sent = within(&world.seen.shown(), from, to);
    audience.tell(sent, from, to, report)?;
    let buffers = process::tcp_buffers()?;
    report.figure("memory of all TCP sockets of this machine, of both ends", mebibytes(buffers));
    let growth = most.saturating_sub(memory);
    report.figure("memory before, and most with them", format!("{}, {}", mebibytes(memory), mebibytes(most)));
    report.check(growth <= GROWTH, format!("memory grew by {}", mebibytes(growth)));
    let streams = world.seen.streams.load(Ordering::Relaxed) - streams;
    report.figure("streams that the camera was asked for", streams);
    report.check(streams == 1, format!("the camera was asked for {streams} streams"));
    let at_once = world.seen.most.load(Ordering::Relaxed);
    report.check(at_once == 1, format!("the camera sent {at_once} streams at once"));
    let left = Instant::now();
    drop(audience);
    let took = stopped(world).await?.saturating_duration_since(left);
    report.figure("from the last one's leaving until the camera was told to stop", seconds(took));
    report.check(took <= STOPPED_WITHIN, format!("the camera was told to stop after {}", seconds(took)));
    report.step("viewers of one camera", faults);
    Ok(())
}

impl Audience {
    async fn gather(gateway: &Gateway, path: &str, viewers: usize) -> Result<Self> {
        let thread = Thread::start()?;
        let (mut opening, mut slow) = (JoinSet::new(), JoinSet::new());
        for n in 0..viewers {
            let (target, key, path) = (gateway.target.clone(), gateway.key.clone(), path.to_owned());
            if n % SLOW_IN == 0 {
                // Spread over the second: reading all at once, they would be a burst of this program's own work.
                let phase = Duration::from_secs(1).mul_f64(n as f64 / viewers as f64);
                slow.spawn_on(read_slowly(target, key, path, n, phase), thread.handle());
            } else {
                let open =
                    async move { Caller::new(target, source(FIRST_SOURCE + n), &key).open(&path).await };
                opening.spawn_on(timeout(BEGINS_WITHIN, open), thread.handle());
            }
        }
        let (mut quick, mut watching) = (Vec::new(), JoinSet::new());
        while let Some(opened) = opening.join_next().await {
            let opened = opened?.map_err(|_| Failure::new("a viewer sees no picture"))??;
            let times = Times::default();
            quick.push(Arc::clone(&times));
            watching.spawn_on(watch(opened, times), thread.handle());
        }
        Ok(Self { quick, watching, slow, _thread: thread })
    }

    /// Tells how many of the `sent` pictures the quick ones have seen, and whether all still watch.
    fn tell(&mut self, sent: usize, from: Timestamp, to: Timestamp, report: &mut Report) -> Result<()> {
        if let Some(ended) = self.watching.try_join_next() {
            ended?.doing("a viewer was cut off")?;
        }
        report.check(self.watching.len() == self.quick.len(), "viewers were cut off");
        report.check(self.slow.try_join_next().is_none(), "slow viewers were cut off");
        let count = |times: &Times| within(&times.lock().unwrap_or_else(PoisonError::into_inner), from, to);
        let mut seen: Vec<_> = self.quick.iter().map(count).collect();
        seen.sort_unstable();
        let fewest = seen.first().copied().unwrap_or_default();
        let middle = seen.get(seen.len() / 2).copied().unwrap_or_default();
        let share = |count: usize| count as f64 / sent as f64;
        let told = format!("{sent}, of which quick viewers saw {middle} in the middle, {fewest} at least");
        report.figure("pictures that the camera sent", told);
        report
            .check(sent > 0 && share(fewest) >= SEEN, format!("a viewer saw {:.0} %", share(fewest) * 100.0));
        Ok(())
    }
}

/// Watches until it is aborted, and writes down what it sees.
async fn watch(mut opened: Opened, times: Times) -> Result<()> {
    let mut parts = Parts::default();
    while let Some(piece) = opened.next().await? {
        let mut times = times.lock().unwrap_or_else(PoisonError::into_inner);
        parts.take(&piece, |part| times.extend(part.at))?;
    }
    Err(Failure::new("the moving pictures ended"))
}

/// Watches slowly until it is aborted; ends by itself only when the gateway ends the answer.
async fn read_slowly(target: Target, key: String, path: String, n: usize, phase: Duration) {
    let Ok(mut io) = target.connect(source(FIRST_SOURCE + n), false).await else { return };
    let host = target.address;
    let head = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {key}\r\n\r\n");
    if io.write_all(head.as_bytes()).await.is_err() {
        return;
    }
    let mut second = interval_at(Instant::now() + phase, Duration::from_secs(1));
    second.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut buffer = [0; SLOW_RATE];
    loop {
        second.tick().await;
        if io.read_exact(&mut buffer).await.is_err() {
            return;
        }
    }
}

/// The most memory that the gateway has for so long.
async fn highest(gateway: &Gateway, time: Duration) -> Result<u64> {
    let (end, mut most) = (Instant::now() + time, 0);
    while Instant::now() < end {
        most = most.max(gateway.resident()?);
        sleep(Duration::from_millis(100)).await;
    }
    Ok(most)
}

/// When the camera was told that nobody watches any more.
async fn stopped(world: &World) -> Result<Instant> {
    let told = async {
        let mut again = interval(Duration::from_millis(1));
        loop {
            again.tick().await;
            if let Some(at) = world.seen.stopped() {
                return at;
            }
        }
    };
    let told = timeout(Duration::from_secs(30), told).await;
    told.map_err(|_| Failure::new("the camera was never told that nobody watches"))
}

fn now() -> Timestamp {
    SystemTime::now().into()
}

/// How many of these times lie in a span.
fn within(times: &[Timestamp], from: Timestamp, to: Timestamp) -> usize {
    times.iter().filter(|at| (from..to).contains(*at)).count()
}
