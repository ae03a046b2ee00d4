//! Dialling a gateway: address, TLS, token, until frames flow; the only file that names `tokio_tungstenite`.

mod drained;
mod refusal;
mod socket;
pub(crate) mod tls;

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use http::{HeaderMap, HeaderValue, Request, header};
use oriel_proto::{SUBPROTOCOL, Secret, limits::FRAME_BYTES};
use rustls::{ClientConfig, ClientConnection, pki_types::ServerName};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpStream, lookup_host},
    time::{Instant, timeout},
};
use tokio_rustls::TlsConnector;
use tokio_tungstenite::{
    client_async_with_config,
    tungstenite::{Error as WsError, handshake::client::generate_key, protocol::WebSocketConfig},
};
use url::{Host, Url};

use self::drained::Drained;
pub(crate) use self::socket::Socket;
use crate::config::GatewayConfig;

/// The longest a whole dial may take.
const DIAL_WITHIN: Duration = Duration::from_secs(30);
/// The longest that all addresses together may take to accept, so that time is left for what follows.
const REACH_WITHIN: Duration = Duration::from_secs(20);
/// The most addresses of one name that are tried.
const ADDRESSES: usize = 8;
/// Bytes that may lie unsent in the socket: two frames.
const WRITE_BUFFER: usize = 2 * (FRAME_BYTES + 64);

/// Why no connection came about.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DialError {
    /// The name has no address.
    #[error("{host} cannot be found: {source}")]
    Name {
        /// The name.
        host: String,
        /// What the resolver said.
        source: io::Error,
    },
    /// A name that should be this machine is another one.
    #[error("{host} is not this machine, and what is sent there would be plain text")]
    Elsewhere {
        /// The host and port.
        host: String,
    },
    /// No address accepted.
    #[error("{host} cannot be reached: {source}")]
    Unreachable {
        /// The host and port.
        host: String,
        /// What the last address said.
        source: io::Error,
    },
    /// TLS failed.
    #[error("{0}")]
    Tls(String),
    /// The gateway, or something before it, refused before the upgrade.
    #[error("{host} refused with status {status}: {why}")]
    Refused {
        /// The host and port.
        host: String,
        /// What that means.
        why: &'static str,
        /// The HTTP status.
        status: u16,
        /// What `Retry-After` said.
        retry_after: Option<Duration>,
    },
    /// Something answered that is no gateway.
    #[error("{host} does not answer like a gateway: {why}")]
    NoGateway {
        /// The host and port.
        host: String,
        /// What was wrong.
        why: String,
    },
    /// It took too long.
    #[error("{host} did not answer within {} s", DIAL_WITHIN.as_secs())]
    Slow {
        /// The host and port.
        host: String,
    },
}

/// Anything that bytes flow through.
pub(crate) trait Io: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

/// Opens a connection to `gateway`; `tls` is used when its address says so.
pub(crate) async fn dial(
    gateway: &GatewayConfig,
    tls: Arc<ClientConfig>,
    token: &Secret,
) -> Result<Socket, DialError> {
    let host = authority(&gateway.url);
    match timeout(DIAL_WITHIN, open(gateway, &host, tls, token)).await {
        Ok(opened) => opened,
        Err(_) => Err(DialError::Slow { host }),
    }
}

async fn open(
    gateway: &GatewayConfig,
    host: &str,
    tls: Arc<ClientConfig>,
    token: &Secret,
) -> Result<Socket, DialError> {
    let url = &gateway.url;
    let stream = reach(addresses(gateway).await?, host).await?;
    let io = if url.scheme() == "https" {
        let name = server_name(url, host)?;
        // What waits encrypted takes no turns either.
        let bound = |tls: &mut ClientConnection| tls.set_buffer_limit(Some(FRAME_BYTES));
        let tls = TlsConnector::from(tls).connect_with(name, stream, bound).await;
        Box::new(tls.map_err(|e| DialError::Tls(tls::explained(host, &e)))?)
    } else {
        stream
    };
    let request = request(url, host, token)?;
    let config = WebSocketConfig::default()
        .read_buffer_size(4_096)
        .write_buffer_size(0)
        .max_write_buffer_size(WRITE_BUFFER)
        .max_message_size(Some(FRAME_BYTES))
        .max_frame_size(Some(FRAME_BYTES));
    match client_async_with_config(request, io, Some(config)).await {
        Ok((stream, response)) => {
            let spoken = response.headers().get(header::SEC_WEBSOCKET_PROTOCOL);
            if spoken.is_none_or(|protocol| protocol != SUBPROTOCOL) {
                let why = format!("it does not speak {SUBPROTOCOL}");
                return Err(DialError::NoGateway { host: host.to_owned(), why });
            }
            Ok(Socket::new(stream))
        }
        Err(WsError::Http(response)) => Err(DialError::Refused {
            host: host.to_owned(),
            why: refusal::meaning(response.status().as_u16(), response.headers()),
            status: response.status().as_u16(),
            retry_after: retry_after(response.headers()),
        }),
        Err(WsError::Io(source)) => Err(DialError::Unreachable { host: host.to_owned(), source }),
        Err(e) => Err(DialError::NoGateway { host: host.to_owned(), why: e.to_string() }),
    }
}

