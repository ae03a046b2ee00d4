//! `GET /v1/stream`: the state of every visible camera, then each change, and events as they come, as server-sent events.

mod notices;
mod pictures;

use std::{
    collections::{BTreeMap, HashSet},
    future::pending,
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
    task::Poll,
    time::Duration,
};

use oriel_proto::{CameraId, event::EventFilter};
use serde_json::{Value, json};
use tokio::{
    sync::{broadcast::error::RecvError, mpsc},
    time::{Instant, MissedTickBehavior, interval, sleep_until},
};
use tokio_util::sync::CancellationToken;
use warp::{Reply, reply::Response, sse};

use self::{
    notices::{Notice, Notices},
    pictures::Pictures,
};
use super::{
    App,
    cameras::Camera,
    events::follow::{self, HEARTBEAT},
    inbound::Inbound,
    query::Query,
    reply,
    whom::Whom,
};
use crate::{
    access::Viewer,
    clock::Rfc3339,
    events::{Begin, Bookmark, Came, Followed, Following},
    problem::Problem,
    registry::{Fresh, Watch, Wish},
    store::StoreError,
};

/// Messages that may wait for a reader; one that falls further behind is cut off.
const QUEUE: usize = 256;

/// A reader that takes nothing for this long is cut off.
const PATIENCE: Duration = Duration::from_secs(30);

/// The kinds of messages that can be asked for.
const TYPES: &[&str] = &["status", "gone", "event", "image"];

/// Whoever names so many cameras or fewer hears of each of their events.
const FEW: usize = 16;

/// Follows the states of cameras.
#[utoipa::path(get, path = "/v1/stream", tag = "cameras", operation_id = "follow",
    params(("camera" = Option<Vec<String>>, Query, description = "Only these cameras; repeatable"),
        ("tag" = Option<Vec<String>>, Query, description = "Only cameras with one of these tags; repeatable"),
        ("types" = Option<Vec<String>>, Query, description = "Only these messages: status, gone, event, image; repeatable"),
        ("follow" = Option<String>, Query, description = "Events from here on, as an answer's `follow`, a heartbeat or a message's id says; without it, from now on"),
        ("last-event-id" = Option<String>, Header, description = "The same, as a browser says it that comes again; it counts more")),
    responses((status = 200, description = "hello, then status for every camera, then status and gone as it happens, event {camera, count, event} as events come (of whoever names no camera, or more than 16, at most one for each camera and second, with the last event), image {camera, class, at} as the cameras that are named by `camera` take pictures, missing when events were removed before they could be told, heartbeat {time, follow} every 10 s, restart before the gateway stops", body = String, content_type = "text/event-stream", example = "event:gone\ndata:{\"camera\":\"porch\"}\n\n")))]
pub async fn follow(inbound: Inbound<Viewer>) -> Result<Response, Problem> {
    let query = inbound.query(&["camera", "tag", "types", "follow"])?;
    let wanted = Wanted::read(&query)?;
    let app = inbound.app;
    if app.stopping.is_cancelled() {
        return Err(Problem::draining());
    }
    let resumed = follow::resumed(&app.cursors, &inbound.headers, query.one("follow")?)?;
    let coming = match wanted.kind("event") {
        true => {
            let begin = resumed.map_or(Begin::Now, Begin::At);
            Some(Coming::begin((&app, &inbound.who), &wanted, begin).await?)
        }
        false => None,
    };
    let named = wanted.whom.names().len() > 0 && wanted.kind("image");
    let pictures = named.then(|| Pictures::begin(&app, &inbound.who, &wanted.whom));
    let (tx, mut rx) = mpsc::channel(QUEUE);
    let (cut, tasks) = (CancellationToken::new(), app.tasks.clone());
    let (viewer, told) = (inbound.who, BTreeMap::new());
    let follower = Follower { app, viewer, wanted, coming, pictures, told, tx, cut: cut.clone() };
    tasks.spawn(follower.run(resumed.is_some()));
    let messages = futures_util::stream::poll_fn(move |cx| match cut.is_cancelled() {
        // What waits for a reader whose key has ended is not for it any more.
        true => Poll::Ready(None),
        false => rx.poll_recv(cx),
    });
    Ok(reply::as_it_comes(sse::reply(messages).into_response()))
}

