//! What an agent answers: events, pages of them, failures.

use bytes::Bytes;
use oriel_proto::{
    AgentFrame, Answer, Body, Call, Epoch, Event, Failure, FailureCode, ImageClass, Items, Kind, LoggedEvent,
    RequestId, Severity, Timestamp, Trailer,
    call::{EventsTrailer, Head},
    frame::{Fail, Request},
    image::{ImageCount, ImageInfo},
    limits::PART_BYTES,
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

/// The time of the `n`th picture, a second apart from its neighbours.
pub(crate) fn taken(n: i64) -> Timestamp {
    Timestamp::from_millis(1_700_000_000_000 + n * 1_000)
}

/// What begins as a JPEG and has so many bytes.
pub(crate) fn jpeg_of(bytes: usize) -> Vec<u8> {
    let mut jpeg: Vec<u8> = (0..bytes).map(|at| (at / 7 % 251) as u8).collect();
    jpeg[..3].copy_from_slice(&[0xff, 0xd8, 0xff]);
    jpeg
}

/// What is said of the `n`th picture before its bytes.
pub(crate) fn head(n: i64, length: usize) -> Head {
    Head {
        media_type: "image/jpeg".into(),
        length: length as u64,
        at: taken(n),
        etag: format!("tag-{n}"),
        prev: Some(taken(n - 1)),
        next: None,
    }
}

/// Parts of an answer from the `first` on.
pub(crate) fn parts(id: RequestId, first: u32, bodies: impl IntoIterator<Item = Body>) -> Vec<AgentFrame> {
    (first..).zip(bodies).map(|(n, body)| AgentFrame::Part { id, n, body }).collect()
}

/// The pieces of a picture as they are sent.
pub(crate) fn pieces(n: i64, jpeg: &[u8]) -> Vec<Body> {
    let pieces = jpeg.chunks(PART_BYTES).map(|piece| Body::Bytes(Bytes::copy_from_slice(piece)));
    std::iter::once(Body::Head(head(n, jpeg.len()))).chain(pieces).collect()
}

/// The end of an answer that says nothing more.
pub(crate) fn done(id: RequestId) -> AgentFrame {
    AgentFrame::Done { id, trailer: Trailer::Nothing {} }
}

/// The `n`th picture, whole.
pub(crate) fn picture(id: RequestId, n: i64, jpeg: &[u8]) -> Vec<AgentFrame> {
    let mut frames = parts(id, 0, pieces(n, jpeg));
    frames.push(done(id));
    frames
}

/// A whole list of the pictures of these numbers.
pub(crate) fn images(id: RequestId, numbers: impl IntoIterator<Item = i64>, more: bool) -> AgentFrame {
    let info = |n| ImageInfo { class: ImageClass::Preview, at: taken(n), bytes: 1_000 };
    let images = numbers.into_iter().map(info).collect();
    let body = vec![Body::Items(Items::Images(images))];
    AgentFrame::Reply { id, answer: Answer { body, trailer: Trailer::Images { more } } }
}

/// Answers questions about events by one that says this, and those about pictures by the first one.
pub(crate) fn by_all(request: Request, says: &str) -> Vec<AgentFrame> {
    let id = request.id;
    match request.call {
        Call::Images(call) if call.bucket_ms.is_some() => {
            let counts = vec![ImageCount { at: taken(0), count: 1, bytes: 1_000 }];
            let body = vec![Body::Items(Items::ImageCounts(counts))];
            vec![AgentFrame::Reply { id, answer: Answer { body, trailer: Trailer::Images { more: false } } }]
        }
        Call::Images(_) => vec![images(id, [1], false)],
        Call::Image(_) | Call::Snapshot(_) => picture(id, 1, &jpeg_of(1_000)),
        Call::Live(_) => parts(id, 0, pieces(1, &jpeg_of(1_000))),
        _ => vec![page(id, says)],
    }
}
