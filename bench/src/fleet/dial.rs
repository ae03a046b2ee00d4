//! One connection of a light agent: upgrade, Hello, announcements, and frames from then on.

use std::time::Duration;

use bytes::Bytes;
use camera_agent::backoff::Ending;
use futures_util::{SinkExt, StreamExt};
use http::{HeaderMap, Request, header};
use oriel_proto::{
    AgentFrame, GatewayFrame, PROTOCOL_VERSION, SUBPROTOCOL, decode, encode,
    frame::{AgentFacts, Announce, Feature, Hello, SpoolState, Upload},
    limits::{FRAME_BYTES, Limits},
};
use tokio::time::timeout;
use tokio_tungstenite::{
    WebSocketStream, client_async_with_config,
    tungstenite::{
        Error, Message,
        handshake::client::generate_key,
        protocol::{CloseFrame, WebSocketConfig},
    },
};

use super::Member;
use crate::target::Io;

/// The longest a dial may take, as for the real agent.
const DIAL_WITHIN: Duration = Duration::from_secs(30);

/// The code that stands for a close without one.
const NO_CODE: u16 = 1005;

/// A welcomed connection.
pub(crate) struct Socket {
    stream: WebSocketStream<Box<dyn Io>>,
    /// How often the gateway wants to hear something.
    pub(crate) heartbeat: Duration,
    /// What the agent must keep to.
    pub(crate) limits: Limits,
    /// Whether the gateway stores events.
    pub(crate) ingest: bool,
}

impl Member {
    /// Connects with the next generation, says Hello and is welcomed; `abrupt` makes the end of the connection a reset.
    pub(crate) async fn dial(&mut self, abrupt: bool) -> Result<Socket, Ending> {
        self.generation += 1;
        timeout(DIAL_WITHIN, self.open(abrupt)).await.unwrap_or(Err(Ending::Broken))
    }

    async fn open(&self, abrupt: bool) -> Result<Socket, Ending> {
        let io = self.target.connect(self.source, abrupt).await.map_err(|_| Ending::Broken)?;
        let config = WebSocketConfig::default()
            .read_buffer_size(4 << 10)
            .write_buffer_size(4 << 10)
            .max_message_size(Some(FRAME_BYTES))
            .max_frame_size(Some(FRAME_BYTES));
        let stream = match client_async_with_config(self.upgrade()?, io, Some(config)).await {
            Ok((stream, _)) => stream,
            Err(Error::Http(response)) => {
                return Err(refused(response.status().as_u16(), response.headers()));
            }
            Err(_) => return Err(Ending::Broken),
        };
        let mut socket =
            Socket { stream, heartbeat: Duration::MAX, limits: Limits::default(), ingest: false };
        socket.send(&self.hello()).await?;
        match socket.next().await? {
            GatewayFrame::Welcome(welcome) => {
                socket.heartbeat = Duration::from_millis(welcome.heartbeat_ms.into());
                socket.limits = welcome.limits;
                socket.ingest = welcome.features.contains(&Feature::Ingest);
                Ok(socket)
            }
            _ => Err(Ending::Broken),
        }
    }

    /// The upgrade that opens a camera socket.
    pub(crate) fn upgrade(&self) -> Result<Request<()>, Ending> {
        let host = self.target.address;
        Request::get(format!("ws://{host}/v1/agent/connect"))
            .header(header::HOST, host.to_string())
            .header(header::CONNECTION, "Upgrade")
            .header(header::UPGRADE, "websocket")
            .header(header::SEC_WEBSOCKET_VERSION, "13")
            .header(header::SEC_WEBSOCKET_KEY, generate_key())
            .header(header::SEC_WEBSOCKET_PROTOCOL, SUBPROTOCOL)
            .header(header::AUTHORIZATION, format!("Bearer {}", self.token))
            .body(())
            .map_err(|_| Ending::Broken)
    }

