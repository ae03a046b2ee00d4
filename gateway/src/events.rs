//! A camera's log: a page of it, or all of it as a stream, from the camera itself or as far as it is kept here, with what the
//! answer covers.

mod stored;
pub mod text;

use std::{sync::Arc, time::Duration};

use oriel_proto::{
    Call, CameraId, Failure, FailureCode, Timestamp,
    call::{EventsCall, EventsTrailer, Order},
    event::{LossReason, LostRange, Position},
    view::{EventView, ViewError, read_events},
};
use tokio::time::Instant;

pub use self::stored::StoredLog;
use self::text::Text;
use crate::{
    link::Piece,
    registry::Registry,
    relay::{
        Answering, Question, Relay, RelayError,
        shared::{Patience, Shared},
    },
    store::{Store, StoreError},
};

/// Pieces that one page may come in: far more than any honest agent needs for the largest page.
const PIECES: usize = 4_096;

/// How much longer events are in JSON than in a frame, mostly.
const GROWTH: usize = 2;

/// Room for a page of what is kept, to begin with, in bytes.
const PAGE_BYTES: usize = 8 << 10;

/// What a page begins with: its events.
pub const PAGE_HEAD: &str = "{\"events\":[";

/// A page, as all who asked for it at the same time get it.
type Answer = Result<Arc<Page>, RelayError>;

/// The logs of all cameras; clones share the questions that are open.
#[derive(Clone, Debug)]
pub struct Events {
    relay: Relay,
    registry: Registry,
    store: Store,
    /// Pages that somebody waits for.
    open: Shared<(CameraId, EventsCall), Answer>,
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
    /// From the question to the first word of who answers.
    pub waited: Duration,
}

/// A stretch of time and what an answer knows of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Coverage {
    /// Where it begins; none means the beginning of the log.
    pub from: Option<Timestamp>,
    /// Where it ends.
    pub to: Timestamp,
    /// Who answered for it, or why nobody can.
    pub by: CoveredBy,
}

impl Coverage {
    /// The stretch of time of which events were lost.
    fn of_loss(lost: &LostRange) -> Self {
        let by = match lost.why {
            LossReason::PastRetention => CoveredBy::PastRetention,
            _ => CoveredBy::LostOnCamera,
        };
        Self { from: Some(lost.from), to: lost.to, by }
    }
}

/// Who answered for a stretch of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CoveredBy {
    /// The camera.
    Camera,
    /// What is kept here.
    Store,
    /// Nobody: the camera lost it.
    LostOnCamera,
    /// Nobody: the camera's retention removed it.
    PastRetention,
    /// Nobody: the camera stopped searching before it came there.
    SearchLimit,
    /// Nobody: it was not sent before the camera left.
    CameraOffline,
    /// Nobody: it was not sent yet, and the camera was not asked.
    NotUploaded,
}

/// Whether nothing in the covered range is missing.
pub fn is_complete(coverage: &[Coverage]) -> bool {
    coverage.iter().all(|stretch| matches!(stretch.by, CoveredBy::Camera | CoveredBy::Store))
}

impl Events {
    /// The logs that `relay` reaches, and those that `store` keeps.
    pub fn new(relay: Relay, registry: Registry, store: Store) -> Self {
        let open = Shared::new(relay.metrics().calls_joined.clone());
        Self { relay, registry, store, open }
    }

    /// What is kept of a camera's log; the caller's access must have been checked.
    pub fn stored(&self, camera: &CameraId, call: EventsCall) -> StoredLog {
        StoredLog::new(self.store.clone(), camera.clone(), call, self.registry.spool(camera))
    }

    /// What is kept of a camera's log, if that is to answer a question which does not say who is to: where the camera's events are
    /// uploaded, but for while it is connected and has more than is here.
    pub async fn usually_stored(
        &self,
        camera: &CameraId,
        call: EventsCall,
    ) -> Result<Option<StoredLog>, StoreError> {
        let log = self.stored(camera, call);
        let answers = match self.registry.spool(camera) {
            Some(Some(_)) => log.is_whole().await?,
            Some(None) => false,
            None => self.store.has_log(camera.clone()).await?,
        };
        Ok(answers.then_some(log))
    }

    /// One page of what is kept, whole.
    pub async fn stored_page(&self, mut log: StoredLog) -> Result<Page, StoreError> {
        let start = Instant::now();
        let text = Text::of(log.camera(), PAGE_HEAD, PAGE_BYTES);
        let (events, end) = log.read(u64::MAX, text, Text::push_kept).await?;
        let Finish { more, coverage } = end.unwrap_or_default();
        Ok(Page { events, last: log.last, more, coverage, waited: start.elapsed() })
    }

    /// One page, whole; the camera's first word must come by `deadline`. Whoever asks the same of a camera meanwhile gets the same
    /// page: the caller's access must have been checked.
    pub async fn page(&self, camera: &CameraId, call: &EventsCall, deadline: Instant) -> Answer {
        let ask = |patience| gather(self.relay.clone(), camera.clone(), call.clone(), patience);
        let answer = self.open.answer((camera.clone(), call.clone()), deadline, ask).await;
        answer.unwrap_or_else(|_late| Err(self.relay.doubt(camera)))
    }

    /// The answer piece by piece, however long; its first piece has come by `deadline`.
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

