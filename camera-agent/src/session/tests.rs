//! Promises of a session, with a socket in memory and a clock that is moved.

mod pictures;

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use futures_util::{Sink, SinkExt as _, Stream};
use oriel_proto::{
    InstanceId, Kind, RequestId, Seq, SessionId, Severity,
    call::{Call, EventsCall, Order},
    event::Data,
    frame::{Acked, AgentFacts, Bound, Events, Feature, Request, SourceState, Upload, Watch},
    limits::Limits,
};
use tokio::{
    sync::{mpsc, watch},
    task::JoinHandle,
};
use tokio_util::sync::PollSender;

use super::*;
use crate::{
    config::CameraConfig,
    spool::{Draft, system_clock},
    state::State,
};

/// A socket in memory.
struct Pipe {
    down_rx: mpsc::Receiver<Down>,
    up_tx: PollSender<Up>,
}

impl Stream for Pipe {
    type Item = Result<Down, WireError>;
    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.down_rx.poll_recv(cx).map(|down| down.map(Ok))
    }
}

impl Sink<Up> for Pipe {
    type Error = WireError;
    fn poll_ready(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), WireError>> {
        self.up_tx.poll_ready_unpin(cx).map_err(|_| WireError::Broken("gone".into()))
    }
    fn start_send(mut self: Pin<&mut Self>, up: Up) -> Result<(), WireError> {
        self.up_tx.start_send_unpin(up).map_err(|_| WireError::Broken("gone".into()))
    }
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), WireError>> {
        self.up_tx.poll_flush_unpin(cx).map_err(|_| WireError::Broken("gone".into()))
    }
    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), WireError>> {
        self.up_tx.poll_close_unpin(cx).map_err(|_| WireError::Broken("gone".into()))
    }
}

/// The gateway's end of a session.
struct Gateway {
    down_tx: mpsc::Sender<Down>,
    up_rx: mpsc::Receiver<Up>,
    session: JoinHandle<Ended>,
    camera: Camera,
    stop: CancellationToken,
    _dir: tempfile::TempDir,
}

impl Gateway {
    /// A session that says what it has to say to a gateway with room for `room` frames.
    async fn meet(room: usize) -> Self {
        Self::meet_with(room, Upload::Live).await
    }