/// Which messages a caller wants.
#[derive(Debug)]
struct Wanted {
    whom: Whom,
    types: Vec<&'static str>,
}

impl Wanted {
    fn read(query: &Query) -> Result<Self, Problem> {
        let known = |word: &str| {
            let known = TYPES.iter().find(|known| **known == word).copied();
            known.ok_or_else(|| {
                Problem::bad_request(format!("types: {word:?} is none of {}", TYPES.join(", ")))
            })
        };
        Ok(Self { whom: Whom::read(query)?, types: query.all("types").map(known).collect::<Result<_, _>>()? })
    }

    fn kind(&self, kind: &str) -> bool {
        self.types.is_empty() || self.types.contains(&kind)
    }
}

/// The reader has left, or is too slow, or cannot be told any more.
struct Left;

type Told = Result<(), Left>;

/// One caller's stream.
struct Follower {
    app: App,
    viewer: Viewer,
    wanted: Wanted,
    /// Events, where they are wanted.
    coming: Option<Coming>,
    /// New pictures, where they are wanted.
    pictures: Option<Pictures>,
    /// A hash of what the caller was told last of each camera, so that it hears of changes only.
    told: BTreeMap<CameraId, u64>,
    /// Set when the caller's key ends: nothing more is sent, not even what waits.
    cut: CancellationToken,
    tx: mpsc::Sender<Result<sse::Event, std::convert::Infallible>>,
}

impl Follower {
    /// Runs until the reader leaves, its key ends, or the gateway stops.
    async fn run(mut self, resumed: bool) {
        let viewer = self.viewer.clone();
        let stopping = self.app.stopping.clone();
        let gone = self.tx.clone();
        tokio::select! {
            _ = self.tell_everything(resumed) => {}
            _ = viewer.ended() => self.cut.cancel(),
            () = gone.closed() => {}
            () = stopping.cancelled() => {
                // For whoever still listens; there is nothing to do for the others.
                _ = gone.try_send(Ok(message("restart", &json!({}))));
            }
        }
    }

    async fn tell_everything(&mut self, resumed: bool) -> Told {
        let mut changes = self.app.cameras.changes();
        self.say("hello", &follow::hello(resumed)).await?;
        self.tell_all().await?;
        let mut heartbeat = interval(HEARTBEAT);
        heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        heartbeat.tick().await;
        loop {
            tokio::select! {
                change = changes.recv() => match change {
                    Ok(camera) => self.tell(&camera).await?,
                    // Too many changes at once: look at everything again.
                    Err(RecvError::Lagged(_)) => self.tell_all().await?,
                    Err(RecvError::Closed) => return Err(Left),
                },
                came = Coming::next(&mut self.coming) => match came {
                    Ok(came) => self.tell_events(came).await?,
                    Err(error) => {
                        tracing::error!(%error, "events cannot be told");
                        return Err(Left);
                    }
                },
                pictures = Pictures::next(self.pictures.as_ref()) => self.tell_pictures(pictures).await?,
                _ = heartbeat.tick() => {
                    self.say("heartbeat", &follow::heartbeat(self.place())).await?;
                }
            }
        }
    }

    /// Tells of what came, or of what has become due.
    async fn tell_events(&mut self, came: Option<Came>) -> Told {
        let now = Instant::now();
        if came.as_ref().is_some_and(|came| came.purged) {
            self.say("missing", &json!({"missing": "past_retention"})).await?;
        }
        for event in came.iter().flat_map(|came| &came.events) {
            let record = self.app.cameras.get(&self.viewer, &event.camera);
            let is_wanted = record.is_ok_and(|record| self.wanted.whom.has(&record));
            let notice =
                self.coming.as_mut().and_then(|coming| coming.take(came.as_ref()?, event, is_wanted));
            self.notice(notice).await?;
        }
        if let Some(coming) = &mut self.coming {
            coming.told = coming.following.place();
        }
        while let Some(notice) = self.coming.as_mut().and_then(|coming| coming.notices.next(now)) {
            self.notice(Some(notice)).await?;
        }
        Ok(())
    }