    /// Waits for a camera to connect, `within` at most; gives the time that it took.
    pub async fn wait_online(&self, camera: &CameraId, within: Duration) -> Duration {
        self.relay.wait_online(camera, within).await
    }
}

/// Asks until somebody has an answer or nobody has patience any more. The camera is told the longest time that anybody waits; who
/// joined later with more makes it asked again when that was too short.
async fn gather(relay: Relay, camera: CameraId, call: EventsCall, patience: Arc<Patience>) -> Answer {
    loop {
        let told = patience.longest();
        let mut question = Question::new(camera.clone(), Call::Events(call.clone()), told);
        match whole_page(&relay, &mut question, &call, &patience).await {
            Err(error) if error.is_late() && patience.longest() > told => {}
            answer => return answer.map(Arc::new),
        }
    }
}

/// A page is handed out when it is whole: a link that ended in the middle of it has told nobody anything yet.
async fn whole_page(
    relay: &Relay,
    question: &mut Question,
    call: &EventsCall,
    patience: &Patience,
) -> Result<Page, RelayError> {
    loop {
        let answer = relay.ask(question).await?;
        patience.begin();
        match collect(answer, call, question.camera()).await {
            Err(RelayError::Interrupted) if question.may_repeat() => {}
            Err(RelayError::Interrupted) => return Err(RelayError::Offline),
            page => return page,
        }
    }
}

async fn collect(answer: Answering, call: &EventsCall, camera: &CameraId) -> Result<Page, RelayError> {
    let mut stream = EventStream::new(answer, call.clone());
    let mut piece = stream.next().await?;
    let mut events = Text::of(camera, PAGE_HEAD, GROWTH * piece.frame().len());
    for _ in 0..PIECES {
        if let Some(Finish { more, coverage }) = stream.read(&piece, |event| events.push(event))? {
            let EventStream { waited, last, .. } = stream;
            return Ok(Page { events, last, more, coverage, waited });
        }
        piece = stream.next().await?;
    }
    Err(wrong_answer())
}

/// A log on its way.
#[derive(Debug)]
pub struct EventStream {
    /// From the question to the camera's first word.
    pub waited: Duration,
    /// The place of the last event.
    pub last: Option<Position>,
    answer: Answering,
    call: EventsCall,
    count: u64,
}

/// How a log ends.
#[derive(Debug, Default)]
pub struct Finish {
    /// Whether more events lie in the range.
    pub more: bool,
    /// What the answer says something about, and what it cannot.
    pub coverage: Vec<Coverage>,
}

impl EventStream {
    const fn new(answer: Answering, call: EventsCall) -> Self {
        Self { waited: answer.waited, last: None, answer, call, count: 0 }
    }

    /// The next piece, as it comes; nothing comes behind the one that has an end.
    pub async fn next(&mut self) -> Result<Piece, RelayError> {
        self.answer.next().await
    }

    /// Gives the events of a piece to `each`, in the order asked for; then the end, if the piece has it. After an error the events of
    /// this piece count for nothing.
    pub fn read(
        &mut self,
        piece: &Piece,
        mut each: impl FnMut(&EventView<'_>),
    ) -> Result<Option<Finish>, RelayError> {
        let (last, count) = (&mut self.last, &mut self.count);
        let read = read_events(piece.frame(), |event| {
            (*last, *count) = (Some(event.position()), *count + 1);
            each(event);
        });
        let trailer = match read {
            Ok(_) if self.call.limit.is_some_and(|limit| self.count > limit) => return Err(wrong_answer()),
            Ok(trailer) => trailer,
            Err(ViewError::OtherContent) => return Err(wrong_answer()),
            Err(error) => return Err(self.answer.unreadable(piece, error)),
        };
        let finish = |trailer: EventsTrailer| Finish {
            more: trailer.more,
            coverage: coverage(&self.call, self.last.map(|last| last.at), &trailer),
        };
        Ok(trailer.map(finish))
    }
}

fn wrong_answer() -> RelayError {
    let why = "the camera answered with something other than the events asked for";
    RelayError::Failed(Failure::new(FailureCode::Internal, why))
}

/// An answer covers the range asked for, up to the camera's clock, and ends at its `last` event when there is more. When there is
/// more but no event, the camera gave up searching, and nothing is known of the range: it does not say at what time it stopped.
fn coverage(call: &EventsCall, last: Option<Timestamp>, trailer: &EventsTrailer) -> Vec<Coverage> {
    let mut from = call.from;
    let mut to = call.to.map_or(trailer.as_of, |to| to.min(trailer.as_of));
    let descending = call.order == Order::Desc;
    if let Some(after) = call.after {
        if descending { to = to.min(after.at) } else { from = Some(after.at) }
    }
    if let (true, Some(last)) = (trailer.more, last) {
        if descending { from = Some(last) } else { to = last }
    }
    // The camera may vouch for less than was asked for, down to nothing.
    let to = from.map_or(to, |from| to.max(from));
    let gave_up = trailer.more && last.is_none();
    let by = if gave_up { CoveredBy::SearchLimit } else { CoveredBy::Camera };
    let mut stretches = vec![Coverage { from, to, by }];
    stretches.extend(trailer.lost.iter().map(Coverage::of_loss));
    stretches
}
