//! The accept loop: TLS, limits, a time limit for headers, hand-over to the routes, and a graceful stop.

pub mod admission;
mod peer;
pub mod tls;
mod version;

use std::{convert::Infallible, io, net::SocketAddr, sync::Arc, time::Duration};

use hyper::{
    body::{Body, Incoming},
    service::service_fn,
};
use hyper_util::{rt::TokioExecutor, server::conn::auto};
use tokio::{
    net::TcpListener,
    sync::Notify,
    time::{Instant, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower_service::Service;
use tracing::{Instrument, debug_span};
use warp::{
    filters::BoxedFilter,
    http::{HeaderValue, Method, Request, Version, header},
    reply::Response,
};

use self::{
    admission::{Admission, Admitted, Permit},
    peer::Proxies,
    tls::Tls,
    version::{Ends, Versions},
};
use crate::{
    access,
    io::{Io, Listen},
    metrics::{Metrics, RequestLabels},
    problem::{self, Problem},
    routes::wire::wire,
};

/// A TLS handshake, and the headers of a request, must be complete within this time, so that who holds a connection without using it is
/// closed within ten seconds.
const HEADERS_WITHIN: Duration = Duration::from_secs(9);

/// Connections that the kernel may hold before they are accepted: a fleet comes back all at once.
pub const BACKLOG: u32 = 4_096;

/// What the accept loop needs.
#[derive(Debug)]
pub struct Server {
    /// All routes.
    pub routes: BoxedFilter<(Response,)>,
    /// TLS, unless connections are plain.
    pub tls: Option<Tls>,
    /// Who may connect.
    pub admission: Admission,
    /// Whose forwarding headers are believed.
    pub proxies: Vec<ipnet::IpNet>,
    /// Counters.
    pub metrics: Arc<Metrics>,
}

/// A socket that listens on `address`; port 0 takes a free one.
pub fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket =
        if address.is_ipv4() { tokio::net::TcpSocket::new_v4()? } else { tokio::net::TcpSocket::new_v6()? };
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

impl Server {
    /// Accepts connections until the doors are `closed`, then lets open answers finish until what is left is `cut`.
    pub async fn run(self, listener: impl Listen, closed: CancellationToken, cut: CancellationToken) {
        let server = Arc::new(self);
        let (http, tasks) = (Arc::new(Versions::new()), TaskTracker::new());
        loop {
            let (io, peer) = tokio::select! {
                accepted = accept(&listener) => accepted,
                () = closed.cancelled() => break,
            };
            let (closing, cut) = (closed.clone(), cut.clone());
            // Boxed: each future around it would keep room for two of it.
            let connection =
                Box::pin(Arc::clone(&server).connection(Arc::clone(&http), closing, cut, io, peer));
            tasks.spawn(connection.instrument(debug_span!("connection", %peer)));
        }
        drop(listener);
        tasks.close();
        tasks.wait().await;
    }

    /// Serves one connection to its end.
    async fn connection(
        self: Arc<Self>,
        http: Arc<Versions>,
        closing: CancellationToken,
        cut: CancellationToken,
        io: Io,
        peer: SocketAddr,
    ) {
        // Boxed, as what is over soon: the connection would keep its room as long as it lasts.
        let opening = Box::pin(cut.run_until_cancelled(self.open(io, peer)));
        let Some(Some(Connection { io, permit: _permit, secure })) = opening.await else { return };
        let spoke = Arc::new(Notify::new());
        let heard = Arc::clone(&spoke);
        let each = service_fn(move |request| {
            heard.notify_one();
            Arc::clone(&self).answer(request, peer, secure)
        });
        let ends = Ends { spoke: &spoke, by: Instant::now() + HEADERS_WITHIN, closing: &closing, cut: &cut };
        if let Err(error) = http.serve(io, each, ends).await {
            tracing::debug!(%error, "connection ended");
        }
    }

    /// Counts a connection and makes it secure; one that there is no room for is refused here.
    async fn open(&self, io: Io, peer: SocketAddr) -> Option<Connection> {
        let proxy = Proxies(&self.proxies).trusts(peer.ip());
        let admitted = self.admission.admit((!proxy).then_some(peer.ip()))?;
        let io = match &self.tls {
            None => io,
            Some(tls) => match timeout(HEADERS_WITHIN, tls.acceptor().accept(io)).await {
                Ok(Ok(stream)) => Io::Tls(Box::new(stream)),
                Ok(Err(error)) => {
                    tracing::debug!(%error, "no TLS");
                    return None;
                }
                Err(_) => return None,
            },
        };
        match admitted {
            Admitted::Yes(permit) => Some(Connection { io, permit, secure: self.tls.is_some() }),
            Admitted::Full(_place) => {
                // Boxed: who is let in would have to bring the room for it.
                Box::pin(refuse(io)).await;
                None
            }
        }
    }

    /// Answers one request: names it, hands it to the routes, and gives the answer its last touch.
    async fn answer(
        self: Arc<Self>,
        mut request: Request<Incoming>,
        peer: SocketAddr,
        secure: bool,
    ) -> Result<Response, Infallible> {
        let id = uuid::Uuid::now_v7().to_string();
        let peer = Proxies(&self.proxies).believe(peer, secure, request.headers());
        request.extensions_mut().insert(peer);
        name_host(&mut request);
        let head = request.method() == Method::HEAD;
        let log = RequestLog::begin(&self.metrics, &request, &id);
        let mut response = warp::service(self.routes.clone()).call(request).await?;
        finish(&mut response, &id);
        if head {
            drop_body(&mut response);
        }
        log.end(response.status().as_u16());
        Ok(response)
    }
}

/// A connection whose first bytes may be read.
struct Connection {
    io: Io,
    permit: Permit,
    secure: bool,
}

/// The next connection. Running out of descriptors is waited out, not fatal.
async fn accept(listener: &impl Listen) -> (Io, SocketAddr) {
    loop {
        match listener.accept().await {
            Ok((io, peer)) => return (io, peer::canonical(peer)),
            Err(error) => {
                tracing::warn!(%error, "cannot accept");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

/// Answers the first request of a connection that there is no room for, and closes it.
async fn refuse(io: Io) {
    let answer = service_fn(|request: Request<Incoming>| async move {
        let id = uuid::Uuid::now_v7().to_string();
        let mut response = Problem::overloaded("too many connections are open").into_response();
        finish(&mut response, &id);
        // HTTP/2 has no such header.
        if request.version() < Version::HTTP_2 {
            response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        Ok::<_, Infallible>(response)
    });
    let http = auto::Builder::new(TokioExecutor::new());
    let connection = http.serve_connection(wire(io), answer);
    _ = timeout(Duration::from_secs(2), connection).await;
}

/// The last touch of every answer: the body of a failure, and the request's name.
fn finish(response: &mut Response, id: &str) {
    problem::finish(response, id);
    if let Ok(id) = HeaderValue::from_str(id) {
        response.headers_mut().insert("x-request-id", id);
    }
}

/// Whom the caller meant is in one place for the routes: HTTP/2 says it in the URI, where it counts more than a header.
fn name_host<B>(request: &mut Request<B>) {
    let authority = request.uri().authority().map(|authority| HeaderValue::from_str(authority.as_str()));
    if let Some(Ok(host)) = authority {
        request.headers_mut().insert(header::HOST, host);
    }
}

/// Leaves the headers of an answer, with the length that its body had: HTTP/2 would send the body.
fn drop_body(response: &mut Response) {
    let body = std::mem::take(response.body_mut());
    if let Some(length) = body.size_hint().exact() {
        response.headers_mut().entry(header::CONTENT_LENGTH).or_insert(length.into());
    }
}

/// Logs a request once, when it ends, however it ends.
struct RequestLog<'a> {
    metrics: &'a Metrics,
    method: &'static str,
    path: String,
    id: &'a str,
    start: tokio::time::Instant,
    ended: bool,
}

impl<'a> RequestLog<'a> {
    fn begin<B>(metrics: &'a Metrics, request: &Request<B>, id: &'a str) -> Self {
        let method = match request.method().as_str() {
            "GET" => "GET",
            "HEAD" => "HEAD",
            "POST" => "POST",
            "PATCH" => "PATCH",
            "DELETE" => "DELETE",
            _ => "other",
        };
        // The path alone: a query may hold what should not be in a log.
        let path = access::masked(request.uri().path()).into_owned();
        Self { metrics, method, path, id, start: tokio::time::Instant::now(), ended: false }
    }

    fn end(mut self, status: u16) {
        self.ended = true;
        self.log(status);
    }

    fn log(&self, status: u16) {
        self.metrics.requests.get_or_create(&RequestLabels { method: self.method, status }).inc();
        let ms = self.start.elapsed().as_millis();
        tracing::debug!(request_id = self.id, method = self.method, path = self.path, status, ms, "request");
    }
}

impl Drop for RequestLog<'_> {
    /// The caller left before its answer.
    fn drop(&mut self) {
        if !self.ended {
            self.log(problem::CALLER_LEFT);
        }
    }
}
