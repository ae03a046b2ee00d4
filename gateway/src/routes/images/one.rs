//! `GET /v1/cameras/{id}/images/{time}`: one picture, as it comes from the camera: of a time, next to one, or the latest.

use std::{convert::Infallible, str::FromStr, time::Duration};

use oriel_proto::{CameraId, Timestamp, call::ImageMatch};
use tokio::time::{Instant, timeout_at};
use warp::reply::Response;

use super::{
    App, Inbound, Problem, Query, Viewer,
    answer::{self, Facts},
    class, parameters, patience,
};
use crate::{
    access::AccessError,
    clock,
    images::{Reading, Series, Wanted},
    store::{CameraRecord, Role},
};

/// The parameters of a picture.
const KNOWN: &[&str] = &["class", "match", "width", "max_age", "timeout", "wait_online"];

/// Whoever wants a picture younger than this may make the camera take one.
const YOUNG: Duration = Duration::from_secs(1);

/// The oldest that the latest picture can be asked to be.
const OLD: Duration = Duration::from_secs(10 * 366 * 24 * 60 * 60);

/// The time in a picture's path, as it is written there.
#[derive(Clone, Debug)]
pub struct Moment(String);

impl FromStr for Moment {
    type Err = Infallible;

    fn from_str(segment: &str) -> Result<Self, Infallible> {
        Ok(Self(percent_encoding::percent_decode_str(segment).decode_utf8_lossy().into_owned()))
    }
}

/// One picture.
#[utoipa::path(get, path = "/v1/cameras/{id}/images/{time}", tag = "images", operation_id = "show_image",
    params(("id" = String, Path, description = "The camera", example = "porch"),
        ("time" = String, Path, description = "When it was taken: `latest`, or a time in any form that event lists take", example = "latest"),
        ("class" = Option<String>, Query, description = parameters::CLASS),
        ("match" = Option<String>, Query, description = "exact: the picture of that very time; before: the newest at or before it; after: the oldest at or after it. By default before for now and relative times, else exact"),
        ("width" = Option<u16>, Query, description = parameters::WIDTH, minimum = 1, maximum = 4096),
        ("max_age" = Option<String>, Query, description = "Only with `latest`: how old it may be, such as 10s or 1m; if it is older, the camera takes a new one. Below 1s needs the role operator"),
        ("timeout" = Option<String>, Query, description = patience::ABOUT_TIMEOUT),
        ("wait_online" = Option<String>, Query, description = patience::ABOUT_WAIT_ONLINE),
        ("if-none-match" = Option<String>, Header, description = "The ETag of a picture that the caller has")),
    responses((status = 200, description = "The picture. X-Image-At says when it was taken, Content-Location where it is found for ever, Link (prev, next) where its neighbours are", body = Vec<u8>, content_type = "image/jpeg"),
        (status = 304, description = "The caller has it already"),
        (status = 501, description = "The camera keeps no pictures, or takes none when it is asked", body = crate::problem::ProblemBody, content_type = "application/problem+json"),
        (status = 502, description = "The camera answered with a failure, or with something that is no picture", body = crate::problem::ProblemBody, content_type = "application/problem+json"),
        (status = 504, description = "The camera did not answer in time", body = crate::problem::ProblemBody, content_type = "application/problem+json")))]
pub async fn show(inbound: Inbound<Viewer>, id: CameraId, moment: Moment) -> Result<Response, Problem> {
    let record = inbound.app.cameras.get(&inbound.who, &id)?;
    let query = inbound.query(KNOWN)?;
    let wanted = wanted(&query, &record, &inbound.who, &moment)?;
    let width = query.number("width", 1..=4_096)?.and_then(|width| u16::try_from(width).ok());
    let timeout = patience::timeout(&query)?;
    let queued = patience::wait(&inbound.app, &inbound.who, &id, patience::wait_online(&query)?).await?;
    let deadline = Instant::now() + timeout;
    let reading = inbound.app.images.picture(&wanted, deadline).await;
    let reading = reading.map_err(|error| Problem::relay(error, &id))?;
    let (waited, is_exact) = (reading.waited(), wanted.matching == ImageMatch::Exact);
    let mut response = match width {
        None => answer::respond(reading, &wanted.series, is_exact, &inbound.headers, inbound.who),
        Some(_) => {
            let head = reading.head().clone();
            let facts = Facts { series: &wanted.series, head: &head, width, is_exact };
            match facts.is_known(&inbound.headers) {
                true => answer::unchanged(&facts),
                false => scaled(&inbound.app, &inbound.who, reading, &facts, deadline).await?,
            }
        }
    };
    if let Some(timing) = patience::server_timing([("camera", Some(waited)), ("queue", queued)]) {
        response.headers_mut().insert("server-timing", timing);
    }
    Ok(response)
}

/// Which picture the request wants.
fn wanted(query: &Query, record: &CameraRecord, viewer: &Viewer, moment: &Moment) -> Result<Wanted, Problem> {
    let series = Series::of(record, class(query)?);
    let matching = query.one("match")?;
    let max_age = query.span("max_age", Duration::ZERO..=OLD)?;
    if moment.0 == "latest" {
        if matching.is_some() {
            return Err(Problem::bad_request("match: the latest picture is not near a time: leave it out"));
        }
        if max_age.is_some_and(|age| age < YOUNG) && !viewer.may(Role::Operator, record) {
            return Err(AccessError::Forbidden { needs: Role::Operator, everywhere: false }.into());
        }
        return Ok(Wanted { series, at: Timestamp::default(), matching: ImageMatch::Latest, max_age });
    }
    if max_age.is_some() {
        return Err(Problem::bad_request("max_age: only the latest picture may be too old"));
    }
    let at = clock::parse(&moment.0, clock::now())?;
    let is_relative =
        moment.0 == "now" || (moment.0.starts_with('-') && moment.0.ends_with(char::is_alphabetic));
    let matching = match matching {
        None if is_relative => ImageMatch::Before,
        None | Some("exact") => ImageMatch::Exact,
        Some("before") => ImageMatch::Before,
        Some("after") => ImageMatch::After,
        Some(other) => {
            return Err(Problem::bad_request(format!("match: {other:?} is none of exact, before, after")));
        }
    };
    Ok(Wanted { series, at, matching, max_age })
}

/// The picture made smaller; all of it must have come by the deadline.
async fn scaled(
    app: &App,
    viewer: &Viewer,
    reading: Reading,
    facts: &Facts<'_>,
    deadline: Instant,
) -> Result<Response, Problem> {
    let work = async {
        let camera = &facts.series.camera;
        let left = deadline.saturating_duration_since(Instant::now());
        let gathered = app.images.gather(reading, viewer.key_id(), left).await;
        let gathered = gathered.map_err(|error| Problem::relay(error, camera))?;
        let scaled = app.images.scaler().scale(gathered.jpeg.clone(), facts.width.unwrap_or(u16::MAX)).await;
        scaled.map_err(|error| Problem::scale(&error, camera))
    };
    let jpeg = tokio::select! {
        ended = viewer.ended() => return Err(ended.into()),
        done = timeout_at(deadline, work) => {
            done.map_err(|_| Problem::overloaded("the picture was not made smaller in time"))??
        }
    };
    Ok(answer::respond_whole(jpeg, facts))
}
