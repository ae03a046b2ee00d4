//! Events that are read where they stand are those that decoding gives.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "this is a test")]

mod common;

use common::{arbitrary, samples};
use oriel_proto::{
    AgentFrame, Body, Epoch, Event, Items, Kind, LoggedEvent, RequestId, Severity, Timestamp, Trailer,
    call::EventsTrailer,
    codec::outline,
    decode, encode,
    event::Data,
    view::{EventView, ViewError, read_bytes, read_events},
};
use proptest::{collection::vec, prelude::*};

/// What a frame says of events: all of them, then the trailer.
type Said = (Vec<LoggedEvent>, Option<EventsTrailer>);

fn read(bytes: &[u8]) -> Result<Said, ViewError> {
    let mut events = Vec::new();
    let trailer = read_events(bytes, |event| events.push(owned(event)))?;
    Ok((events, trailer))
}

fn owned(view: &EventView<'_>) -> LoggedEvent {
    let EventView { epoch, seq, at, kind, severity, description, ref data, image_at, was } = *view;
    let (kind, severity, description) = (kind.into(), severity.into(), description.into());
    let event = Event { at, kind, severity, description, data: data.clone(), image_at, was };
    LoggedEvent { epoch, seq, event }
}

/// The same of a decoded frame; none when it answers something else.
fn said(frame: AgentFrame) -> Option<Said> {
    let events = |bodies: Vec<Body>| {
        let lists = bodies.into_iter().map(|body| match body {
            Body::Items(Items::Events(events)) => Some(events),
            _ => None,
        });
        Some(lists.collect::<Option<Vec<_>>>()?.concat())
    };
    let end = |trailer| match trailer {
        Trailer::Events(trailer) => Some(trailer),
        _ => None,
    };
    match frame {
        AgentFrame::Reply { answer, .. } => Some((events(answer.body)?, Some(end(answer.trailer)?))),
        AgentFrame::Part { body, .. } => Some((events(vec![body])?, None)),
        AgentFrame::Done { trailer, .. } => Some((Vec::new(), Some(end(trailer)?))),
        _ => None,
    }
}

/// The bytes of a picture that a decoded frame holds as a Part.
fn picture(frame: &AgentFrame) -> Option<Vec<u8>> {
    match frame {
        AgentFrame::Part { body: Body::Bytes(bytes), .. } => Some(bytes.to_vec()),
        _ => None,
    }
}

/// The samples that answer questions.
fn answers() -> Vec<Vec<u8>> {
    let is_answer = |frame: &AgentFrame| {
        matches!(frame, AgentFrame::Reply { .. } | AgentFrame::Part { .. } | AgentFrame::Done { .. })
    };
    let answers = samples::agent().into_iter().filter(|(_, frame)| is_answer(frame));
    answers.map(|(_, frame)| encode(&frame).unwrap()).collect()
}

proptest! {
    #[test]
    fn what_is_read_in_place_is_what_decoding_gives(frame in arbitrary::agent_frame()) {
        let bytes = encode(&frame).unwrap();
        prop_assert_eq!(read_bytes(&bytes).map(<[u8]>::to_vec), picture(&frame));
        prop_assert_eq!(read(&bytes), said(frame).ok_or(ViewError::OtherContent));
    }

    #[test]
    fn bytes_of_a_picture_are_read_where_they_stand(length in 0..70_000_usize) {
        let jpeg: Vec<u8> = (0..length).map(|n| (n % 251) as u8).collect();
        let body = Body::Bytes(jpeg.clone().into());
        let bytes = encode(&AgentFrame::Part { id: RequestId::new(), n: 7, body }).unwrap_or_default();
        prop_assert_eq!(read_bytes(&bytes), (!bytes.is_empty()).then_some(&*jpeg));
    }

    // They have a way of their own through the reader.
    #[test]
    fn events_with_nothing_rare_in_them_are_read_alike(mut events in vec(arbitrary::logged_event(), 1..5)) {
        for LoggedEvent { event, .. } in &mut events {
            (event.data, event.image_at, event.was) = (Data::new(), None, None);
        }
        let bytes = encode(&part(events.clone())).unwrap();
        prop_assert_eq!(read(&bytes), Ok((events, None)));
    }
}

