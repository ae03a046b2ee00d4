//! The null relay: the least that a relay of this kind can do, as a process of its own, for the gateway to be measured against.
//!
//! The same job and the same libraries: a device dials out and keeps a WebSocket open, a request that names it goes down that
//! socket, and what comes up is the response. There are no credentials, no limits, no metrics and no deadlines; what
//! travels is opaque. Every queued message goes into one flush, and nothing waits for more to be queued.

pub(crate) mod devices;
mod line;
mod pieces;

use std::{
    collections::HashMap,
    convert::Infallible,
    net::SocketAddr,
    sync::{Arc, PoisonError, RwLock},
};

use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode, header};
use http_body_util::{Either, Full};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
};

pub(crate) use self::line::NUMBER_BYTES;
use self::{line::Line, pieces::Pieces};
use crate::{
    failure::Result,
    fleet::opaque::{Opaque, accept},
    front, report,
};

/// The subcommand that is the null relay.
pub(crate) const NAME: &str = "null-relay";

/// Where devices dial to: the rest of the path is the device's name.
const DEVICES: &str = "/devices/";

/// What the path of a question for a picture has in it; the answer to such a one passes through piece by piece.
const PICTURES: &str = "/images/";

/// A body: in one piece, or as it comes.
type Answer = Either<Full<Bytes>, Pieces>;

/// The least that a relay can do
#[derive(Debug, clap::Args)]
pub(crate) struct NullRelay {
    /// Address and port to serve on, which is told once it serves [default: a free port of 127.0.0.1]
    #[arg(long, value_name = "ADDR")]
    listen: Option<SocketAddr>,
}

/// Who is connected, by name.
#[derive(Debug, Default)]
struct Relay(RwLock<HashMap<String, Arc<Line>>>);

impl NullRelay {
    /// Serves until the process is ended.
    pub(crate) async fn run(self) -> Result<bool> {
        trim_when_asked()?;
        let listener = front::listen(self.listen)?;
        report::say(listener.local_addr()?);
        match serve(listener).await? {}
    }
}

/// Gives freed memory back on each SIGUSR1, and says so: its allocator, the C library's, does that only at the end of its heap.
fn trim_when_asked() -> Result<()> {
    let mut usr1 = signal(SignalKind::user_defined1())?;
    tokio::spawn(async move {
        while usr1.recv().await.is_some() {
            oriel_trim::trim();
            report::say("trimmed");
        }
    });
    Ok(())
}

/// Serves until the process or the task is ended.
pub(crate) async fn serve(listener: TcpListener) -> Result<Infallible> {
    let relay = Arc::<Relay>::default();
    front::serve(listener, move |request| Arc::clone(&relay).respond(request)).await
}

impl Relay {
    async fn respond(self: Arc<Self>, request: Request<Incoming>) -> Response<Answer> {
        match request.uri().path().strip_prefix(DEVICES).map(str::to_owned) {
            Some(device) => self.connect(device, request).map(Either::Left),
            None => self.ask(&request).await,
        }
    }

    /// Passes a question on and its answer back.
    async fn ask(&self, request: &Request<Incoming>) -> Response<Answer> {
        let path = request.uri().path();
        let only = |status| front::only(status).map(Either::Left);
        let Some(line) = self.find(front::camera(path)) else { return only(StatusCode::NOT_FOUND) };
        let question = request.uri().path_and_query().map_or(path, |whole| whole.as_str());
        if path.contains(PICTURES) {
            let pieces = line.ask_for_pieces(question.as_bytes()).await;
            let picture = pieces.map(|pieces| Response::new(Either::Right(pieces)));
            return picture.unwrap_or_else(|| only(StatusCode::BAD_GATEWAY));
        }
        let answer = line.ask(question.as_bytes()).await;
        answer.map_or_else(|| only(StatusCode::BAD_GATEWAY), |answer| front::json(answer).map(Either::Left))
    }

    /// Takes a device in; it can be asked from now on.
    fn connect(self: Arc<Self>, device: String, mut request: Request<Incoming>) -> Response<Full<Bytes>> {
        let key = request.headers().get(header::SEC_WEBSOCKET_KEY);
        let Some(Ok(accepted)) = key.map(accept) else { return front::only(StatusCode::BAD_REQUEST) };
        let line = Arc::<Line>::default();
        self.0.write().unwrap_or_else(PoisonError::into_inner).insert(device, Arc::clone(&line));
        let upgrade = hyper::upgrade::on(&mut request);
        tokio::spawn(async move {
            if let Ok(io) = upgrade.await {
                // Whoever asks a device that has left is told so.
                _ = line.run(Opaque::upgraded(TokioIo::new(io)).await).await;
            }
            line.close();
        });
        let mut response = front::only(StatusCode::SWITCHING_PROTOCOLS);
        let headers = response.headers_mut();
        headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
        headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
        headers.insert(header::SEC_WEBSOCKET_ACCEPT, accepted);
        response
    }

    fn find(&self, device: &str) -> Option<Arc<Line>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(device).cloned()
    }
}
