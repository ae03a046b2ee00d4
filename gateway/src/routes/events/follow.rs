//! Following: events as server-sent events, in the order in which they come, each with the place from which to go on.

use std::{
    io::Write as _,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use oriel_proto::{CameraId, event::EventFilter};
use serde_json::{Value, json};
use tokio::{
    sync::broadcast,
    time::{Instant, Interval, MissedTickBehavior, interval_at},
};
use warp::{
    http::{HeaderMap, HeaderValue, header},
    reply::Response,
};

use super::{App, Query, Viewer, lines::BrokenOff, text, words};
use crate::{
    access::AccessError,
    clock,
    events::{Begin, Bookmark, Came, Events, FollowError, Following},
    problem::Problem,
    registry::{Watch, Wish},
    routes::{
        Cursors,
        chunks::{self, Chunk, Chunks, Place},
        whom::Whom,
    },
    store::Role,
};

/// A stream of messages.
pub(super) const MEDIA_TYPE: &str = "text/event-stream";

/// How often a stream says that it lives, and how far it has come.
pub(in crate::routes) const HEARTBEAT: Duration = Duration::from_secs(10);

/// What bookmarks are signed for.
const WORD: &str = "follow";

/// What a list has that following has not.
const OF_LISTS: [&str; 7] = ["to", "order", "limit", "cursor", "source", "timeout", "wait_online"];

/// Writes a place, for whoever wants to follow from there on.
pub(in crate::routes) fn written(cursors: &Cursors, place: Bookmark) -> Option<String> {
    cursors.sign(WORD, &(), &place)
}

/// The place up to which everything has come, as it was written last: many lists name it before the next event comes.
#[derive(Debug, Default)]
pub struct Newest(Mutex<Option<(Bookmark, String)>>);

impl Newest {
    /// The present place, from which nothing is missed that a list does not have yet.
    pub(in crate::routes) fn written(&self, cursors: &Cursors, events: &Events) -> Option<String> {
        let place = events.bookmark();
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, text)) = last.as_ref().filter(|(last, _)| *last == place) {
            return Some(text.clone());
        }
        let text = written(cursors, place)?;
        *last = Some((place, text.clone()));
        Some(text)
    }
}

/// The place from which a request wants to go on: what a browser says when it comes again counts more than its address.
pub(in crate::routes) fn resumed(
    cursors: &Cursors,
    headers: &HeaderMap,
    given: Option<&str>,
) -> Result<Option<Bookmark>, Problem> {
    let last = headers.get("last-event-id").map(HeaderValue::to_str);
    let last = last.transpose().map_err(|_| Problem::bad_cursor())?.filter(|last| !last.is_empty());
    last.or(given).map(|place| cursors.place(WORD, &(), place)).transpose()
}

/// The problem of one who cannot follow.
pub(in crate::routes) fn problem(error: FollowError) -> Problem {
    match error {
        FollowError::NotYet => Problem::bad_cursor(),
        FollowError::Store(error) => error.into(),
    }
}

/// Whether a request wants to follow; a list that does not may not name a place to follow from.
pub(super) fn is_wanted(headers: &HeaderMap, query: &Query) -> Result<bool, Problem> {
    let is_wanted = super::accepted(headers).any(|media| media.eq_ignore_ascii_case(MEDIA_TYPE));
    if !is_wanted && query.one("follow")?.is_some() {
        return Err(Problem::bad_request(format!("follow: needs Accept: {MEDIA_TYPE}")));
    }
    Ok(is_wanted)
}

/// Follows these cameras from where the request says.
pub(super) async fn follow(
    (app, viewer, headers): (&App, Viewer, &HeaderMap),
    query: &Query,
    whom: Whom,
) -> Result<Response, Problem> {
    for name in OF_LISTS {
        if query.one(name)?.is_some() {
            return Err(Problem::bad_request(format!("{name}: following has none: leave it out")));
        }
    }
    if app.stopping.is_cancelled() {
        return Err(Problem::draining());
    }
    let resumed = resumed(&app.cursors, headers, query.one("follow")?)?;
    let begin = match (resumed, query.time("from")?) {
        (Some(place), _) => Begin::At(place),
        (None, Some(from)) => Begin::History(history(app, &viewer, &whom)?, from),
        (None, None) => Begin::Now,
    };
    let kinds = words(query, "kind")?.into_iter().map(Into::into).collect();
    let severity = words(query, "severity")?.into_iter().map(Into::into).collect();
    let filter = EventFilter::new(kinds, severity, text(query)?);
    let wish = Wish { events: true, ..Wish::default() };
    let watches = whom.watch(app, &viewer, &wish);
    let following = app.events.follow(whom.only().cloned(), filter, begin).await.map_err(problem)?;
    let mut heartbeat = interval_at(Instant::now() + HEARTBEAT, HEARTBEAT);
    heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let whose = whom.only().map_or("many cameras".to_owned(), ToString::to_string);
    let state = State::Opening { resumed: resumed.is_some() };
    let (app, seer, changes) = (app.clone(), viewer.clone(), app.cameras.changes());
    let stream = Stream { app, viewer: seer, whom, following, changes, heartbeat, state, _watches: watches };
    let mut response = chunks::response(stream, viewer, MEDIA_TYPE, whose);
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    Ok(response)
}

