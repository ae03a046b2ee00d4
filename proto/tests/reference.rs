//! The page that describes the protocol names everything that the code has.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "this is a test")]

mod common;

use std::{collections::BTreeSet, fs, path::PathBuf};

use common::{samples, variants, wire};
use oriel_proto::{
    AgentFrame, Body, Call, CameraId, FailureCode, GatewayFrame, ImageClass, Items, Kind, PROTOCOL_VERSION,
    SUBPROTOCOL, Severity, Trailer,
    call::{ImageMatch, Order},
    codec::{Frame, Violation, digest, encode},
    event::LossReason,
    frame::{Ability, Feature, NoticeCode, RefusalCode, SourceState, Upload},
    limits,
};

fn page() -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs/reference/protocol.md");
    fs::read_to_string(path).unwrap()
}

/// What stands in the page `as code`, outside its blocks.
fn code() -> BTreeSet<String> {
    let page = page();
    let text: String = page.split("```").step_by(2).collect();
    text.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

fn names_all(what: &str, names: impl IntoIterator<Item = impl AsRef<str>>) {
    let code = code();
    let missing: Vec<String> =
        names.into_iter().map(|name| name.as_ref().to_owned()).filter(|name| !code.contains(name)).collect();
    assert!(missing.is_empty(), "{what} that the page does not name: {missing:?}");
}

#[test]
fn every_frame_and_call_is_described() {
    names_all("frames", AgentFrame::TAGS.iter().chain(GatewayFrame::TAGS));
    names_all("calls", variants::<Call>());
    names_all("bodies", variants::<Body>());
    names_all("lists", variants::<Items>());
    names_all("trailers", variants::<Trailer>());
}

#[test]
fn every_frame_has_a_heading() {
    let headings: String = page().lines().filter(|line| line.starts_with('#')).collect();
    for tag in AgentFrame::TAGS.iter().chain(GatewayFrame::TAGS) {
        assert!(headings.contains(&format!("`{tag}`")), "{tag}");
    }
}

#[test]
fn every_field_is_described() {
    let mut fields = BTreeSet::new();
    let mut collect = |bytes: Vec<u8>| {
        wire::maps(&mut wire::tree(&bytes), "", &mut |path, entries| {
            if !path.contains("/data") {
                fields.extend(entries.iter().map(|(key, _)| key.as_str().unwrap().to_owned()));
            }
        });
    };
    samples::agent().iter().for_each(|(_, frame)| collect(encode(frame).unwrap()));
    samples::gateway().iter().for_each(|(_, frame)| collect(encode(frame).unwrap()));
    assert!(fields.len() > 80, "{fields:?}");
    names_all("fields", fields);
}

#[test]
fn every_word_is_described() {
    let lists = [
        Kind::WORDS,
        Severity::WORDS,
        ImageClass::WORDS,
        FailureCode::WORDS,
        Order::WORDS,
        ImageMatch::WORDS,
        LossReason::WORDS,
        Ability::WORDS,
        Feature::WORDS,
        Upload::WORDS,
        SourceState::WORDS,
        RefusalCode::WORDS,
        NoticeCode::WORDS,
    ];
    names_all("words", lists.concat());
    names_all("the word of a cut event", ["cut_bytes"]);
}

#[test]
fn every_close_code_is_described() {
    let violations = [
        Violation::TooLarge,
        Violation::TooDeep,
        Violation::LyingLength,
        Violation::Trailing,
        Violation::NotMessagePack,
        Violation::NotAFrame,
        Violation::WrongFields,
    ];
    names_all("close codes", violations.map(|violation| violation.close_code().to_string()));
    names_all("close codes", ["1003", "1008", "1012", "4001", "4003", "4008", "4409"]);
}

#[test]
fn every_limit_is_described() {
    let page = page();
    let numbers: BTreeSet<u64> =
        page.split(|c: char| !c.is_ascii_digit()).filter_map(|digits| digits.parse().ok()).collect();
    let limits = [
        ("frame", limits::FRAME_BYTES as u64),
        ("part", limits::PART_BYTES as u64),
        ("first credit", limits::FIRST_CREDIT.into()),
        ("window", limits::WINDOW.into()),
        ("socket window", limits::SOCKET_WINDOW.into()),
        ("unacked", limits::UNACKED_BYTES.into()),
        ("calls", limits::CALLS.into()),
        ("cameras", limits::CAMERAS_PER_AGENT as u64),
        ("heartbeat", limits::HEARTBEAT.as_millis() as u64),
        ("hello", limits::HELLO_WITHIN.as_secs()),
        ("depth", limits::DEPTH as u64),
        ("word", limits::WORD_BYTES as u64),
        ("description", limits::DESCRIPTION_BYTES as u64),
        ("data", limits::DATA_BYTES as u64),
        ("name", limits::NAME_BYTES as u64),
        ("tags", limits::TAGS as u64),
        ("tag", limits::TAG_BYTES as u64),
        ("have", limits::HAVE_RANGES as u64),
        ("search", limits::SEARCH_ROWS),
        ("camera id", CameraId::MAX_BYTES as u64),
        ("version", PROTOCOL_VERSION.into()),
    ];
    for (name, value) in limits {
        assert!(numbers.contains(&value), "{name}: {value}");
    }
    assert_eq!(limits::SILENT_HALF_INTERVALS, 5, "the page says two and a half");
    assert!(page.contains("two and a half intervals"));
    names_all("the sub-protocol", [SUBPROTOCOL]);
}

#[test]
fn the_worked_examples_are_real_frames() {
    let page = page();
    let examples: Vec<Vec<u8>> = page.split("```hex\n").skip(1).map(example).collect();
    let golden = |name: &str| {
        let agent = samples::agent().into_iter().map(|(name, frame)| (name, encode(&frame).unwrap()));
        let mut all =
            agent.chain(samples::gateway().into_iter().map(|(name, frame)| (name, encode(&frame).unwrap())));
        all.find(|(n, _)| *n == name).unwrap().1
    };
    assert_eq!(examples, [golden("gateway-Cancel"), golden("agent-Part-Bytes")]);
    assert!(page.contains(&format!("This message has {} bytes", examples[1].len())));
}

/// The bytes of an example: hex at the beginning of each line, up to two spaces before its explanation.
fn example(block: &str) -> Vec<u8> {
    let (lines, _) = block.split_once("```").unwrap();
    lines.lines().flat_map(|line| wire::unhex(line.trim_start().split("  ").next().unwrap())).collect()
}

#[test]
fn the_example_of_a_hash_is_right() {
    let hash = digest(&samples::bare_event()).as_bytes().map(|byte| format!("{byte:02x}")).concat();
    names_all("the hash", [hash]);
}
