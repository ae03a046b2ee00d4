//! A camera's log: a page of it, or all of it as a stream, from the camera itself, with what the answer covers.

use std::{sync::Arc, time::Duration};

use oriel_proto::{
    Body, Call, CameraId, Failure, FailureCode, Items, LoggedEvent, Timestamp, Trailer,
    call::{EventsCall, EventsTrailer, Order},
    event::LossReason,
};
use tokio::time::Instant;

use crate::{
    link::Piece,
    relay::{
        Answering, Question, Relay, RelayError,
        shared::{Patience, Shared},
    },
};

/// Pieces that one page may come in: far more than any honest agent needs for the largest page.
const PIECES: usize = 4_096;

/// A page, as all who asked for it at the same time get it.
type Answer = Result<Arc<Page>, RelayError>;

/// The logs of all cameras; clones share the questions that are open.
#[derive(Clone, Debug)]
pub struct Events {
    relay: Relay,
    /// Pages that somebody waits for.
    open: Shared<(CameraId, EventsCall), Answer>,
}

/// One page of a log.
#[derive(Debug)]
pub struct Page {
    /// The events in the order asked for.
    pub events: Vec<LoggedEvent>,
    /// Whether more lie in the range.
    pub more: bool,
    /// What the page says something about, and what it cannot.
    pub coverage: Vec<Coverage>,
    /// From the question to the camera's first word.
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

/// Who answered for a stretch of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CoveredBy {
    /// The camera.
    Camera,
    /// Nobody: the camera lost it.
    LostOnCamera,
    /// Nobody: the camera's retention removed it.
    PastRetention,
    /// Nobody: the camera stopped searching before it came there.
    SearchLimit,
}

/// Whether nothing in the covered range is missing.
pub fn is_complete(coverage: &[Coverage]) -> bool {
    coverage.iter().all(|stretch| stretch.by == CoveredBy::Camera)
}

impl Events {
    /// The logs that `relay` reaches.
    pub fn new(relay: Relay) -> Self {
        let open = Shared::new(relay.metrics().calls_joined.clone());
        Self { relay, open }
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
        Ok(EventStream { waited: answer.waited, answer, call, last: None, count: 0 })
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
        match collect(answer, call).await {
            Err(RelayError::Interrupted) if question.may_repeat() => {}
            Err(RelayError::Interrupted) => return Err(RelayError::Offline),
            page => return page,
        }
    }
}

async fn collect(answer: Answering, call: &EventsCall) -> Result<Page, RelayError> {
    let waited = answer.waited;
    let mut stream = EventStream { waited, answer, call: call.clone(), last: None, count: 0 };
    let mut events = Vec::new();
    for _ in 0..PIECES {
        match stream.next().await? {
            Part::Events(mut more) => events.append(&mut more),
            Part::End { more, coverage } => return Ok(Page { events, more, coverage, waited }),
        }
    }
    Err(wrong_answer())
}

/// A log on its way.
#[derive(Debug)]
pub struct EventStream {
    /// From the question to the camera's first word.
    pub waited: Duration,
    answer: Answering,
    call: EventsCall,
    /// The time of the last event.
    last: Option<Timestamp>,
    count: u64,
}

/// A part of a log.
#[derive(Debug)]
pub enum Part {
    /// Events in the order asked for.
    Events(Vec<LoggedEvent>),
    /// There is nothing behind this.
    End {
        /// Whether more events lie in the range.
        more: bool,
        /// What the answer says something about, and what it cannot.
        coverage: Vec<Coverage>,
    },
}

impl EventStream {
    /// The next part, as it comes; nothing comes behind [`Part::End`].
    pub async fn next(&mut self) -> Result<Part, RelayError> {
        match self.answer.next().await? {
            Piece::Body(Body::Items(Items::Events(events))) => {
                self.count += events.len() as u64;
                if self.call.limit.is_some_and(|limit| self.count > limit) {
                    return Err(wrong_answer());
                }
                self.last = events.last().map(|last| last.event.at).or(self.last);
                Ok(Part::Events(events))
            }
            Piece::End(Trailer::Events(trailer)) => {
                let coverage = coverage(&self.call, self.last, &trailer);
                Ok(Part::End { more: trailer.more, coverage })
            }
            _ => Err(wrong_answer()),
        }
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
    stretches.extend(trailer.lost.iter().map(|lost| Coverage {
        from: Some(lost.from),
        to: lost.to,
        by: match lost.why {
            LossReason::PastRetention => CoveredBy::PastRetention,
            _ => CoveredBy::LostOnCamera,
        },
    }));
    stretches
}
