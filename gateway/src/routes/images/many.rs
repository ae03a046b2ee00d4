//! `GET /v1/images/latest`: the latest pictures of many cameras as one body, in the order in which they come.

use std::{collections::BTreeMap, sync::Arc};

use oriel_proto::{CameraId, ImageClass, Timestamp, call::ImageMatch};
use serde::Serialize;
use tokio::{task::JoinSet, time::Instant};
use warp::{
    http::{
        HeaderValue,
        header::{CACHE_CONTROL, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS},
    },
    reply::Response,
};

use super::{
    App, Inbound, Problem, Query, Viewer,
    answer::{BrokenOff, Roomy},
    class,
    multipart::{self, Boundary},
    parameters, patience,
};
use crate::{
    clock,
    images::{Gathered, Images, Series, Wanted},
    relay::RelayError,
    routes::{
        chunks::{self, Chunk, Chunks, Place},
        whom::Whom,
    },
    store::{CameraRecord, KeyId},
};

/// The most cameras of one question.
const MOST: usize = 1_000;

/// The latest pictures of many cameras.
#[utoipa::path(get, path = "/v1/images/latest", tag = "images", operation_id = "list_latest_images",
    params(("camera" = Option<Vec<String>>, Query, description = "These cameras; repeatable, at most 1,000. Without it, `tag` and `have`, all that may be seen"),
        ("tag" = Option<Vec<String>>, Query, description = "Only cameras with one of these tags; repeatable"),
        ("have" = Option<Vec<String>>, Query, description = "A camera and the time of its picture that the caller has, in milliseconds or any other form, such as porch@1767225600000; repeatable"),
        ("class" = Option<String>, Query, description = parameters::CLASS),
        ("timeout" = Option<String>, Query, description = "How long all of them may take: 100ms to 60s, 10s by default")),
    responses((status = 200, description = "A part for each picture as it comes, with Content-Length, X-Camera and X-Image-At; for one that the caller has, a part without a body and with X-Unchanged. The last part is JSON: {\"complete\", \"missing\": [{\"camera\", \"code\", \"detail\"}]}", body = Vec<u8>, content_type = "multipart/mixed"),
        (status = 404, description = "A camera that is named does not exist, or is not yours to see", body = crate::problem::ProblemBody, content_type = "application/problem+json")))]
pub async fn latest(inbound: Inbound<Viewer>) -> Result<Response, Problem> {
    let query = inbound.query(&["camera", "tag", "have", "class", "timeout"])?;
    let class = class(&query)?;
    let have = have(&query)?;
    let cameras = cameras(&inbound.app, &inbound.who, &query, &have)?;
    let deadline = Instant::now() + patience::timeout(&query)?;
    // Another one each time: whoever knew it could write a part of another camera into its own picture.
    let boundary = Boundary::default();
    let media_type = HeaderValue::try_from(boundary.media_type("mixed"));
    let asker = Asker { images: inbound.app.images.clone(), key: inbound.who.key_id(), deadline };
    let pictures = Pictures::of(&asker, cameras, &class, &have);
    let body = Body { pictures, boundary, missing: Vec::new(), has_begun: false };
    let mut response = chunks::response(body, inbound.who, "multipart/mixed", "many cameras");
    let headers = response.headers_mut();
    if let Ok(media_type) = media_type {
        headers.insert(CONTENT_TYPE, media_type);
    }
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    Ok(response)
}

/// Which picture of which camera the caller has.
fn have(query: &Query) -> Result<BTreeMap<CameraId, Timestamp>, Problem> {
    let now = clock::now();
    let read = |text: &str| {
        let (camera, at) = text.split_once('@')?;
        Some((camera.parse().ok()?, clock::parse(at, now).ok()?))
    };
    let wrong = |text: &str| {
        let text: String = text.chars().take(80).collect();
        Problem::bad_request(format!("have: {text:?} is not a camera, an @ and a time"))
    };
    query.all("have").map(|text| read(text).ok_or_else(|| wrong(text))).collect()
}

/// The cameras that are asked for.
fn cameras(
    app: &App,
    viewer: &Viewer,
    query: &Query,
    have: &BTreeMap<CameraId, Timestamp>,
) -> Result<Vec<Arc<CameraRecord>>, Problem> {
    let whom = Whom::read(query)?.or_those(have.keys().cloned());
    let cameras = whom.cameras(app, viewer)?;
    if cameras.len() > MOST {
        let why = format!("that are {} cameras: at most {MOST} can be asked at one time", cameras.len());
        return Err(Problem::bad_request(why));
    }
    Ok(cameras)
}

