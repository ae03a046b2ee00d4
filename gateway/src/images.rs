//! Pictures: they stay on their devices until somebody asks, and pass through here piece by piece. What several want at the same time
//! comes once, and what was asked for lately is kept for a while.
//!
//! Nothing here looks into a picture but at its first bytes, unless somebody wants it [scaled](Images::scaler).

mod kept;
mod list;
mod live;
mod picture;
mod room;
pub mod scale;
pub mod zip;

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use oriel_proto::{
    AgentId, Call, CameraId, ImageClass, Timestamp,
    call::{ImageCall, ImageMatch, ImagesCall, SnapshotCall},
    image::ImageCount,
};
use tokio::time::{Instant, timeout};

use self::{
    kept::Kept,
    list::ListAnswer,
    live::Channels,
    picture::{Alone, Picture, begin},
    room::Room,
    scale::Scaler,
};
pub use self::{
    list::{ImageList, ImageStream},
    live::{Frame, Viewing, Written},
    picture::Reading,
    room::Taken,
};
use crate::{
    clock,
    registry::Registry,
    relay::{
        Question, Relay, RelayError,
        gather::{once, whole},
        shared::{Patience, Shared},
    },
    store::{CameraRecord, KeyId},
};

/// A picture whose time lies further ahead than this by its device's own clock was taken before that clock was set back.
const AHEAD: Duration = Duration::from_secs(1);

/// How long a picture waits for room before it is given up: until then whoever holds the room and takes nothing was given up too.
const ROOM_WITHIN: Duration = Duration::from_secs(330);

/// Which pictures of a camera are meant.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Series {
    /// Whose.
    pub camera: CameraId,
    /// Which of its series.
    pub class: ImageClass,
    /// Whose camera that is, and since when there is one of this name: what another one took is not its.
    owner: (Option<AgentId>, Timestamp),
}

impl Series {
    /// The pictures of a class of the camera that is known by this record.
    pub fn of(record: &CameraRecord, class: ImageClass) -> Self {
        Self { camera: record.id.clone(), class, owner: (record.agent, record.created_at) }
    }

    /// Whether this record is still that of the camera that was meant.
    pub fn is_of(&self, record: &CameraRecord) -> bool {
        self.camera == record.id && self.owner == (record.agent, record.created_at)
    }
}

/// Which picture is asked for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Wanted {
    /// Of which series.
    pub series: Series,
    /// The time meant; ignored for the latest one.
    pub at: Timestamp,
    /// How that time is meant.
    pub matching: ImageMatch,
    /// How old the latest one may be; none means as old as it is.
    pub max_age: Option<Duration>,
}

/// The pictures of all cameras; clones share what is under way and what is kept.
#[derive(Clone, Debug)]
pub struct Images(Arc<Parts>);

#[derive(Debug)]
struct Parts {
    relay: Relay,
    registry: Registry,
    /// Pictures of which the first bytes are waited for.
    asked: Shared<Wanted, Result<Found, RelayError>>,
    lists: Shared<(CameraId, ImagesCall), ListAnswer>,
    kept: Kept,
    channels: Channels,
    scaler: Scaler,
    room: Room,
}

/// A whole picture, which takes its room as long as this is held.
#[derive(Debug)]
pub struct Gathered {
    /// When it was taken.
    pub at: Timestamp,
    /// All of it.
    pub jpeg: Bytes,
    /// Its room, which what is made of it goes on to hold.
    pub room: Taken,
}

/// A picture that has begun to come.
#[derive(Clone, Debug)]
enum Found {
    /// There is room for it, so that all who asked read the same one.
    Shared(Arc<Picture>),
    /// There is none: the first who comes for it reads it, the others ask for themselves.
    Alone(Arc<Mutex<Option<Alone>>>),
}

impl Wanted {
    fn call(&self) -> Call {
        Call::Image(ImageCall {
            class: self.series.class.clone(),
            at: self.at,
            matching: self.matching.clone(),
            max_age_ms: self.max_age.map(|age| u64::try_from(age.as_millis()).unwrap_or(u64::MAX)),
        })
    }
}

impl Images {
    /// The pictures that `relay` reaches; so many bytes of them may be here to be shared, as many gathered whole,
    /// and half as many for slow viewers of moving ones.
    pub fn new(relay: Relay, registry: Registry, bytes: u64) -> Self {
        let joined = || relay.metrics().calls_joined.clone();
        let (asked, lists) = (Shared::new(joined()), Shared::new(joined()));
        let channels = Channels::new(bytes / 2);
        let (kept, scaler, room) = (Kept::new(bytes), Scaler::new(), Room::new(bytes));
        Self(Arc::new(Parts { relay, registry, asked, lists, kept, channels, scaler, room }))
    }

    /// Makes pictures smaller.
    pub fn scaler(&self) -> &Scaler {
        &self.0.scaler
    }

    /// The picture that is wanted, as far as it is kept here or under way, else from the camera, whose first bytes must come by
    /// `deadline`. The caller's access must have been checked.
    pub async fn picture(&self, wanted: &Wanted, deadline: Instant) -> Result<Reading, RelayError> {
        if let Some(picture) = self.kept(wanted).or_else(|| self.0.kept.coming(wanted)) {
            self.0.relay.metrics().calls_joined.inc();
            return Ok(Reading::shared(picture));
        }
        let ask = |patience| ask(self.clone(), wanted.clone(), patience);
        let found = self.0.asked.answer(wanted.clone(), deadline, ask).await;
        match found.unwrap_or_else(|_late| Err(self.0.relay.doubt(&wanted.series.camera)))? {
            Found::Shared(picture) => Ok(Reading::shared(picture)),
            Found::Alone(first) => {
                let alone = first.lock().unwrap_or_else(PoisonError::into_inner).take();
                match alone {
                    Some(alone) => Ok(Reading::alone(alone)),
                    None => self.for_one(&wanted.series.camera, wanted.call(), deadline).await,
                }
            }
        }
    }

