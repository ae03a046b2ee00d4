//! A WebSocket as frames and signs of life.

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll, ready},
};

use futures_util::{Sink, SinkExt as _, Stream, StreamExt as _};
use oriel_proto::{DecodeError, GatewayFrame, codec::Violation, decode, encode};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        Bytes, Error as WsError, Message,
        protocol::{CloseFrame, frame::coding::CloseCode},
    },
};

use super::Io;
use crate::wire::{Down, Up, WireError};

/// The code that stands for a close without one.
const NO_CODE: u16 = 1005;

/// An open connection to a gateway.
pub(crate) struct Socket {
    stream: WebSocketStream<Box<dyn Io>>,
}

impl Socket {
    pub(super) const fn new(stream: WebSocketStream<Box<dyn Io>>) -> Self {
        Self { stream }
    }
}

impl Stream for Socket {
    type Item = Result<Down, WireError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Some(message) = ready!(self.stream.poll_next_unpin(cx)) else { return Poll::Ready(None) };
        Poll::Ready(Some(match message {
            Ok(message) => received(message),
            Err(e) => Err(failed(e)),
        }))
    }
}

impl Sink<Up> for Socket {
    type Error = WireError;

    fn poll_ready(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), WireError>> {
        self.stream.poll_ready_unpin(cx).map_err(failed)
    }

    fn start_send(mut self: Pin<&mut Self>, up: Up) -> Result<(), WireError> {
        let message = match up {
            Up::Frame(frame) => Message::Binary(encode(&frame)?.into()),
            Up::Ping(n) => Message::Ping(Bytes::copy_from_slice(&n.to_be_bytes())),
            Up::Close(code, reason) => {
                let code = CloseCode::from(code);
                Message::Close(Some(CloseFrame { code, reason: reason.into() }))
            }
        };
        self.stream.start_send_unpin(message).map_err(failed)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), WireError>> {
        self.stream.poll_flush_unpin(cx).map_err(failed)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), WireError>> {
        self.stream.poll_close_unpin(cx).map_err(failed)
    }
}

impl fmt::Debug for Socket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Socket").finish_non_exhaustive()
    }
}

fn received(message: Message) -> Result<Down, WireError> {
    match message {
        Message::Binary(bytes) => match decode::<GatewayFrame>(&bytes) {
            Ok(frame) => Ok(Down::Frame(frame)),
            Err(DecodeError::Violation(violation)) => Err(violation.into()),
            Err(DecodeError::Unknown { tag, id }) => Ok(Down::Unknown { tag, id, known: false }),
            Err(DecodeError::Unreadable { tag, id, .. }) => {
                Ok(Down::Unknown { tag, id: Some(id), known: true })
            }
        },
        Message::Pong(payload) => Ok(match <[u8; 4]>::try_from(&*payload) {
            Ok(n) => Down::Pong(u32::from_be_bytes(n)),
            Err(_) => Down::Ping,
        }),
        Message::Ping(_) => Ok(Down::Ping),
        Message::Close(Some(close)) => Ok(Down::Closed(close.code.into(), close.reason.as_str().to_owned())),
        Message::Close(None) => Ok(Down::Closed(NO_CODE, String::new())),
        Message::Text(_) | Message::Frame(_) => Err(WireError::Text),
    }
}

fn failed(error: WsError) -> WireError {
    match error {
        WsError::Capacity(_) => Violation::TooLarge.into(),
        WsError::Protocol(e)
            if !matches!(
                e,
                tokio_tungstenite::tungstenite::error::ProtocolError::ResetWithoutClosingHandshake
            ) =>
        {
            WireError::WebSocket(e.to_string())
        }
        WsError::Utf8(e) => WireError::WebSocket(e),
        other => WireError::Broken(other.to_string()),
    }
}
