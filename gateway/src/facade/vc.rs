//! The older system's listener: its cameras poll for questions and post the whole list of their events, its clients ask for lists.
//!
//! | call | is answered with |
//! |---|---|
//! | `GET /`, `GET /{camera}` | 200 when somebody asks for the camera's list, 204 after a minute in which nobody does |
//! | `POST /verkada/api/v1.0/logs/post`, `…/post/{camera}` | 201 and the list back |
//! | `GET /verkada/api/v1.0/logs`, `…/logs/{camera}`, each with `?from=&to=` | the list that the camera posts now |
//!
//! It is a door of its own, which asks for no credential and lets in some networks alone. Behind it stands an agent like every other,
//! whose cameras are those that poll or post here (`agent.rs`); `camera.rs` knows which list answers whom.

mod agent;
mod answer;
mod body;
mod camera;
mod kept;
mod list;
mod logs;
mod poll;
mod post;
mod roster;
mod span;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::Stream;
use ipnet::IpNet;
use oriel_proto::{AgentId, CameraId, limits::CAMERAS_PER_AGENT};
use tokio::{
    sync::{Semaphore, SemaphorePermit},
    time::timeout,
};
use warp::{
    Buf, Filter,
    filters::BoxedFilter,
    http::{HeaderValue, Method, StatusCode, header::CONTENT_TYPE},
    path::FullPath,
    reply::Response,
};

use self::{
    body::{MOST, Room},
    logs::Made,
    roster::{Listed, Roster},
    span::Span,
};
use crate::{
    access::{AccessError, Viewer},
    cameras::Claim,
    problem::LegacyProblem,
    relay::shared::Shared,
    routes::{App, Peer},
    store::{Scope, Store},
};

/// Where lists are.
const LOGS: &str = "/verkada/api/v1.0/logs";

/// The camera of a call that names none.
const DEFAULT: &str = "default";

/// Bytes of lists that come, are read, or are on their way to clients.
const ROOM: usize = 64 << 20;

/// Bytes of lists that are read or made at once: what is made of them meanwhile takes up to four times as much again.
const AT_WORK: usize = 2 * MOST;

/// How long a list may wait for those before it to be read or made.
const TURN_WITHIN: Duration = Duration::from_secs(30);

/// The older system's listener.
#[derive(Debug)]
pub struct Vc {
    app: App,
    store: Store,
    settings: Settings,
    /// The agent that its cameras are bound to.
    agent: AgentId,
    /// Whoever asks here, as far as cameras with an agent of their own are concerned.
    viewer: Viewer,
    roster: Arc<Roster>,
    room: Room,
    /// A permit for each kilobyte.
    at_work: Semaphore,
    /// Lists that are being made of what is kept.
    made: Shared<(CameraId, Span), Made>,
}

/// What the listener needs of the configuration.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where it listens.
    pub listen: SocketAddr,
    /// Who may use it.
    pub allow: Vec<IpNet>,
    /// The cameras with an agent that clients may ask.
    pub cameras: Scope,
}

/// What a call asks for, and of which camera if it says so.
#[derive(Debug, PartialEq, Eq)]
enum Target {
    Poll(Option<CameraId>),
    Logs(Option<CameraId>),
    Post(Option<CameraId>),
}

impl Target {
    /// The table of calls.
    fn of(method: &Method, path: &str) -> Option<Self> {
        match (method, path.strip_prefix(LOGS)) {
            (&Method::GET, None) => camera(path).map(Self::Poll),
            (&Method::GET, Some(rest)) => camera(rest).map(Self::Logs),
            (&Method::POST, Some(rest)) => camera(rest.strip_prefix("/post")?).map(Self::Post),
            _ => None,
        }
    }
}

/// The camera that the rest of a path names, if it names one; nothing when that is no path.
fn camera(rest: &str) -> Option<Option<CameraId>> {
    match rest {
        "" | "/" => Some(None),
        _ => rest.strip_prefix('/')?.parse().ok().map(Some),
    }
}

impl Vc {
    /// The listener of a gateway, whose cameras are those that it had before.
    pub async fn open(app: &App, store: Store, settings: Settings) -> Result<Arc<Self>, AccessError> {
        let agent = app.access.legacy_agent().await?;
        let viewer = app.access.legacy_viewer(settings.cameras.clone());
        let made = Shared::new(app.metrics.calls_joined.clone());
        let (roster, room, at_work) = (Arc::default(), Room::new(ROOM), Semaphore::new(AT_WORK >> 10));
        Ok(Arc::new(Self { app: app.clone(), store, settings, agent, viewer, roster, room, at_work, made }))
    }

