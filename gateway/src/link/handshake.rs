//! The first exchange on a camera socket: nothing but a valid Hello, in time, makes a link.

use std::time::Duration;

use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use futures_util::{FutureExt as _, Sink, SinkExt, Stream, StreamExt};
use oriel_proto::{
    AgentFrame, DecodeError, GatewayFrame, PROTOCOL_VERSION,
    codec::Violation,
    decode, encode,
    frame::{Hello, Welcome},
    limits::HELLO_WITHIN,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::timeout,
};
use tokio_tungstenite::tungstenite::{
    Error, Message,
    handshake::derive_accept_key,
    protocol::{CloseFrame, WebSocketConfig},
};

use super::{Close, IdleSocket};

/// How long letting go of a socket may take.
const FAREWELL: Duration = Duration::from_secs(1);

/// Anything that carries WebSocket messages both ways: a socket, or its like in memory.
pub trait Socket:
    Stream<Item = Result<Message, Error>> + Sink<Message, Error = Error> + Unpin + Send
{
}

impl<S: Stream<Item = Result<Message, Error>> + Sink<Message, Error = Error> + Unpin + Send> Socket for S {}

/// How a camera socket is set up while something is under way.
fn socket_config() -> WebSocketConfig {
    let frame = oriel_proto::limits::FRAME_BYTES;
    WebSocketConfig::default()
        .read_buffer_size(16 << 10)
        .write_buffer_size(16 << 10)
        .max_write_buffer_size(64 << 10)
        .max_frame_size(Some(frame))
        .max_message_size(Some(frame))
}

/// The gateway's side of an upgraded connection; `head` was read behind the upgrade already.
pub fn server_side<T: AsyncRead + AsyncWrite + Unpin>(io: T, head: &Bytes) -> IdleSocket<T> {
    IdleSocket::new(io, head, socket_config)
}

/// What `Sec-WebSocket-Accept` answers to a key, if that is 16 bytes in base64.
pub fn accept_key(key: &[u8]) -> Option<String> {
    let bytes = STANDARD.decode(key).ok()?;
    (bytes.len() == 16).then(|| derive_accept_key(key))
}

/// Why a socket did not become a link.
#[derive(Debug, thiserror::Error)]
pub enum HandshakeError {
    /// The agent said nothing in time.
    #[error("no hello within {} s", HELLO_WITHIN.as_secs())]
    Silent,
    /// The agent left.
    #[error("the agent left before its hello")]
    Left,
    /// The first message was not a binary one.
    #[error("the first message was not binary")]
    NotBinary,
    /// The first frame was no frame at all.
    #[error("the first frame was broken: {0}")]
    Broken(#[from] Violation),
    /// The first frame was not a Hello.
    #[error("the first frame was not a hello: {0}")]
    NotHello(String),
    /// The Hello speaks another protocol.
    #[error("protocol {0} is not spoken here, only {PROTOCOL_VERSION}")]
    Version(u32),
    /// The socket failed.
    #[error(transparent)]
    Socket(#[from] Box<Error>),
}

impl HandshakeError {
    /// What the agent is told.
    pub fn close(&self) -> Close {
        match self {
            Self::Silent => Close::Silent,
            Self::NotBinary => Close::NotBinary,
            Self::Broken(violation) => Close::Violation(violation.close_code()),
            Self::Socket(error) => violation(error).unwrap_or(Close::Violation(1002)),
            Self::Left | Self::NotHello(_) | Self::Version(_) => Close::Violation(1002),
        }
    }
}

/// Waits for the agent's Hello.
pub async fn hello(socket: &mut impl Socket) -> Result<Hello, HandshakeError> {
    let message =
        timeout(HELLO_WITHIN, first_message(socket)).await.map_err(|_| HandshakeError::Silent)??;
    let Message::Binary(bytes) = message else {
        return Err(HandshakeError::NotBinary);
    };
    match decode(&bytes) {
        Ok(AgentFrame::Hello(hello)) if hello.protocol == PROTOCOL_VERSION => Ok(hello),
        Ok(AgentFrame::Hello(hello)) => Err(HandshakeError::Version(hello.protocol)),
        Ok(other) => Err(HandshakeError::NotHello(other.tag().to_owned())),
        Err(DecodeError::Violation(violation)) => Err(violation.into()),
        Err(error) => Err(HandshakeError::NotHello(error.to_string())),
    }
}

async fn first_message(socket: &mut impl Socket) -> Result<Message, HandshakeError> {
    loop {
        match socket.next().await {
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
            Some(Ok(Message::Close(_))) | None => return Err(HandshakeError::Left),
            Some(Ok(message)) => return Ok(message),
            Some(Err(error)) => return Err(HandshakeError::Socket(Box::new(error))),
        }
    }
}

/// Answers the Hello.
pub async fn welcome(socket: &mut impl Socket, welcome: Welcome) -> Result<(), HandshakeError> {
    let bytes = encode(&GatewayFrame::Welcome(welcome))
        .map_err(|error| HandshakeError::Socket(Box::new(Error::Io(std::io::Error::other(error)))))?;
    timeout(HELLO_WITHIN, socket.send(Message::Binary(bytes.into())))
        .await
        .map_err(|_| HandshakeError::Silent)?
        .map_err(|error| HandshakeError::Socket(Box::new(error)))
}

/// Tells the agent why, and lets go of the socket; waits at most one second for it, and not at all for an agent that says nothing:
/// the system goes on sending what it has taken.
pub async fn refuse(socket: &mut impl Socket, why: Close) {
    if why == Close::Silent {
        _ = socket.send(close_message(why)).now_or_never();
        return;
    }
    let farewell = async {
        socket.send(close_message(why)).await?;
        while let Some(Ok(_)) = socket.next().await {}
        Ok::<_, Error>(())
    };
    _ = timeout(FAREWELL, farewell).await;
}

/// Lets go of a socket that the other end has closed, once what waits is written; waits at most one second for it.
pub(super) async fn flush(socket: &mut impl Socket) {
    _ = timeout(FAREWELL, socket.flush()).await;
}

/// The close frame for `why`.
fn close_message(why: Close) -> Message {
    Message::Close(Some(CloseFrame { code: why.code().into(), reason: why.reason().into() }))
}

/// What a socket error says of the other end's behaviour, if anything.
pub(super) fn violation(error: &Error) -> Option<Close> {
    match error {
        Error::Capacity(_) => Some(Close::Violation(1009)),
        Error::Utf8(_) => Some(Close::Violation(1007)),
        Error::Protocol(
            tokio_tungstenite::tungstenite::error::ProtocolError::ResetWithoutClosingHandshake,
        ) => None,
        Error::Protocol(_) => Some(Close::Violation(1002)),
        _ => None,
    }
}
