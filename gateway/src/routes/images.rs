//! `GET /v1/cameras/{id}/images`: which pictures a camera keeps on its device: a page as JSON, or all of them line by line.

mod answer;
mod lines;
pub mod live;
pub mod many;
mod multipart;
pub mod one;
mod parameters;
pub mod snapshot;
mod view;
pub mod zip;

use oriel_proto::{
    CameraId, ImageClass, Timestamp,
    call::{ImagesCall, Order},
};
use tokio::time::Instant;
use warp::reply::Response;

use self::lines::Lines;
pub use self::{multipart::Boundary, one::Moment, view::List};
use super::{
    App, Cursors,
    events::{accepted, any_limit},
    inbound::Inbound,
    page, patience,
    query::Query,
    reply,
};
use crate::{access::Viewer, problem::Problem};

/// The parameters of a list.
const KNOWN: &[&str] =
    &["class", "from", "to", "after", "before", "count", "order", "cursor", "timeout", "wait_online"];

/// Pictures on a page unless the request says otherwise.
const PAGE: u64 = 100;

/// The most pictures on a page.
const LARGEST: u64 = 1_000;

/// The resolved range that a cursor keeps, in microseconds, so that `-15m` means the same on every page, and the last picture's time.
type Place = (Option<i64>, Option<i64>, i64);

/// The pictures that a camera keeps, newest first.
#[utoipa::path(get, path = "/v1/cameras/{id}/images", tag = "images", operation_id = "list_images",
    params(("id" = String, Path, description = "The camera", example = "porch"),
        ("class" = Option<String>, Query, description = parameters::CLASS),
        ("from" = Option<String>, Query, description = parameters::FROM),
        ("to" = Option<String>, Query, description = parameters::TO),
        ("after" = Option<String>, Query, description = parameters::AFTER),
        ("before" = Option<String>, Query, description = parameters::BEFORE),
        ("count" = Option<u64>, Query, description = "The most pictures; 100 by default in JSON, all as lines, which needs the role operator", minimum = 1, maximum = 1000),
        ("order" = Option<String>, Query, description = parameters::ORDER),
        ("cursor" = Option<String>, Query, description = "The `next` of the page before, with the same parameters"),
        ("timeout" = Option<String>, Query, description = patience::ABOUT_TIMEOUT),
        ("wait_online" = Option<String>, Query, description = patience::ABOUT_WAIT_ONLINE),
        ("accept" = Option<String>, Header, description = "application/x-ndjson streams one picture a line; the last line is {\"end\": {\"more\", \"next\"}}. An answer without it broke off.")),
    responses((status = 200, description = "A page of the list, or its pictures line by line", content((List = "application/json"), (String = "application/x-ndjson"))),
        (status = 501, description = "The camera keeps no pictures", body = crate::problem::ProblemBody, content_type = "application/problem+json"),
        (status = 502, description = "The camera answered with a failure", body = crate::problem::ProblemBody, content_type = "application/problem+json"),
        (status = 504, description = "The camera did not answer in time", body = crate::problem::ProblemBody, content_type = "application/problem+json")))]
pub async fn list(inbound: Inbound<Viewer>, id: CameraId) -> Result<Response, Problem> {
    let record = inbound.app.cameras.get(&inbound.who, &id)?;
    let query = inbound.query(KNOWN)?;
    let is_streamed =
        accepted(&inbound.headers).any(|media| media.eq_ignore_ascii_case("application/x-ndjson"));
    let count = match is_streamed {
        true => any_limit(&query, "count", (1, LARGEST), &inbound.who, [&*record])?,
        false => Some(query.number("count", 1..=LARGEST)?.unwrap_or(PAGE)),
    };
    let call = read(&inbound.app.cursors, &query, &id, count)?;
    let timeout = patience::timeout(&query)?;
    let queued = patience::wait(&inbound.app, &inbound.who, &id, patience::wait_online(&query)?).await?;
    let deadline = Instant::now() + timeout;
    let (mut response, waited) = if is_streamed {
        let stream = inbound.app.images.stream(&id, call.clone(), deadline).await;
        let stream = stream.map_err(|error| Problem::relay(error, &id))?;
        let waited = stream.waited();
        let lines = Lines::of(inbound.app.cursors, id, query, call, stream);
        (lines.into_response(inbound.who), waited)
    } else {
        let list = inbound.app.images.list(&id, &call, deadline).await;
        let list = list.map_err(|error| Problem::relay(error, &id))?;
        let last = list.images.last().filter(|_| list.more);
        let next = last.and_then(|last| next(&inbound.app.cursors, &query, &id, &call, last.at));
        (reply::json(&List::of(&id, &list.images, next))?, list.waited)
    };
    if let Some(timing) = patience::server_timing([("camera", Some(waited)), ("queue", queued)]) {
        response.headers_mut().insert("server-timing", timing);
    }
    Ok(response)
}

