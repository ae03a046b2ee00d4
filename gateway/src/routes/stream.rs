//! `GET /v1/stream`: the state of every visible camera, then each change, as server-sent events.

use std::{
    collections::{BTreeMap, HashSet},
    time::Duration,
};

use oriel_proto::CameraId;
use serde_json::{Value, json};
use tokio::{
    sync::{broadcast::error::RecvError, mpsc},
    time::{MissedTickBehavior, interval},
};
use warp::{Reply, reply::Response, sse};

use super::{App, cameras::Camera, inbound::Inbound, query::Query};
use crate::{access::Viewer, clock, problem::Problem, store::CameraRecord};

/// How often a stream says that it lives.
const HEARTBEAT: Duration = Duration::from_secs(10);

/// Messages that may wait for a reader; one that falls further behind is cut off.
const QUEUE: usize = 256;

/// A reader that takes nothing for this long is cut off.
const PATIENCE: Duration = Duration::from_secs(30);

/// The kinds of messages that can be asked for.
const TYPES: &[&str] = &["status", "gone"];

/// Follows the states of cameras.
#[utoipa::path(get, path = "/v1/stream", tag = "cameras", operation_id = "follow",
    params(("camera" = Option<Vec<String>>, Query, description = "Only these cameras; repeatable"),
        ("tag" = Option<Vec<String>>, Query, description = "Only cameras with one of these tags; repeatable"),
        ("types" = Option<Vec<String>>, Query, description = "Only these messages: status, gone; repeatable")),
    responses((status = 200, description = "hello, then status for every camera, then status and gone as it happens, heartbeat every 10 s, restart before the gateway stops", body = String, content_type = "text/event-stream", example = "event:gone\ndata:{\"camera\":\"porch\"}\n\n")))]
pub async fn follow(inbound: Inbound<Viewer>) -> Result<Response, Problem> {
    let query = inbound.query(&["camera", "tag", "types"])?;
    let wanted = Wanted::read(&query)?;
    if inbound.app.stopping.is_cancelled() {
        return Err(Problem::draining());
    }
    let (tx, mut rx) = mpsc::channel(QUEUE);
    let follower =
        Follower { app: inbound.app.clone(), viewer: inbound.who, wanted, told: BTreeMap::new(), tx };
    inbound.app.tasks.spawn(follower.run());
    let messages = futures_util::stream::poll_fn(move |cx| rx.poll_recv(cx));
    Ok(sse::reply(messages).into_response())
}

/// Which messages a caller wants.
#[derive(Debug)]
struct Wanted {
    cameras: HashSet<CameraId>,
    tags: Vec<String>,
    types: Vec<&'static str>,
}

impl Wanted {
    fn read(query: &Query) -> Result<Self, Problem> {
        let camera =
            |text: &str| text.parse().map_err(|error| Problem::bad_request(format!("camera: {error}")));
        let known = |word: &str| {
            let known = TYPES.iter().find(|known| **known == word).copied();
            known.ok_or_else(|| {
                Problem::bad_request(format!("types: {word:?} is none of {}", TYPES.join(", ")))
            })
        };
        Ok(Self {
            cameras: query.all("camera").map(camera).collect::<Result<_, _>>()?,
            tags: query.all("tag").map(str::to_owned).collect(),
            types: query.all("types").map(known).collect::<Result<_, _>>()?,
        })
    }

    fn camera(&self, record: &CameraRecord) -> bool {
        (self.cameras.is_empty() || self.cameras.contains(&record.id))
            && (self.tags.is_empty() || record.tags.iter().any(|tag| self.tags.contains(tag)))
    }

    fn kind(&self, kind: &str) -> bool {
        self.types.is_empty() || self.types.contains(&kind)
    }
}

/// The reader has left, or is too slow.
struct Left;

type Told = Result<(), Left>;

/// One caller's stream.
struct Follower {
    app: App,
    viewer: Viewer,
    wanted: Wanted,
    /// What the caller was told last of each camera, so that it hears of changes only.
    told: BTreeMap<CameraId, Value>,
    tx: mpsc::Sender<Result<sse::Event, std::convert::Infallible>>,
}

impl Follower {
    /// Runs until the reader leaves, its key ends, or the gateway stops.
    async fn run(mut self) {
        let viewer = self.viewer.clone();
        let stopping = self.app.stopping.clone();
        let gone = self.tx.clone();
        tokio::select! {
            _ = self.tell_everything() => {}
            _ = viewer.ended() => {}
            () = gone.closed() => {}
            () = stopping.cancelled() => {
                // For whoever still listens; there is nothing to do for the others.
                _ = gone.try_send(Ok(message("restart", &json!({}))));
            }
        }
    }

    async fn tell_everything(&mut self) -> Told {
        let mut changes = self.app.cameras.changes();
        let hello = json!({"version": env!("CARGO_PKG_VERSION"), "time": clock::format(clock::now()), "resumed": false});
        self.say("hello", &hello).await?;
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
                _ = heartbeat.tick() => {
                    self.say("heartbeat", &json!({"time": clock::format(clock::now())})).await?;
                }
            }
        }
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
            self.app.cameras.get(&self.viewer, camera).ok().filter(|record| self.wanted.camera(record));
        let Some(record) = record else {
            return match self.told.remove(camera) {
                Some(_) => self.say("gone", &json!({"camera": camera})).await,
                None => Ok(()),
            };
        };
        let state = serde_json::to_value(Camera::of(&self.app, &record)).unwrap_or_default();
        if self.told.get(camera) == Some(&state) {
            return Ok(());
        }
        self.told.insert(camera.clone(), state.clone());
        self.say("status", &state).await
    }

    async fn say(&self, kind: &str, data: &Value) -> Told {
        if TYPES.contains(&kind) && !self.wanted.kind(kind) {
            return Ok(());
        }
        self.tx.send_timeout(Ok(message(kind, data)), PATIENCE).await.map_err(|_| Left)
    }
}

fn message(kind: &str, data: &Value) -> sse::Event {
    sse::Event::default().event(kind).data(data.to_string())
}