/// What has become of one camera's picture.
enum Outcome {
    Came(CameraId, Gathered),
    Unchanged(CameraId, Timestamp),
    Missing(CameraId, RelayError),
}

/// What becomes of all of them, as it happens. Each is a task of its own, so that nobody else waits for a picture whose reader is slow.
struct Pictures(JoinSet<Outcome>);

impl Pictures {
    fn of(
        asker: &Asker,
        cameras: Vec<Arc<CameraRecord>>,
        class: &ImageClass,
        have: &BTreeMap<CameraId, Timestamp>,
    ) -> Self {
        let ask = |record: Arc<CameraRecord>| {
            let (asker, have) = (asker.clone(), have.get(&record.id).copied());
            let series = Series::of(&record, class.clone());
            async move { asker.outcome(series, have).await }
        };
        Self(cameras.into_iter().map(ask).collect())
    }

    async fn next(&mut self) -> Option<Outcome> {
        loop {
            match self.0.join_next().await? {
                Ok(outcome) => return Some(outcome),
                Err(error) => tracing::error!(%error, "a picture's task failed"),
            }
        }
    }
}

/// Who asks, and until when each camera may take.
#[derive(Clone)]
struct Asker {
    images: Images,
    key: KeyId,
    deadline: Instant,
}

impl Asker {
    async fn outcome(&self, series: Series, have: Option<Timestamp>) -> Outcome {
        let camera = series.camera.clone();
        let outcome = self.ask(series, have).await;
        outcome.unwrap_or_else(|error| Outcome::Missing(camera, error))
    }

    async fn ask(&self, series: Series, have: Option<Timestamp>) -> Result<Outcome, RelayError> {
        let camera = series.camera.clone();
        let wanted = Wanted { series, at: Timestamp::default(), matching: ImageMatch::Latest, max_age: None };
        let reading = self.images.picture(&wanted, self.deadline).await?;
        let at = reading.head().at;
        if have == Some(at) {
            return Ok(Outcome::Unchanged(camera, at));
        }
        // The camera's time stands still while its picture waits for room, which is the reader's to make.
        let left = self.deadline.saturating_duration_since(Instant::now());
        Ok(Outcome::Came(camera, self.images.gather(reading, self.key, left).await?))
    }
}

/// A camera of which there is no picture.
#[derive(Serialize)]
struct Missing {
    camera: CameraId,
    code: &'static str,
    detail: String,
}

/// What the last part says.
#[derive(Serialize)]
struct Last<'a> {
    complete: bool,
    missing: &'a [Missing],
}

/// The body on its way.
struct Body {
    pictures: Pictures,
    boundary: Boundary,
    missing: Vec<Missing>,
    has_begun: bool,
}

impl Chunks for Body {
    type Error = BrokenOff;

    async fn next(&mut self, place: &Place) -> Result<Chunk, BrokenOff> {
        loop {
            let outcome = self.pictures.next().await;
            let mut part = Vec::new();
            let between = |has_begun: &mut bool, part: &mut Vec<u8>| match std::mem::replace(has_begun, true)
            {
                true => self.boundary.between(part),
                false => self.boundary.begin(part),
            };
            match outcome {
                Some(Outcome::Missing(camera, error)) => {
                    let why = Problem::relay(error, &camera);
                    let (code, detail) = (why.code(), why.detail().to_owned());
                    self.missing.push(Missing { camera, code, detail });
                }
                Some(Outcome::Unchanged(camera, at)) => {
                    between(&mut self.has_begun, &mut part);
                    multipart::unchanged(&mut part, &camera, at);
                    return Ok(Chunk::More(place.hold(part)));
                }
                Some(Outcome::Came(camera, picture)) => {
                    between(&mut self.has_begun, &mut part);
                    multipart::picture(&mut part, &camera, picture.at, picture.jpeg.len() as u64);
                    part.extend_from_slice(&picture.jpeg);
                    return Ok(Chunk::More(place.hold(Roomy { bytes: part, _room: picture.room })));
                }
                None => {
                    between(&mut self.has_begun, &mut part);
                    let last = Last { complete: self.missing.is_empty(), missing: &self.missing };
                    multipart::json(&mut part, &serde_json::to_vec(&last)?);
                    self.boundary.end(&mut part);
                    return Ok(Chunk::Last(part.into()));
                }
            }
        }
    }
}
