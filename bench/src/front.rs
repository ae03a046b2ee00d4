//! The HTTP side of what the gateway is compared with: hyper's HTTP/1.1 with its defaults, one task for each connection.

use std::{
    convert::Infallible,
    error::Error,
    future::Future,
    net::{Ipv4Addr, SocketAddr},
};

use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::{
    body::{Body, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpSocket, TcpStream};

use crate::failure::Result;

/// Connections that may wait to be accepted: as many as the gateway lets wait.
const BACKLOG: u32 = 4_096;

/// What the path of a question begins with; the camera's name follows.
const CAMERAS: &str = "/v1/cameras/";

/// Listens; none means a free port of 127.0.0.1.
pub(crate) fn listen(address: Option<SocketAddr>) -> Result<TcpListener> {
    let socket = TcpSocket::new_v4()?;
    socket.bind(address.unwrap_or_else(|| (Ipv4Addr::LOCALHOST, 0).into()))?;
    Ok(socket.listen(BACKLOG)?)
}

/// Serves until the process or the task is ended.
pub(crate) async fn serve<F, B>(
    listener: TcpListener,
    respond: impl Fn(Request<Incoming>) -> F + Clone + Send + Sync + 'static,
) -> Result<Infallible>
where
    F: Future<Output = Response<B>> + Send + 'static,
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    loop {
        let (stream, _) = listener.accept().await?;
        tokio::spawn(connection(stream, respond.clone()));
    }
}

async fn connection<F, B>(stream: TcpStream, respond: impl Fn(Request<Incoming>) -> F + Send + Sync)
where
    F: Future<Output = Response<B>> + Send,
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    // Without it a connection is slower, but works.
    _ = stream.set_nodelay(true);
    let service = service_fn(|request| {
        let response = respond(request);
        async move { Ok::<_, Infallible>(response.await) }
    });
    let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    // How a connection ended is its client's affair.
    _ = connection.with_upgrades().await;
}

/// The camera that a path names; empty when it names none.
pub(crate) fn camera(path: &str) -> &str {
    path.strip_prefix(CAMERAS).and_then(|rest| rest.split('/').next()).unwrap_or_default()
}

/// A response with this JSON.
pub(crate) fn json(body: Bytes) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// A response without a body.
pub(crate) fn only(status: StatusCode) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::default());
    *response.status_mut() = status;
    response
}
