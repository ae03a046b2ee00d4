//! The null relay: the least that a relay of this kind can do, as a process of its own, for the gateway to be measured against.
//!
//! The same job and the same libraries: a device dials out and keeps a WebSocket open, a request that names it goes down that
//! socket, and what comes up is the response. There are no credentials, no limits, no metrics and no deadlines; what
//! travels is opaque. Every queued message goes into one flush, and nothing waits for more to be queued.

mod line;

use std::{
    collections::HashMap,
    convert::Infallible,
    net::SocketAddr,
    sync::{Arc, PoisonError, RwLock},
};

use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpSocket, TcpStream};

use self::line::Line;
pub(crate) use self::line::NUMBER_BYTES;
use crate::{
    failure::Result,
    fleet::opaque::{Opaque, accept},
    report,
};

/// Connections that may wait to be accepted: as many as the gateway lets wait.
const BACKLOG: u32 = 4_096;

/// Where devices dial to: the rest of the path is the device's name.
const DEVICES: &str = "/devices/";

/// Where they are asked: the next part of the path is the device's name.
const CAMERAS: &str = "/v1/cameras/";

/// The least that a relay can do
#[derive(Debug, clap::Args)]
pub(crate) struct NullRelay {
    /// Address and port to serve on, which is told once it serves
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:0")]
    listen: SocketAddr,
}

/// Who is connected, by name.
#[derive(Debug, Default)]
struct Relay(RwLock<HashMap<String, Arc<Line>>>);

impl NullRelay {
    /// Serves until the process is ended.
    pub(crate) async fn run(self) -> Result<bool> {
        let socket = TcpSocket::new_v4()?;
        socket.bind(self.listen)?;
        let listener = socket.listen(BACKLOG)?;
        report::serving(listener.local_addr()?);
        let relay = Arc::<Relay>::default();
        loop {
            let (stream, _) = listener.accept().await?;
            tokio::spawn(serve(Arc::clone(&relay), stream));
        }
    }
}

async fn serve(relay: Arc<Relay>, stream: TcpStream) {
    // Without it a connection is slower, but works.
    _ = stream.set_nodelay(true);
    let service = service_fn(move |request| {
        let relay = Arc::clone(&relay);
        async move { Ok::<_, Infallible>(relay.respond(request).await) }
    });
    let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    // How a connection ended is its client's affair.
    _ = connection.with_upgrades().await;
}

impl Relay {
    async fn respond(self: Arc<Self>, request: Request<Incoming>) -> Response<Full<Bytes>> {
        match request.uri().path().strip_prefix(DEVICES).map(str::to_owned) {
            Some(device) => self.connect(device, request),
            None => self.ask(&request).await,
        }
    }

    /// Passes a question on and its answer back.
    async fn ask(&self, request: &Request<Incoming>) -> Response<Full<Bytes>> {
        let path = request.uri().path();
        let device = path.strip_prefix(CAMERAS).and_then(|rest| rest.split('/').next()).unwrap_or_default();
        let Some(line) = self.find(device) else { return only(StatusCode::NOT_FOUND) };
        let question = request.uri().path_and_query().map_or(path, |whole| whole.as_str());
        let Some(answer) = line.ask(question.as_bytes()).await else { return only(StatusCode::BAD_GATEWAY) };
        let mut response = Response::new(Full::new(answer));
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        response
    }

    /// Takes a device in; it can be asked from now on.
    fn connect(self: Arc<Self>, device: String, mut request: Request<Incoming>) -> Response<Full<Bytes>> {
        let key = request.headers().get(header::SEC_WEBSOCKET_KEY);
        let Some(accepted) = key.map(accept) else { return only(StatusCode::BAD_REQUEST) };
        let line = Arc::<Line>::default();
        self.0.write().unwrap_or_else(PoisonError::into_inner).insert(device, Arc::clone(&line));
        let upgrade = hyper::upgrade::on(&mut request);
        tokio::spawn(async move {
            if let Ok(io) = upgrade.await {
                // A device that leaves is dialled for by nobody: the bench ends with it.
                _ = line.run(Opaque::upgraded(TokioIo::new(io)).await).await;
            }
            line.close();
        });
        let mut response = only(StatusCode::SWITCHING_PROTOCOLS);
        let headers = response.headers_mut();
        headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
        headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
        if let Ok(accepted) = HeaderValue::from_str(&accepted) {
            headers.insert(header::SEC_WEBSOCKET_ACCEPT, accepted);
        }
        response
    }

    fn find(&self, device: &str) -> Option<Arc<Line>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(device).cloned()
    }
}

/// A response without a body.
fn only(status: StatusCode) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::default());
    *response.status_mut() = status;
    response
}
