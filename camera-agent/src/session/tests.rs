//! Promises of a session, with a socket in memory and a clock that is moved.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use futures_util::{Sink, SinkExt as _, Stream};
use oriel_proto::{
    InstanceId, RequestId, SessionId,
    call::{Call, EventsCall, Order},
    frame::{AgentFacts, Request, SourceState},
    limits::Limits,
};
use tokio::{
    sync::{mpsc, watch},
    task::JoinHandle,
};
use tokio_util::sync::PollSender;

use super::*;
use crate::{config::CameraConfig, spool::system_clock, state::State};

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
        let dir = tempfile::tempdir().unwrap();
        let state = State::open(dir.path()).await.unwrap();
        let (bell_tx, bell) = watch::channel(());
        let config = CameraConfig::simulated("porch".parse().unwrap());
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
        let welcome = Welcome {
            session: SessionId::new(),
            now: Timestamp::default(),
            heartbeat_ms: 30_000,
            features: vec![],
            limits: Limits::default(),
        };
        self.down_tx.send(Down::Frame(GatewayFrame::Welcome(welcome))).await.unwrap();
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
            Up::Ping => {
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
    let keep_alive = gateway.down_tx.clone();
    tokio::spawn(async move {
        while keep_alive.send(Down::Ping).await.is_ok() {
            tokio::time::sleep(Duration::from_secs(20)).await;
        }
    });
    let quiet = gateway.health().await;
    assert!(quiet.cameras.is_empty() && started.elapsed().as_secs() == 60);
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
