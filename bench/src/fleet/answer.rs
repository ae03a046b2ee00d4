//! What light agents answer: pages of one event, failures, long logs in pieces.

use std::{sync::LazyLock, time::SystemTime};

use oriel_proto::{
    AgentFrame, Answer, Body, Call, Epoch, Event, Failure, FailureCode, Items, Kind, LoggedEvent, RequestId,
    Severity, Timestamp, Trailer,
    call::EventsTrailer,
    frame::{Fail, Request},
};

/// The one epoch of all light cameras.
static EPOCH: LazyLock<Epoch> = LazyLock::new(Epoch::new);

/// The text that a question looks for, which is its marker; empty when it has none.
pub(crate) fn marker(request: &Request) -> &str {
    match &request.call {
        Call::Events(call) => call.text.as_deref().unwrap_or_default(),
        _ => "",
    }
}

/// An event with this number that says this.
pub(crate) fn event(seq: u64, description: &str) -> LoggedEvent {
    let event = Event {
        at: Timestamp::from_millis(1_700_000_000_000 + seq.cast_signed()),
        kind: Kind::Motion,
        severity: Severity::Info,
        description: description.into(),
        data: serde_json::Map::new(),
        image_at: None,
        was: None,
    };
    LoggedEvent { epoch: *EPOCH, seq, event }
}

/// One event as a body.
pub(crate) fn body(description: &str) -> Body {
    Body::Items(Items::Events(vec![event(1, description)]))
}

/// The end of a log.
pub(crate) fn trailer() -> Trailer {
    Trailer::Events(EventsTrailer {
        scanned: Vec::new(),
        lost: Vec::new(),
        as_of: SystemTime::now().into(),
        more: false,
    })
}

/// A whole answer of one event.
pub(crate) fn page(id: RequestId, description: &str) -> AgentFrame {
    AgentFrame::Reply { id, answer: Answer { body: vec![body(description)], trailer: trailer() } }
}

/// A piece of an answer.
pub(crate) fn part(id: RequestId, n: u32, description: &str) -> AgentFrame {
    AgentFrame::Part { id, n, body: body(description) }
}

/// A failure.
pub(crate) fn fail(id: RequestId, code: FailureCode, message: &str) -> AgentFrame {
    AgentFrame::Fail(Fail::of(id, Failure::new(code, message)))
}
