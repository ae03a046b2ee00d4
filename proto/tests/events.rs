//! What an event may carry, and which events a question wants.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, reason = "this is a test")]

mod common;

use common::{arbitrary, samples, wire};
use oriel_proto::{
    AgentFrame, Event, LoggedEvent,
    codec::encoded_len,
    decode, encode,
    event::{Data, EventFilter},
    frame::Events,
    limits::PART_BYTES,
};
use proptest::prelude::*;
use rmpv::Value;
use serde_json::json;

/// What a gateway reads of an event with this `data`.
fn read(data: Value) -> Data {
    let mut event = samples::bare_event();
    event.data.insert("x".into(), json!(1));
    let frame = AgentFrame::Events(Events {
        camera: samples::camera(),
        epoch: samples::epoch(),
        first: 1,
        events: vec![event],
        next: 2,
        as_of: Default::default(),
    });
    let mut tree = wire::tree(&encode(&frame).unwrap());
    let Value::Array(events) = wire::field(wire::field(&mut tree, "Events"), "events") else { panic!() };
    *wire::field(&mut events[0], "data") = data;
    let Ok(AgentFrame::Events(read)) = decode(&wire::bytes(&tree)) else { panic!("the link would end") };
    encode(&AgentFrame::Events(read.clone())).unwrap();
    read.events[0].data.clone()
}

fn map(entries: Vec<(&str, Value)>) -> Value {
    Value::Map(entries.into_iter().map(|(key, value)| (key.into(), value)).collect())
}

#[test]
fn values_that_data_cannot_hold_are_read_as_nil() {
    let odd = [
        Value::F64(f64::NAN),
        Value::F32(f32::NEG_INFINITY),
        Value::from(vec![1_u8, 2, 3]),
        Value::from(vec![0_u8; 300]),
        Value::Ext(-1, vec![1, 2, 3, 4]),
        Value::Ext(5, vec![0; 300]),
        Value::Nil,
    ];
    for value in odd {
        assert_eq!(
            Value::from(read(map(vec![("a", value.clone())]))["a"].is_null()),
            Value::from(true),
            "{value}"
        );
        let inside = map(vec![
            ("list", Value::Array(vec![value.clone(), 7.into()])),
            ("map", map(vec![("b", value)])),
        ]);
        assert_eq!(
            Data::from_iter([("list".into(), json!([null, 7])), ("map".into(), json!({"b": null}))]),
            read(inside)
        );
    }
}

#[test]
fn entries_without_a_text_key_are_left_out() {
    let entries = vec![
        (Value::from(1), Value::from("number")),
        (Value::Nil, Value::from("nil")),
        (Value::from(vec![0xff_u8]), Value::from("bin")),
        (Value::Ext(1, vec![2]), Value::from("ext")),
        (Value::Array(vec![Value::from("list")]), Value::Map(vec![])),
        (Value::from("kept"), Value::from(1)),
    ];
    let kept = Data::from_iter([("kept".into(), json!(1))]);
    assert_eq!(read(Value::Map(entries.clone())), kept);
    assert_eq!(
        read(map(vec![("inner", Value::Map(entries))])),
        Data::from_iter([("inner".into(), kept.into())])
    );
}

#[test]
fn the_last_of_equal_keys_counts_and_nil_is_no_data() {
    let twice = map(vec![("a", Value::from(1)), ("a", Value::from(2))]);
    assert_eq!(read(twice), Data::from_iter([("a".into(), json!(2))]));
    assert_eq!(read(Value::Nil), Data::new());
}

#[test]
fn numbers_keep_their_edges() {
    for number in [json!(u64::MAX), json!(i64::MIN), json!(-1), json!(0), json!(1.5e300), json!(-0.0)] {
        let value = match (number.as_u64(), number.as_i64(), number.as_f64()) {
            (Some(n), ..) => Value::from(n),
            (_, Some(n), _) => Value::from(n),
            (.., n) => Value::from(n.unwrap()),
        };
        assert_eq!(read(map(vec![("n", value)]))["n"], number);
    }
}

fn large_event() -> impl Strategy<Value = Event> {
    (arbitrary::event(), 0_usize..5_000, 0_usize..200, 0_usize..900, "\\PC").prop_map(
        |(event, text, word, data, c)| {
            let mut event = event;
            event.description += &c.repeat(text);
            event.kind = format!("{}{}", event.kind, c.repeat(word)).as_str().into();
            event.data.insert("list".into(), vec![0.5; data].into());
            event
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn an_event_cut_to_the_limits_is_within_them_and_cut_no_further(event in large_event()) {
        let cut = event.clone().within_limits();
        prop_assert!(cut.is_within_limits());
        prop_assert_eq!(&cut.clone().within_limits(), &cut);
        prop_assert!(event.description.starts_with(&cut.description));
        prop_assert_eq!((cut.at, cut.image_at, cut.was), (event.at, event.image_at, event.was));
        prop_assert_eq!(event.is_within_limits(), cut == event);
        if cut != event {
            prop_assert!(cut.data["cut_bytes"].as_u64() > Some(0));
        }
    }

    #[test]
    fn an_event_within_the_limits_fits_a_part(event in large_event()) {
        let logged = LoggedEvent { epoch: samples::epoch(), seq: u64::MAX, event: event.within_limits() };
        prop_assert!(encoded_len(&vec![logged]) + 8 <= PART_BYTES);
    }

    #[test]
    fn any_part_of_a_description_is_found_in_any_case(text in "\\PC{0,40}", a in 0_usize..40, b in 0_usize..40) {
        let characters: Vec<char> = text.chars().collect();
        let (a, b) = (a.min(characters.len()), b.min(characters.len()));
        let part: String = characters[a.min(b)..a.max(b)].iter().collect();
        let event = Event { description: text, ..samples::bare_event() };
        for wanted in [part.clone(), part.to_uppercase(), part.to_lowercase()] {
            prop_assert!(EventFilter::new(vec![], vec![], Some(&wanted)).matches(&event), "{}", wanted);
        }
    }

    #[test]
    fn an_open_filter_wants_everything_and_a_closed_one_only_its_own(event in arbitrary::event()) {
        prop_assert!(EventFilter::default().matches(&event));
        let own = EventFilter::new(vec![event.kind.clone()], vec![event.severity.clone()], Some(&event.description));
        prop_assert!(own.matches(&event));
        let other = format!("{}!", event.kind).as_str().into();
        prop_assert!(!EventFilter::new(vec![other], vec![], None).matches(&event));
    }
}
