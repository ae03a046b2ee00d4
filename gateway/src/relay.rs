//! Ask a camera: find its link, put the question, wait for the first piece until one deadline, for the others as long as there
//! is progress. Dropping what is returned takes the question back, down to the camera.
//!
//! A link that dies before its answer has begun costs its caller nothing but time: the question is put once more over the
//! agent's next link, if one comes within the deadline.

pub mod bodies;
pub mod gather;
pub mod shared;

use std::{fmt, sync::Arc, time::Duration};

use oriel_proto::{Call, CameraId, Failure, FailureCode, SessionId, codec::outline};
use tokio::time::{Instant, sleep_until, timeout, timeout_at};
use tokio_util::sync::CancellationToken;

use crate::{
    link::{CallError, Link, Piece, Ticket},
    metrics::{Metrics, OutcomeLabels},
    registry::Registry,
};

/// After its first piece an answer lives as long as there is less than this between two pieces.
const PROGRESS: Duration = Duration::from_secs(30);

/// How often a question is put at most.
const TIMES: u8 = 2;

/// Puts questions to cameras; clones share everything.
#[derive(Clone, Debug)]
pub struct Relay {
    registry: Registry,
    metrics: Arc<Metrics>,
    /// Set when no agent will connect any more.
    stopping: CancellationToken,
}

/// A question, and over which link it was put last.
#[derive(Debug)]
pub struct Question {
    camera: CameraId,
    call: Call,
    deadline: Instant,
    last: Option<SessionId>,
    times: u8,
}

impl Question {
    /// Asks `camera`; the first piece of the answer must come by `deadline`.
    pub const fn new(camera: CameraId, call: Call, deadline: Instant) -> Self {
        Self { camera, call, deadline, last: None, times: 0 }
    }

    /// Who is asked.
    pub const fn camera(&self) -> &CameraId {
        &self.camera
    }

    /// Whether it may be put again after its link has ended.
    pub const fn may_repeat(&self) -> bool {
        self.times < TIMES && self.call.is_repeatable()
    }
}

/// Why a question got no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RelayError {
    /// No link serves the camera, or the link ended before the question was answered and no other came in time.
    #[error("the camera is not connected")]
    Offline,
    /// The camera's connection has too many open questions.
    #[error("the camera has too many open questions")]
    Busy,
    /// Nothing came before the deadline, or nothing more for too long.
    #[error("the camera did not answer in time")]
    Timeout,
    /// The link ended in the middle of the answer.
    #[error("the camera's connection ended in the middle of its answer")]
    Interrupted,
    /// The gateway has no room for the answer.
    #[error("the gateway has no room for the answer")]
    NoRoom,
    /// The camera said why it has no answer.
    #[error("the camera answered: {0}")]
    Failed(Failure),
}

impl RelayError {
    /// The camera answered with something that was not asked for.
    pub fn other_content() -> Self {
        let why = "the camera answered with something other than what it was asked for";
        Self::Failed(Failure::new(FailureCode::Internal, why))
    }

    /// A stable word for metrics.
    const fn word(&self) -> &'static str {
        match self {
            Self::Offline => "offline",
            Self::Busy => "busy",
            Self::Timeout => "timeout",
            Self::Interrupted => "interrupted",
            Self::NoRoom => "no_room",
            Self::Failed(_) => "failed",
        }
    }

    /// Whether more time might have brought an answer.
    pub fn is_late(&self) -> bool {
        match self {
            Self::Timeout => true,
            Self::Failed(failure) => failure.code == FailureCode::Deadline,
            Self::Offline | Self::Busy | Self::Interrupted | Self::NoRoom => false,
        }
    }
}

/// An answer whose first piece has come.
#[derive(Debug)]
pub struct Answering {
    ticket: Ticket,
    /// The next piece, when it has come before anybody took it.
    first: Option<Piece>,
    /// From the question to the first piece.
    pub waited: Duration,
}

impl Relay {
    /// Asks the cameras that `registry` knows; from `stopping` on it waits for no agent to connect.
    pub fn new(registry: Registry, metrics: Arc<Metrics>, stopping: CancellationToken) -> Self {
        Self { registry, metrics, stopping }
    }

    /// Where questions are counted.
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Waits for a camera to connect, `within` at most; gives the time that it took.
    pub async fn wait_online(&self, camera: &CameraId, within: Duration) -> Duration {
        let start = Instant::now();
        // Who did not come is found missing by the question that follows.
        self.comes_online(camera, within).await;
        start.elapsed()
    }