    /// All of a picture for whoever holds this key, once there is room for it. Then it must come `within` that time.
    pub async fn gather(
        &self,
        mut reading: Reading,
        key: KeyId,
        within: Duration,
    ) -> Result<Gathered, RelayError> {
        let (at, length) = (reading.head().at, reading.head().length);
        let room = timeout(ROOM_WITHIN, self.0.room.take(key, length)).await;
        let room = room.ok().flatten().ok_or(RelayError::NoRoom)?;
        let mut jpeg = Vec::with_capacity(usize::try_from(length).unwrap_or_default());
        let whole = async {
            while let Some(piece) = reading.next().await? {
                jpeg.extend_from_slice(&piece);
            }
            Ok(())
        };
        timeout(within, whole).await.unwrap_or(Err(RelayError::Timeout))?;
        Ok(Gathered { at, jpeg: jpeg.into(), room })
    }

    /// A picture that is taken now.
    pub async fn snapshot(&self, series: &Series, deadline: Instant) -> Result<Reading, RelayError> {
        let call = Call::Snapshot(SnapshotCall { class: series.class.clone() });
        self.for_one(&series.camera, call, deadline).await
    }

    /// One page of a list; its first piece must come by `deadline`. Whoever asks the same meanwhile gets the same page.
    pub async fn list(
        &self,
        camera: &CameraId,
        call: &ImagesCall,
        deadline: Instant,
    ) -> Result<Arc<ImageList>, RelayError> {
        let ask = |patience| list::gather(self.0.relay.clone(), camera.clone(), call.clone(), patience);
        let list = self.0.lists.answer((camera.clone(), call.clone()), deadline, ask).await;
        list.unwrap_or_else(|_late| Err(self.0.relay.doubt(camera)))
    }

    /// A list of any length, piece by piece; the first one has come by `deadline`.
    pub async fn stream(
        &self,
        camera: &CameraId,
        call: ImagesCall,
        deadline: Instant,
    ) -> Result<ImageStream, RelayError> {
        let count = call.count;
        let mut question = Question::new(camera.clone(), Call::Images(call), deadline);
        Ok(ImageStream::of(self.0.relay.ask(&mut question).await?, count))
    }

    /// How many pictures there are, counted by the camera as `call` says, and how large.
    pub async fn counts(
        &self,
        camera: &CameraId,
        call: ImagesCall,
        deadline: Instant,
    ) -> Result<Vec<ImageCount>, RelayError> {
        let mut question = Question::new(camera.clone(), Call::Images(call), deadline);
        once(&self.0.relay, &mut question, || (), list::counts).await
    }

    /// Watches moving pictures, at most so many a second. Each is whole, and the first has come by `deadline`.
    pub async fn watch(&self, series: &Series, fps: f32, deadline: Instant) -> Result<Viewing, RelayError> {
        self.0.channels.watch(&self.0.relay, series, fps, deadline).await
    }

    /// Waits for a camera to connect, `within` at most; gives the time that it took.
    pub async fn wait_online(&self, camera: &CameraId, within: Duration) -> Duration {
        self.0.relay.wait_online(camera, within).await
    }

    /// Whether a camera is connected, or connects `within` that time.
    pub async fn comes_online(&self, camera: &CameraId, within: Duration) -> bool {
        self.0.relay.comes_online(camera, within).await
    }

    /// A picture that nobody else reads.
    async fn for_one(&self, camera: &CameraId, call: Call, deadline: Instant) -> Result<Reading, RelayError> {
        let mut question = Question::new(camera.clone(), call, deadline);
        let begun = once(&self.0.relay, &mut question, || (), begin).await?;
        Ok(Reading::alone(Alone::of(begun)))
    }

    /// The picture that is wanted, if it is kept here and what the camera would answer with.
    fn kept(&self, wanted: &Wanted) -> Option<Arc<Picture>> {
        let kept = &self.0.kept;
        match (&wanted.matching, wanted.max_age) {
            (ImageMatch::Latest, None) => None,
            (ImageMatch::Latest, Some(most)) => {
                let newest = kept.newest(&wanted.series)?;
                let age = self.age(&wanted.series.camera, newest.head().at)?;
                (age <= most).then_some(newest)
            }
            _ => kept.at(&wanted.series, wanted.at),
        }
    }

    /// How long ago that was by the clock of a camera's device; none when the camera is not connected, or that was never.
    fn age(&self, camera: &CameraId, at: Timestamp) -> Option<Duration> {
        let link = self.0.registry.find(camera)?;
        let said = self.0.registry.agent(link.facts().agent)?.health;
        let offset_ms = said.and_then(|said| said.clock_offset_ms).unwrap_or_default();
        let offset = Duration::from_millis(offset_ms.unsigned_abs());
        let now = clock::now();
        let now = if offset_ms < 0 { now.before(offset) } else { now.after(offset) };
        (at.since(now) <= AHEAD).then(|| now.since(at))
    }
}

/// Asks for a picture on behalf of all who want it.
async fn ask(images: Images, wanted: Wanted, patience: Arc<Patience>) -> Result<Found, RelayError> {
    let camera = &wanted.series.camera;
    let begun = whole(&images.0.relay, camera, &wanted.call(), &patience, begin).await?;
    Ok(match images.0.kept.room(begun.head.length) {
        Some(room) => Found::Shared(images.0.kept.begin(wanted, begun, room)),
        None => Found::Alone(Arc::new(Mutex::new(Some(Alone::of(begun))))),
    })
}
