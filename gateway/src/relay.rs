//! Ask a camera: find its link, put the question, wait for the first piece until one deadline, for the others as long as there
//! is progress. Dropping what is returned takes the question back, down to the camera.

use std::{sync::Arc, time::Duration};

use oriel_proto::{Call, CameraId, Failure};
use tokio::time::{Instant, timeout, timeout_at};

use crate::{
    link::{CallError, Piece, Ticket},
    metrics::{Metrics, OutcomeLabels},
    registry::Registry,
};

/// After its first piece an answer lives as long as there is less than this between two pieces.
const PROGRESS: Duration = Duration::from_secs(30);

/// Puts questions to cameras.
#[derive(Clone, Debug)]
pub struct Relay {
    registry: Registry,
    metrics: Arc<Metrics>,
}

/// Why a question got no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RelayError {
    /// No link serves the camera, or the link ended before the question was answered.
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
    /// The camera said why it has no answer.
    #[error("the camera answered: {0}")]
    Failed(Failure),
}

impl RelayError {
    /// A stable word for metrics.
    const fn word(&self) -> &'static str {
        match self {
            Self::Offline => "offline",
            Self::Busy => "busy",
            Self::Timeout => "timeout",
            Self::Interrupted => "interrupted",
            Self::Failed(_) => "failed",
        }
    }
}

/// An answer whose first piece has come.
#[derive(Debug)]
pub struct Answering {
    ticket: Ticket,
    first: Option<Piece>,
    /// From the question to the first piece.
    pub waited: Duration,
}

impl Relay {
    /// Asks the cameras that `registry` knows.
    pub fn new(registry: Registry, metrics: Arc<Metrics>) -> Self {
        Self { registry, metrics }
    }

    /// Asks a camera and waits for the first piece of its answer, at the latest until `deadline`.
    pub async fn ask(
        &self,
        camera: &CameraId,
        call: Call,
        deadline: Instant,
    ) -> Result<Answering, RelayError> {
        let start = Instant::now();
        let result = self.first_piece(camera, call, deadline).await;
        let outcome = match &result {
            Ok(_) => "ok",
            Err(error) => error.word(),
        };
        self.metrics.calls.get_or_create(&OutcomeLabels { outcome }).inc();
        let waited = start.elapsed();
        self.metrics.call_seconds.observe(waited.as_secs_f64());
        result.map(|(ticket, first)| Answering { ticket, first: Some(first), waited })
    }

    async fn first_piece(
        &self,
        camera: &CameraId,
        call: Call,
        deadline: Instant,
    ) -> Result<(Ticket, Piece), RelayError> {
        let link = self.registry.find(camera).ok_or(RelayError::Offline)?;
        let mut ticket = link.call(camera.clone(), call, deadline).map_err(before_the_first)?;
        let first = timeout_at(deadline, ticket.next())
            .await
            .map_err(|_| RelayError::Timeout)?
            .map_err(before_the_first)?;
        Ok((ticket, first))
    }
}

impl Answering {
    /// The next piece; after [`Piece::End`] there is none.
    pub async fn next(&mut self) -> Result<Piece, RelayError> {
        match self.first.take() {
            Some(first) => Ok(first),
            None => timeout(PROGRESS, self.ticket.next()).await.map_err(|_| RelayError::Timeout)?.map_err(
                |error| match error {
                    CallError::Closed => RelayError::Interrupted,
                    other => before_the_first(other),
                },
            ),
        }
    }
}

fn before_the_first(error: CallError) -> RelayError {
    match error {
        CallError::Closed => RelayError::Offline,
        CallError::Busy => RelayError::Busy,
        CallError::Failed(failure) => RelayError::Failed(failure),
    }
}
