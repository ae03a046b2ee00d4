//! Where connections go, and from which of this machine's addresses they come.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::Arc,
};

use rustls::{ClientConfig, pki_types::ServerName};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpSocket, TcpStream},
};
use tokio_rustls::TlsConnector;

/// Anything that bytes flow through.
pub(crate) trait Io: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

/// A gateway's address, and whom to trust when it speaks TLS.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    /// Where it listens.
    pub(crate) address: SocketAddr,
    /// Whom to trust; none when it is plain.
    pub(crate) tls: Option<Arc<ClientConfig>>,
}

impl Target {
    /// A TCP connection from `source`; `abrupt` makes its end a reset instead of a farewell.
    pub(crate) async fn tcp(&self, source: Ipv4Addr, abrupt: bool) -> io::Result<TcpStream> {
        let socket = TcpSocket::new_v4()?;
        socket.bind(SocketAddr::new(IpAddr::V4(source), 0))?;
        if abrupt {
            socket.set_zero_linger()?;
        }
        let stream = socket.connect(self.address).await?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    /// A connection from `source`, by TLS where the gateway speaks it.
    pub(crate) async fn connect(&self, source: Ipv4Addr, abrupt: bool) -> io::Result<Box<dyn Io>> {
        let tcp = self.tcp(source, abrupt).await?;
        let Some(tls) = &self.tls else { return Ok(Box::new(tcp)) };
        let name = ServerName::IpAddress(self.address.ip().into());
        Ok(Box::new(TlsConnector::from(Arc::clone(tls)).connect(name, tcp).await?))
    }
}

/// The `n`th of the addresses that stand for separate places; those in 127.0.0.0/16 are left to gateways and to this program.
pub(crate) fn source(n: usize) -> Ipv4Addr {
    let [a, b] = [n / 250 % 250 + 1, n % 250 + 1].map(|part| u8::try_from(part).unwrap_or(u8::MAX));
    Ipv4Addr::new(127, 1, a, b)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_thousand_places_have_ten_thousand_addresses() {
        let all: std::collections::HashSet<_> = (0..10_000).map(source).collect();
        assert!(all.len() == 10_000 && all.iter().all(Ipv4Addr::is_loopback));
    }
}
