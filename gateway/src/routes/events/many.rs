//! `GET /v1/events`: the logs of many cameras at once, as one page in the total order, or line by line or as a table as the cameras answer.

use std::{
    collections::{BTreeMap, BTreeSet},
    mem,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures_util::{Stream, StreamExt, future, stream};
use oriel_proto::{CameraId, call::EventsCall};
use serde::Serialize;
use tokio::{sync::Semaphore, time::Instant};
use warp::reply::Response;

use super::{
    App, Query, Stretch, Viewer, any_limit, follow,
    lines::{BrokenOff, write_behind},
    next, parameters, patience, read, streamed, view,
};
use crate::{
    events::{Coverage, Finish, Gathered, MergedLog, Patience, Whole, is_complete, table, text::Form},
    problem::Problem,
    routes::{
        chunks::{self, Chunk, Chunks, Place},
        inbound::Inbound,
        page, reply,
        whom::Whom,
    },
    store::CameraRecord,
};

/// Cameras that are asked at the same time: at most so many, and of a page so many that their answers may have this many events.
const AT_ONCE: usize = 1_024;
const EVENTS_AT_ONCE: usize = 65_536;

/// Cameras whose logs are begun at the same time, of those that are away and of those that may have to be asked: were it all of them,
/// the first line would wait for the beginnings of all, and were it one queue, whoever has to be asked for those of all others.
const BEGUN_AT_ONCE: usize = 8;

/// Events of one camera that wait to be taken as lines: there may be as many for each that is asked.
const CHUNK: u64 = 16;

/// The parameters of a list of many cameras' events.
const KNOWN: &[&str] = &[
    "camera", "tag", "from", "to", "kind", "severity", "q", "order", "limit", "cursor", "timeout", "follow",
];

/// A page of the logs of many cameras, or all of them line by line.
#[utoipa::path(get, path = "/v1/events", tag = "events", operation_id = "list_events_of_many",
    params(("camera" = Option<Vec<String>>, Query, description = "Only these cameras; repeatable. Without it, all that the caller may see"),
        ("tag" = Option<Vec<String>>, Query, description = "Only cameras with one of these tags; repeatable"),
        ("from" = Option<String>, Query, description = parameters::FROM),
        ("to" = Option<String>, Query, description = parameters::TO),
        ("kind" = Option<Vec<String>>, Query, description = parameters::KIND),
        ("severity" = Option<Vec<String>>, Query, description = parameters::SEVERITY),
        ("q" = Option<String>, Query, description = parameters::Q),
        ("order" = Option<String>, Query, description = parameters::ORDER),
        ("limit" = Option<u64>, Query, description = "The most events of the page, 100 by default; as lines or as a table the most of each camera, all by default, which needs the role operator", minimum = 1, maximum = 1000),
        ("cursor" = Option<String>, Query, description = "The `next` of the page before, with the same parameters; not with lines or tables"),
        ("timeout" = Option<String>, Query, description = "How long cameras may take: 100ms to 60s, 10s by default. A page has by then what has come; of lines and tables each camera's answer has begun by then"),
        ("follow" = Option<String>, Query, description = parameters::FOLLOW),
        ("last-event-id" = Option<String>, Header, description = parameters::LAST_EVENT_ID),
        ("accept" = Option<String>, Header, description = "text/event-stream follows: messages hello, event, missing, heartbeat, gone and restart, without end, in the order in which events come. application/x-ndjson streams one event a line, as cameras answer; {\"camera_end\": {\"camera\", \"complete\", \"coverage\", \"next\"}} stands behind the last line of each camera, and the last line is {\"end\": {\"complete\", \"cameras\", \"missing\"}}. text/csv streams one event a row, as cameras answer; behind the last row of each camera stands one of the kind missing for each stretch of time that nobody can answer for, and one of the kind more if there are more events than the limit, and the last row of all is of the kind end. An answer without its last line or row broke off.")),
    responses((status = 200, description = "A page of the logs, or their events line by line or as a table", content((super::List = "application/json"), (String = "application/x-ndjson"), (String = "text/csv"), (String = "text/event-stream"))),
        (status = 404, description = "A camera that is named does not exist, or is not yours to see", body = crate::problem::ProblemBody, content_type = "application/problem+json")))]
