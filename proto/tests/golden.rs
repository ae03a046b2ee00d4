//! The bytes of every frame, call, body and trailer are kept as files: what travels never changes unnoticed.
//!
//! `ORIEL_GOLDEN=write cargo test -p oriel-proto --test golden` writes the files anew.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, reason = "this is a test")]

mod common;

use std::{collections::BTreeSet, fmt::Debug, fs, path::PathBuf};

use common::{samples, variants, wire};
use oriel_proto::{
    AgentFrame, Body, Call, GatewayFrame, Items, Trailer, codec,
    codec::{Frame, digest},
    decode, encode,
};

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

fn is_written_anew() -> bool {
    std::env::var_os("ORIEL_GOLDEN").is_some_and(|wish| wish == "write")
}

fn names() -> BTreeSet<String> {
    let agent = samples::agent().into_iter().map(|(name, _)| name.to_owned());
    agent.chain(samples::gateway().into_iter().map(|(name, _)| name.to_owned())).collect()
}

fn compare<F: Frame + PartialEq + Debug>(name: &str, frame: &F) {
    let path = folder().join(format!("{name}.hex"));
    let bytes = encode(frame).unwrap();
    if is_written_anew() {
        fs::write(&path, wire::hex(&wire::tree(&bytes))).unwrap();
    }
    let file = fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let golden = wire::unhex(&file);
    assert_eq!(wire::tree(&bytes), wire::tree(&golden), "{name}");
    assert_eq!(bytes, golden, "{name}");
    assert_eq!(decode::<F>(&golden).as_ref(), Ok(frame), "{name}");
}

#[test]
fn every_frame_travels_as_its_golden_file_says() {
    samples::agent().iter().for_each(|(name, frame)| compare(name, frame));
    samples::gateway().iter().for_each(|(name, frame)| compare(name, frame));
}

#[test]
fn there_is_a_file_for_every_sample_and_no_other() {
    if is_written_anew() {
        return;
    }
    let files = fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path());
    let files: BTreeSet<String> = files
        .map(|path| {
            assert_eq!(path.extension().and_then(|e| e.to_str()), Some("hex"), "{}", path.display());
            path.file_stem().unwrap().to_str().unwrap().to_owned()
        })
        .collect();
    assert_eq!(files, names());
}

#[test]
fn every_variant_has_a_sample() {
    let names = names();
    let has = |start: String| {
        let whole = names.contains(&start) || names.iter().any(|name| name.starts_with(&format!("{start}-")));
        assert!(whole, "no sample of {start}");
    };
    AgentFrame::TAGS.iter().for_each(|tag| has(format!("agent-{tag}")));
    GatewayFrame::TAGS.iter().for_each(|tag| has(format!("gateway-{tag}")));
    variants::<Call>().iter().for_each(|call| has(format!("gateway-Request-{call}")));
    variants::<Body>().iter().for_each(|body| has(format!("agent-Part-{body}")));
    variants::<Items>().iter().for_each(|items| has(format!("agent-Part-Items-{items}")));
    variants::<Trailer>().iter().for_each(|trailer| has(format!("agent-Done-{trailer}")));
}

#[test]
fn the_tag_lists_are_what_serde_knows() {
    assert_eq!(variants::<AgentFrame>(), AgentFrame::TAGS);
    assert_eq!(variants::<GatewayFrame>(), GatewayFrame::TAGS);
}

#[test]
fn samples_carry_the_names_of_their_variants() {
    for (name, frame) in samples::agent() {
        assert_eq!(name.split('-').nth(1), Some(frame.tag()));
    }
    for (name, frame) in samples::gateway() {
        assert_eq!(name.split('-').nth(1), Some(frame.tag()));
    }
}

/// The names of the fields that may be absent, as the sources mark them.
fn optional_fields() -> BTreeSet<String> {
    let sources = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src");
    let files = ["call.rs", "event.rs", "image.rs", "frame.rs", "frame/agent.rs", "frame/gateway.rs"];
    let mut fields = BTreeSet::new();
    for file in files {
        let text = fs::read_to_string(sources.join(file)).unwrap();
        let mut optional = false;
        for line in text.lines().map(str::trim) {
            optional |= line.contains("skip_serializing_if");
            if let (true, Some(field)) = (optional, line.strip_prefix("pub ")) {
                fields.insert(field.split(':').next().unwrap().to_owned());
                optional = false;
            }
        }
    }
    assert!(fields.len() > 10, "the sources look different: {fields:?}");
    fields
}

#[test]
fn every_optional_field_occurs_in_a_sample() {
    let mut keys = BTreeSet::new();
    let mut collect = |bytes: Vec<u8>| {
        wire::maps(&mut wire::tree(&bytes), "", &mut |_, entries| {
            keys.extend(entries.iter().filter_map(|(key, _)| key.as_str().map(str::to_owned)));
        });
    };
    samples::agent().iter().for_each(|(_, frame)| collect(encode(frame).unwrap()));
    samples::gateway().iter().for_each(|(_, frame)| collect(encode(frame).unwrap()));
    let missing: Vec<_> = optional_fields().difference(&keys).cloned().collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn the_digest_of_an_event_never_changes() {
    let hex = |event: &oriel_proto::Event| {
        codec::digest(event).as_bytes().map(|byte| format!("{byte:02x}")).concat()
    };
    assert_eq!(hex(&samples::full_event()), "0a6d54473f00f570a1ce193044bc2a50");
    assert_eq!(hex(&samples::bare_event()), "224521399a3ecde7757dd70bbbd24668");
    let mut moved = samples::full_event();
    moved.was = None;
    assert_eq!(digest(&moved), digest(&samples::full_event()));
}
