//! The URL table: every path with its method, guard and handler on one screen.
//!
//! A line reads `METHOD Guard path => handler`. The guard is part of the handler's signature, so a line that names another one
//! does not compile. [`endpoints`] gives the table to the server, to the API document's test and to the access tests.

pub mod agent;
pub mod agents;
pub mod cameras;
mod chunks;
mod cursors;
pub mod enroll;
pub mod enrollments;
pub mod events;
pub mod guard;
mod idempotency;
pub mod images;
pub mod inbound;
pub mod keys;
pub mod operations;
mod page;
mod patience;
pub mod query;
mod reply;
pub mod stream;
mod whom;
pub mod wire;

use std::sync::Arc;

use oriel_proto::{AgentId, CameraId};
use tokio::sync::Semaphore;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use warp::{Filter, filters::BoxedFilter, reply::Response};

pub use self::{
    cursors::Cursors, events::follow::Newest, idempotency::Idempotency, images::Boundary, inbound::Peer,
    operations::fallback,
};
use self::{
    guard::{Admin, Device, Guard, Open},
    images::Moment,
    inbound::{Inbound, inbound},
};
use crate::{
    access::{Access, Viewer},
    cameras::Cameras,
    events::Events,
    images::Images,
    ingest::Ingest,
    link::Budget,
    metrics::Metrics,
    problem::Problem,
    registry::Registry,
    store::{EnrollmentId, KeyId},
};

/// The routes that ask for no credential. Everything else does.
pub const OPEN: &[&str] = &["/healthz", "/readyz", "/v1/enroll"];

/// The routes whose answers have no end of their own. Every other `GET` is also a `HEAD`.
const ENDLESS: &[&str] = &["/v1/stream", "/v1/agent/connect", "/v1/cameras/{id}/live"];

/// What handlers work with; clones share it.
pub type App = Arc<Parts>;

/// The gateway's parts.
#[derive(Debug)]
pub struct Parts {
    /// Who is asking.
    pub access: Access,
    /// Known cameras.
    pub cameras: Cameras,
    /// Connected agents.
    pub registry: Registry,
    /// Logs of cameras.
    pub events: Events,
    /// Pictures of cameras.
    pub images: Images,
    /// Where uploaded events go.
    pub ingest: Ingest,
    /// Credit that the answers of all agents may have out.
    pub credit: Arc<Budget>,
    /// Places in answers that callers bring again.
    pub cursors: Cursors,
    /// The newest of the places from which events are followed.
    pub newest: Newest,
    /// Counters.
    pub metrics: Arc<Metrics>,
    /// Values from the configuration.
    pub settings: Settings,
    /// Room for agent sockets.
    pub agent_permits: Arc<Semaphore>,
    /// Every task that outlives its request.
    pub tasks: TaskTracker,
    /// Set when the gateway begins to stop.
    pub stopping: CancellationToken,
    /// Set when open answers have had their time: sockets that are still open end now.
    pub closing: CancellationToken,
    /// What stands between the pictures of one body.
    pub boundary: Arc<Boundary>,
    /// Answers to repeated requests.
    pub idempotency: Idempotency,
}

/// What handlers need of the configuration.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where callers reach this gateway, when it is not what they typed.
    pub public_url: Option<String>,
    /// How often agents ping.
    pub heartbeat: std::time::Duration,
    /// The largest request body in bytes.
    pub body_bytes: usize,
}

/// One line of the table.
#[derive(Debug)]
pub struct Endpoint {
    /// The method.
    pub method: &'static str,
    /// The path, parameters as `{id}`.
    pub path: String,
    /// The guard's name.
    pub guard: &'static str,
    filter: BoxedFilter<(Response,)>,
}

macro_rules! table {
    ($app:expr; $($method:ident $guard:ident $($lead:literal)/+ $(/ { $id:ty } $(/ $tail:literal)* $(/ { $time:ident })?)? => $handler:path;)+) => {
        vec![$({
            let path = concat!($("/", $lead),+ $(, "/{id}" $(, "/", $tail)* $(, "/{", time!($time), "}")?)?);
            let filter = warp::path!($($lead)/+ $(/ $id $(/ $tail)* $(/ $time)?)?);
            endpoint!($app, $method, $guard, path, filter, [$($id $(, $time)?)?], $handler)
        }),+]
    };
}

/// What a time in a path is called.
macro_rules! time {
    (Moment) => {
        "time"
    };
}

macro_rules! endpoint {
    ($app:expr, $method:ident, $guard:ident, $path:expr, $filter:expr, [$($id:ty),*], $handler:path) => {
        Endpoint {
            method: stringify!($method),
            path: $path.to_owned(),
            guard: <$guard as Guard>::NAME,
            filter: with_parameters!($filter
                .and(method(stringify!($method), $path))
                .and(inbound::<$guard>($app.clone())), $guard, [$($id),*], $handler)
                .boxed(),
        }
    };
}

macro_rules! with_parameters {
    ($filter:expr, $guard:ident, [], $handler:path) => {
        $filter.then(|inbound: Result<Inbound<$guard>, Problem>| async move {
            answer(match inbound {
                Ok(inbound) => $handler(inbound).await,
                Err(problem) => Err(problem),
            })
        })
    };
    ($filter:expr, $guard:ident, [$id:ty], $handler:path) => {
        $filter.then(|id: $id, inbound: Result<Inbound<$guard>, Problem>| async move {
            answer(match inbound {
                Ok(inbound) => $handler(inbound, id).await,
                Err(problem) => Err(problem),
            })
        })
    };
    ($filter:expr, $guard:ident, [$id:ty, $time:ty], $handler:path) => {
        $filter.then(|id: $id, time: $time, inbound: Result<Inbound<$guard>, Problem>| async move {
            answer(match inbound {
                Ok(inbound) => $handler(inbound, id, time).await,
                Err(problem) => Err(problem),
            })
        })
    };
}

