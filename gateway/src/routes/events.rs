//! `GET /v1/cameras/{id}/events`: a camera's log from what is kept here and from the camera itself: a page as JSON, or all of it line
//! by line or as a table.

pub(super) mod follow;
mod lines;
pub mod many;
mod parameters;
pub mod timeline;
mod view;

use std::time::Duration;

use oriel_proto::{
    CameraId, Kind, Severity,
    call::{EventsCall, Order},
    event::Position,
    limits::WORD_BYTES,
};
use serde::Serialize;
use tokio::time::Instant;
use warp::{
    http::{HeaderMap, header},
    reply::Response,
};

use self::lines::{Asked, Lines, Log};
pub use self::view::{Event, List, Stretch};
use super::{App, Cursors, inbound::Inbound, page, patience, query::Query, reply, whom::Whom};
use crate::{
    access::{AccessError, Viewer},
    events::{Page, Patience, Timing, text::Form},
    problem::Problem,
    store::{CameraRecord, Role},
};

/// The longest `q` in bytes.
const LONGEST_TEXT: usize = 256;

/// The most kinds, and the most severities, of one question: with this many of the longest it still fits one frame.
const MOST_WORDS: usize = 32;

/// The parameters of an event list.
const KNOWN: &[&str] = &[
    "from",
    "to",
    "kind",
    "severity",
    "q",
    "order",
    "limit",
    "cursor",
    "source",
    "timeout",
    "wait_online",
    "follow",
];

/// The resolved range that a cursor keeps, so that `-15m` means the same on every page, and the last row.
type Place = (Option<i64>, Option<i64>, Position);

/// A page of a camera's log, or all of it line by line.
#[utoipa::path(get, path = "/v1/cameras/{id}/events", tag = "events", operation_id = "list_events",
    params(("id" = String, Path, description = "The camera", example = "porch"),
        ("from" = Option<String>, Query, description = parameters::FROM),
        ("to" = Option<String>, Query, description = parameters::TO),
        ("kind" = Option<Vec<String>>, Query, description = parameters::KIND),
        ("severity" = Option<Vec<String>>, Query, description = parameters::SEVERITY),
        ("q" = Option<String>, Query, description = parameters::Q),
        ("order" = Option<String>, Query, description = parameters::ORDER),
        ("limit" = Option<u64>, Query, description = "The most events; 100 by default in JSON, all as lines or as a table, which needs the role operator", minimum = 1, maximum = 1000),
        ("cursor" = Option<String>, Query, description = "The `next` of the page before, with the same parameters"),
        ("source" = Option<String>, Query, description = parameters::SOURCE),
        ("timeout" = Option<String>, Query, description = patience::ABOUT_TIMEOUT),
        ("wait_online" = Option<String>, Query, description = patience::ABOUT_WAIT_ONLINE),
        ("follow" = Option<String>, Query, description = parameters::FOLLOW),
        ("last-event-id" = Option<String>, Header, description = parameters::LAST_EVENT_ID),
        ("accept" = Option<String>, Header, description = "text/event-stream follows: messages hello, event, missing, heartbeat, gone and restart, without end, in the order in which events come. application/x-ndjson streams one event a line; the last line is {\"end\": {\"complete\", \"coverage\", \"next\"}}. text/csv streams one event a row; behind them stands a row of the kind missing for each stretch of time that nobody can answer for, one of the kind more if there are more events than the limit, and as the last row one of the kind end. An answer without its last line or row broke off.")),
    responses((status = 200, description = "A page of the log, or its events line by line or as a table", content((List = "application/json"), (String = "application/x-ndjson"), (String = "text/csv"), (String = "text/event-stream"))),
        (status = 501, description = "The camera keeps no log", body = crate::problem::ProblemBody, content_type = "application/problem+json"),
        (status = 502, description = "The camera answered with a failure", body = crate::problem::ProblemBody, content_type = "application/problem+json"),
        (status = 504, description = "The camera did not answer in time", body = crate::problem::ProblemBody, content_type = "application/problem+json")))]
pub async fn list(inbound: Inbound<Viewer>, id: CameraId) -> Result<Response, Problem> {
    let record = inbound.app.cameras.get(&inbound.who, &id)?;
    let cursors = inbound.app.cursors;
    let query = inbound.query(KNOWN)?;
    if follow::is_wanted(&inbound.headers, &query)? {
        return follow::follow((&inbound.app, inbound.who, &inbound.headers), &query, Whom::of(id)).await;
    }
    let follow = inbound.app.newest.written(&cursors, &inbound.app.events);
    let form = streamed(&inbound.headers);
    let limit = match form {
        Some(_) => any_limit(&query, "limit", page::LIMITS, &inbound.who, [&*record])?,
        None => Some(page::limit(&query)?),
    };
    let call = read(&cursors, &query, &id, limit)?;
    let source = Source::read(&query)?;
    let timeout = patience::timeout(&query)?;
    let within = patience::wait_online(&query)?.filter(|_| source != Source::Store);
    let queued = patience::wait(&inbound.app, &inbound.who, &id, within).await?;
    let (mut response, timing) = if let Some(form) = form {
        let (log, timing) = log(&inbound.app, &id, &call, form, source, timeout).await?;
        let lines = Lines::of(Asked { cursors, camera: id, query, call, follow }, log, form);
        (lines.into_response(inbound.who), timing)
    } else {
        let page = page(&inbound.app, &id, &call, source, Instant::now() + timeout).await?;
        let last = page.last.filter(|_| page.more);
        let next = last.and_then(|last| next(&cursors, &query, &id, &call, last));
        let timing = page.timing;
        (reply::written(view::list(&id, page, next, follow))?, timing)
    };
    let parts = [("camera", timing.camera), ("store", timing.store), ("queue", queued)];
    if let Some(timing) = patience::server_timing(parts) {
        response.headers_mut().insert("server-timing", timing);
    }
    Ok(response)
}

