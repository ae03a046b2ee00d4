//! Either end may be newer than the other: what it adds is skipped, and never ends the link.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, reason = "this is a test")]

mod common;

use std::collections::BTreeSet;

use common::{samples, wire};
use oriel_proto::{AgentFrame, DecodeError, GatewayFrame, codec::Frame, decode, encode};
use rmpv::Value;

/// One value of each form that MessagePack has.
fn additions() -> Vec<Value> {
    vec![
        Value::Nil,
        Value::from(true),
        Value::from(-1_000_000_000_000_i64),
        Value::F32(f32::NAN),
        Value::F64(1e300),
        Value::from("text"),
        Value::from("long ".repeat(100)),
        Value::from(vec![0xff_u8; 300]),
        Value::Ext(-1, vec![1, 2, 3, 4]),
        Value::Ext(7, vec![9; 300]),
        Value::Array(vec![Value::Map(vec![(Value::from(1), Value::Ext(3, vec![1]))]); 20]),
        Value::Map(vec![(Value::from("deep"), Value::Array(vec![Value::Nil; 20]))]),
    ]
}

/// Maps whose only key is a variant's name, and maps that are themselves the payload: nothing can be added to those.
fn takes_no_fields(path: &str, entries: &[(Value, Value)]) -> bool {
    let names_a_variant = entries.len() == 1
        && entries[0].0.as_str().is_some_and(|key| key.starts_with(|c: char| c.is_ascii_uppercase()));
    names_a_variant || path.contains("/data")
}

fn skips_additions<F: Frame + PartialEq + std::fmt::Debug>(name: &str, frame: &F) {
    let bytes = encode(frame).unwrap();
    let mut places = 0;
    wire::maps(&mut wire::tree(&bytes), "", &mut |path, entries| {
        places += usize::from(!takes_no_fields(path, entries));
    });
    for place in 0..places {
        for (i, addition) in additions().into_iter().enumerate() {
            let mut tree = wire::tree(&bytes);
            let mut nth = 0;
            wire::maps(&mut tree, "", &mut |path, entries| {
                if !takes_no_fields(path, entries) {
                    if nth == place {
                        entries.insert(entries.len() * (i % 2), (wire::text("newer"), addition.clone()));
                    }
                    nth += 1;
                }
            });
            assert_eq!(decode::<F>(&wire::bytes(&tree)).as_ref(), Ok(frame), "{name}: {addition} at {place}");
        }
    }
}

#[test]
fn unknown_fields_are_ignored_at_every_level() {
    samples::agent().iter().for_each(|(name, frame)| skips_additions(name, frame));
    samples::gateway().iter().for_each(|(name, frame)| skips_additions(name, frame));
}

fn id_field() -> (Value, Value) {
    (wire::text("id"), Value::from(samples::id().as_uuid().as_bytes().to_vec()))
}

#[test]
fn an_unknown_frame_tells_its_name_and_its_question() {
    for at in 0..3 {
        let mut fields = vec![(wire::text("x"), Value::from(1)), (wire::text("y"), Value::from("z"))];
        fields.insert(at, id_field());
        let bytes = wire::frame("Sealed", fields);
        let unknown = DecodeError::Unknown { tag: "Sealed".into(), id: Some(samples::id()) };
        assert_eq!(decode::<AgentFrame>(&bytes), Err(unknown.clone()));
        assert_eq!(decode::<GatewayFrame>(&bytes), Err(unknown));
    }
}

#[test]
fn an_unknown_frame_without_a_question_is_only_skipped() {
    let no_ids = [
        vec![],
        vec![(wire::text("id"), Value::from("1f0e2d3c-4b5a-4978-8796-a5b4c3d2e1f0"))],
        vec![(wire::text("id"), Value::from(vec![1_u8; 15]))],
        vec![(wire::text("id"), Value::Map(vec![id_field()]))],
        vec![(wire::text("inner"), Value::Map(vec![id_field()]))],
        vec![id_field_in_bin()],
    ];
    for fields in no_ids {
        let unknown = DecodeError::Unknown { tag: "Sealed".into(), id: None };
        assert_eq!(decode::<AgentFrame>(&wire::frame("Sealed", fields)), Err(unknown));
    }
}

fn id_field_in_bin() -> (Value, Value) {
    (Value::from(b"id".to_vec()), id_field().1)
}

/// The frame `name` with the variant below `path` renamed to one that nobody knows.
fn renamed(bytes: &[u8], path: &[&str]) -> Vec<u8> {
    let mut tree = wire::tree(bytes);
    let mut place = &mut tree;
    for step in path {
        place = match step.parse::<usize>() {
            Ok(n) => match place {
                Value::Array(items) => &mut items[n],
                other => panic!("{other} is not a list"),
            },
            Err(_) => wire::field(place, step),
        };
    }
    let Value::Map(entries) = place else { panic!("not an enum") };
    entries[0].0 = wire::text("Newer");
    wire::bytes(&tree)
}

