//! `GET /v1/cameras/{id}/events`: a camera's log, answered by the camera itself.

use std::{borrow::Cow, time::Duration};

use oriel_proto::{CameraId, Kind, LoggedEvent, Severity, call::Order, event::Position, limits::WORD_BYTES};
use serde::Serialize;
use serde_json::{Map, Value};
use tokio::time::Instant;
use utoipa::ToSchema;
use warp::{http::HeaderValue, reply::Response};

use super::{inbound::Inbound, page, query::Query, reply};
use crate::{
    access::Viewer,
    clock,
    events::{self, Coverage, CoveredBy, EventsQuery},
    problem::Problem,
};

/// How long the first byte of an answer may take, unless the request says otherwise.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The longest `q` in bytes.
const LONGEST_TEXT: usize = 256;

/// The most kinds, and the most severities, of one question: with this many of the longest it still fits one frame.
const MOST_WORDS: usize = 32;

/// The parameters of an event list.
const KNOWN: &[&str] = &["from", "to", "kind", "severity", "q", "order", "limit", "cursor", "timeout"];

/// A page of a log.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = EventList)]
pub struct List<'a> {
    /// The events in the order asked for.
    events: Vec<Event<'a>>,
    /// Give it as `cursor` for the next page; null on the last one.
    next: Option<String>,
    /// Whether nothing of the covered time is missing.
    complete: bool,
    /// What this page says something about, and what it cannot.
    coverage: Vec<Stretch<'a>>,
}

/// An entry of a log.
#[derive(Debug, Serialize, ToSchema)]
pub struct Event<'a> {
    /// `<epoch>-<seq>`: unlike any other of this camera.
    #[schema(example = "01997a5c-5f60-7000-8000-0123456789ab-42")]
    id: String,
    /// Whose log it is.
    #[schema(value_type = String, example = "porch")]
    camera: &'a CameraId,
    /// When it happened, by the camera's clock.
    #[schema(format = DateTime)]
    at: String,
    /// What happened.
    #[schema(value_type = String, example = "motion")]
    kind: &'a Kind,
    /// How much it matters.
    #[schema(value_type = String, example = "info")]
    severity: &'a Severity,
    /// One line for people.
    #[schema(example = "detected motion")]
    description: &'a str,
    /// Small facts for programs.
    #[schema(value_type = Object)]
    data: &'a Map<String, Value>,
    /// The time of the picture that shows it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    image_at: Option<String>,
}

/// A stretch of time, and who answered for it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Coverage)]
pub struct Stretch<'a> {
    /// Whose log.
    #[schema(value_type = String, example = "porch")]
    camera: &'a CameraId,
    /// Where it begins; null means the beginning of the log.
    #[schema(format = DateTime)]
    from: Option<String>,
    /// Where it ends.
    #[schema(format = DateTime)]
    to: String,
    /// Who answered for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "camera")]
    source: Option<Cow<'static, str>>,
    /// Why nobody can.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "lost_on_camera")]
    missing: Option<Cow<'static, str>>,
}

/// The resolved range that a cursor keeps, so that `-15m` means the same on every page, and the last row.
type Place = (Option<i64>, Option<i64>, Position);

/// A page of a camera's log.
#[utoipa::path(get, path = "/v1/cameras/{id}/events", tag = "events", operation_id = "list_events",
    params(("id" = String, Path, description = "The camera", example = "porch"),
        ("from" = Option<String>, Query, description = "The earliest time, included: RFC 3339, now, -15m, -2h, -7d, YYYYMMDDhhmmss[.mmm], Unix seconds or milliseconds"),
        ("to" = Option<String>, Query, description = "The time before which all events lie"),
        ("kind" = Option<Vec<String>>, Query, description = "Only these kinds, up to 32 of up to 64 bytes; repeatable"),
        ("severity" = Option<Vec<String>>, Query, description = "Only these severities, up to 32 of up to 64 bytes; repeatable"),
        ("q" = Option<String>, Query, description = "Only descriptions that contain this, up to 256 bytes, whatever the case"),
        ("order" = Option<String>, Query, description = "desc (default: newest first) or asc"),
        ("limit" = Option<u64>, Query, description = "The most on one page; 100 by default", minimum = 1, maximum = 1000),
        ("cursor" = Option<String>, Query, description = "The `next` of the page before, with the same parameters"),
        ("timeout" = Option<String>, Query, description = "How long the camera may take to begin its answer: 100ms to 60s, 10s by default")),
    responses((status = 200, description = "A page of the log", body = List),
        (status = 501, description = "The camera keeps no log", body = crate::problem::ProblemBody, content_type = "application/problem+json"),
        (status = 502, description = "The camera answered with a failure", body = crate::problem::ProblemBody, content_type = "application/problem+json"),
        (status = 504, description = "The camera did not answer in time", body = crate::problem::ProblemBody, content_type = "application/problem+json")))]