    fn hello(&self) -> AgentFrame {
        let agent = AgentFacts { version: "0".into(), os: "bench".into(), arch: "bench".into() };
        AgentFrame::Hello(Hello {
            protocol: PROTOCOL_VERSION,
            features: Vec::new(),
            instance: self.instance,
            generation: self.generation,
            agent,
        })
    }

    /// Announces every camera without a log, and says that this is all; the gateway's answers come later.
    pub(crate) async fn announce(&self, socket: &mut Socket) -> Result<(), Ending> {
        self.announce_spools(socket, Upload::OnDemand, |_| Vec::new()).await
    }

    /// Announces every camera with its spools, asked for by its place, and says that this is all; the gateway's answers come later.
    pub(crate) async fn announce_spools(
        &self,
        socket: &mut Socket,
        upload: Upload,
        spools: impl Fn(usize) -> Vec<SpoolState> + Send,
    ) -> Result<(), Ending> {
        for (place, camera) in self.cameras.iter().enumerate() {
            let announce = Announce {
                camera: camera.clone(),
                name: camera.to_string(),
                tags: Vec::new(),
                classes: Vec::new(),
                abilities: Vec::new(),
                upload: upload.clone(),
                spools: spools(place),
            };
            socket.feed(&AgentFrame::Camera(announce)).await?;
        }
        socket.send(&AgentFrame::Ready {}).await
    }
}

impl Socket {
    /// The next frame, or how the connection ended. Safe to drop and call again.
    pub(crate) async fn next(&mut self) -> Result<GatewayFrame, Ending> {
        decode(&self.next_bytes().await?).map_err(|_| Ending::Broken)
    }

    /// The next frame as it came, or how the connection ended. Safe to drop and call again.
    pub(crate) async fn next_bytes(&mut self) -> Result<Bytes, Ending> {
        loop {
            match self.stream.next().await {
                Some(Ok(Message::Binary(bytes))) => return Ok(bytes),
                Some(Ok(Message::Close(frame))) => {
                    // Polled once more so that the farewell is answered.
                    _ = self.stream.next().await;
                    return Err(Ending::Closed(frame.map_or(NO_CODE, |frame| frame.code.into())));
                }
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return Err(Ending::Broken),
            }
        }
    }

    /// Writes a frame that may wait for others.
    pub(crate) async fn feed(&mut self, frame: &AgentFrame) -> Result<(), Ending> {
        self.feed_bytes(encode(frame).map_err(|_| Ending::Broken)?).await
    }

    /// Writes an encoded frame that may wait for others.
    pub(crate) async fn feed_bytes(&mut self, bytes: Vec<u8>) -> Result<(), Ending> {
        self.stream.feed(Message::Binary(bytes.into())).await.map_err(|_| Ending::Broken)
    }

    /// Sends what was written.
    pub(crate) async fn flush(&mut self) -> Result<(), Ending> {
        self.stream.flush().await.map_err(|_| Ending::Broken)
    }

    /// Writes a frame and sends it.
    pub(crate) async fn send(&mut self, frame: &AgentFrame) -> Result<(), Ending> {
        self.feed(frame).await?;
        self.flush().await
    }

    /// Shows that the agent is there.
    pub(crate) async fn ping(&mut self) -> Result<(), Ending> {
        self.stream.send(Message::Ping(Bytes::new())).await.map_err(|_| Ending::Broken)
    }

    /// Says goodbye and waits for the answer.
    pub(crate) async fn leave(mut self) {
        let farewell = CloseFrame { code: 1000.into(), reason: "leaving".into() };
        if self.stream.close(Some(farewell)).await.is_ok() {
            while let Some(Ok(_)) = self.stream.next().await {}
        }
    }
}

/// What a refusal before the upgrade means to an agent.
fn refused(status: u16, headers: &HeaderMap) -> Ending {
    let asked = headers.get(header::RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
    Ending::Refused { status, retry_after: asked.map(Duration::from_secs) }
}