pub async fn list(inbound: Inbound<Viewer>) -> Result<Response, Problem> {
    let query = inbound.query(KNOWN)?;
    let cursors = inbound.app.cursors;
    let cameras = wanted(&inbound.app, &inbound.who, &query)?;
    let of = (words(&query, "camera"), words(&query, "tag"));
    if follow::is_wanted(&inbound.headers, &query)? {
        let whom = Whom::read(&query)?;
        return follow::follow((&inbound.app, inbound.who, &inbound.headers), &query, whom).await;
    }
    let follow = inbound.app.newest.written(&inbound.app.cursors, &inbound.app.events);
    let timeout = patience::timeout(&query)?;
    if let Some(form) = streamed(&inbound.headers) {
        if query.one("cursor")?.is_some() {
            return Err(Problem::bad_request(
                "cursor: lines and tables of many cameras have no pages: leave it out",
            ));
        }
        let limit =
            any_limit(&query, "limit", page::LIMITS, &inbound.who, cameras.iter().map(|record| &**record))?;
        let call = read(&cursors, &query, &of, limit)?;
        let summary = Mutex::new(Summary { follow, ..Summary::default() });
        let (away, connected) = (Semaphore::new(BEGUN_AT_ONCE), Semaphore::new(BEGUN_AT_ONCE));
        let lines = Lines { app: inbound.app, query, call, form, timeout, away, connected, summary };
        let lines = AllLines::of(cameras, lines);
        let mut response = chunks::response(lines, inbound.who, form.media_type(), "many cameras");
        form.name(&mut response, "events");
        return Ok(response);
    }
    let limit = page::limit(&query)?;
    let call = read(&cursors, &query, &of, Some(limit))?;
    let gathered = tokio::select! {
        gathered = gathered(&inbound.app, cameras, &call, Instant::now() + timeout) => gathered?,
        ended = inbound.who.ended() => return Err(ended.into()),
    };
    let Whole { events, last, coverage } = gathered.finish();
    let next = last.and_then(|last| next(&cursors, &query, &of, &call, last));
    reply::written(view::list_of_many(&events, next, follow, &coverage))
}

/// The cameras that are asked for; who is away stands first, because nobody waits for it.
fn wanted(app: &App, viewer: &Viewer, query: &Query) -> Result<Vec<Arc<CameraRecord>>, Problem> {
    let mut records = Whom::read(query)?.cameras(app, viewer)?;
    records.sort_by_cached_key(|record| app.registry.find(&record.id).is_some());
    Ok(records)
}

/// The words of a parameter that says of whom a question is.
fn words(query: &Query, name: &str) -> BTreeSet<String> {
    query.all(name).map(str::to_owned).collect()
}

/// A page of all of them, with what has come by the deadline.
async fn gathered(
    app: &App,
    cameras: Vec<Arc<CameraRecord>>,
    call: &EventsCall,
    deadline: Instant,
) -> Result<Gathered, Problem> {
    let patience = Patience { begun_by: deadline, whole_by: Some(deadline) };
    let page = |record: Arc<CameraRecord>| async move {
        let page = app.events.page(&record.id, call.clone(), patience).await;
        (record.id.clone(), page)
    };
    let limit = call.limit.map_or(usize::MAX, |limit| limit as usize);
    let at_once = (EVENTS_AT_ONCE / limit).clamp(64, AT_ONCE);
    let mut pages = stream::iter(cameras).map(page).buffer_unordered(at_once);
    let mut all = Gathered::new(call.order.clone(), limit);
    while let Some((camera, page)) = pages.next().await {
        all.add(camera, page?);
    }
    Ok(all)
}

/// What is asked of every camera, and what has come of it.
struct Lines {
    app: App,
    query: Query,
    call: EventsCall,
    form: Form,
    timeout: Duration,
    /// Logs that may be begun of cameras that are away.
    away: Semaphore,
    /// Those that may be begun of connected ones.
    connected: Semaphore,
    summary: Mutex<Summary>,
}

/// What the last line says.
#[derive(Debug, Default, Serialize)]
struct Summary {
    complete: bool,
    cameras: u64,
    /// Of how many cameras something is missing, by the reason.
    missing: BTreeMap<&'static str, u64>,
    /// Where to follow from.
    follow: Option<String>,
}

/// The line behind a camera's last one.
#[derive(Serialize)]
struct CameraEnd<'a> {
    camera_end: Ended<'a>,
}

#[derive(Serialize)]
struct Ended<'a> {
    camera: &'a CameraId,
    complete: bool,
    coverage: Vec<Stretch<'a>>,
    next: Option<String>,
}

#[derive(Serialize)]
struct End<'a> {
    end: &'a Summary,
}

/// The lines of all cameras as they come.
struct AllLines {
    of_cameras: Pin<Box<dyn Stream<Item = Result<Vec<u8>, BrokenOff>> + Send + Sync>>,
    lines: Arc<Lines>,
    /// Whether the first chunk has been made.
    has_begun: bool,
}