fn part(events: Vec<LoggedEvent>) -> AgentFrame {
    AgentFrame::Part { id: RequestId::new(), n: 0, body: Body::Items(Items::Events(events)) }
}

/// A Part with an event that has nothing rare in it.
fn usual_part() -> Vec<u8> {
    let event = Event {
        at: Timestamp::from_millis(1_700_000_000_000),
        kind: Kind::Motion,
        severity: Severity::Info,
        description: "detected motion".into(),
        data: Data::new(),
        image_at: None,
        was: None,
    };
    encode(&part(vec![LoggedEvent { epoch: Epoch::new(), seq: 7, event }])).unwrap()
}

/// Whether a gateway would hand the frame to who asked; the others are judged before.
fn reaches_its_asker(bytes: &[u8]) -> bool {
    outline(bytes).is_ok_and(|outline| {
        let part = outline.tag == "Part";
        outline.id.is_some() && (!part || outline.n.is_some_and(|n| u32::try_from(n).is_ok()))
    })
}

#[test]
fn of_a_broken_frame_no_more_is_read_than_decoding_gives() {
    let mut read_well = 0;
    for mut bytes in answers().into_iter().chain([usual_part()]) {
        for i in 0..bytes.len() {
            let honest = bytes[i];
            for byte in 0..=255 {
                bytes[i] = byte;
                if !reaches_its_asker(&bytes) {
                    continue;
                }
                if let Some(jpeg) = read_bytes(&bytes) {
                    let decoded = decode::<AgentFrame>(&bytes).ok();
                    assert_eq!(decoded.as_ref().and_then(picture).as_deref(), Some(jpeg), "{bytes:02x?}");
                }
                if let Ok(events) = read(&bytes) {
                    let decoded = decode::<AgentFrame>(&bytes);
                    let decoded = decoded.unwrap_or_else(|error| panic!("{error} at {i}: {bytes:02x?}"));
                    assert_eq!(said(decoded), Some(events), "at {i}: {bytes:02x?}");
                    read_well += 1;
                }
            }
            bytes[i] = honest;
        }
    }
    assert!(read_well > 10_000, "only {read_well} were read");
}

#[test]
fn a_field_that_comes_twice_is_refused() {
    let (twice, at) = (rmpv::Value::from("seq"), rmpv::Value::from(7));
    let answer = samples::agent().into_iter().find(|(name, _)| *name == "agent-Part-Items-Events").unwrap();
    let bytes = encode(&answer.1).unwrap();
    let mut frame = rmpv::decode::read_value(&mut &bytes[..]).unwrap();
    let written = |frame: &rmpv::Value| {
        let mut bytes = Vec::new();
        rmpv::encode::write_value(&mut bytes, frame).unwrap();
        bytes
    };
    assert!(read(&written(&frame)).is_ok());
    let part = entry(&mut frame, "Part");
    let events = entry(entry(entry(part, "body"), "Items"), "Events");
    let rmpv::Value::Array(events) = events else { panic!("no list") };
    let rmpv::Value::Map(event) = &mut events[0] else { panic!("no event") };
    event.push((twice, at));
    let bytes = written(&frame);
    assert!(decode::<AgentFrame>(&bytes).is_err());
    assert_eq!(read(&bytes), Err(ViewError::Field("seq")));
}

/// The value of a map's entry.
fn entry<'a>(map: &'a mut rmpv::Value, name: &str) -> &'a mut rmpv::Value {
    let rmpv::Value::Map(entries) = map else { panic!("no map around {name}") };
    let found = entries.iter_mut().find(|(key, _)| key.as_str() == Some(name));
    found.map(|(_, value)| value).unwrap()
}
