//! What a session sees of its socket: frames and signs of life in both directions, whatever carries them.

use futures_util::{Sink, Stream};
use oriel_proto::{AgentFrame, GatewayFrame, RequestId, codec::Violation};

/// What goes up.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Up {
    /// A frame.
    Frame(AgentFrame),
    /// Asks for a sign of life, which tells that everything up to this number has been read.
    Ping(u32),
    /// The end, with a WebSocket close code and a reason for people.
    Close(u16, String),
}

/// What comes down.
#[derive(Clone, Debug, PartialEq)]
#[allow(clippy::large_enum_variant, reason = "one is in flight at a time")]
pub(crate) enum Down {
    /// A frame.
    Frame(GatewayFrame),
    /// The answer to the ping of this number, and to all before it.
    Pong(u32),
    /// A sign of life without content.
    Ping,
    /// A frame of a newer version; with an id when somebody waits for its answer.
    Unknown {
        /// Its name.
        tag: String,
        /// The question it belongs to.
        id: Option<RequestId>,
        /// Whether the name is known and only the content is not.
        known: bool,
    },
    /// The other end closed with this code; 1005 when it gave none.
    Closed(u16, String),
}

/// Why a socket can be used no longer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WireError {
    /// The gateway broke the protocol.
    #[error("the gateway broke the protocol: {0}")]
    Violation(#[from] Violation),
    /// The gateway broke the WebSocket protocol.
    #[error("the gateway broke the WebSocket protocol: {0}")]
    WebSocket(String),
    /// The gateway sent a text message.
    #[error("the gateway sent a text message")]
    Text,
    /// The connection broke.
    #[error("the connection broke: {0}")]
    Broken(String),
    /// One of our own frames could not be written.
    #[error(transparent)]
    Encode(#[from] oriel_proto::EncodeError),
}

impl WireError {
    /// The close code that tells the other end; none when it is gone anyway.
    pub(crate) const fn close_code(&self) -> Option<u16> {
        match self {
            Self::Violation(violation) => Some(violation.close_code()),
            Self::WebSocket(_) => Some(1002),
            Self::Text => Some(1003),
            Self::Encode(_) => Some(1011),
            Self::Broken(_) => None,
        }
    }
}

/// A socket as a session needs it.
pub(crate) trait Wire:
    Stream<Item = Result<Down, WireError>> + Sink<Up, Error = WireError> + Unpin
{
}

impl<T> Wire for T where T: Stream<Item = Result<Down, WireError>> + Sink<Up, Error = WireError> + Unpin {}
