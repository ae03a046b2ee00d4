//! A hand-made agent: says exactly what a test wants said on the camera socket, and when.

use std::net::SocketAddr;

use futures_util::{SinkExt, StreamExt};
use oriel_proto::{
    AgentFrame, AgentId, CameraId, GatewayFrame, InstanceId, PROTOCOL_VERSION, SUBPROTOCOL, decode, encode,
    frame::{AgentFacts, Announce, Bound, Feature, Hello, RefusalCode, Request, SpoolState, Upload, Welcome},
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    task::JoinHandle,
};
use tokio_tungstenite::{
    WebSocketStream, client_async,
    tungstenite::{Error, Message, handshake::client::generate_key},
};

use super::soon;

/// What a socket can be opened over.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> Stream for S {}

/// An agent's credential.
#[derive(Clone, Debug)]
pub(crate) struct Enrolled {
    pub(crate) gateway: SocketAddr,
    pub(crate) id: AgentId,
    pub(crate) token: String,
}

impl Enrolled {
    /// Opens a socket; says nothing on it yet.
    pub(crate) async fn connect(&self) -> RawAgent {
        self.try_connect().await.unwrap()
    }

    /// Opens a socket, or gives the status that refuses it.
    pub(crate) async fn try_connect(&self) -> Result<RawAgent, u16> {
        self.over(TcpStream::connect(self.gateway).await.unwrap()).await
    }

    /// Opens a socket over this connection, or gives the status that refuses it.
    pub(crate) async fn over<S: Stream>(&self, stream: S) -> Result<RawAgent<S>, u16> {
        let request = http::Request::get("/v1/agent/connect")
            .uri(format!("ws://{}/v1/agent/connect", self.gateway))
            .header("host", self.gateway.to_string())
            .header("connection", "Upgrade")
            .header("upgrade", "websocket")
            .header("sec-websocket-version", "13")
            .header("sec-websocket-key", generate_key())
            .header("sec-websocket-protocol", SUBPROTOCOL)
            .header("authorization", format!("Bearer {}", self.token))
            .body(())
            .unwrap();
        match soon("an upgrade", client_async(request, stream)).await {
            Ok((socket, _)) => Ok(RawAgent { enrolled: self.clone(), socket }),
            Err(Error::Http(response)) => Err(response.status().as_u16()),
            Err(error) => panic!("no upgrade: {error}"),
        }
    }

    /// Connects and is welcomed.
    pub(crate) async fn welcomed(&self, instance: InstanceId, generation: u64) -> RawAgent {
        let mut agent = self.connect().await;
        agent.hello(instance, generation).await;
        agent
    }

    /// Connects as a new instance that has another gateway, announces these cameras and is ready.
    pub(crate) async fn mover(&self, cameras: &[&str]) -> RawAgent {
        let mut agent = self.connect().await;
        let AgentFrame::Hello(mut greeting) = hello(InstanceId::new(), 1) else { unreachable!() };
        greeting.features.push(Feature::Move);
        agent.send(AgentFrame::Hello(greeting)).await;
        assert!(matches!(agent.frame().await, GatewayFrame::Welcome(_)));
        agent.serve(cameras).await;
        agent
    }

    /// Connects as a new instance, announces these cameras and is ready.
    pub(crate) async fn serving(&self, cameras: &[&str]) -> RawAgent {
        let mut agent = self.welcomed(InstanceId::new(), 1).await;
        agent.serve(cameras).await;
        agent
    }
}

/// A camera with a log that is uploaded or not, and has these epochs.
pub(crate) fn announcement(camera: &CameraId, upload: Upload, spools: Vec<SpoolState>) -> Announce {
    let (tags, classes, abilities) = (Vec::new(), Vec::new(), Vec::new());
    Announce {
        camera: camera.clone(),
        name: format!("Camera {camera}"),
        tags,
        classes,
        abilities,
        upload,
        spools,
    }
}

/// A Hello of the protocol that is spoken here.
pub(crate) fn hello(instance: InstanceId, generation: u64) -> AgentFrame {
    let agent = AgentFacts { version: "0.0.0".into(), os: "test".into(), arch: "test".into() };
    AgentFrame::Hello(Hello { protocol: PROTOCOL_VERSION, features: Vec::new(), instance, generation, agent })
}

/// An open camera socket.
#[derive(Debug)]
pub(crate) struct RawAgent<S = TcpStream> {
    pub(crate) enrolled: Enrolled,
    socket: WebSocketStream<S>,
}