/// The addresses of `gateway`; a name that stands for this machine must be this machine, as nothing else hides what is sent.
pub(crate) async fn addresses(gateway: &GatewayConfig) -> Result<Vec<SocketAddr>, DialError> {
    let host = authority(&gateway.url);
    let found = lookup_host(&host).await.map(|found| found.take(ADDRESSES).collect::<Vec<_>>());
    let found = found.map_err(|source| DialError::Name { host: host.clone(), source })?;
    if may_hear(gateway, &found) { Ok(found) } else { Err(DialError::Elsewhere { host }) }
}

/// Whether secrets may be sent to all of `addresses`.
fn may_hear(gateway: &GatewayConfig, addresses: &[SocketAddr]) -> bool {
    gateway.insecure || gateway.url.scheme() == "https" || addresses.iter().all(|at| at.ip().is_loopback())
}

/// A TCP connection to the first of `addresses` that accepts; each gets an equal part of the time that is left.
async fn reach(addresses: Vec<SocketAddr>, host: &str) -> Result<Box<dyn Io>, DialError> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    tracing::trace!(%host, addresses = addresses.len(), "dialling");
    let (until, mut left) = (Instant::now() + REACH_WITHIN, ADDRESSES.min(addresses.len()));
    for address in addresses {
        let within =
            until.saturating_duration_since(Instant::now()) / u32::try_from(left.max(1)).unwrap_or(1);
        left = left.saturating_sub(1);
        match timeout(within, connect(address)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(e)) => last = e,
            Err(_) => last = io::ErrorKind::TimedOut.into(),
        }
    }
    Err(DialError::Unreachable { host: host.to_owned(), source: last })
}

/// A TCP connection, of a simulated network where there is one.
async fn connect(address: SocketAddr) -> io::Result<Box<dyn Io>> {
    #[cfg(feature = "sim")]
    if turmoil::in_simulation() {
        return Ok(Box::new(turmoil::net::TcpStream::connect(address).await?));
    }
    let stream = TcpStream::connect(address).await?;
    Ok(Box::new(Drained::new(stream)))
}

/// Host and port as they are looked up and sent.
fn authority(url: &Url) -> String {
    let port = url.port_or_known_default().unwrap_or(0);
    format!("{}:{port}", url.host_str().unwrap_or_default())
}

fn server_name(url: &Url, host: &str) -> Result<ServerName<'static>, DialError> {
    let name = match url.host() {
        Some(Host::Domain(name)) => ServerName::try_from(name.to_owned()).ok(),
        Some(Host::Ipv4(ip)) => Some(ServerName::from(std::net::IpAddr::V4(ip))),
        Some(Host::Ipv6(ip)) => Some(ServerName::from(std::net::IpAddr::V6(ip))),
        None => None,
    };
    name.ok_or_else(|| DialError::Tls(format!("{host} is not a name that a certificate can have")))
}

fn request(url: &Url, host: &str, token: &Secret) -> Result<Request<()>, DialError> {
    let path = format!("{}/v1/agent/connect", url.path().trim_end_matches('/'));
    let unusable = |why: &str| DialError::NoGateway { host: host.to_owned(), why: why.to_owned() };
    let mut bearer = HeaderValue::try_from(format!("Bearer {}", token.expose()))
        .map_err(|_| unusable("the stored token cannot be sent"))?;
    bearer.set_sensitive(true);
    Request::builder()
        .uri(format!("ws://{host}{path}"))
        .header(header::HOST, host)
        .header(header::CONNECTION, "Upgrade")
        .header(header::UPGRADE, "websocket")
        .header(header::SEC_WEBSOCKET_VERSION, "13")
        .header(header::SEC_WEBSOCKET_KEY, generate_key())
        .header(header::SEC_WEBSOCKET_PROTOCOL, SUBPROTOCOL)
        .header(header::USER_AGENT, concat!("camera-agent/", env!("CARGO_PKG_VERSION")))
        .header(header::AUTHORIZATION, bearer)
        .body(())
        .map_err(|_| unusable("its address cannot be asked"))
}

/// `Retry-After` in seconds; dates are not used by gateways.
pub(crate) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_text_goes_to_this_machine_alone_whatever_its_name_resolves_to() {
        let (here, there) = (([127, 0, 0, 1], 80).into(), ([192, 0, 2, 1], 80).into());
        let mut gateway = GatewayConfig::new("http://gateway.localhost".parse().unwrap());
        assert!(may_hear(&gateway, &[here]));
        assert!(!may_hear(&gateway, &[here, there]));
        gateway.insecure = true;
        assert!(may_hear(&gateway, &[there]));
        assert!(may_hear(&GatewayConfig::new("https://gateway.localhost".parse().unwrap()), &[there]));
    }
}
