//! A gateway for tests: it accepts one agent at a time on a free port and does what the test says.
#![allow(dead_code, reason = "each test file uses a part of it")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failed step fails the test")]

use std::{future::Future, path::Path, time::Duration};

use camera_agent::{
    AgentError, Config,
    config::{CameraConfig, GatewayConfig, SimulatorConfig, SourceConfig, parse_gateway_url},
};
use futures_util::{SinkExt as _, StreamExt as _};
use oriel_proto::{
    AgentFrame, Answer, Call, CameraId, GatewayFrame, RequestId, SessionId, Timestamp, decode, encode,
    frame::{Bound, Feature, Hello, Request, Welcome},
    limits::Limits,
};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
    time::timeout,
};
use tokio_tungstenite::{
    WebSocketStream, accept_hdr_async,
    tungstenite::{
        Message,
        handshake::server::{ErrorResponse, Request as Upgrade, Response},
        protocol::{CloseFrame, frame::coding::CloseCode},
    },
};
use tokio_util::sync::CancellationToken;

/// Nothing in these tests takes this long unless it is broken.
const PATIENCE: Duration = Duration::from_secs(20);

/// Waits for `event`, but not for ever.
pub(crate) async fn soon<T>(event: impl Future<Output = T>) -> T {
    timeout(PATIENCE, event).await.expect("this did not happen in time")
}

/// A running agent, stopped when dropped.
pub(crate) struct Agent {
    stop: CancellationToken,
    task: JoinHandle<Result<(), AgentError>>,
}

impl Agent {
    pub(crate) fn start(config: Config) -> Self {
        let stop = CancellationToken::new();
        Self { task: tokio::spawn(camera_agent::run(config, stop.clone())), stop }
    }

    /// Stops it and waits until it has.
    pub(crate) async fn stop(mut self) -> Result<(), AgentError> {
        self.stop.cancel();
        soon(&mut self.task).await.unwrap()
    }