/// Who is to answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    /// What is kept here, and the camera for what is not.
    Auto,
    /// What is kept here.
    Store,
    /// The camera.
    Camera,
}

impl Source {
    fn read(query: &Query) -> Result<Self, Problem> {
        match query.one("source")? {
            None | Some("auto") => Ok(Self::Auto),
            Some("store") => Ok(Self::Store),
            Some("camera") => Ok(Self::Camera),
            Some(other) => {
                Err(Problem::bad_request(format!("source: {other:?} is none of auto, store, camera")))
            }
        }
    }
}

/// A page from who is to answer.
async fn page(
    app: &App,
    id: &CameraId,
    call: &EventsCall,
    source: Source,
    deadline: Instant,
) -> Result<Page, Problem> {
    match source {
        Source::Auto => {
            let patience = Patience { begun_by: deadline, whole_by: None };
            Ok(app.events.page(id, call.clone(), patience).await?)
        }
        Source::Store => Ok(app.events.stored_page(&mut app.events.stored(id, call.clone())).await?),
        Source::Camera => {
            let page = app.events.camera_page(id, call, deadline).await;
            page.map_err(|error| Problem::relay(error, id))
        }
    }
}

/// All of a log from who is to answer.
async fn log(
    app: &App,
    id: &CameraId,
    call: &EventsCall,
    form: Form,
    source: Source,
    timeout: Duration,
) -> Result<(Log, Timing), Problem> {
    match source {
        Source::Auto => {
            let log = app.events.all(id, call.clone(), form, timeout).await?;
            Ok((Log::All(Box::new(log)), Timing::default()))
        }
        Source::Store => Ok((Log::Store(app.events.stored(id, call.clone())), Timing::default())),
        Source::Camera => {
            let stream = app.events.stream(id, call.clone(), Instant::now() + timeout).await;
            let stream = stream.map_err(|error| Problem::relay(error, id))?;
            let timing = Timing { camera: Some(stream.waited), ..Timing::default() };
            Ok((Log::Camera(stream), timing))
        }
    }
}

/// As what the caller wants the events one by one, however many; none for a page.
fn streamed(headers: &HeaderMap) -> Option<Form> {
    accepted(headers).find_map(|media| match media {
        media if media.eq_ignore_ascii_case("application/x-ndjson") => Some(Form::Json),
        media if media.eq_ignore_ascii_case("text/csv") => Some(Form::Csv),
        _ => None,
    })
}

/// The media types that are welcome, as they are named.
pub(super) fn accepted(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let accepted = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let media = accepted.flat_map(|value| value.split(',')).filter_map(|range| range.split(';').next());
    media.map(str::trim)
}

/// The `name`d limit of a list that may have none, where the caller may ask for all; else it lies in this range.
pub(super) fn any_limit<'a>(
    query: &Query,
    name: &str,
    range: (u64, u64),
    viewer: &Viewer,
    cameras: impl IntoIterator<Item = &'a CameraRecord>,
) -> Result<Option<u64>, Problem> {
    if cameras.into_iter().all(|camera| viewer.may(Role::Operator, camera)) {
        return query.number(name, range.0..=u64::MAX);
    }
    let limit = query.number(name, range.0..=range.1)?;
    let refused = || AccessError::Forbidden { needs: Role::Operator, everywhere: false };
    Ok(Some(limit.ok_or_else(refused)?))
}

/// What is asked, of whom the question is `of`; a cursor of the same question says where to go on.
fn read(
    cursors: &Cursors,
    query: &Query,
    of: &impl Serialize,
    limit: Option<u64>,
) -> Result<EventsCall, Problem> {
    let order = match query.one("order")? {
        None | Some("desc") => Order::Desc,
        Some("asc") => Order::Asc,
        Some(other) => return Err(Problem::bad_request(format!("order: {other:?} is neither asc nor desc"))),
    };
    let mut wanted = EventsCall {
        from: query.time("from")?,
        to: query.time("to")?,
        limit,
        kinds: words(query, "kind")?.into_iter().map(Kind::from).collect(),
        severity: words(query, "severity")?.into_iter().map(Severity::from).collect(),
        text: text(query)?.map(str::to_owned),
        ..EventsCall::all(order)
    };
    if let Some(cursor) = query.one("cursor")? {
        let (from, to, last): Place = page::place(cursors, &question(query, of, &wanted), cursor)?;
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

fn next(
    cursors: &Cursors,
    query: &Query,
    of: &impl Serialize,
    wanted: &EventsCall,
    last: Position,
) -> Option<String> {
    let micros = |time: Option<oriel_proto::Timestamp>| time.map(oriel_proto::Timestamp::as_micros);
    let place: Place = (micros(wanted.from), micros(wanted.to), last);
    page::cursor(cursors, &question(query, of, wanted), &place)
}

/// The question as its parameters say it; times as written, because relative ones move.
fn question<'a>(query: &'a Query, of: &'a impl Serialize, wanted: &'a EventsCall) -> impl Serialize + 'a {
    let written = |name| query.one(name).ok().flatten();
    (of, written("from"), written("to"), &wanted.order, &wanted.kinds, &wanted.severity, &wanted.text)
}