#[test]
fn an_unknown_variant_inside_a_frame_fails_its_question_only() {
    let agent =
        |name: &str| encode(&samples::agent().into_iter().find(|(n, _)| *n == name).unwrap().1).unwrap();
    let places: [(&str, &[&str]); 6] = [
        ("agent-Part-Head", &["Part", "body"]),
        ("agent-Part-Items-Events", &["Part", "body", "Items"]),
        ("agent-Done-Events", &["Done", "trailer"]),
        ("agent-Reply-Events", &["Reply", "answer", "trailer"]),
        ("agent-Reply-Events", &["Reply", "answer", "body", "0"]),
        ("agent-Reply-Events", &["Reply", "answer", "body", "0", "Items"]),
    ];
    for (name, path) in places {
        let error = decode::<AgentFrame>(&renamed(&agent(name), path)).unwrap_err();
        let DecodeError::Unreadable { tag, id, .. } = error else { panic!("{name}: {error}") };
        assert_eq!((tag.as_str(), id), (path[0], samples::id()));
    }
    for (name, frame) in samples::gateway().into_iter().filter(|(name, _)| name.contains("Request")) {
        let bytes = renamed(&encode(&frame).unwrap(), &["Request", "call"]);
        let error = decode::<GatewayFrame>(&bytes).unwrap_err();
        let DecodeError::Unreadable { tag, id, .. } = error else { panic!("{name}: {error}") };
        assert_eq!((tag.as_str(), id), ("Request", samples::id()));
    }
}

#[test]
fn what_an_error_repeats_of_a_frame_is_short() {
    let long = "Ü".repeat(5_000);
    let Err(DecodeError::Unknown { tag, id }) = decode::<AgentFrame>(&wire::frame(&long, vec![id_field()]))
    else {
        panic!("not unknown")
    };
    assert_eq!((tag, id), ("Ü".repeat(32), Some(samples::id())));
    let call = Value::Map(vec![(wire::text(&long), Value::Map(vec![]))]);
    let request = vec![id_field(), (wire::text("call"), call)];
    let Err(DecodeError::Unreadable { why, .. }) = decode::<GatewayFrame>(&wire::frame("Request", request))
    else {
        panic!("not unreadable")
    };
    assert!(why.len() <= 200, "{why}");
}

/// Every field that a frame may lack; all others are required, and none may become so later.
const MAY_BE_ABSENT: &[&str] = &[
    "Bound/acked",
    "Camera/abilities",
    "Camera/classes",
    "Camera/spools",
    "Camera/tags",
    "Events/after",
    "Events/bucket_ms",
    "Events/from",
    "Events/have",
    "Events/kinds",
    "Events/limit",
    "Events/lost",
    "Events/severity",
    "Events/text",
    "Events/to",
    "Fail/retry_after_ms",
    "Head/next",
    "Head/prev",
    "Health/cameras",
    "Hello/features",
    "Image/max_age_ms",
    "Images/bucket_ms",
    "Images/count",
    "Images/from",
    "Images/to",
    "Notice/camera",
    "Notice/epoch",
    "Watch/classes",
    "Watch/events",
    "Welcome/features",
    "acked/hash",
    "agent/clock_offset_ms",
    "agent/rtt_ms",
    "cameras/why",
    "event/data",
    "event/image_at",
    "event/was",
    "events/data",
    "events/image_at",
    "events/was",
    "health/why",
];

/// For each field of the frame, named by its map and itself: whether it reads without.
fn absences<F: Frame>(frame: &F) -> Vec<(String, bool)> {
    let bytes = encode(frame).unwrap();
    let mut fields = Vec::new();
    wire::maps(&mut wire::tree(&bytes), "", &mut |path, entries| {
        fields.extend((0..entries.len()).map(|i| (path.to_owned(), i)));
    });
    let mut nth = 0;
    let absent = fields.into_iter().map(|(path, i)| {
        // Fields of a map follow each other from 0; a map begins where the count does.
        nth += usize::from(i == 0);
        let (mut tree, mut seen, mut key) = (wire::tree(&bytes), 0, String::new());
        wire::maps(&mut tree, "", &mut |_, entries| {
            seen += usize::from(!entries.is_empty());
            if seen == nth && key.is_empty() {
                key = entries.remove(i).0.as_str().unwrap().to_owned();
                seen += 1_000;
            }
        });
        let parent = path.rsplit('/').next().unwrap().to_owned();
        (path, format!("{parent}/{key}"), decode::<F>(&wire::bytes(&tree)).is_ok())
    });
    absent.filter(|(path, ..)| !path.contains("/data")).map(|(_, name, reads)| (name, reads)).collect()
}

#[test]
fn only_optional_fields_may_be_absent() {
    let agent = samples::agent().into_iter().flat_map(|(_, frame)| absences(&frame));
    let gateway = samples::gateway().into_iter().flat_map(|(_, frame)| absences(&frame));
    let mut found = BTreeSet::new();
    for (name, reads) in agent.chain(gateway) {
        assert_eq!(reads, MAY_BE_ABSENT.contains(&name.as_str()), "{name}");
        if reads {
            found.insert(name);
        }
    }
    assert!(found.iter().eq(MAY_BE_ABSENT), "no sample has one of these");
}
