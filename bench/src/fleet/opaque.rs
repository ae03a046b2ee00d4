//! A WebSocket whose messages mean nothing to it: both ends of what the null relay speaks with its devices.

use std::net::Ipv4Addr;

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use http::HeaderValue;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_tungstenite::{
    WebSocketStream, client_async_with_config,
    tungstenite::{
        Message,
        handshake::derive_accept_key,
        protocol::{Role, WebSocketConfig},
    },
};

use crate::{
    failure::Result,
    target::{Io, Target},
};

/// What each socket reads into: as much as an agent's.
const READ_BUFFER: usize = 4 << 10;

/// An open socket.
pub(crate) struct Opaque<S>(WebSocketStream<S>);

impl Opaque<Box<dyn Io>> {
    /// Connects to `path`.
    pub(crate) async fn dial(target: &Target, source: Ipv4Addr, path: &str) -> Result<Self> {
        let io = target.connect(source, false).await?;
        let url = format!("ws://{}{path}", target.address);
        let (stream, _) = client_async_with_config(url, io, Some(config())).await?;
        Ok(Self(stream))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Opaque<S> {
    /// The relay's end of a connection that has been upgraded.
    pub(crate) async fn upgraded(io: S) -> Self {
        Self(WebSocketStream::from_raw_socket(io, Role::Server, Some(config())).await)
    }

    /// The next message; none when the connection has ended. Safe to drop and call again.
    pub(crate) async fn next(&mut self) -> Option<Bytes> {
        loop {
            match self.0.next().await?.ok()? {
                Message::Binary(bytes) => return Some(bytes),
                Message::Close(_) => return None,
                _ => {}
            }
        }
    }

    /// Writes a message that may wait for others.
    pub(crate) async fn feed(&mut self, message: Bytes) -> Result<()> {
        Ok(self.0.feed(Message::Binary(message)).await?)
    }

    /// Sends what was written.
    pub(crate) async fn flush(&mut self) -> Result<()> {
        Ok(self.0.flush().await?)
    }
}

/// The answer to a device's `Sec-WebSocket-Key`.
pub(crate) fn accept(key: &HeaderValue) -> Result<HeaderValue> {
    Ok(HeaderValue::from_str(&derive_accept_key(key.as_bytes()))?)
}

fn config() -> WebSocketConfig {
    WebSocketConfig::default().read_buffer_size(READ_BUFFER)
}