pub async fn list(inbound: Inbound<Viewer>, id: CameraId) -> Result<Response, Problem> {
    let camera = inbound.app.cameras.get(&inbound.who, &id)?.id.clone();
    let query = inbound.query(KNOWN)?;
    let wanted = read(&query, &camera)?;
    let timeout =
        query.span("timeout", Duration::from_millis(100)..=Duration::from_secs(60))?.unwrap_or(TIMEOUT);
    let page = events::page(&inbound.app.relay, &camera, &wanted, Instant::now() + timeout)
        .await
        .map_err(|error| Problem::relay(error, &camera))?;
    let last = page.events.last().filter(|_| page.more);
    let list = List {
        events: page.events.iter().map(|event| Event::of(&camera, event)).collect(),
        next: last.and_then(|last| next(&query, &camera, &wanted, last.position())),
        complete: page.is_complete(),
        coverage: page.coverage.iter().map(|stretch| Stretch::of(&camera, stretch)).collect(),
    };
    let mut response = reply::json(&list)?;
    let timing = format!("camera;dur={:.3}", page.waited.as_secs_f64() * 1e3);
    if let Ok(timing) = HeaderValue::from_str(&timing) {
        response.headers_mut().insert("server-timing", timing);
    }
    Ok(response)
}

fn read(query: &Query, camera: &CameraId) -> Result<EventsQuery, Problem> {
    let order = match query.one("order")? {
        None | Some("desc") => Order::Desc,
        Some("asc") => Order::Asc,
        Some(other) => return Err(Problem::bad_request(format!("order: {other:?} is neither asc nor desc"))),
    };
    let mut wanted = EventsQuery {
        from: query.time("from")?,
        to: query.time("to")?,
        after: None,
        order,
        limit: page::limit(query)?,
        kinds: words(query, "kind")?.into_iter().map(Kind::from).collect(),
        severity: words(query, "severity")?.into_iter().map(Severity::from).collect(),
        text: text(query)?.map(str::to_owned),
    };
    if let Some(cursor) = query.one("cursor")? {
        let (from, to, last): Place = page::place(&question(query, camera, &wanted), cursor)?;
        wanted.from = from.map(oriel_proto::Timestamp::from_micros);
        wanted.to = to.map(oriel_proto::Timestamp::from_micros);
        wanted.after = Some(last);
    }
    if let (Some(from), Some(to)) = (wanted.from, wanted.to)
        && from > to
    {
        return Err(Problem::bad_request("from lies behind to"));
    }
    Ok(wanted)
}

/// The words of a repeatable parameter; none can be longer than those of an event.
fn words<'a>(query: &'a Query, name: &str) -> Result<Vec<&'a str>, Problem> {
    let words: Vec<&str> = query.all(name).collect();
    if words.len() > MOST_WORDS {
        return Err(Problem::bad_request(format!("{name}: at most {MOST_WORDS} of them")));
    }
    if words.iter().any(|word| word.len() > WORD_BYTES) {
        return Err(Problem::bad_request(format!("{name}: at most {WORD_BYTES} bytes each")));
    }
    Ok(words)
}

fn text(query: &Query) -> Result<Option<&str>, Problem> {
    match query.one("q")? {
        Some(text) if text.len() > LONGEST_TEXT => {
            Err(Problem::bad_request(format!("q: at most {LONGEST_TEXT} bytes")))
        }
        text => Ok(text),
    }
}

fn next(query: &Query, camera: &CameraId, wanted: &EventsQuery, last: Position) -> Option<String> {
    let micros = |time: Option<oriel_proto::Timestamp>| time.map(oriel_proto::Timestamp::as_micros);
    let place: Place = (micros(wanted.from), micros(wanted.to), last);
    page::cursor(&question(query, camera, wanted), place)
}

/// The question as its parameters say it; times as written, because relative ones move.
fn question<'a>(query: &'a Query, camera: &'a CameraId, wanted: &'a EventsQuery) -> impl Serialize + 'a {
    let written = |name| query.one(name).ok().flatten();
    (camera, written("from"), written("to"), &wanted.order, &wanted.kinds, &wanted.severity, &wanted.text)
}

impl<'a> Event<'a> {
    fn of(camera: &'a CameraId, logged: &'a LoggedEvent) -> Self {
        let event = &logged.event;
        Self {
            id: logged.id().to_string(),
            camera,
            at: clock::format(event.at),
            kind: &event.kind,
            severity: &event.severity,
            description: &event.description,
            data: &event.data,
            image_at: event.image_at.map(clock::format),
        }
    }
}

impl<'a> Stretch<'a> {
    fn of(camera: &'a CameraId, stretch: &Coverage) -> Self {
        let (source, missing) = match stretch.by {
            CoveredBy::Camera => (Some("camera"), None),
            CoveredBy::LostOnCamera => (None, Some("lost_on_camera")),
            CoveredBy::PastRetention => (None, Some("past_retention")),
            CoveredBy::SearchLimit => (None, Some("search_limit")),
        };
        Self {
            camera,
            from: stretch.from.map(clock::format),
            to: clock::format(stretch.to),
            source: source.map(Cow::Borrowed),
            missing: missing.map(Cow::Borrowed),
        }
    }
}
