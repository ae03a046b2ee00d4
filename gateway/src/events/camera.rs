//! A camera's own answer: as a page that all get who asked the same, or piece by piece.

use std::{collections::HashMap, sync::Arc, time::Duration};

use oriel_proto::{
    Body, Call, CameraId, EventId, Items, Timestamp, Trailer,
    call::{EventCount, EventsCall, EventsTrailer},
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
    relay::{
        Answering, Question, Relay, RelayError,
        bodies::{Bodies, Next},
        gather::{once, whole},
        shared::Patience,
    },
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

/// A page, as everybody who waits for it gets it.
pub(super) async fn gather(
    relay: Relay,
    camera: CameraId,
    call: EventsCall,
    patience: Arc<Patience>,
) -> Answer {
    let asked = Call::Events(call.clone());
    let page = whole(&relay, &camera, &asked, &patience, |answer| collect(answer, &call, &camera)).await;
    page.map(Arc::new)
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
    Err(RelayError::other_content())
}

/// What a camera counted, however many pieces that comes in, and how its answer ends.
pub(super) async fn counts(
    relay: &Relay,
    question: &mut Question,
) -> Result<(Vec<EventCount>, EventsTrailer), RelayError> {
    once(relay, question, || (), |answer| whole_counts(Bodies::of(answer))).await
}

async fn whole_counts(mut bodies: Bodies) -> Result<(Vec<EventCount>, EventsTrailer), RelayError> {
    let mut counts = Vec::new();
    for _ in 0..COUNT_PIECES {
        match bodies.next().await? {
            Next::Body(Body::Items(Items::EventCounts(more))) => counts.extend(more),
            Next::End(Trailer::Events(trailer)) => return Ok((counts, trailer)),
            _ => return Err(RelayError::other_content()),
        }
    }
    Err(RelayError::other_content())
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
            Ok(_) if self.call.limit.is_some_and(|limit| self.count > limit) => {
                Err(RelayError::other_content())
            }
            Ok(trailer) => Ok(trailer),
            Err(ViewError::OtherContent) => Err(RelayError::other_content()),
            Err(error) => Err(self.answer.unreadable(piece, error)),
        }
    }

    /// What an answer that ends like this says something about.
    pub fn coverage(&self, trailer: &EventsTrailer) -> Vec<Coverage> {
        of_camera(&self.call, self.last.map(|last| last.at), trailer)
    }
}
