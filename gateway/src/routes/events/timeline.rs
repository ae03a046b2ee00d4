//! `GET /v1/cameras/{id}/timeline`: how many events of each kind a camera's log has, and how many pictures it keeps, step by step.

use std::{collections::BTreeMap, time::Duration};

use oriel_proto::{
    CameraId, ImageClass, Timestamp,
    call::{EventsCall, ImagesCall, Order},
    image::ImageCount,
};
use serde::Serialize;
use tokio::time::Instant;
use utoipa::ToSchema;
use warp::reply::Response;

use super::{App, Inbound, Problem, Query, Source, Stretch, Viewer, parameters, patience, read, reply};
use crate::{
    clock::{self, Rfc3339},
    events::{self, is_complete},
};

/// The parameters of a timeline.
const KNOWN: &[&str] = &["from", "to", "step", "kind", "severity", "q", "source", "timeout"];

/// How long before `to` a timeline begins, unless the request says otherwise.
const USUALLY: Duration = Duration::from_secs(24 * 60 * 60);

/// The length of a step, unless the request says otherwise: 96 of them are a day.
const STEP: Duration = Duration::from_secs(15 * 60);

/// The longest step: a year.
const LONGEST_STEP: Duration = Duration::from_secs(366 * 24 * 60 * 60);

/// The most steps that a time may have, with events or without: more than a screen has columns.
const MOST_STEPS: i64 = 2_000;

/// How many events of each kind and how many pictures there were in each step of a time.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Timeline)]
struct Timeline<'a> {
    /// Whose log.
    #[schema(value_type = String, example = "porch")]
    camera: &'a CameraId,
    /// Where it begins.
    #[schema(value_type = String, format = DateTime)]
    from: Rfc3339,
    /// Where it ends.
    #[schema(value_type = String, format = DateTime)]
    to: Rfc3339,
    /// How long a step is, in milliseconds; each begins at a multiple of that since 1970.
    #[schema(example = 900_000)]
    step_ms: u64,
    /// The steps that have events or pictures, oldest first.
    steps: Vec<Step>,
    /// Whether nothing of the covered time is missing.
    complete: bool,
    /// What the numbers of events say something about, and what they cannot.
    coverage: Vec<Stretch<'a>>,
    /// What is known of pictures.
    images: Known,
}

/// What is known of the pictures that the camera keeps.
#[derive(Debug, Default, Serialize, ToSchema)]
#[schema(as = TimelineImages)]
struct Known {
    /// Whether the steps have all of them.
    complete: bool,
    /// Why not: not_asked, or the code of a failure, such as camera_offline.
    why: Option<&'static str>,
}

/// The events and the pictures of one step.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = TimelineStep)]
struct Step {
    /// Where it begins; the first one may begin before `from`.
    #[schema(value_type = String, format = DateTime)]
    at: Rfc3339,
    /// How many there are of each kind that there is.
    #[schema(example = json!({"motion": 12, "brightness": 1}))]
    events: BTreeMap<String, u64>,
    /// How many pictures the camera keeps of each series, and their bytes.
    #[schema(example = json!({"preview": {"count": 900, "bytes": 16_200_000}}))]
    images: BTreeMap<String, Pictures>,
}

/// The pictures of one step.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = TimelinePictures)]
struct Pictures {
    /// How many there are.
    count: u64,
    /// How large they are together.
    bytes: u64,
}

/// Numbers of events by kind, and of pictures, step by step.
#[utoipa::path(get, path = "/v1/cameras/{id}/timeline", tag = "events", operation_id = "show_timeline",
    params(("id" = String, Path, description = "The camera", example = "porch"),
        ("from" = Option<String>, Query, description = "The earliest time, included, in any form that event lists take; a day before `to` by default"),
        ("to" = Option<String>, Query, description = "The time before which all events lie; now by default"),
        ("step" = Option<String>, Query, description = "How long a step is, from 1s to 366d, such as 1m, 15m (default) or 1h; a time may have at most 2,000 of them"),
        ("kind" = Option<Vec<String>>, Query, description = parameters::KIND),
        ("severity" = Option<Vec<String>>, Query, description = parameters::SEVERITY),
        ("q" = Option<String>, Query, description = parameters::Q),
        ("source" = Option<String>, Query, description = parameters::SOURCE),
        ("timeout" = Option<String>, Query, description = patience::ABOUT_TIMEOUT)),
    responses((status = 200, description = "The steps that have events or pictures", body = Timeline),
        (status = 501, description = "The camera does not count", body = crate::problem::ProblemBody, content_type = "application/problem+json"),
        (status = 502, description = "The camera answered with a failure", body = crate::problem::ProblemBody, content_type = "application/problem+json"),
        (status = 504, description = "The camera did not answer in time", body = crate::problem::ProblemBody, content_type = "application/problem+json")))]
