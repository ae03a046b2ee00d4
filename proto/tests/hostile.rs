//! Broken and hostile bytes are refused: never a panic, never a frame out of a part of one.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, reason = "this is a test")]

mod common;

use common::{arbitrary, samples, wire};
use oriel_proto::{
    AgentFrame, DecodeError, Event, GatewayFrame,
    codec::{Frame, Violation, decode_log, encode, outline},
    decode,
    frame::LogFrame,
    limits::{DEPTH, FRAME_BYTES},
};
use proptest::prelude::*;
use rmpv::Value;
use serde::de::IgnoredAny;

fn violation(bytes: &[u8]) -> Violation {
    let agent = decode::<AgentFrame>(bytes).unwrap_err();
    assert_eq!(decode::<GatewayFrame>(bytes).unwrap_err(), agent, "both ends check alike");
    match agent {
        DecodeError::Violation(violation) => violation,
        other => panic!("{other}"),
    }
}

fn all() -> Vec<(&'static str, Vec<u8>)> {
    let agent = samples::agent().into_iter().map(|(name, frame)| (name, encode(&frame).unwrap()));
    let gateway = samples::gateway().into_iter().map(|(name, frame)| (name, encode(&frame).unwrap()));
    agent.chain(gateway).collect()
}

#[test]
fn no_part_of_a_frame_is_a_frame() {
    for (name, bytes) in all() {
        for end in 0..bytes.len() {
            assert_eq!(violation(&bytes[..end]), Violation::LyingLength, "{name} cut at {end}");
        }
    }
}

#[test]
fn nothing_may_stand_behind_a_frame() {
    for (name, bytes) in all() {
        for tail in [&[0xc0][..], &[0x00], &[0xc1], &[0x80], &bytes] {
            assert_eq!(violation(&[&bytes, tail].concat()), Violation::Trailing, "{name}");
        }
    }
}

#[test]
fn one_changed_byte_never_panics_and_what_still_reads_still_writes() {
    fn check<F: Frame + std::fmt::Debug>(bytes: &[u8]) {
        if let Ok(frame) = decode::<F>(bytes) {
            let written = encode(&frame).unwrap();
            assert_eq!(format!("{:?}", decode::<F>(&written)), format!("{:?}", Ok::<_, DecodeError>(frame)));
        }
    }
    for (name, bytes) in all() {
        let mut bytes = bytes;
        for i in 0..bytes.len() {
            let honest = bytes[i];
            for byte in [0x00, 0x7f, 0x80, 0x81, 0x90, 0x91, 0xa0, 0xc0, 0xc1, 0xc4, 0xc7, 0xd4, 0xdd, 0xff] {
                bytes[i] = byte;
                if name.starts_with("agent") {
                    check::<AgentFrame>(&bytes)
                } else {
                    check::<GatewayFrame>(&bytes)
                }
            }
            for bit in 0..8 {
                bytes[i] = honest ^ (1 << bit);
                if name.starts_with("agent") {
                    check::<AgentFrame>(&bytes)
                } else {
                    check::<GatewayFrame>(&bytes)
                }
            }
            bytes[i] = honest;
        }
    }
}

/// A frame of `levels` nested levels, the innermost of which holds `leaf`.
fn nested(levels: usize, open: &[u8], leaf: u8) -> Vec<u8> {
    let start = b"\x81\xa1X\x81\xa1y";
    let close = [leaf];
    [&start[..], &open.repeat(levels - 2), &close].concat()
}

#[test]
fn as_many_levels_as_allowed_are_read_and_one_more_is_not() {
    let lists: [(&[u8], u8); 4] =
        [(b"\x91", 0xc0), (b"\x81\xa0", 0xc0), (b"\xdc\x00\x01", 0x01), (b"\x81\xc0", 0)];
    for (open, leaf) in lists {
        let unknown = DecodeError::Unknown { tag: "X".into(), id: None };
        assert_eq!(decode::<AgentFrame>(&nested(DEPTH, open, leaf)), Err(unknown));
        assert_eq!(violation(&nested(DEPTH + 1, open, leaf)), Violation::TooDeep);
        assert_eq!(violation(&nested(DEPTH * 20, open, leaf)), Violation::TooDeep);
    }
}

#[test]
fn an_empty_list_or_map_is_a_level_too() {
    for empty in [0x80, 0x90] {
        assert_eq!(violation(&nested(DEPTH, b"\x91", empty)), Violation::TooDeep);
        assert!(matches!(
            decode::<AgentFrame>(&nested(DEPTH - 1, b"\x91", empty)),
            Err(DecodeError::Unknown { .. })
        ));
    }
}

