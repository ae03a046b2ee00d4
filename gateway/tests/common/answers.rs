//! What an agent answers: events, pages of them, failures.

use oriel_proto::{
    AgentFrame, Answer, Body, Epoch, Event, Failure, FailureCode, Items, Kind, LoggedEvent, RequestId,
    Severity, Timestamp, Trailer, call::EventsTrailer, frame::Fail,
};

/// An event of this epoch and number, a second apart from its neighbours.
pub(crate) fn event(epoch: Epoch, seq: u64, description: &str) -> LoggedEvent {
    let event = Event {
        at: Timestamp::from_millis(1_700_000_000_000 + seq.cast_signed() * 1_000),
        kind: Kind::Motion,
        severity: Severity::Info,
        description: description.into(),
        data: serde_json::Map::new(),
        image_at: None,
        was: None,
    };
    LoggedEvent { epoch, seq, event }
}

/// The end of a list of events.
pub(crate) fn events_trailer(more: bool) -> Trailer {
    let as_of = Timestamp::from_millis(1_800_000_000_000);
    Trailer::Events(EventsTrailer { scanned: Vec::new(), lost: Vec::new(), as_of, more })
}

/// A whole page in one frame.
pub(crate) fn page_of(id: RequestId, events: Vec<LoggedEvent>, more: bool) -> AgentFrame {
    let body = vec![Body::Items(Items::Events(events))];
    AgentFrame::Reply { id, answer: Answer { body, trailer: events_trailer(more) } }
}

/// A page with one event that says this.
pub(crate) fn page(id: RequestId, description: &str) -> AgentFrame {
    page_of(id, vec![event(Epoch::new(), 1, description)], false)
}

/// A failure.
pub(crate) fn fail(id: RequestId, code: FailureCode, message: &str) -> AgentFrame {
    AgentFrame::Fail(Fail::of(id, Failure::new(code, message)))
}