    /// Whether a camera is connected, or connects `within` that time.
    pub async fn comes_online(&self, camera: &CameraId, within: Duration) -> bool {
        self.next_link(camera, None, Instant::now() + within).await.is_some()
    }

    /// Puts a question and waits for the first piece of its answer. May be called again for a question that may be repeated, when
    /// its answer was interrupted before anybody heard of it.
    pub async fn ask(&self, question: &mut Question) -> Result<Answering, RelayError> {
        let start = Instant::now();
        let result = self.first_piece(question).await;
        let outcome = match &result {
            Ok(_) => "ok",
            Err(error) => error.word(),
        };
        self.metrics.calls.get_or_create(&OutcomeLabels { outcome }).inc();
        let waited = start.elapsed();
        self.metrics.call_seconds.observe(waited.as_secs_f64());
        result.map(|(ticket, first)| Answering { ticket, first: Some(first), waited })
    }

    /// Why somebody got no answer in time: nobody was there to answer, or the camera took too long, and then it is made sure that
    /// its agent is still there.
    pub fn doubt(&self, camera: &CameraId) -> RelayError {
        match self.registry.find(camera).filter(|link| !link.is_closed()) {
            Some(link) => {
                link.probe();
                RelayError::Timeout
            }
            None => RelayError::Offline,
        }
    }

    async fn first_piece(&self, question: &mut Question) -> Result<(Ticket, Piece), RelayError> {
        loop {
            let link = self.link(question).await?;
            question.last = Some(link.id());
            question.times += 1;
            match put(&link, question).await {
                Err(RelayError::Offline) if question.may_repeat() => {}
                result => return result,
            }
        }
    }

    /// The link to put the question over: the present one, or the next after one that has ended.
    async fn link(&self, question: &Question) -> Result<Link, RelayError> {
        let Some(dead) = question.last else {
            return self.registry.find(&question.camera).ok_or(RelayError::Offline);
        };
        let next = self.next_link(&question.camera, Some(dead), question.deadline).await;
        next.ok_or(RelayError::Offline)
    }

    /// The link of a camera that is there or comes in time; another one than `dead`.
    async fn next_link(&self, camera: &CameraId, dead: Option<SessionId>, by: Instant) -> Option<Link> {
        tokio::select! {
            biased;
            link = self.registry.wait_for(camera, dead) => Some(link),
            () = self.stopping.cancelled() => None,
            () = sleep_until(by) => None,
        }
    }
}

async fn put(link: &Link, question: &Question) -> Result<(Ticket, Piece), RelayError> {
    let ticket = link.call(question.camera.clone(), question.call.clone(), question.deadline);
    let mut ticket = ticket.map_err(before_the_first)?;
    match timeout_at(question.deadline, ticket.next()).await {
        Ok(first) => Ok((ticket, first.map_err(before_the_first)?)),
        Err(_) => {
            ticket.doubt();
            Err(RelayError::Timeout)
        }
    }
}

impl Answering {
    /// A piece of it cannot be read; gives what that means for the question.
    pub fn unreadable(&self, piece: &Piece, why: impl fmt::Display) -> RelayError {
        let tag = outline(piece.frame()).map_or("", |outline| outline.tag);
        before_the_first(self.ticket.unreadable(&format!("unreadable {tag} frame: {why}")))
    }

    /// Waits until the next piece has come, however long that takes, as long as the link's other end gives signs of life.
    pub async fn wait(&mut self) -> Result<(), RelayError> {
        while self.first.is_none() {
            match timeout(PROGRESS, self.ticket.next()).await {
                Ok(piece) => self.first = Some(piece.map_err(in_the_middle)?),
                Err(_) => self.ticket.doubt(),
            }
        }
        Ok(())
    }

    /// The next piece; after [`Piece::Last`] there is none.
    pub async fn next(&mut self) -> Result<Piece, RelayError> {
        if let Some(first) = self.first.take() {
            return Ok(first);
        }
        match timeout(PROGRESS, self.ticket.next()).await {
            Ok(next) => next.map_err(in_the_middle),
            Err(_) => {
                self.ticket.doubt();
                Err(RelayError::Timeout)
            }
        }
    }
}

fn in_the_middle(error: CallError) -> RelayError {
    match error {
        CallError::Closed => RelayError::Interrupted,
        other => before_the_first(other),
    }
}

fn before_the_first(error: CallError) -> RelayError {
    match error {
        CallError::Closed => RelayError::Offline,
        CallError::Busy => RelayError::Busy,
        CallError::Failed(failure) => RelayError::Failed(failure),
    }
}