    /// All its calls as one filter that never rejects.
    pub fn routes(self: &Arc<Self>) -> BoxedFilter<(Response,)> {
        let vc = Arc::clone(self);
        let query = warp::query::raw().or(warp::any().map(String::new)).unify();
        warp::any()
            .map(move || Arc::clone(&vc))
            .and(warp::method())
            .and(warp::path::full())
            .and(query)
            .and(warp::ext::get::<Peer>())
            .and(warp::body::stream())
            .then(
                |vc: Arc<Self>, method: Method, path: FullPath, query: String, peer: Peer, body| async move {
                    let target = Target::of(&method, path.as_str());
                    let answer = vc.answer(target, &query, peer, body).await;
                    answer.unwrap_or_else(LegacyProblem::into_response)
                },
            )
            .boxed()
    }

    async fn answer<B: Buf>(
        self: &Arc<Self>,
        target: Option<Target>,
        query: &str,
        peer: Peer,
        body: impl Stream<Item = Result<B, warp::Error>>,
    ) -> Result<Response, LegacyProblem> {
        let is_allowed = self.settings.allow.iter().any(|network| network.contains(&peer.ip()));
        if !is_allowed || self.is_revoked() {
            return Err(LegacyProblem::Forbidden);
        }
        match target.ok_or(LegacyProblem::NotFound)? {
            Target::Poll(camera) => self.poll(&named(camera)?).await,
            Target::Logs(camera) => self.logs(camera, Span::read(query)?).await,
            Target::Post(camera) => self.post(named(camera)?, body).await,
        }
    }

    /// Waits until there is time to read or make so many bytes of a list.
    async fn turn(&self, bytes: usize) -> Result<SemaphorePermit<'_>, LegacyProblem> {
        let cost = u32::try_from(bytes.div_ceil(1 << 10)).map_err(|_| LegacyProblem::TooLarge)?;
        let turn = timeout(TURN_WITHIN, self.at_work.acquire_many(cost)).await;
        turn.ok().and_then(Result::ok).ok_or(LegacyProblem::Busy)
    }

    /// Whether somebody has taken the cameras from the listener for good.
    fn is_revoked(&self) -> bool {
        self.app.access.is_revoked(self.agent)
    }

    /// Whether a camera is one that polls or posts here.
    fn is_old(&self, camera: &CameraId) -> bool {
        self.app.cameras.belongs(camera, self.agent)
    }

    /// Whether a camera has an agent of its own and clients may ask it.
    fn is_granted(&self, camera: &CameraId) -> bool {
        self.app.cameras.get(&self.viewer, camera).is_ok() && !self.is_old(camera)
    }

    /// The camera that polls or posts, made when there is none.
    async fn admit(&self, id: &CameraId) -> Result<Arc<Listed>, LegacyProblem> {
        if !self.is_old(id) {
            self.claim(id).await?;
        }
        Ok(self.roster.camera(id))
    }

    async fn claim(&self, id: &CameraId) -> Result<(), LegacyProblem> {
        let cameras = &self.app.cameras;
        if cameras.record(id).is_some_and(|record| record.agent.is_some()) {
            return Err(LegacyProblem::NotFound);
        }
        if cameras.of_agent(self.agent).len() >= CAMERAS_PER_AGENT {
            return Err(LegacyProblem::TooManyCameras);
        }
        match cameras.claim(self.agent, &agent::announce(id.clone(), None)).await? {
            Claim::Bound => Ok(()),
            Claim::Refused(code, why) => {
                tracing::info!(camera = %id, %code, why, "camera of the older system refused");
                Err(LegacyProblem::NotFound)
            }
        }
    }
}

fn named(camera: Option<CameraId>) -> Result<CameraId, LegacyProblem> {
    camera.map_or_else(|| DEFAULT.parse().map_err(|_| LegacyProblem::NotFound), Ok)
}

/// An answer in JSON.
fn json(status: StatusCode, body: Bytes) -> Response {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_known_by_its_method_and_path_alone() {
        let porch = || Some("porch".parse().unwrap());
        for (method, path, target) in [
            (Method::GET, "/", Some(Target::Poll(None))),
            (Method::GET, "/porch", Some(Target::Poll(porch()))),
            (Method::GET, "/verkada/api/v1.0/logs", Some(Target::Logs(None))),
            (Method::GET, "/verkada/api/v1.0/logs/", Some(Target::Logs(None))),
            (Method::GET, "/verkada/api/v1.0/logs/porch", Some(Target::Logs(porch()))),
            (Method::POST, "/verkada/api/v1.0/logs/post", Some(Target::Post(None))),
            (Method::POST, "/verkada/api/v1.0/logs/post/porch", Some(Target::Post(porch()))),
            (Method::GET, "/verkada/api/v1.0/logsporch", None),
            (Method::GET, "/verkada/api/v2.0/logs", None),
            (Method::GET, "/Porch", None),
            (Method::GET, "/porch/", None),
            (Method::POST, "/", None),
            (Method::POST, "/verkada/api/v1.0/logs", None),
            (Method::POST, "/verkada/api/v1.0/logs/postporch", None),
            (Method::PUT, "/verkada/api/v1.0/logs/post", None),
            (Method::HEAD, "/", None),
        ] {
            assert_eq!(Target::of(&method, path), target, "{method} {path}");
        }
    }
}