/// The series that a request is about.
fn class(query: &Query) -> Result<ImageClass, Problem> {
    match query.one("class")?.map_or(ImageClass::Preview, ImageClass::from) {
        ImageClass::Other(word) => {
            let word: String = word.chars().take(80).collect();
            Err(Problem::bad_request(format!("class: {word:?} is neither preview nor main")))
        }
        known => Ok(known),
    }
}

/// What is asked; a cursor of the same question says where to go on.
fn read(cursors: &Cursors, query: &Query, id: &CameraId, count: Option<u64>) -> Result<ImagesCall, Problem> {
    let only_one = |names: [&str; 2]| match (query.one(names[0])?, query.one(names[1])?) {
        (Some(_), Some(_)) => {
            Err(Problem::bad_request(format!("give {} or {}, not both", names[0], names[1])))
        }
        _ => Ok(()),
    };
    only_one(["from", "after"])?;
    only_one(["to", "before"])?;
    let after = query.time("after")?.map(behind);
    let order = match query.one("order")? {
        // The pictures after a time are those next to it.
        None if after.is_some() && query.one("before")?.is_none() => Order::Asc,
        None | Some("desc") => Order::Desc,
        Some("asc") => Order::Asc,
        Some(other) => return Err(Problem::bad_request(format!("order: {other:?} is neither asc nor desc"))),
    };
    let from = query.time("from")?.or(after);
    let to = query.time("to")?.or(query.time("before")?);
    let mut call = ImagesCall { class: class(query)?, from, to, count, order, bucket_ms: None };
    if let Some(cursor) = query.one("cursor")? {
        let (from, to, last): Place = page::place(cursors, &question(query, id, &call), cursor)?;
        let last = Timestamp::from_micros(last);
        (call.from, call.to) = (from.map(Timestamp::from_micros), to.map(Timestamp::from_micros));
        match call.order {
            Order::Asc => call.from = Some(behind(last)),
            _ => call.to = Some(last),
        }
    }
    match (call.from, call.to) {
        (Some(from), Some(to)) if from > to => Err(Problem::bad_request("the range ends before it begins")),
        _ => Ok(call),
    }
}

/// The earliest time behind this one.
const fn behind(at: Timestamp) -> Timestamp {
    Timestamp::from_micros(at.as_micros().saturating_add(1))
}

/// The cursor of what lies behind the picture of this time.
fn next(
    cursors: &Cursors,
    query: &Query,
    id: &CameraId,
    call: &ImagesCall,
    last: Timestamp,
) -> Option<String> {
    let micros = |time: Option<Timestamp>| time.map(Timestamp::as_micros);
    let place: Place = (micros(call.from), micros(call.to), last.as_micros());
    page::cursor(cursors, &question(query, id, call), &place)
}

/// The question as its parameters say it; times as written, because relative ones move.
fn question<'a>(query: &'a Query, id: &'a CameraId, call: &'a ImagesCall) -> impl serde::Serialize + 'a {
    let written = |name| query.one(name).ok().flatten();
    let range = ["from", "to", "after", "before"].map(written);
    (id, &call.class, &call.order, range)
}
