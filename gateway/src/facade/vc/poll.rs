//! `GET /` and `GET /{camera}`: a camera waits until somebody asks for its list.

use std::time::Duration;

use oriel_proto::CameraId;
use tokio::time::sleep;
use warp::{
    http::{HeaderValue, StatusCode, header::CONTENT_TYPE},
    reply::Response,
};

use super::Vc;
use crate::problem::LegacyProblem;

/// How long a poll stays open while nobody asks.
const OPEN: Duration = Duration::from_secs(60);

/// How long a poll stays open that comes when the gateway stops: its camera comes back at once.
const STOPPING: Duration = Duration::from_secs(1);

/// What a camera is told that is to post its list.
const WANTED: &str = "pull request initiated";

impl Vc {
    /// Waits until somebody asks for the camera's list: 200, or 204 when nobody does.
    pub(super) async fn poll(&self, id: &CameraId) -> Result<Response, LegacyProblem> {
        let camera = self.admit(id).await?;
        let _polling = self.roster.came(id);
        let Some(mut poll) = camera.poll() else { return Ok(wanted()) };
        let stopping = &self.app.stopping;
        let is_stopping = stopping.is_cancelled();
        let is_wanted = tokio::select! {
            biased;
            is_wanted = poll.wanted() => is_wanted,
            () = sleep(if is_stopping { STOPPING } else { OPEN }) => false,
            () = stopping.cancelled(), if !is_stopping => false,
        };
        Ok(if is_wanted { wanted() } else { nothing() })
    }
}

fn wanted() -> Response {
    let mut response = Response::new(WANTED.into());
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}

fn nothing() -> Response {
    let mut response = Response::default();
    *response.status_mut() = StatusCode::NO_CONTENT;
    response
}
