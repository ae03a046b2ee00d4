//! `GET /verkada/api/v1.0/logs` and `…/logs/{camera}`: a client asks for a camera's list.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use oriel_proto::CameraId;
use tokio::{
    task::spawn_blocking,
    time::{Instant, timeout_at},
};
use warp::{http::StatusCode, reply::Response};

use super::{Vc, json, list::Answer, named, span::Span};
use crate::problem::LegacyProblem;

/// How long a camera may take to bring its list: ten seconds, less what it takes to read what is kept of it.
const WITHIN: Duration = Duration::from_millis(9_500);

/// How long a list that is made here may take; older clients know no other limit.
const MADE_WITHIN: Duration = Duration::from_secs(10);

/// A list that is made here; none when there is nothing to make it of.
pub(super) type Made = Result<Option<Bytes>, LegacyProblem>;

impl Vc {
    /// The list of a camera in the time that is asked for.
    pub(super) async fn logs(
        self: &Arc<Self>,
        id: Option<CameraId>,
        span: Span,
    ) -> Result<Response, LegacyProblem> {
        let default = named(None)?;
        let id = id.or_else(|| self.only_camera()).unwrap_or_else(|| default.clone());
        let list = if self.is_granted(&id) {
            self.made(&id, span).await?
        } else if self.is_old(&id) || id == default {
            match self.posted_now(&id, span).await? {
                Some(list) => Some(list),
                None if self.is_old(&id) => self.made(&id, span).await?,
                None => None,
            }
        } else {
            return Err(LegacyProblem::NotFound);
        };
        list.map(|list| json(StatusCode::OK, list)).ok_or(LegacyProblem::Offline)
    }

    /// The camera that a client means who names none, if there is only one: of those that post lists, else of all that it may ask.
    fn only_camera(&self) -> Option<CameraId> {
        let mut cameras = self.app.cameras.of_agent(self.agent);
        if cameras.is_empty() {
            cameras.extend(self.app.cameras.visible(&self.viewer).iter().map(|record| record.id.clone()));
        }
        if cameras.len() == 1 { cameras.pop() } else { None }
    }

    /// The list that the camera posts for this client; none when it does not in time.
    async fn posted_now(&self, id: &CameraId, span: Span) -> Made {
        let deadline = Instant::now() + WITHIN;
        let camera = self.roster.camera(id);
        let mut asking = camera.ask().ok_or(LegacyProblem::Busy)?;
        let Ok(Some(answer)) = timeout_at(deadline, asking.answer()).await else { return Ok(None) };
        self.part(answer, span).await.map(Some)
    }

    async fn part(&self, answer: Arc<Answer>, span: Span) -> Result<Bytes, LegacyProblem> {
        if span.is_all() {
            return Ok(answer.list.whole());
        }
        let _turn = self.turn(answer.list.whole().len()).await?;
        let part =
            spawn_blocking(move || answer.list.between(span)).await.map_err(|_| LegacyProblem::Failed)?;
        self.room.place().hold(part)
    }

    /// A list that is made of what is kept, or of the log of a camera that has an agent; whoever wants the same meanwhile gets the same.
    async fn made(self: &Arc<Self>, id: &CameraId, span: Span) -> Made {
        let deadline = Instant::now() + MADE_WITHIN;
        let (vc, camera) = (Arc::clone(self), id.clone());
        let make = async move {
            match vc.is_old(&camera) {
                true => vc.posted(&camera, span).await,
                false => vc.log(&camera, span, deadline).await.map(Some),
            }
        };
        let made = self.made.answer((id.clone(), span), deadline, |_| make).await;
        made.unwrap_or(Err(LegacyProblem::Busy))
    }
}
