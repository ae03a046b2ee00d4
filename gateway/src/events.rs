//! A camera's log: a page of it, or all of it as a stream, from the camera itself, as far as it is kept here, or from both as one,
//! with what the answer covers.

mod camera;
mod coverage;
mod following;
mod gathered;
mod merge;
mod merged;
mod stored;
pub mod table;
mod tail;
pub mod text;
mod timeline;

use std::{sync::Arc, time::Duration};

use oriel_proto::{Call, CameraId, call::EventsCall, event::Position};
use tokio::time::{Instant, timeout_at};

pub use self::{
    camera::EventStream,
    coverage::{Coverage, CoveredBy, is_complete},
    following::{Begin, Bookmark, Came, FollowError, Following},
    gathered::{Gathered, Whole},
    merged::MergedLog,
    stored::{Finish, StoredLog},
    tail::Followed,
    timeline::{Steps, Timeline},
};
use self::{
    camera::{Answer, CameraPage, gather},
    coverage::Beyond,
    tail::Tail,
    text::{Form, Text},
};
use crate::{
    registry::Registry,
    relay::{Question, Relay, RelayError, shared::Shared},
    store::{Store, StoreError},
};

/// Room for a page of what is kept, to begin with, in bytes.
const PAGE_BYTES: usize = 8 << 10;

/// What a page begins with: its events.
pub const PAGE_HEAD: &str = "{\"events\":[";

/// The logs of all cameras; clones share the questions that are open.
#[derive(Clone, Debug)]
pub struct Events {
    relay: Relay,
    registry: Registry,
    store: Store,
    /// Pages that somebody waits for.
    open: Shared<(CameraId, EventsCall), Answer>,
    tail: Tail,
}

/// One page of a log.
#[derive(Clone, Debug)]
pub struct Page {
    /// The JSON of a page up to the last event, in the order asked for.
    pub events: Text,
    /// The place of the last one.
    pub last: Option<Position>,
    /// Whether more lie in the range.
    pub more: bool,
    /// What the page says something about, and what it cannot.
    pub coverage: Vec<Coverage>,
    /// What took how long.
    pub timing: Timing,
}

/// How long who answers took; none for who was not asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timing {
    /// From the question to the camera's first word.
    pub camera: Option<Duration>,
    /// Reading what is kept.
    pub store: Option<Duration>,
}

/// How long a camera is waited for that has to be asked.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// Its first word must have come by then.
    pub begun_by: Instant,
    /// Its whole answer must have come by then; none when it may take as long as it goes on.
    pub whole_by: Option<Instant>,
}

impl Events {
    /// The logs that `relay` reaches, and those that `store` keeps.
    pub fn new(relay: Relay, registry: Registry, store: Store) -> Self {
        let open = Shared::new(relay.metrics().calls_joined.clone());
        let tail = Tail::new(store.clone());
        Self { relay, registry, store, open, tail }
    }

    /// One page of all that can be told of a camera's log: what is kept, and from the camera what is not. The caller's access must have
    /// been checked.
    pub async fn page(
        &self,
        camera: &CameraId,
        call: EventsCall,
        patience: Patience,
    ) -> Result<Page, StoreError> {
        let mut log = self.stored(camera, call);
        let page = self.stored_page(&mut log).await?;
        let Some(gap) = log.gap() else { return Ok(page) };
        // While the camera is waited for, nothing of the page is held: it is read again.
        let timing = page.timing;
        drop(page);
        let answer = match patience.whole_by {
            None => self.ask(camera, &gap, patience.begun_by).await,
            Some(end) => {
                let answer = timeout_at(end, self.ask(camera, &gap, patience.begun_by)).await;
                answer.unwrap_or(Err(RelayError::Timeout))
            }
        };
        match answer {
            Ok(answer) => merged::page(&log, &answer, page_text(camera), timing).await,
            Err(error) => {
                let mut again = log.anew();
                let page = self.stored_page(&mut again).await?;
                let coverage = again.coverage(Beyond::Nobody(CoveredBy::nobody(&error)));
                Ok(Page { coverage, ..page })
            }
        }
    }

    /// All that can be told of a camera's log, however long, one event a line in this form; the camera may take so long for its first
    /// word. The caller's access must have been checked.
    pub async fn all(
        &self,
        camera: &CameraId,
        call: EventsCall,
        form: Form,
        patience: Duration,
    ) -> Result<MergedLog, StoreError> {
        let text = Text::lines(camera, form);
        MergedLog::begin(self.stored(camera, call), self.relay.clone(), patience, text).await
    }

    /// What is kept of a camera's log; the caller's access must have been checked.
    pub fn stored(&self, camera: &CameraId, call: EventsCall) -> StoredLog {
        StoredLog::new(self.store.clone(), camera.clone(), call, self.registry.told_log(camera))
    }

    /// What is kept of a camera's log, where that is to answer for all of it: where the camera's events are uploaded, but for while
    /// it is connected and has more than is here.
    pub async fn usually_stored(
        &self,
        camera: &CameraId,
        call: EventsCall,
    ) -> Result<Option<StoredLog>, StoreError> {
        let log = self.stored(camera, call);
        let answers = match self.registry.told_log(camera) {
            Some(told) if told.live && !told.epochs.is_empty() => log.is_whole().await?,
            Some(_) => false,
            None => self.store.has_log(camera.clone()).await?,
        };
        Ok(answers.then_some(log))
    }

    /// One page of what is kept, whole.
    pub async fn stored_page(&self, log: &mut StoredLog) -> Result<Page, StoreError> {
        let start = Instant::now();
        let text = page_text(log.camera());
        let (events, end) = log.read(u64::MAX, text, Text::push_kept).await?;
        let Finish { more, coverage } = end.unwrap_or_default();
        let timing = Timing { store: Some(start.elapsed()), ..Timing::default() };
        Ok(Page { events, last: log.last, more, coverage, timing })
    }

    /// One page from the camera itself, whole; its first word must come by `deadline`. Whoever asks the same of a camera meanwhile gets
    /// the same page: the caller's access must have been checked.
    pub async fn camera_page(
        &self,
        camera: &CameraId,
        call: &EventsCall,
        deadline: Instant,
    ) -> Result<Page, RelayError> {
        let answer = self.ask(camera, call, deadline).await?;
        let (coverage, last) = (answer.coverage(call), answer.events.text.last());
        // Nearly always nobody else has it.
        let CameraPage { events, trailer, waited } = Arc::unwrap_or_clone(answer);
        let timing = Timing { camera: Some(waited), ..Timing::default() };
        Ok(Page { events: Arc::unwrap_or_clone(events).text, last, more: trailer.more, coverage, timing })
    }

    async fn ask(&self, camera: &CameraId, call: &EventsCall, deadline: Instant) -> Answer {
        let ask = |patience| gather(self.relay.clone(), camera.clone(), call.clone(), patience);
        let answer = self.open.answer((camera.clone(), call.clone()), deadline, ask).await;
        answer.unwrap_or_else(|_late| Err(self.relay.doubt(camera)))
    }

    /// The camera's answer piece by piece, however long; its first piece has come by `deadline`.
    pub async fn stream(
        &self,
        camera: &CameraId,
        call: EventsCall,
        deadline: Instant,
    ) -> Result<EventStream, RelayError> {
        let mut question = Question::new(camera.clone(), Call::Events(call.clone()), deadline);
        let answer = self.relay.ask(&mut question).await?;
        Ok(EventStream::new(answer, call))
    }
}

/// A page without events yet.
fn page_text(camera: &CameraId) -> Text {
    Text::of(camera, PAGE_HEAD, b',', PAGE_BYTES)
}