    /// The same, of a camera whose events go up at this time.
    async fn meet_with(room: usize, upload: Upload) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let state = State::open(dir.path()).await.unwrap();
        let (bell_tx, bell) = watch::channel(());
        let config = CameraConfig { upload, ..CameraConfig::simulated("porch".parse().unwrap()) };
        let camera = Camera::open(config, &state, system_clock(), bell_tx).await.unwrap();
        let tokens = state.tokens(&"http://localhost/".parse().unwrap());
        tokens.store("oat_x".into()).await.unwrap();
        let token = tokens.current(false).await.unwrap().unwrap();
        let stop = CancellationToken::new();
        let (since, clock, cameras) = (Instant::now(), system_clock(), vec![camera.clone()]);
        let (phase, leave) = (watch::Sender::new(Phase::Opening), CancellationToken::new());
        let setup = Setup { cameras, tokens, since, bell, clock, phase, leave, stop: stop.clone() };
        let ((down_tx, down_rx), (up_tx, up_rx)) = (mpsc::channel(64), mpsc::channel(room));
        let pipe = Pipe { down_rx, up_tx: PollSender::new(up_tx) };
        let agent = AgentFacts { version: String::new(), os: String::new(), arch: String::new() };
        let hello =
            Hello { protocol: 1, features: vec![], instance: InstanceId::new(), generation: 1, agent };
        let session = tokio::spawn(async move { run(pipe, hello, &token, setup).await });
        Self { down_tx, up_rx, session, camera, stop, _dir: dir }
    }

    async fn welcome(&self) {
        self.welcome_with(vec![]).await;
    }

    async fn welcome_with(&self, features: Vec<Feature>) {
        let welcome = Welcome {
            session: SessionId::new(),
            now: Timestamp::default(),
            heartbeat_ms: 30_000,
            features,
            limits: Limits::default(),
        };
        self.down_tx.send(Down::Frame(GatewayFrame::Welcome(welcome))).await.unwrap();
    }

    /// Is heard from every 20 seconds, so that silence ends nothing.
    fn keep_talking(&self) {
        let down_tx = self.down_tx.clone();
        tokio::spawn(async move {
            while down_tx.send(Down::Ping).await.is_ok() {
                tokio::time::sleep(Duration::from_secs(20)).await;
            }
        });
    }

    /// Takes events and holds the first of two, which the camera's log cannot note.
    async fn fail_to_compare(&self) {
        let ids = self.write(2).await;
        self.camera.spool.fail_acks(true).await;
        self.welcome_with(vec![Feature::Ingest]).await;
        let acked = vec![Acked { epoch: ids[0].epoch, seq: 1, hash: None }];
        let bound = Bound { camera: self.camera.id().clone(), acked };
        self.down_tx.send(Down::Frame(GatewayFrame::Bound(bound))).await.unwrap();
    }

    /// Writes so many events.
    async fn write(&self, count: usize) -> Vec<oriel_proto::EventId> {
        let (kind, severity, data) = (Kind::Motion, Severity::Info, Data::new());
        let draft = Draft { at: None, kind, severity, description: "x".into(), data, image_at: None };
        self.camera.spool.append(vec![draft; count]).await.unwrap()
    }

    async fn say(&self, frame: GatewayFrame) {
        self.down_tx.send(Down::Frame(frame)).await.unwrap();
    }

    /// Follows the camera, or no longer.
    async fn watch(&self, on: bool) {
        let camera = self.camera.id().clone();
        self.say(GatewayFrame::Watch(Watch { camera, classes: Vec::new(), events: true, on })).await;
    }

    /// Takes what comes up until `at`; the first numbers of all batches of events among it.
    async fn uploads_until(&mut self, at: Instant) -> Vec<Seq> {
        let mut uploads = Vec::new();
        while let Ok(up) = tokio::time::timeout_at(at, self.up_rx.recv()).await {
            if let Up::Frame(AgentFrame::Events(events)) = up.unwrap() {
                uploads.push(events.first);
            }
        }
        uploads
    }

    async fn find<T>(&mut self, mut wanted: impl FnMut(Up) -> Option<T>) -> T {
        loop {
            if let Some(found) = wanted(self.up_rx.recv().await.unwrap()) {
                return found;
            }
        }
    }

    async fn health(&mut self) -> oriel_proto::frame::Health {
        self.find(|up| match up {
            Up::Frame(AgentFrame::Health(health)) => Some(health),
            _ => None,
        })
        .await
    }
}

#[tokio::test(start_paused = true)]
async fn a_gateway_that_says_nothing_is_left_after_ten_seconds() {
    let started = Instant::now();
    let gateway = Gateway::meet(64).await;
    let ended = gateway.session.await.unwrap();
    assert_eq!((ended.ending, ended.welcomed), (Ending::Closed(1002), None));
    assert_eq!(started.elapsed().as_secs(), HELLO_WITHIN.as_secs());
}

#[tokio::test(start_paused = true)]
async fn a_silent_gateway_is_pinged_and_left_after_two_and_a_half_intervals() {
    let mut gateway = Gateway::meet(64).await;
    gateway.welcome().await;
    let mut pings = 0;
    let code = gateway
        .find(|up| match up {
            Up::Close(code, _) => Some(code),
            Up::Ping(_) => {
                pings += 1;
                None
            }
            Up::Frame(_) => None,
        })
        .await;
    assert_eq!(code, 4008);
    assert!(pings >= 2);
    let ended = gateway.session.await.unwrap();
    assert_eq!(ended.ending, Ending::Closed(4008));
    assert_eq!(ended.welcomed.unwrap().as_secs(), 75);
}

#[tokio::test(start_paused = true)]
async fn health_comes_at_once_every_minute_and_when_the_source_changes() {
    let mut gateway = Gateway::meet(64).await;
    gateway.welcome().await;
    let first = gateway.health().await;
    assert_eq!(first.cameras[0].source, SourceState::Starting);
    gateway.camera.set_source(SourceState::Failing, Some("no light".into()));
    let changed = gateway.health().await;
    assert_eq!(changed.cameras[0].why.as_deref(), Some("no light"));
    let started = Instant::now();
    gateway.keep_talking();
    let quiet = gateway.health().await;
    assert!(quiet.cameras.is_empty() && started.elapsed().as_secs() == 60);
}