impl<S: Stream> RawAgent<S> {
    /// Says Hello and takes the Welcome.
    pub(crate) async fn hello(&mut self, instance: InstanceId, generation: u64) -> Welcome {
        self.send(hello(instance, generation)).await;
        match self.frame().await {
            GatewayFrame::Welcome(welcome) => welcome,
            other => panic!("not a Welcome: {other:?}"),
        }
    }

    /// Announces cameras that must all be taken, and is ready.
    pub(crate) async fn serve(&mut self, cameras: &[&str]) {
        for camera in cameras {
            self.announce(camera).await.unwrap();
        }
        self.send(AgentFrame::Ready {}).await;
    }

    /// Announces a camera that must be taken; gives what the gateway holds of its log.
    pub(crate) async fn bound(&mut self, announce: Announce) -> Bound {
        self.send(AgentFrame::Camera(announce)).await;
        loop {
            if let GatewayFrame::Bound(bound) = self.frame().await {
                return bound;
            }
        }
    }

    /// Announces a camera and says whether it was taken.
    pub(crate) async fn announce(&mut self, camera: &str) -> Result<(), RefusalCode> {
        let id: CameraId = camera.parse().unwrap();
        self.send(AgentFrame::Camera(announcement(&id, Upload::OnDemand, Vec::new()))).await;
        loop {
            match self.frame().await {
                GatewayFrame::Bound(bound) if bound.camera == id => return Ok(()),
                GatewayFrame::Refused { camera, code, .. } if camera == id => return Err(code),
                _ => {}
            }
        }
    }

    /// Sends a frame.
    pub(crate) async fn send(&mut self, frame: AgentFrame) {
        self.send_bytes(encode(&frame).unwrap()).await;
    }

    /// Sends frames in one go.
    pub(crate) async fn send_all(&mut self, frames: impl IntoIterator<Item = AgentFrame>) {
        for frame in frames {
            let message = Message::Binary(encode(&frame).unwrap().into());
            _ = soon("a message is taken", self.socket.feed(message)).await;
        }
        // The other end may have closed meanwhile: what it said then is read next.
        _ = soon("messages are sent", self.socket.flush()).await;
    }

    /// Sends a binary message that may be no frame.
    pub(crate) async fn send_bytes(&mut self, bytes: Vec<u8>) {
        self.send_message(Message::Binary(bytes.into())).await;
    }

    /// Sends any message.
    pub(crate) async fn send_message(&mut self, message: Message) {
        // The other end may have closed meanwhile: what it said then is read next.
        _ = soon("a message is sent", self.socket.send(message)).await;
    }

    /// The next frame.
    pub(crate) async fn frame(&mut self) -> GatewayFrame {
        match self.next().await {
            Ok(frame) => frame,
            Err(code) => panic!("closed with {code:?}"),
        }
    }

    /// The next frame, or the code that the socket was closed with.
    pub(crate) async fn next(&mut self) -> Result<GatewayFrame, Option<u16>> {
        soon("a frame", next(&mut self.socket)).await
    }

    /// The next question; other frames are passed over.
    pub(crate) async fn request(&mut self) -> Request {
        loop {
            if let GatewayFrame::Request(request) = self.frame().await {
                return request;
            }
        }
    }

    /// The code that the socket is closed with; frames before it are passed over.
    pub(crate) async fn close_code(&mut self) -> Option<u16> {
        loop {
            if let Err(code) = self.next().await {
                return code;
            }
        }
    }

    /// Answers every question by what `answer` makes of it, until the socket closes; gives the close code.
    pub(crate) fn answering(
        mut self,
        mut answer: impl FnMut(Request) -> Vec<AgentFrame> + Send + 'static,
    ) -> JoinHandle<Option<u16>> {
        tokio::spawn(async move {
            loop {
                match next(&mut self.socket).await {
                    Ok(GatewayFrame::Request(request)) => {
                        for frame in answer(request) {
                            self.send(frame).await;
                        }
                    }
                    Ok(_) => {}
                    Err(code) => return code,
                }
            }
        })
    }

    /// The socket itself.
    pub(crate) fn into_socket(self) -> WebSocketStream<S> {
        self.socket
    }
}

async fn next<S: Stream>(socket: &mut WebSocketStream<S>) -> Result<GatewayFrame, Option<u16>> {
    loop {
        match socket.next().await {
            Some(Ok(Message::Binary(bytes))) => return Ok(decode(&bytes).unwrap()),
            Some(Ok(Message::Close(frame))) => {
                // Polled once more so that the farewell is answered.
                _ = socket.next().await;
                return Err(frame.map(|frame| frame.code.into()));
            }
            Some(Ok(_)) => {}
            Some(Err(_)) | None => return Err(None),
        }
    }
}
