//! A camera's own answer: as a page that all get who asked the same, or piece by piece.

use std::{collections::HashMap, sync::Arc, time::Duration};

use oriel_proto::{
    AgentFrame, Body, Call, CameraId, EventId, Failure, FailureCode, Items, Timestamp, Trailer,
    call::{EventCount, EventsCall, EventsTrailer},
    decode,
    event::Position,
    view::{EventView, ViewError, read_events},
};

use super::{
    PAGE_HEAD,
    coverage::{Coverage, of_camera},
    text::Text,
};
use crate::{
    link::Piece,
    relay::{Answering, Question, Relay, RelayError, shared::Patience},
};

/// Pieces that one page may come in: far more than any honest agent needs for the largest page.
const PIECES: usize = 4_096;

/// Pieces that numbers may come in: a hundred thousand of them.
const COUNT_PIECES: usize = 1_024;

/// How much longer events are in JSON than in a frame, mostly.
const GROWTH: usize = 2;

/// A camera's page, as all who asked for it at the same time get it.
pub(super) type Answer = Result<Arc<CameraPage>, RelayError>;

/// One page of a log from the camera itself.
#[derive(Clone, Debug)]
pub(super) struct CameraPage {
    /// Its events.
    pub(super) events: Arc<Answered>,
    /// How it ends.
    pub(super) trailer: EventsTrailer,
    /// From the question to the camera's first word.
    pub(super) waited: Duration,
}

/// Events that a camera answered with, in the order asked for.
#[derive(Clone, Debug)]
pub(super) struct Answered {
    /// They themselves.
    pub(super) text: Text,
    /// Those that had another name before they were sent again, by that.
    pub(super) renamed: HashMap<EventId, Said>,
}

/// What an event says, whatever its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Said {
    at: Timestamp,
    words: [String; 3],
    data: Option<String>,
    image_at: Option<Timestamp>,
}

impl Said {
    /// What this event says, whose data is this JSON object if there is any.
    pub(super) fn of(event: &EventView<'_>, data: Option<&str>) -> Self {
        let words = [event.kind, event.severity, event.description].map(str::to_owned);
        Self { at: event.at, words, data: data.map(str::to_owned), image_at: event.image_at }
    }
}

impl Answered {
    /// None yet, behind `text`.
    pub(super) fn new(text: Text) -> Self {
        Self { text, renamed: HashMap::new() }
    }

    /// Those of the renamed ones that are of this time.
    pub(super) fn renamed_at(&self, at: Timestamp) -> HashMap<EventId, Said> {
        let same = self.renamed.iter().filter(|(_, said)| said.at == at);
        same.map(|(was, said)| (*was, said.clone())).collect()
    }

    /// Adds an event.
    pub(super) fn push(&mut self, event: &EventView<'_>) {
        self.text.push(event);
        if let Some(was) = event.was {
            let data = Some(&event.data).filter(|data| !data.is_empty());
            let data = data.and_then(|data| serde_json::to_string(data).ok());
            self.renamed.insert(was, Said::of(event, data.as_deref()));
        }
    }
}

impl CameraPage {
    /// What it says something about, as the answer to `call`.
    pub(super) fn coverage(&self, call: &EventsCall) -> Vec<Coverage> {
        of_camera(call, self.events.text.last().map(|last| last.at), &self.trailer)
    }
}

/// Asks until somebody has an answer or nobody has patience any more. The camera is told the longest time that anybody waits; who
/// joined later with more makes it asked again when that was too short.
pub(super) async fn gather(
    relay: Relay,
    camera: CameraId,
    call: EventsCall,
    patience: Arc<Patience>,
) -> Answer {
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
) -> Result<CameraPage, RelayError> {
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

async fn collect(answer: Answering, call: &EventsCall, camera: &CameraId) -> Result<CameraPage, RelayError> {
    let mut stream = EventStream::new(answer, call.clone());
    let mut piece = stream.next().await?;
    let mut events = Answered::new(Text::of(camera, PAGE_HEAD, b',', GROWTH * piece.frame().len()));
    for _ in 0..PIECES {
        if let Some(trailer) = stream.read(&piece, |event| events.push(event))? {
            return Ok(CameraPage { events: Arc::new(events), trailer, waited: stream.waited });
        }
        piece = stream.next().await?;
    }
    Err(wrong_answer())
}

/// What a camera counted, however many pieces that comes in, and how its answer ends.
pub(super) async fn counts(
    relay: &Relay,
    question: &mut Question,
) -> Result<(Vec<EventCount>, EventsTrailer), RelayError> {
    loop {
        match whole_counts(relay.ask(question).await?).await {
            Err(RelayError::Interrupted) if question.may_repeat() => {}
            counts => return counts,
        }
    }
}

async fn whole_counts(mut answer: Answering) -> Result<(Vec<EventCount>, EventsTrailer), RelayError> {
    let mut counts = Vec::new();
    for _ in 0..COUNT_PIECES {
        let piece = answer.next().await?;
        let frame = decode(piece.frame()).map_err(|error| answer.unreadable(&piece, error))?;
        let (bodies, trailer) = match frame {
            AgentFrame::Part { body, .. } => (vec![body], None),
            AgentFrame::Reply { answer, .. } => (answer.body, Some(answer.trailer)),
            AgentFrame::Done { trailer, .. } => (Vec::new(), Some(trailer)),
            _ => return Err(wrong_answer()),
        };
        for body in bodies {
            let Body::Items(Items::EventCounts(more)) = body else { return Err(wrong_answer()) };
            counts.extend(more);
        }
        match trailer {
            Some(Trailer::Events(trailer)) => return Ok((counts, trailer)),
            Some(_) => return Err(wrong_answer()),
            None => {}
        }
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

impl EventStream {
    pub(super) const fn new(answer: Answering, call: EventsCall) -> Self {
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
    ) -> Result<Option<EventsTrailer>, RelayError> {
        let (last, count) = (&mut self.last, &mut self.count);
        let read = read_events(piece.frame(), |event| {
            (*last, *count) = (Some(event.position()), *count + 1);
            each(event);
        });
        match read {
            Ok(_) if self.call.limit.is_some_and(|limit| self.count > limit) => Err(wrong_answer()),
            Ok(trailer) => Ok(trailer),
            Err(ViewError::OtherContent) => Err(wrong_answer()),
            Err(error) => Err(self.answer.unreadable(piece, error)),
        }
    }

    /// What an answer that ends like this says something about.
    pub fn coverage(&self, trailer: &EventsTrailer) -> Vec<Coverage> {
        of_camera(&self.call, self.last.map(|last| last.at), trailer)
    }
}

fn wrong_answer() -> RelayError {
    let why = "the camera answered with something other than the events asked for";
    RelayError::Failed(Failure::new(FailureCode::Internal, why))
}