    /// Waits until it ends by itself.
    pub(crate) async fn ended(mut self) -> Result<(), AgentError> {
        soon(&mut self.task).await.unwrap()
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// A simulated camera without pictures that is quiet after its first event and has a past of `backfill` events.
pub(crate) fn camera(id: &str, backfill: u64) -> CameraConfig {
    let simulator = SimulatorConfig {
        seed: Some(1),
        interval_ms: 3_600_000,
        backfill,
        preview_ms: 0,
        main_ms: 0,
        ..SimulatorConfig::default()
    };
    CameraConfig {
        source: SourceConfig::Simulator(simulator),
        ..CameraConfig::simulated(id.parse().unwrap())
    }
}

/// One gateway with a token, one camera.
pub(crate) fn config(dir: &Path, gateway: &TestGateway, cameras: Vec<CameraConfig>) -> Config {
    let url = parse_gateway_url(&gateway.url()).unwrap();
    let gateway = GatewayConfig { token: Some("oat_first".into()), ..GatewayConfig::new(url) };
    Config { state: dir.to_owned(), gateways: vec![gateway], cameras }
}

/// A listening gateway.
pub(crate) struct TestGateway {
    listener: TcpListener,
}

impl TestGateway {
    pub(crate) async fn listen() -> Self {
        Self { listener: TcpListener::bind("127.0.0.1:0").await.unwrap() }
    }

    pub(crate) fn url(&self) -> String {
        format!("ws://{}", self.listener.local_addr().unwrap())
    }

    /// The next connection, whatever it is.
    pub(crate) async fn connection(&self) -> TcpStream {
        soon(self.listener.accept()).await.unwrap().0
    }

    /// The next agent that upgrades, with its token.
    pub(crate) async fn upgrade(&self) -> Peer {
        Peer::accept(self.connection().await).await
    }

    /// The next agent, after Hello and Welcome.
    pub(crate) async fn greet(&self, limits: Limits, features: Vec<Feature>) -> (Peer, Hello) {
        let mut peer = self.upgrade().await;
        let AgentFrame::Hello(hello) = peer.frame().await else { panic!("the first frame is Hello") };
        let welcome = Welcome {
            session: SessionId::new(),
            now: Timestamp::default(),
            heartbeat_ms: 30_000,
            features,
            limits,
        };
        peer.send(GatewayFrame::Welcome(welcome)).await;
        (peer, hello)
    }

    /// The next agent, after Ready; all its cameras are bound.
    pub(crate) async fn agent(&self) -> Peer {
        self.agent_with(Limits::default(), vec![]).await
    }

    pub(crate) async fn agent_with(&self, limits: Limits, features: Vec<Feature>) -> Peer {
        let (mut peer, _) = self.greet(limits, features).await;
        loop {
            match peer.frame().await {
                AgentFrame::Camera(camera) => {
                    let bound = Bound { camera: camera.camera, acked: vec![] };
                    peer.send(GatewayFrame::Bound(bound)).await;
                }
                AgentFrame::Ready {} => return peer,
                _ => {}
            }
        }
    }

    /// Answers the next HTTP request in its own words; returns what was asked.
    pub(crate) async fn answer_http(&self, response: &str) -> String {
        let mut stream = self.connection().await;
        let mut asked = Vec::new();
        let mut chunk = [0; 4_096];
        loop {
            let n = soon(stream.read(&mut chunk)).await.unwrap();
            asked.extend_from_slice(&chunk[..n]);
            let text = String::from_utf8_lossy(&asked).to_ascii_lowercase();
            let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            if body.len() >= length.map_or(0, |n| n.parse().unwrap()) || n == 0 {
                break;
            }
        }
        stream.write_all(response.as_bytes()).await.unwrap();
        stream.shutdown().await.unwrap();
        String::from_utf8(asked).unwrap()
    }
}

/// A connected agent, seen from the gateway.
pub(crate) struct Peer<S = TcpStream> {
    socket: WebSocketStream<S>,
    pub(crate) token: String,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Peer<S> {
    /// Upgrades a connection, checking what the agent sends.
    #[allow(clippy::result_large_err, reason = "the signature is tungstenite's")]
    pub(crate) async fn accept(stream: S) -> Self {
        let mut token = String::new();
        let check = |request: &Upgrade, mut response: Response| -> Result<Response, ErrorResponse> {
            assert_eq!(request.uri().path(), "/v1/agent/connect");
            let header = |name: &str| request.headers()[name].to_str().unwrap().to_owned();
            assert_eq!(header("sec-websocket-protocol"), "oriel.v1");
            token = header("authorization").strip_prefix("Bearer ").unwrap().to_owned();
            response.headers_mut().insert("sec-websocket-protocol", "oriel.v1".parse().unwrap());
            Ok(response)
        };
        let socket = soon(accept_hdr_async(stream, check)).await.unwrap();
        Self { socket, token }
    }

    pub(crate) async fn send(&mut self, frame: GatewayFrame) {
        self.send_raw(encode(&frame).unwrap()).await;
    }

    /// Sends frames in one write, so that the agent has read them all before it does anything else.
    pub(crate) async fn send_together(&mut self, frames: impl IntoIterator<Item = GatewayFrame>) {
        for frame in frames {
            soon(self.socket.feed(Message::Binary(encode(&frame).unwrap().into()))).await.unwrap();
        }
        soon(self.socket.flush()).await.unwrap();
    }

    pub(crate) async fn send_raw(&mut self, bytes: Vec<u8>) {
        soon(self.socket.send(Message::Binary(bytes.into()))).await.unwrap();
    }

    pub(crate) async fn send_text(&mut self, text: &str) {
        soon(self.socket.send(Message::text(text))).await.unwrap();
    }

    pub(crate) async fn close(mut self, code: u16) {
        let close = CloseFrame { code: CloseCode::from(code), reason: "".into() };
        soon(self.socket.close(Some(close))).await.unwrap();
        while soon(self.socket.next()).await.is_some_and(|message| message.is_ok()) {}
    }

    /// The next frame; pings are answered on the way.
    pub(crate) async fn frame(&mut self) -> AgentFrame {
        loop {
            match soon(self.socket.next()).await.expect("the agent left").unwrap() {
                Message::Binary(bytes) => return decode(&bytes).unwrap(),
                Message::Close(close) => panic!("the agent closed: {close:?}"),
                _ => {}
            }
        }
    }

    /// The next frame that `wanted` gives something for.
    pub(crate) async fn find<T>(&mut self, mut wanted: impl FnMut(AgentFrame) -> Option<T>) -> T {
        loop {
            if let Some(found) = wanted(self.frame().await) {
                return found;
            }
        }
    }

    /// The code that the agent closes with.
    pub(crate) async fn closed(&mut self) -> u16 {
        loop {
            match soon(self.socket.next()).await {
                Some(Ok(Message::Close(Some(close)))) => return close.code.into(),
                Some(Ok(_)) => {}
                other => panic!("no close code: {other:?}"),
            }
        }
    }

    pub(crate) async fn ask(&mut self, camera: &str, call: Call) -> RequestId {
        self.ask_within(camera, call, 10_000).await
    }

    pub(crate) async fn ask_within(&mut self, camera: &str, call: Call, deadline_ms: u32) -> RequestId {
        let id = RequestId::new();
        let camera: CameraId = camera.parse().unwrap();
        self.send(GatewayFrame::Request(Request { id, camera, deadline_ms, call })).await;
        id
    }

    /// The Reply to `id`.
    pub(crate) async fn reply(&mut self, id: RequestId) -> Answer {
        self.find(|frame| match frame {
            AgentFrame::Reply { id: of, answer } if of == id => Some(answer),
            AgentFrame::Fail(fail) if fail.id == id => panic!("{fail:?}"),
            _ => None,
        })
        .await
    }

    /// The failure of `id`.
    pub(crate) async fn failure(&mut self, id: RequestId) -> oriel_proto::FailureCode {
        self.find(|frame| match frame {
            AgentFrame::Fail(fail) if fail.id == id => Some(fail.code),
            _ => None,
        })
        .await
    }
}