#[tokio::test(start_paused = true)]
async fn a_comparison_that_fails_is_tried_again_until_the_disk_lets_it() {
    // How long the disk fails, and how long after it works again everything has gone up, in seconds.
    for (fails, within) in [(0, 1), (20, 32), (1_000, 60)] {
        let mut gateway = Gateway::meet(64).await;
        let (spool, second) = (gateway.camera.spool.clone(), Duration::from_secs(1));
        gateway.fail_to_compare().await;
        gateway.keep_talking();
        let until = Instant::now() + second / 2 + second * fails;
        assert!(gateway.uploads_until(until).await.is_empty(), "nothing goes up before it was compared");
        spool.fail_acks(false).await;
        let until = Instant::now() + second * within;
        assert_eq!(gateway.uploads_until(until).await, [2], "after {fails} s");
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_ends_at_once_though_a_comparison_still_fails() {
    let mut gateway = Gateway::meet(64).await;
    gateway.fail_to_compare().await;
    gateway.uploads_until(Instant::now() + Duration::from_secs(30)).await;
    let asked = Instant::now();
    gateway.stop.cancel();
    gateway.session.await.unwrap();
    assert_eq!(asked.elapsed().as_secs(), 0);
}

#[tokio::test(start_paused = true)]
async fn it_goes_on_reading_while_nobody_takes_what_it_writes() {
    let gateway = Gateway::meet(4).await;
    gateway.welcome().await;
    // Many more than fit the pipe in either direction, without one being taken out.
    for _ in 0..500 {
        let call = Call::Events(EventsCall::all(Order::Asc));
        let camera = "porch".parse().unwrap();
        let request = Request { id: RequestId::new(), camera, deadline_ms: 1_000, call };
        gateway.down_tx.send(Down::Frame(GatewayFrame::Request(request))).await.unwrap();
    }
    gateway.down_tx.send(Down::Closed(1012, String::new())).await.unwrap();
    assert_eq!(gateway.session.await.unwrap().ending, Ending::Closed(1012));
}

#[tokio::test(start_paused = true)]
async fn a_gateway_that_asks_but_never_reads_is_left() {
    let gateway = Gateway::meet(4).await;
    gateway.welcome().await;
    for _ in 0..6_000 {
        let camera = "stranger".parse().unwrap();
        let request = Request { id: RequestId::new(), camera, deadline_ms: 1_000, call: Call::Describe {} };
        if gateway.down_tx.send(Down::Frame(GatewayFrame::Request(request))).await.is_err() {
            break;
        }
    }
    assert_eq!(gateway.session.await.unwrap().ending, Ending::Closed(1008));
}

#[tokio::test(start_paused = true)]
async fn stopping_says_so() {
    let mut gateway = Gateway::meet(64).await;
    gateway.welcome().await;
    gateway.health().await;
    gateway.stop.cancel();
    let code = gateway
        .find(|up| match up {
            Up::Close(code, _) => Some(code),
            _ => None,
        })
        .await;
    assert_eq!(code, 1000);
}

#[tokio::test(start_paused = true)]
async fn a_log_that_is_asked_for_goes_up_from_its_next_event_while_it_is_followed() {
    let mut gateway = Gateway::meet_with(64, Upload::OnDemand).await;
    gateway.write(3).await;
    gateway.welcome_with(vec![Feature::Ingest]).await;
    let camera = gateway.camera.id().clone();
    gateway.say(GatewayFrame::Bound(Bound { camera: camera.clone(), acked: Vec::new() })).await;
    gateway.health().await;
    gateway.watch(true).await;
    // Said twice, as after the camera was announced anew.
    gateway.watch(true).await;
    let until = Instant::now() + Duration::from_secs(5);
    assert_eq!(gateway.uploads_until(until).await, Vec::<Seq>::new(), "what was written before is asked for");
    let ids = gateway.write(2).await;
    let up = |up| match up {
        Up::Frame(AgentFrame::Events(events)) => Some(events),
        _ => None,
    };
    let Events { epoch, first, events, next, .. } = gateway.find(up).await;
    assert_eq!((epoch, first, events.len(), next), (ids[0].epoch, 4, 2, 6));
    gateway.say(GatewayFrame::Ack { camera, epoch, seq: 5 }).await;
    gateway.watch(false).await;
    gateway.write(1).await;
    assert_eq!(gateway.uploads_until(Instant::now() + Duration::from_secs(5)).await, Vec::<Seq>::new());
    assert_eq!(gateway.camera.spool.acked_epochs().await, 0, "nothing is remembered as acknowledged");
    gateway.watch(true).await;
    gateway.write(1).await;
    assert_eq!(gateway.find(up).await.first, 7, "from its next event of that moment");
}