    /// Tells of new pictures of cameras that are named and may still be seen.
    async fn tell_pictures(&self, pictures: Vec<Fresh>) -> Told {
        for Fresh { camera, class, at } in pictures {
            let record = self.app.cameras.get(&self.viewer, &camera);
            if record.is_ok_and(|record| self.wanted.whom.has(&record)) {
                self.say("image", &json!({"camera": camera, "class": class, "at": Rfc3339(at)})).await?;
            }
        }
        Ok(())
    }

    /// Tells of an event of a camera that may still be seen.
    async fn notice(&self, notice: Option<Notice>) -> Told {
        match notice {
            Some(notice) if self.app.cameras.get(&self.viewer, notice.camera()).is_ok() => {
                self.say("event", &notice.to_json()).await
            }
            _ => Ok(()),
        }
    }

    /// Where to go on for whoever has heard everything up to now; none for whom events do not concern.
    fn place(&self) -> Option<String> {
        follow::written(&self.app.cursors, self.coming.as_ref()?.place())
    }

    async fn tell_all(&mut self) -> Told {
        let visible = self.app.cameras.visible(&self.viewer);
        let cameras: HashSet<CameraId> = visible.iter().map(|record| record.id.clone()).collect();
        let vanished: Vec<CameraId> = self.told.keys().filter(|id| !cameras.contains(*id)).cloned().collect();
        for camera in cameras.iter().chain(&vanished) {
            self.tell(camera).await?;
        }
        Ok(())
    }

    /// Tells the present state of one camera, if the caller may see it and does not know it yet.
    async fn tell(&mut self, camera: &CameraId) -> Told {
        let record =
            self.app.cameras.get(&self.viewer, camera).ok().filter(|record| self.wanted.whom.has(record));
        let Some(record) = record else {
            return match self.told.remove(camera) {
                Some(_) => self.say("gone", &json!({"camera": camera})).await,
                None => Ok(()),
            };
        };
        let state = serde_json::to_value(Camera::of(&self.app, &record)).unwrap_or_default();
        let mut hash = DefaultHasher::new();
        state.hash(&mut hash);
        if self.told.insert(camera.clone(), hash.finish()) == Some(hash.finish()) {
            return Ok(());
        }
        self.say("status", &state).await
    }

    async fn say(&self, kind: &str, data: &Value) -> Told {
        if TYPES.contains(&kind) && !self.wanted.kind(kind) {
            return Ok(());
        }
        let message = message(kind, data);
        let message = match self.place() {
            Some(place) => message.id(place),
            None => message,
        };
        self.tx.send_timeout(Ok(message), PATIENCE).await.map_err(|_| Left)
    }
}

/// Events that are told as they come.
struct Coming {
    following: Following,
    /// Everything up to here was told, or is held.
    told: Bookmark,
    notices: Notices,
    _watches: Vec<Watch>,
}

impl Coming {
    async fn begin((app, viewer): (&App, &Viewer), wanted: &Wanted, begin: Begin) -> Result<Self, Problem> {
        let wish = Wish { events: true, ..Wish::default() };
        let (watches, only) = (wanted.whom.watch(app, viewer, &wish), wanted.whom.only());
        let following = app.events.follow(only.cloned(), EventFilter::default(), begin).await;
        let following = following.map_err(follow::problem)?;
        let is_few = (1..=FEW).contains(&wanted.whom.names().len());
        let (told, notices) = (following.place(), Notices::new(!is_few));
        Ok(Self { following, told, notices, _watches: watches })
    }

    /// What came; none when something has become due that was held. Waits for ever where no events are wanted.
    async fn next(coming: &mut Option<Self>) -> Result<Option<Came>, StoreError> {
        let Some(Self { following, notices, .. }) = coming else { return pending().await };
        let due = notices.due();
        tokio::select! {
            came = following.next() => came.map(Some),
            () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => Ok(None),
        }
    }

    /// The next one of the events that came; gives the notice to be told at once.
    fn take(&mut self, came: &Came, event: &Arc<Followed>, is_wanted: bool) -> Option<Notice> {
        self.told = came.behind(event);
        is_wanted.then(|| self.notices.take(event, Instant::now())).flatten()
    }

    /// Where to go on for whoever is cut off now.
    fn place(&self) -> Bookmark {
        self.notices.first_held().map_or(self.told, |held| self.told.before(held))
    }
}

fn message(kind: &str, data: &Value) -> sse::Event {
    sse::Event::default().event(kind).data(data.to_string())
}