/// The table; what is asked most often stands first.
#[rustfmt::skip]
pub fn endpoints(app: &App) -> Vec<Endpoint> {
    table![app;
        GET    Viewer "v1" / "cameras" / {CameraId} / "events"      => events::list;
        GET    Viewer "v1" / "cameras" / {CameraId} / "timeline"    => events::timeline::show;
        GET    Viewer "v1" / "cameras" / {CameraId} / "images" / {Moment} => images::one::show;
        GET    Viewer "v1" / "cameras" / {CameraId} / "images"      => images::list;
        GET    Viewer "v1" / "cameras" / {CameraId} / "images.zip"  => images::zip::download;
        GET    Viewer "v1" / "cameras" / {CameraId} / "live"        => images::live::watch;
        POST   Viewer "v1" / "cameras" / {CameraId} / "snapshot"    => images::snapshot::take;
        GET    Viewer "v1" / "images" / "latest"                    => images::many::latest;
        GET    Viewer "v1" / "cameras"                              => cameras::list;
        GET    Viewer "v1" / "cameras" / {CameraId}                 => cameras::show;
        POST   Admin  "v1" / "cameras"                              => cameras::create;
        PATCH  Viewer "v1" / "cameras" / {CameraId}                 => cameras::change;
        DELETE Viewer "v1" / "cameras" / {CameraId}                 => cameras::remove;
        GET    Viewer "v1" / "events"                               => events::many::list;
        GET    Viewer "v1" / "stream"                               => stream::follow;
        GET    Device "v1" / "agent" / "connect"                    => agent::connect;
        POST   Open   "v1" / "enroll"                               => enroll::trade;
        GET    Admin  "v1" / "enrollments"                          => enrollments::list;
        POST   Admin  "v1" / "enrollments"                          => enrollments::create;
        GET    Admin  "v1" / "enrollments" / {EnrollmentId}         => enrollments::show;
        DELETE Admin  "v1" / "enrollments" / {EnrollmentId}         => enrollments::remove;
        GET    Admin  "v1" / "agents"                               => agents::list;
        GET    Admin  "v1" / "agents" / {AgentId}                   => agents::show;
        DELETE Admin  "v1" / "agents" / {AgentId}                   => agents::revoke;
        POST   Admin  "v1" / "agents" / {AgentId} / "rotate"        => agents::rotate;
        GET    Admin  "v1" / "keys"                                 => keys::list;
        POST   Admin  "v1" / "keys"                                 => keys::create;
        GET    Admin  "v1" / "keys" / {KeyId}                       => keys::show;
        DELETE Admin  "v1" / "keys" / {KeyId}                       => keys::revoke;
        GET    Open   "healthz"                                     => operations::healthz;
        GET    Open   "readyz"                                      => operations::readyz;
        GET    Admin  "metrics"                                     => operations::metrics;
        GET    Viewer "openapi.json"                                => operations::openapi;
    ]
}

/// All routes as one filter that never rejects: what no line matches is answered by [`fallback`].
pub fn routes(app: &App) -> BoxedFilter<(Response,)> {
    let endpoints = endpoints(app);
    let paths = endpoints.iter().flat_map(|endpoint| {
        let methods = methods(endpoint.method, &endpoint.path).into_iter();
        methods.map(|method| (method, endpoint.path.clone()))
    });
    let paths = paths.collect::<Arc<[_]>>();
    let last = warp::path::full()
        .and(warp::method())
        .and(inbound::<Viewer>(app.clone()))
        .then(move |path: warp::path::FullPath, method: warp::http::Method, inbound: Result<_, Problem>| {
            let refusal = fallback(&paths, path.as_str(), &method);
            let result = if OPEN.contains(&path.as_str()) { Err(refusal) } else { inbound.and(Err(refusal)) };
            std::future::ready(answer(result))
        })
        .boxed();
    endpoints.into_iter().rev().fold(last, |rest, endpoint| endpoint.filter.or(rest).unify().boxed())
}

/// `/metrics` alone, without a credential, for a listener of its own.
pub fn metrics_only(app: &App) -> BoxedFilter<(Response,)> {
    let app = app.clone();
    // Nothing else is here, so the address alone will do.
    let path = warp::path!("metrics").or(warp::path::end()).unify();
    let metrics = path.and(warp::get()).map(move || answer(operations::metrics_text(&app)));
    let last = warp::any().map(|| answer(Err(Problem::not_found())));
    metrics.or(last).unify().boxed()
}

/// Matches the methods of a line.
fn method(name: &'static str, path: &str) -> BoxedFilter<()> {
    match name {
        "POST" => warp::post().boxed(),
        "PATCH" => warp::patch().boxed(),
        "DELETE" => warp::delete().boxed(),
        _ if ENDLESS.contains(&path) => warp::get().boxed(),
        _ => warp::get().or(warp::head()).unify().boxed(),
    }
}

/// The methods that a line takes, its own first.
fn methods(name: &'static str, path: &str) -> Vec<&'static str> {
    let head = name == "GET" && !ENDLESS.contains(&path);
    std::iter::once(name).chain(head.then_some("HEAD")).collect()
}

fn answer(result: Result<Response, Problem>) -> Response {
    result.unwrap_or_else(Problem::into_response)
}