impl AllLines {
    fn of(cameras: Vec<Arc<CameraRecord>>, lines: Lines) -> Self {
        let lines = Arc::new(lines);
        let of_camera = {
            let lines = lines.clone();
            move |record: Arc<CameraRecord>| Box::pin(of_camera(lines.clone(), record.id.clone()))
        };
        let all = stream::iter(cameras).map(of_camera).flatten_unordered(AT_ONCE);
        Self { of_cameras: Box::pin(all), lines, has_begun: false }
    }
}

impl Chunks for AllLines {
    type Error = BrokenOff;

    async fn next(&mut self, place: &Place) -> Result<Chunk, BrokenOff> {
        let (lines, is_last) = match self.of_cameras.next().await {
            Some(lines) => (lines?, false),
            None => (self.lines.last()?, true),
        };
        let is_first = !mem::replace(&mut self.has_begun, true);
        let chunk = place.take(|chunk| {
            if is_first {
                self.lines.form.begin(chunk);
            }
            chunk.extend_from_slice(&lines);
            Ok::<_, BrokenOff>(())
        })?;
        Ok(if is_last { Chunk::Last(chunk) } else { Chunk::More(chunk) })
    }
}

/// The lines of one camera.
fn of_camera(
    lines: Arc<Lines>,
    camera: CameraId,
) -> impl Stream<Item = Result<Vec<u8>, BrokenOff>> + Send + Sync {
    let begin = async move {
        let log = {
            let is_connected = lines.app.registry.find(&camera).is_some();
            let turns = if is_connected { &lines.connected } else { &lines.away };
            let _turn = turns.acquire().await;
            lines.app.events.all(&camera, lines.call.clone(), lines.form, lines.timeout).await
        };
        Some((lines, camera, log))
    };
    let rest = |(lines, camera, log): (Arc<Lines>, CameraId, Result<MergedLog, _>)| {
        stream::unfold(Some((lines, camera, log)), |state| async {
            let (lines, camera, log) = state?;
            let mut log = match log {
                Ok(log) => log,
                Err(error) => return Some((Err(BrokenOff::Store(error)), None)),
            };
            match lines.chunk(&camera, &mut log).await {
                Ok((chunk, false)) => Some((Ok(chunk), Some((lines, camera, Ok(log))))),
                Ok((chunk, true)) => Some((Ok(chunk), None)),
                Err(error) => Some((Err(error), None)),
            }
        })
    };
    stream::once(begin).filter_map(future::ready).map(rest).flatten()
}

impl Lines {
    /// The next lines of a camera, and whether they are its last.
    async fn chunk(&self, camera: &CameraId, log: &mut MergedLog) -> Result<(Vec<u8>, bool), BrokenOff> {
        let (text, finish) = log.read(CHUNK).await?;
        let has_events = text.count() > 0;
        let mut chunk = text.into_bytes();
        if has_events {
            chunk.push(b'\n');
        }
        let Some(Finish { more, coverage }) = finish else { return Ok((chunk, false)) };
        let last = log.last.filter(|_| more);
        let next = last.and_then(|last| next(&self.app.cursors, &self.query, camera, &self.call, last));
        self.count(&coverage);
        if self.form == Form::Csv {
            write_behind(&mut chunk, camera, &coverage, next.as_deref());
            return Ok((chunk, true));
        }
        let complete = is_complete(&coverage);
        let end = Ended { camera, complete, coverage: Stretch::all(camera, &coverage), next };
        serde_json::to_writer(&mut chunk, &CameraEnd { camera_end: end })?;
        chunk.push(b'\n');
        Ok((chunk, true))
    }

    fn count(&self, coverage: &[Coverage]) {
        let mut summary = self.summary.lock().unwrap_or_else(PoisonError::into_inner);
        summary.cameras += 1;
        let reasons = coverage.iter().filter_map(|stretch| view::words(stretch.by).err());
        for reason in reasons.collect::<BTreeSet<_>>() {
            *summary.missing.entry(reason).or_default() += 1;
        }
    }

    fn last(&self) -> Result<Vec<u8>, BrokenOff> {
        let mut summary = self.summary.lock().unwrap_or_else(PoisonError::into_inner);
        summary.complete = summary.missing.is_empty();
        if self.form == Form::Csv {
            let mut row = Vec::new();
            table::write_end(&mut row, summary.complete, &*summary);
            return Ok(row);
        }
        let mut line = serde_json::to_vec(&End { end: &summary })?;
        line.push(b'\n');
        Ok(line)
    }
}