pub async fn show(inbound: Inbound<Viewer>, id: CameraId) -> Result<Response, Problem> {
    inbound.app.cameras.get(&inbound.who, &id)?;
    let query = inbound.query(KNOWN)?;
    let mut call = EventsCall { order: Order::Asc, ..read(&inbound.app.cursors, &query, &id, None)? };
    let (from, to) = range(&call)?;
    (call.from, call.to) = (Some(from), Some(to));
    let step_ms = step_ms(&query, from, to)?;
    let source = Source::read(&query)?;
    let timeout = patience::timeout(&query)?;
    let range = (from, to, step_ms);
    let (counted, images) = tokio::join!(
        count(&inbound.app, &id, call, step_ms, source, timeout),
        pictures(&inbound.app, &id, range, (source != Source::Store).then_some(timeout)),
    );
    let (counted, (images, known)) = (counted?, images);
    reply::json(&Timeline {
        camera: &id,
        from: Rfc3339(from),
        to: Rfc3339(to),
        step_ms,
        steps: steps(counted.steps, images),
        complete: is_complete(&counted.coverage),
        coverage: Stretch::all(&id, &counted.coverage),
        images: known,
    })
}

/// The steps that have something.
fn steps(events: events::Steps, images: Vec<(ImageClass, ImageCount)>) -> Vec<Step> {
    let none = |at| Step { at: Rfc3339(at), events: BTreeMap::new(), images: BTreeMap::new() };
    let mut steps: BTreeMap<Timestamp, Step> = BTreeMap::new();
    for (at, events) in events {
        steps.entry(at).or_insert_with(|| none(at)).events = events;
    }
    for (class, ImageCount { at, count, bytes }) in images {
        let step = steps.entry(at).or_insert_with(|| none(at));
        step.images.insert(class.to_string(), Pictures { count, bytes });
    }
    steps.into_values().collect()
}

/// The numbers of the pictures that the camera keeps, unless it is not to be asked.
async fn pictures(
    app: &App,
    id: &CameraId,
    (from, to, step_ms): (Timestamp, Timestamp, u64),
    timeout: Option<Duration>,
) -> (Vec<(ImageClass, ImageCount)>, Known) {
    let unknown = |why| (Vec::new(), Known { complete: false, why: Some(why) });
    let Some(timeout) = timeout else { return unknown("not_asked") };
    let Some(presence) = app.registry.presence(id) else { return unknown("camera_offline") };
    let deadline = Instant::now() + timeout;
    let mut numbers = Vec::new();
    for class in presence.classes.iter().filter(|class| !matches!(class, ImageClass::Other(_))) {
        let call = ImagesCall {
            class: class.clone(),
            from: Some(from),
            to: Some(to),
            count: None,
            order: Order::Asc,
            bucket_ms: Some(step_ms),
        };
        match app.images.counts(id, call, deadline).await {
            Ok(counts) => numbers.extend(counts.into_iter().map(|count| (class.clone(), count))),
            Err(error) => return unknown(Problem::relay(error, id).code()),
        }
    }
    (numbers, Known { complete: true, why: None })
}

/// The numbers from who is to answer.
async fn count(
    app: &App,
    id: &CameraId,
    call: EventsCall,
    step_ms: u64,
    source: Source,
    timeout: Duration,
) -> Result<events::Timeline, Problem> {
    let patience = match source {
        Source::Auto => Some(timeout),
        Source::Store => None,
        Source::Camera => {
            let timeline = app.events.camera_timeline(id, call, step_ms, Instant::now() + timeout).await;
            return timeline.map_err(|error| Problem::relay(error, id));
        }
    };
    Ok(app.events.timeline(id, call, step_ms, patience).await?)
}

/// The time asked for.
fn range(call: &EventsCall) -> Result<(Timestamp, Timestamp), Problem> {
    let to = call.to.unwrap_or_else(clock::now);
    let from = call.from.unwrap_or_else(|| to.before(USUALLY));
    if from > to {
        return Err(Problem::bad_request("from lies behind to, which is now unless it is given"));
    }
    Ok((from, to))
}

/// The length of a step in milliseconds, of which the time has not too many.
fn step_ms(query: &Query, from: Timestamp, to: Timestamp) -> Result<u64, Problem> {
    let step = query.span("step", Duration::from_secs(1)..=LONGEST_STEP)?.unwrap_or(STEP);
    let step_ms = u64::try_from(step.as_millis()).unwrap_or(u64::MAX);
    let length = i64::try_from(step_ms).unwrap_or(i64::MAX).saturating_mul(1_000);
    let place = |at: i64| at.div_euclid(length);
    let steps = place(to.as_micros().saturating_sub(1)) - place(from.as_micros()) + 1;
    if steps <= MOST_STEPS {
        return Ok(step_ms);
    }
    // One more than divides the time, for it may begin and end inside of steps.
    let least = to.as_micros().saturating_sub(from.as_micros()) / (MOST_STEPS - 1) / 1_000_000 + 1;
    Err(Problem::bad_request(format!(
        "step: that time has {steps} of them, at most {MOST_STEPS} are counted; give at least {least}s, or another from"
    )))
}
