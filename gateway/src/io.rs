//! A connection, plain or by TLS: one concrete type, so that an upgraded one can be taken back whole; and where connections
//! come from.

mod patient;

use std::{
    future::Future,
    io,
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
};
use tokio_rustls::server::TlsStream;

pub use self::patient::Patient;

/// A connection that the gateway accepted.
#[derive(Debug)]
pub enum Io {
    /// Without TLS.
    Plain(TcpStream),
    /// With TLS.
    Tls(Box<TlsStream<Io>>),
    /// Of a simulated network.
    #[cfg(feature = "sim")]
    Sim(turmoil::net::TcpStream),
}

/// Bytes that may lie unsent in the kernel before a connection counts as full.
#[cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple"))]
const UNSENT: u32 = 128 << 10;

/// Where connections come from.
pub trait Listen: Send + Sync + 'static {
    /// The next connection, and the address of its other end.
    fn accept(&self) -> impl Future<Output = io::Result<(Io, SocketAddr)>> + Send;
}

impl Listen for TcpListener {
    async fn accept(&self) -> io::Result<(Io, SocketAddr)> {
        let (tcp, peer) = Self::accept(self).await?;
        tune(&tcp);
        Ok((Io::Plain(tcp), peer))
    }
}

/// Small frames go at once, and the kernel does not keep megabytes for a slow reader; a system that cannot do one of these works
/// without.
fn tune(tcp: &TcpStream) {
    _ = tcp.set_nodelay(true);
    #[cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple"))]
    {
        _ = socket2::SockRef::from(tcp).set_tcp_notsent_lowat(UNSENT);
    }
}

#[cfg(feature = "sim")]
impl Listen for turmoil::net::TcpListener {
    async fn accept(&self) -> io::Result<(Io, SocketAddr)> {
        Self::accept(self).await.map(|(tcp, peer)| (Io::Sim(tcp), peer))
    }
}

macro_rules! either {
    ($self:expr, $io:ident => $call:expr) => {
        match $self.get_mut() {
            Self::Plain($io) => {
                let $io = Pin::new($io);
                $call
            }
            Self::Tls($io) => {
                let $io = Pin::new(&mut **$io);
                $call
            }
            #[cfg(feature = "sim")]
            Self::Sim($io) => {
                let $io = Pin::new($io);
                $call
            }
        }
    };
}

impl AsyncRead for Io {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        either!(self, io => io.poll_read(cx, buf))
    }
}

impl AsyncWrite for Io {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        either!(self, io => io.poll_write(cx, bytes))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        either!(self, io => io.poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        either!(self, io => io.poll_shutdown(cx))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        either!(self, io => io.poll_write_vectored(cx, slices))
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Plain(io) => io.is_write_vectored(),
            Self::Tls(io) => io.is_write_vectored(),
            #[cfg(feature = "sim")]
            Self::Sim(io) => io.is_write_vectored(),
        }
    }
}