#[test]
fn a_key_nests_no_deeper_than_a_value() {
    let keys = |levels: usize| {
        let inside = b"\x81".repeat(levels - 2);
        [b"\x81\xa1X\x81\xa1y".as_slice(), &inside, &b"\x00".repeat(levels - 1)].concat()
    };
    assert!(matches!(decode::<AgentFrame>(&keys(DEPTH)), Err(DecodeError::Unknown { .. })));
    assert_eq!(violation(&keys(DEPTH + 1)), Violation::TooDeep);
}

#[test]
fn the_deepest_data_allowed_is_read() {
    let mut tree = wire::tree(&encode(&samples::agent().swap_remove(6).1).unwrap());
    let Value::Array(events) = wire::field(wire::field(&mut tree, "Events"), "events") else { panic!() };
    // The frame, its fields, the list, the event and its data are five levels.
    let deep = |n| (0..n).fold(Value::from(1), |inner, _| Value::Array(vec![inner]));
    let set =
        |event: &mut Value, n| *wire::field(event, "data") = Value::Map(vec![(wire::text("d"), deep(n))]);
    set(&mut events[0], DEPTH - 5);
    assert!(decode::<AgentFrame>(&wire::bytes(&tree)).is_ok());
    let Value::Array(events) = wire::field(wire::field(&mut tree, "Events"), "events") else { panic!() };
    set(&mut events[0], DEPTH - 4);
    assert_eq!(violation(&wire::bytes(&tree)), Violation::TooDeep);
}

#[test]
fn a_length_that_lies_is_refused() {
    let huge = [0xff; 4];
    for marker in [0xc6, 0xc9, 0xdb, 0xdd, 0xdf] {
        let lie = [&[marker], &huge[..], &[0; 100]].concat();
        let inside = [&b"\x81\xa5Hello\x81\xa5agent"[..], &lie].concat();
        assert_eq!(violation(&inside), Violation::LyingLength, "{marker:x}");
        let unknown = [&b"\x81\xa1X\x81\xa1y"[..], &lie].concat();
        assert_eq!(violation(&unknown), Violation::LyingLength, "{marker:x}");
        assert!(matches!(violation(&lie), Violation::LyingLength | Violation::NotAFrame), "{marker:x}");
    }
    for marker in [0xc4, 0xc5, 0xc7, 0xc8, 0xd9, 0xda, 0xdc, 0xde] {
        let lie = [&b"\x81\xa1X\x81\xa1y"[..], &[marker, 0xff, 0xff, 0]].concat();
        assert_eq!(violation(&lie), Violation::LyingLength, "{marker:x}");
    }
}

#[test]
fn what_is_not_a_frame_is_named() {
    let cases: [(&[u8], Violation); 12] = [
        (b"", Violation::LyingLength),
        (b"\xc1", Violation::NotMessagePack),
        (b"\x81\xa1X\x81\xa1y\xc1", Violation::NotMessagePack),
        (b"\xc0", Violation::NotAFrame),
        (b"\x80", Violation::NotAFrame),
        (b"\xa5Ready", Violation::NotAFrame),
        (b"\x92\xa5Ready\x80", Violation::NotAFrame),
        (b"\x82\xa5Ready\x80\xa5Ready\x80", Violation::NotAFrame),
        (b"\x81\x01\x80", Violation::NotAFrame),
        (b"\x81\xa5Ready\x90", Violation::NotAFrame),
        (b"\x81\xa2\xff\xfe\x80", Violation::NotAFrame),
        (b"\x81\xc4\x05Ready\x80", Violation::NotAFrame),
    ];
    for (bytes, expected) in cases {
        assert_eq!(violation(bytes), expected, "{bytes:x?}");
    }
}

#[test]
fn a_frame_over_the_limit_is_refused_unread() {
    let mut large = wire::frame("X", vec![(wire::text("y"), Value::from(vec![0_u8; FRAME_BYTES - 9]))]);
    assert_eq!(large.len(), FRAME_BYTES);
    assert!(matches!(decode::<AgentFrame>(&large), Err(DecodeError::Unknown { .. })));
    large.push(0);
    assert_eq!(violation(&large), Violation::TooLarge);
}

#[test]
fn each_violation_has_its_close_code() {
    let codes = [
        (Violation::TooLarge, 1009),
        (Violation::TooDeep, 1007),
        (Violation::LyingLength, 1007),
        (Violation::Trailing, 1007),
        (Violation::NotMessagePack, 1007),
        (Violation::NotAFrame, 1002),
        (Violation::WrongFields, 1007),
    ];
    codes.iter().for_each(|(violation, code)| assert_eq!(violation.close_code(), *code));
}

