//! Where an agent stands, for whoever may read its state folder: a person, a health check.
//!
//! Who connects to the socket there gets one JSON object, and nothing is read from him.

use std::{
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use oriel_proto::{CameraId, frame::SourceState};
use serde::{Deserialize, Serialize};
use tokio::{sync::watch, time::Instant};
use tokio_util::sync::CancellationToken;
use url::Url;

use crate::{camera::Camera, session::Phase};

#[cfg(unix)]
mod socket;

/// The socket in the state folder.
const SOCKET: &str = "status.sock";

/// How long asking may take.
const WITHIN: Duration = Duration::from_secs(2);

/// Where an agent stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// The gateway that it is connected to and that has said what it makes of the cameras; none while there is none.
    pub gateway: Option<String>,
    /// For how long that has been so, in seconds.
    pub for_s: u64,
    /// Why the last try came to nothing, while it is not connected.
    pub why: Option<String>,
    /// Its cameras, in the order of the configuration.
    pub cameras: Vec<CameraStatus>,
}

/// How a camera's source is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CameraStatus {
    /// The camera.
    pub camera: CameraId,
    /// How its source is.
    pub source: SourceState,
    /// Why it is not ok.
    pub why: Option<String>,
}

/// Why an agent could not be asked.
#[derive(Debug, thiserror::Error)]
pub enum StatusError {
    /// Nobody listens.
    #[error("no agent runs on the state folder {}: {source}", folder.display())]
    NotRunning {
        /// The state folder.
        folder: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It did not answer in time.
    #[error("the agent on the state folder {} does not answer within {WITHIN:?}", .0.display())]
    Silent(PathBuf),
    /// It answered something else.
    #[error("the agent's answer cannot be read: {0}")]
    Unreadable(serde_json::Error),
}

/// Where the connection is noted down.
#[derive(Clone, Debug)]
pub(crate) struct Board {
    noted: Arc<Mutex<Noted>>,
}

#[derive(Debug)]
struct Noted {
    /// The newest connection, which may have ended: then the other side of the channel is gone.
    connection: Option<Connection>,
    /// Since when there is none.
    alone_since: Instant,
    /// Why the last try came to nothing.
    failed: Option<String>,
}

#[derive(Debug)]
struct Connection {
    gateway: Url,
    phase: watch::Receiver<Phase>,
    since: Instant,
}

impl Connection {
    /// Whether the gateway has said what it makes of the cameras, now or before the connection ended.
    fn is_settled(&self) -> bool {
        *self.phase.borrow() >= Phase::Settled
    }

    fn is_open(&self) -> bool {
        self.phase.has_changed().is_ok()
    }
}

impl Board {
    /// Nothing is connected yet.
    pub(crate) fn new(since: Instant) -> Self {
        Self { noted: Arc::new(Mutex::new(Noted { connection: None, alone_since: since, failed: None })) }
    }

    /// A connection is being served from now on, and no other one.
    pub(crate) fn serves(&self, gateway: &Url, phase: watch::Receiver<Phase>) {
        let connection = Connection { gateway: gateway.clone(), phase, since: Instant::now() };
        self.ended();
        self.change(|noted| noted.connection = Some(connection));
    }

    /// The connection that was served has ended.
    pub(crate) fn ended(&self) {
        self.change(|noted| {
            if noted.connection.take().is_some_and(|connection| connection.is_settled()) {
                noted.alone_since = Instant::now();
            }
        });
    }

    /// A try came to nothing.
    pub(crate) fn failed(&self, gateway: &Url, why: &str) {
        self.change(|noted| noted.failed = Some(format!("{gateway}: {why}")));
    }

    fn change(&self, change: impl FnOnce(&mut Noted)) {
        change(&mut self.noted.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Where the agent stands now.
    pub(crate) fn status(&self, cameras: &[Camera]) -> Status {
        let cameras = cameras.iter().map(|camera| {
            let source = camera.source();
            CameraStatus { camera: camera.id().clone(), source: source.state, why: source.why }
        });
        let noted = self.noted.lock().unwrap_or_else(PoisonError::into_inner);
        let connection = noted.connection.as_ref().filter(|it| it.is_settled() && it.is_open());
        Status {
            gateway: connection.map(|it| it.gateway.to_string()),
            for_s: connection.map_or(noted.alone_since, |it| it.since).elapsed().as_secs(),
            why: noted.failed.clone().filter(|_| connection.is_none()),
            cameras: cameras.collect(),
        }
    }
}

/// A running agent, as far as it tells where it stands.
#[derive(Debug)]
pub struct Standing {
    folder: PathBuf,
    board: Board,
    cameras: Vec<Camera>,
}

impl Standing {
    pub(crate) const fn new(folder: PathBuf, board: Board, cameras: Vec<Camera>) -> Self {
        Self { folder, board, cameras }
    }

    /// Tells it to whoever asks [`status_of`] the agent's state folder, until `stop`.
    pub async fn tell(self, stop: CancellationToken) {
        #[cfg(unix)]
        stop.run_until_cancelled(socket::serve(self)).await;
        #[cfg(not(unix))]
        drop((self, stop));
    }
}

/// Asks the agent that runs on this state folder where it stands.
#[cfg(unix)]
pub async fn status_of(folder: &Path) -> Result<Status, StatusError> {
    let asked = tokio::time::timeout(WITHIN, socket::ask(&folder.join(SOCKET))).await;
    let answer = asked.map_err(|_| StatusError::Silent(folder.to_owned()))?;
    let answer = answer.map_err(|source| StatusError::NotRunning { folder: folder.to_owned(), source })?;
    serde_json::from_slice(&answer).map_err(StatusError::Unreadable)
}

/// Agents tell it on systems with sockets in folders alone.
#[cfg(not(unix))]
pub async fn status_of(folder: &Path) -> Result<Status, StatusError> {
    Err(StatusError::NotRunning { folder: folder.to_owned(), source: io::ErrorKind::Unsupported.into() })
}

#[cfg(test)]
mod tests;
