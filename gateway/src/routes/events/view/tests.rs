//! What is written straight from a frame is what the shapes say that the API's description is made of.

use oriel_proto::{
    AgentFrame, Body, Event as Sent, Items, LoggedEvent, RequestId, Timestamp, encode, event::Data,
    view::read_events,
};
use proptest::{collection::vec, option, prelude::*};

use super::*;
use crate::events::{PAGE_HEAD, Timing, text::Text};

prop_compose! {
    fn logged_event()(
        epoch in any::<u128>(), seq in any::<u64>(), at in any::<i64>(), kind in "[a-z\"\\u{0}-\u{7f}]{0,9}", description in any::<String>(),
        data in vec((".{0,5}", prop_oneof![any::<u64>().prop_map(Value::from), ".{0,9}".prop_map(Value::from)]), 0..4),
        image_at in option::of(any::<i64>()),
    ) -> LoggedEvent {
        let time = Timestamp::from_micros;
        let event = Sent {
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

impl<'a> Event<'a> {
    fn of(camera: &'a CameraId, logged: &'a LoggedEvent) -> Self {
        let event = &logged.event;
        Self {
            id: logged.id(),
            camera,
            at: Rfc3339(event.at),
            kind: &event.kind,
            severity: &event.severity,
            description: &event.description,
            data: &event.data,
            image_at: event.image_at.map(Rfc3339),
            received_at: None,
        }
    }
}

fn stretch(from: Option<i64>, to: i64, by: CoveredBy) -> Coverage {
    Coverage { from: from.map(Timestamp::from_micros), to: Timestamp::from_micros(to), by }
}

proptest! {
    #[test]
    fn a_page_is_written_as_its_shape_says(
        events in vec(logged_event(), 0..5), next in option::of("[a-zA-Z0-9_-]{1,20}"),
        follow in option::of("[a-zA-Z0-9_-]{1,20}"), from in option::of(any::<i64>()), to in any::<i64>(),
    ) {
        let camera = "porch".parse().unwrap();
        let body = Body::Items(Items::Events(events.clone()));
        let frame = encode(&AgentFrame::Part { id: RequestId::new(), n: 0, body }).unwrap();
        let mut text = Text::of(&camera, PAGE_HEAD, b',', 0);
        read_events(&frame, |event| text.push(event)).unwrap();
        let coverage = vec![stretch(from, to, CoveredBy::Camera), stretch(None, to, CoveredBy::PastRetention)];
        let shape = List {
            events: events.iter().map(|event| Event::of(&camera, event)).collect(),
            next: next.clone(),
            follow: follow.clone(),
            complete: false,
            coverage: Stretch::all(&camera, &coverage),
        };
        let (more, timing) = (next.is_some(), Timing::default());
        let page = Page { events: text, last: None, more, coverage: coverage.clone(), timing };
        let written = String::from_utf8(list(&camera, page, next, follow).unwrap()).unwrap();
        prop_assert_eq!(written, serde_json::to_string(&shape).unwrap());
    }
}