/// The cameras whose history is told: all of it, which is an operator's, as is a list without a limit.
fn history(app: &App, viewer: &Viewer, whom: &Whom) -> Result<Vec<CameraId>, Problem> {
    let records = app.cameras.visible(viewer);
    let wanted: Vec<_> = records.iter().filter(|record| whom.has(record)).collect();
    if wanted.iter().all(|record| viewer.may(Role::Operator, record)) {
        return Ok(wanted.into_iter().map(|record| record.id.clone()).collect());
    }
    Err(AccessError::Forbidden { needs: Role::Operator, everywhere: false }.into())
}

/// What a stream begins with.
pub(in crate::routes) fn hello(resumed: bool) -> Value {
    json!({"version": env!("CARGO_PKG_VERSION"), "time": clock::format(clock::now()), "resumed": resumed})
}

/// What says that a stream lives, and from where to `follow`.
pub(in crate::routes) fn heartbeat(follow: Option<String>) -> Value {
    json!({"time": clock::format(clock::now()), "follow": follow})
}

/// How far a stream is.
enum State {
    Opening { resumed: bool },
    Going,
}

/// What one caller follows.
struct Stream {
    app: App,
    viewer: Viewer,
    whom: Whom,
    following: Following,
    /// Cameras of which something changed.
    changes: broadcast::Receiver<CameraId>,
    heartbeat: Interval,
    state: State,
    _watches: Vec<Watch>,
}

impl Chunks for Stream {
    type Error = BrokenOff;

    async fn next(&mut self, place: &Place) -> Result<Chunk, BrokenOff> {
        if let State::Opening { resumed } = self.state {
            self.state = State::Going;
            return self.say(place, "hello", &hello(resumed)).map(Chunk::More);
        }
        loop {
            let stopping = self.app.stopping.clone();
            tokio::select! {
                biased;
                () = stopping.cancelled() => return self.say(place, "restart", &json!({})).map(Chunk::Last),
                came = self.following.next() => {
                    let came = came?;
                    let told = place.take(|chunk| self.tell(&came, chunk))?;
                    if !told.is_empty() {
                        return Ok(Chunk::More(told));
                    }
                }
                // Only the end of one camera is the end of the stream.
                _ = self.changes.recv(), if self.whom.only().is_some() => if let Some(gone) = self.gone() {
                    return self.say(place, "gone", &gone).map(Chunk::Last);
                },
                _ = self.heartbeat.tick() => return self.beat(place).map(Chunk::More),
            }
        }
    }
}

impl Stream {
    /// Whose end this stream has come to: its only camera is not to be seen any more.
    fn gone(&self) -> Option<Value> {
        let camera = self.whom.only()?;
        self.app.cameras.get(&self.viewer, camera).is_err().then(|| json!({"camera": camera}))
    }

    /// Says that the stream lives, and how far it has come.
    fn beat(&self, place: &Place) -> Result<Bytes, BrokenOff> {
        self.say(place, "heartbeat", &heartbeat(written(&self.app.cursors, self.following.place())))
    }

    fn say(&self, place: &Place, kind: &str, data: &Value) -> Result<Bytes, BrokenOff> {
        place.take(|chunk| {
            self.message(chunk, kind, self.following.place(), data.to_string().as_bytes());
            Ok(())
        })
    }

    /// Tells what the viewer may see of what came, and that something was gone before it could be told.
    fn tell(&self, came: &Came, chunk: &mut Vec<u8>) -> Result<(), BrokenOff> {
        if came.purged {
            self.message(chunk, "missing", came.begin, br#"{"missing":"past_retention"}"#);
        }
        for event in &came.events {
            let record = self.app.cameras.get(&self.viewer, &event.camera);
            if record.is_ok_and(|record| self.whom.has(&record)) {
                self.message(chunk, "event", came.behind(event), &event.json);
            }
        }
        Ok(())
    }

    fn message(&self, chunk: &mut Vec<u8>, kind: &str, place: Bookmark, data: &[u8]) {
        let id = written(&self.app.cursors, place).unwrap_or_default();
        let head = write!(chunk, "id:{id}\nevent:{kind}\ndata:");
        debug_assert!(head.is_ok(), "memory takes everything");
        chunk.extend_from_slice(data);
        chunk.extend_from_slice(b"\n\n");
    }
}
