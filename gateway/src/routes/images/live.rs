//! `GET /v1/cameras/{id}/live`: moving pictures, each as it is taken; a slow reader skips some.

use std::sync::Arc;

use bytes::Bytes;
use oriel_proto::CameraId;
use tokio::{sync::broadcast::Receiver, time::Instant};
use tokio_util::sync::CancellationToken;
use warp::{
    http::{
        HeaderValue,
        header::{CACHE_CONTROL, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS},
    },
    reply::Response,
};

use super::{
    Inbound, Problem, Query, Viewer,
    answer::{BrokenOff, Watched},
    class,
    multipart::{self, Boundary},
    parameters, patience,
};
use crate::{
    images::{Frame, Series, Viewing},
    routes::chunks::{self, Chunk, Chunks, Place},
};

/// Pictures a second unless the request says otherwise.
const FPS: f32 = 10.0;

/// Moving pictures of a camera.
#[utoipa::path(get, path = "/v1/cameras/{id}/live", tag = "images", operation_id = "watch_live",
    params(("id" = String, Path, description = "The camera", example = "porch"),
        ("class" = Option<String>, Query, description = parameters::CLASS),
        ("fps" = Option<f32>, Query, description = "The most pictures a second, 0.1 to 30; 10 by default"),
        ("timeout" = Option<String>, Query, description = "How long the first picture may take: 100ms to 60s, 10s by default"),
        ("wait_online" = Option<String>, Query, description = patience::ABOUT_WAIT_ONLINE)),
    responses((status = 200, description = "Pictures without end, each a part with Content-Length and X-Image-At; whoever reads slowly skips some", body = Vec<u8>, content_type = "multipart/x-mixed-replace"),
        (status = 501, description = "The camera gives no moving pictures", body = crate::problem::ProblemBody, content_type = "application/problem+json"),
        (status = 502, description = "The camera answered with a failure, or with something that is no picture", body = crate::problem::ProblemBody, content_type = "application/problem+json"),
        (status = 504, description = "The camera did not answer in time", body = crate::problem::ProblemBody, content_type = "application/problem+json")))]
pub async fn watch(inbound: Inbound<Viewer>, id: CameraId) -> Result<Response, Problem> {
    let record = inbound.app.cameras.get(&inbound.who, &id)?;
    let query = inbound.query(&["class", "fps", "timeout", "wait_online"])?;
    let series = Series::of(&record, class(&query)?);
    let (fps, timeout) = (fps(&query)?, patience::timeout(&query)?);
    if inbound.app.stopping.is_cancelled() {
        return Err(Problem::draining());
    }
    patience::wait(&inbound.app, &inbound.who, &id, patience::wait_online(&query)?).await?;
    let viewing = inbound.app.images.watch(&series, fps, Instant::now() + timeout).await;
    let viewing = viewing.map_err(|error| Problem::relay(error, &id))?;
    let boundary = inbound.app.boundary.clone();
    let changes = inbound.app.cameras.changes();
    let stopping = inbound.app.stopping.clone();
    let watched = Watched { app: inbound.app, viewer: inbound.who.clone(), series };
    watched.check().map_err(|_| Problem::not_found())?;
    let media_type = HeaderValue::try_from(boundary.media_type("x-mixed-replace"));
    let body = Body { watched, changes, viewing, boundary, stopping, has_begun: false };
    let mut response = chunks::response(body, inbound.who, "multipart/x-mixed-replace", id);
    let headers = response.headers_mut();
    if let Ok(media_type) = media_type {
        headers.insert(CONTENT_TYPE, media_type);
    }
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    Ok(response)
}

fn fps(query: &Query) -> Result<f32, Problem> {
    let Some(text) = query.one("fps")? else { return Ok(FPS) };
    let fps = text.parse().ok().filter(|fps: &f32| (0.1..=30.0).contains(fps));
    fps.ok_or_else(|| Problem::bad_request(format!("fps: {text:?} is not a number from 0.1 to 30")))
}

/// The body, which ends when the gateway stops.
struct Body {
    watched: Watched,
    /// Cameras that came, went or changed.
    changes: Receiver<CameraId>,
    viewing: Viewing,
    boundary: Arc<Boundary>,
    stopping: CancellationToken,
    has_begun: bool,
}

impl Chunks for Body {
    type Error = BrokenOff;

    async fn next(&mut self, place: &Place) -> Result<Chunk, BrokenOff> {
        if !self.has_begun {
            self.has_begun = true;
            let mut begin = Vec::new();
            self.boundary.begin(&mut begin);
            return Ok(Chunk::More(begin.into()));
        }
        loop {
            tokio::select! {
                frame = self.viewing.next() => {
                    self.watched.check()?;
                    let camera = &self.watched.series.camera;
                    let part = frame?.written(|frame| part(camera, &self.boundary, frame));
                    return Ok(Chunk::More(place.hold(part)));
                }
                // Also where no picture comes any more.
                change = self.changes.recv() => match change {
                    Ok(camera) if camera != self.watched.series.camera => {}
                    _ => self.watched.check()?,
                },
                // Behind the boundary of a part that nobody will write any more; whoever watches comes again.
                () = self.stopping.cancelled() => return Ok(Chunk::Last(Bytes::new())),
            }
        }
    }
}

/// A picture and what stands around it, the same for everybody who watches.
fn part(camera: &CameraId, boundary: &Boundary, frame: &Frame) -> Bytes {
    let mut part = Vec::with_capacity(256 + frame.jpeg.len() + boundary.between_bytes());
    multipart::picture(&mut part, camera, frame.at, frame.jpeg.len() as u64);
    part.extend_from_slice(&frame.jpeg);
    boundary.between(&mut part);
    part.into()
}