#[test]
fn wrong_fields_fail_the_question_or_else_the_link() {
    let id = (wire::text("id"), Value::from(samples::id().as_uuid().as_bytes().to_vec()));
    let twice = wire::frame("Cancel", vec![id.clone(), id.clone()]);
    assert!(matches!(decode::<GatewayFrame>(&twice), Err(DecodeError::Unreadable { .. })));
    let number = |n: Value| wire::frame("Credit", vec![id.clone(), (wire::text("bytes"), n)]);
    for wrong in [Value::from(-1), Value::from(1_u64 << 32), Value::from("1"), Value::from(1.5), Value::Nil] {
        assert!(matches!(decode::<GatewayFrame>(&number(wrong)), Err(DecodeError::Unreadable { .. })));
    }
    assert!(decode::<GatewayFrame>(&number(Value::from(u32::MAX))).is_ok());
    let text_id = vec![(wire::text("id"), Value::from("1f0e2d3c-4b5a-4978-8796-a5b4c3d2e1f0"))];
    for (tag, fields) in [("Cancel", vec![]), ("Cancel", text_id), ("Drain", vec![]), ("Welcome", vec![])] {
        let wrong = decode::<GatewayFrame>(&wire::frame(tag, fields));
        assert_eq!(wrong, Err(Violation::WrongFields.into()), "{tag}");
    }
    let camera = |name: &str| wire::frame("Gone", vec![(wire::text("camera"), Value::from(name))]);
    assert_eq!(decode::<AgentFrame>(&camera("../etc")), Err(Violation::WrongFields.into()));
}

#[test]
fn a_variant_in_a_list_cannot_swallow_its_neighbour() {
    // A list of one, the variant's name, where a map of one belongs: its payload would be taken from behind it.
    let id = [b"\xa2id\xc4\x10".as_slice(), samples::id().as_uuid().as_bytes()].concat();
    let body = b"\xa4body\x91\xa5Bytes\xc4\x00\xa1n\xa1n\x00";
    let bytes = [b"\x81\xa4Part\x84".as_slice(), &id, b"\xa1n\x00", body].concat();
    assert!(decode::<AgentFrame>(&bytes).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_are_refused_or_read(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        _ = decode::<AgentFrame>(&bytes);
        _ = decode::<GatewayFrame>(&bytes);
    }

    #[test]
    fn no_part_of_any_frame_is_a_frame(frame in arbitrary::agent_frame(), cut in any::<prop::sample::Index>()) {
        if let Ok(bytes) = encode(&frame) {
            prop_assert!(decode::<AgentFrame>(&bytes[..cut.index(bytes.len())]).is_err());
        }
    }

    #[test]
    fn any_change_of_any_frame_is_survived(
        frame in arbitrary::gateway_frame(), changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
    ) {
        if let Ok(mut bytes) = encode(&frame) {
            for (place, byte) in changes {
                let place = place.index(bytes.len());
                bytes[place] = byte;
            }
            _ = decode::<GatewayFrame>(&bytes);
        }
    }

    #[test]
    fn what_is_read_of_an_upload_first_is_what_is_read_later(
        frame in arbitrary::agent_frame(), place in any::<prop::sample::Index>(), byte in any::<u8>(), change in any::<bool>(),
    ) {
        let Ok(mut bytes) = encode(&frame) else { return Ok(()) };
        if change {
            let place = place.index(bytes.len());
            bytes[place] = byte;
        }
        if outline(&bytes).is_err() {
            return Ok(());
        }
        let head = decode_log::<IgnoredAny>(&bytes);
        match decode::<AgentFrame>(&bytes) {
            Ok(AgentFrame::Events(whole)) => {
                let Ok(LogFrame::Events(head)) = head else { panic!("{head:?}") };
                prop_assert_eq!(decode_log(&bytes), Ok(LogFrame::Events(whole.clone())));
                prop_assert_eq!((head.camera, head.epoch, head.first), (whole.camera, whole.epoch, whole.first));
                prop_assert_eq!((head.next, head.as_of), (whole.next, whole.as_of));
            }
            Ok(AgentFrame::Lost(whole)) => prop_assert_eq!(decode_log::<Vec<Event>>(&bytes), Ok(LogFrame::Lost(whole))),
            Ok(_) => prop_assert!(head.is_err()),
            // The events may be wrong all the same.
            Err(_) => prop_assert!(decode_log::<Vec<Event>>(&bytes).is_err()),
        }
    }
}
