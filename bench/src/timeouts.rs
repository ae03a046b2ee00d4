//! Timeouts: 10,000,000 questions that nobody answers, in this process and with a paused clock; nothing of them may stay.
//!
//! Everything between the relay and the socket is the gateway's own; the socket is in memory, and at its other end an agent
//! takes every question, answers none, and answers pings. Questions are asked in rounds of as many as one link takes.
//!
//! Seen failing against a gateway whose dropped ticket stays in the pending table (the link is full after one round), and one
//! that remembers the id of each question that timed out (memory).

use std::{net::SocketAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::{StreamExt, future::join_all};
use oriel_gateway::{
    events,
    link::{
        Budget, Close, Link, LinkFacts,
        handshake::server_side,
        pump::{self, Inbox},
    },
    metrics::Metrics,
    registry::{Joined, Offer, Registry},
    relay::{Relay, RelayError},
    store::Store,
};
use oriel_proto::{
    AgentId, CameraId, ImageClass, InstanceId, SessionId, Timestamp,
    call::{EventsCall, Order},
    frame::{Announce, Health},
    limits::{CALLS, FRAME_BYTES},
};
use rand::{RngExt, SeedableRng, rngs::SmallRng};
use tempfile::TempDir;
use tokio::{
    io::{DuplexStream, duplex},
    task::JoinHandle,
    time::Instant,
};
use tokio_tungstenite::{WebSocketStream, tungstenite::protocol::Role};
use tokio_util::sync::CancellationToken;

use crate::{
    failure::{Failure, Result},
    fleet, process,
    report::{Report, mebibytes},
};

/// How much memory all of them together may leave behind.
const GROWTH: u64 = 5_000_000;

/// Questions before the memory is looked at first: what is allocated once is allocated then.
const WARM_UP: u64 = 200_000;

/// Cameras of the agent.
const CAMERAS: usize = 16;

/// How often progress is told, in rounds.
const TOLD_EVERY: u64 = 1_000;

/// Questions that time out, in process
#[derive(Debug, clap::Args)]
pub(crate) struct Timeouts {
    /// Questions to ask
    #[arg(long, value_name = "N", default_value = "10000000")]
    requests: u64,
    /// Repeats the run with this seed
    #[arg(long, value_name = "N")]
    pub(crate) seed: Option<u64>,
}

impl Timeouts {
    /// Runs it, on a runtime whose clock is paused; whether everything held.
    pub(crate) async fn run(self, seed: u64) -> Result<bool> {
        let mut report = Report::begin("timeouts", seed);
        let (own, mut rng) = (std::process::id(), SmallRng::seed_from_u64(seed));
        let link = TestLink::start().await?;
        link.ask(WARM_UP, &mut rng, &report).await?;
        let (before, start) = (process::resident(own)?, std::time::Instant::now());
        let clock = Instant::now();
        link.ask(self.requests, &mut rng, &report).await?;
        let after = process::resident(own)?;
        let took = start.elapsed().as_secs_f64();
        report.figure("timed out", self.requests);
        report.figure("on the paused clock", format!("{:.0} s", clock.elapsed().as_secs_f64()));
        report.figure("per question", format!("{:.1} us", took * 1e6 / self.requests as f64));
        report.none("pending entries at the end", link.link.open_calls() as u64);
        report.figure("memory before", mebibytes(before));
        report.figure("memory after", mebibytes(after));
        let growth = after.saturating_sub(before);
        report.figure("growth", mebibytes(growth));
        report.check(growth <= GROWTH, format!("memory grew by {}", mebibytes(growth)));
        report.check(!link.pump.is_finished(), "the link ended");
        Ok(report.verdict())
    }
}

/// A link with its pump, an agent that never answers, and the logs that find it.
struct TestLink {
    link: Link,
    events: events::Events,
    cameras: Vec<CameraId>,
    pump: JoinHandle<pump::End>,
    /// The link's place in the registry.
    _joined: Joined,
    /// That of a store which nobody asks.
    _folder: TempDir,
}

impl TestLink {
    async fn start() -> Result<Self> {
        let (ours, theirs) = duplex(4 * FRAME_BYTES);
        let (registry, metrics) = (Registry::default(), Arc::<Metrics>::default());
        let link = Link::new(facts(), Budget::shared(16 << 20), Arc::clone(&metrics.link));
        let joined = registry.join(link.clone())?;
        let cameras = (0..CAMERAS).map(fleet::camera).collect::<Result<Vec<_>>>()?;
        for camera in &cameras {
            joined.bind(camera.clone(), Offer::default(), Timestamp::default());
        }
        let socket = server_side(ours, &bytes::Bytes::new());
        // Such an agent sends pongs alone, so the heartbeat is longer than any run.
        let pump = tokio::spawn(pump::run(socket, link.clone(), Deaf, Duration::from_secs(1 << 30)));
        tokio::spawn(silent(theirs));
        let folder = tempfile::tempdir()?;
        let relay = Relay::new(registry.clone(), metrics, CancellationToken::new());
        let events = events::Events::new(relay, registry, Store::open(folder.path())?);
        Ok(Self { link, events, cameras, pump, _joined: joined, _folder: folder })
    }

    /// Asks so many questions and waits until all have timed out.
    async fn ask(&self, requests: u64, rng: &mut SmallRng, report: &Report) -> Result<()> {
        let (mut left, mut round) = (requests, 0);
        while left > 0 {
            let count = left.min(u64::from(CALLS) / 2);
            let asked = (0..count).map(|_| {
                let camera = &self.cameras[rng.random_range(0..self.cameras.len())];
                let text = Some(format!("question {:016x}", rng.random::<u64>()));
                let call = EventsCall { text, ..EventsCall::all(Order::Desc) };
                let deadline = Instant::now() + Duration::from_millis(rng.random_range(100..60_000));
                async move { self.events.camera_page(camera, &call, deadline).await.map(|_| ()) }
            });
            for ended in join_all(asked).await {
                match ended {
                    Err(RelayError::Timeout) => {}
                    Err(other) => return Err(Failure::new(format!("a question ended otherwise: {other}"))),
                    Ok(_) => return Err(Failure::new("a question was answered")),
                }
            }
            left -= count;
            round += 1;
            if round % TOLD_EVERY == 0 {
                let memory = mebibytes(process::resident(std::process::id())?);
                report.progress(format!("{} asked, {memory}", requests - left));
            }
        }
        Ok(())
    }
}

/// An agent that takes every question and answers none; its codec answers pings.
async fn silent(io: DuplexStream) {
    let mut socket = WebSocketStream::from_raw_socket(io, Role::Client, None).await;
    while let Some(Ok(_)) = socket.next().await {}
}

/// Takes what comes unasked, and forgets it.
struct Deaf;

impl Inbox for Deaf {
    fn camera(&mut self, _: Announce) {}
    fn gone(&mut self, _: CameraId) {}
    fn ready(&mut self) {}
    fn upload(&mut self, _: &Bytes) -> Result<(), Close> {
        Ok(())
    }
    fn fresh(&mut self, _: CameraId, _: ImageClass, _: Timestamp) {}
    fn health(&mut self, _: Health) {}
}

fn facts() -> LinkFacts {
    LinkFacts {
        id: SessionId::new(),
        agent: AgentId::new(),
        instance: InstanceId::new(),
        generation: 1,
        features: Box::default(),
        version: "0".into(),
        peer: SocketAddr::from(([127, 0, 0, 1], 1)),
        since: Timestamp::default(),
    }
}
