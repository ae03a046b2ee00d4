//! What is written straight from a frame is what the API's shapes say.

use oriel_proto::{
    AgentFrame, Body, Event, Items, LoggedEvent, RequestId, Severity, encode, event::Data, list::read_events,
};
use proptest::{collection::vec, option, prelude::*};
use serde_json::{Value, json};

use super::*;

prop_compose! {
    fn logged_event()(
        epoch in any::<u128>(), seq in any::<u64>(), at in any::<i64>(), kind in "[a-z\"\\u{0}-\u{7f}]{0,9}", description in any::<String>(),
        data in vec((".{0,5}", prop_oneof![any::<u64>().prop_map(Value::from), ".{0,9}".prop_map(Value::from)]), 0..4),
        image_at in option::of(any::<i64>()),
    ) -> LoggedEvent {
        let time = Timestamp::from_micros;
        let event = Event {
            at: time(at),
            kind: kind.as_str().into(),
            severity: Severity::Info,
            description,
            data: data.into_iter().collect::<Data>(),
            image_at: image_at.map(time),
            was: None,
        };
        LoggedEvent { epoch: uuid::Uuid::from_u128(epoch).into(), seq, event }
    }
}

/// An event as `docs/reference` describes it.
fn shown(logged: &LoggedEvent) -> Value {
    let event = &logged.event;
    let mut shown = json!({
        "id": logged.id().to_string(),
        "camera": "porch",
        "at": crate::clock::format(event.at),
        "kind": event.kind.as_str(),
        "severity": "info",
        "description": event.description,
        "data": event.data,
    });
    if let Some(image_at) = event.image_at {
        shown["image_at"] = crate::clock::format(image_at).into();
    }
    shown
}

proptest! {
    #[test]
    fn events_are_shown_as_they_were_sent(events in vec(logged_event(), 0..5)) {
        let body = Body::Items(Items::Events(events.clone()));
        let frame = encode(&AgentFrame::Part { id: RequestId::new(), n: 0, body }).unwrap();
        let mut text = Text::of(&"porch".parse().unwrap(), 0);
        read_events(&frame, |event| text.push(event)).unwrap();
        let array = [b"[", text.as_json(), b"]"].concat();
        let read: Vec<Value> = serde_json::from_slice(&array).unwrap();
        prop_assert_eq!(read, events.iter().map(shown).collect::<Vec<_>>());
    }
}
