//! How a connection takes over from another one, and how it is left for one that takes over.

use std::{collections::HashSet, time::Duration};

use oriel_proto::CameraId;
use tokio::{sync::watch, time::Instant};
use tokio_util::sync::CancellationToken;

use crate::camera::Camera;

/// How long a connection that another one has replaced may finish its answers.
const LEAVE_WITHIN: Duration = Duration::from_secs(30);

/// How far a connection has come, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    /// The gateway has not said yet what it makes of every camera.
    Opening,
    /// The gateway has taken the cameras that it takes.
    Settled,
    /// The gateway will stop.
    Draining,
}

/// One connection's part in a hand-over.
#[derive(Debug)]
pub(super) struct Handover {
    phase: watch::Sender<Phase>,
    leave: CancellationToken,
    /// Cameras of which the gateway has not said yet whether it takes them.
    unsettled: HashSet<CameraId>,
    /// Set once the cameras were given back: the connection ends then at the latest.
    leave_by: Option<Instant>,
}

impl Handover {
    pub(super) fn new(phase: watch::Sender<Phase>, leave: CancellationToken, cameras: &[Camera]) -> Self {
        let unsettled = cameras.iter().map(|camera| camera.id().clone()).collect();
        Self { phase, leave, unsettled, leave_by: None }
    }

    /// The gateway has said what it makes of a camera.
    pub(super) fn settle(&mut self, camera: &CameraId) {
        self.unsettled.remove(camera);
        if self.unsettled.is_empty() {
            self.advance(Phase::Settled);
        }
    }

    /// The gateway has said that it will stop.
    pub(super) fn drain(&self) {
        self.advance(Phase::Draining);
    }

    /// Returns when the cameras are to be given back; once.
    pub(super) async fn wanted_gone(&self) {
        match self.leave_by {
            None => self.leave.cancelled().await,
            Some(_) => std::future::pending().await,
        }
    }

    /// The cameras are being given back.
    pub(super) fn begin_to_leave(&mut self, now: Instant) {
        self.leave_by = Some(now + LEAVE_WITHIN);
    }

    /// When the connection ends at the latest, if it is being left.
    pub(super) const fn leave_by(&self) -> Option<Instant> {
        self.leave_by
    }

    fn advance(&self, to: Phase) {
        self.phase.send_if_modified(|phase| {
            let further = *phase < to;
            *phase = to.max(*phase);
            further
        });
    }
}
