//! A hostile frame takes a bounded amount of memory; one test, because the allocator counts for the whole process.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, reason = "this is a test")]

mod common;

use common::{samples, wire};
use oriel_proto::{AgentFrame, GatewayFrame, codec::Frame, decode, encode, limits::FRAME_BYTES};
use peak_alloc::PeakAlloc;
use rmpv::Value;

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

/// A list of the frame's own types takes at most 1 MiB before its first element is looked at, and two such lists nest.
const OF_KNOWN_FIELDS: usize = 5 << 19;

/// The dearest bytes are maps of one entry inside `data`: three bytes become a tree node of 632.
const OF_DATA: usize = 4 << 20;

/// The most bytes that reading `bytes` holds at any moment, the frame that results included.
fn peak<F: Frame>(bytes: &[u8]) -> usize {
    assert!(bytes.len() <= FRAME_BYTES);
    let before = ALLOCATOR.current_usage();
    ALLOCATOR.reset_peak_usage();
    _ = decode::<F>(bytes);
    ALLOCATOR.peak_usage().saturating_sub(before)
}

/// How many values `tree` holds, itself included.
fn places(tree: &Value) -> usize {
    1 + match tree {
        Value::Map(entries) => entries.iter().map(|(_, value)| places(value)).sum(),
        Value::Array(items) => items.iter().map(places).sum(),
        _ => 0,
    }
}

/// Stands where hostile bytes go; no sample holds these.
const MARK: &[u8] = &[0xd4, 0x63, 0x63];

/// Marks the `nth` place of `tree`.
fn mark(tree: &mut Value, nth: &mut usize) {
    if *nth == 0 {
        *tree = Value::Ext(0x63, vec![0x63]);
    }
    *nth = nth.wrapping_sub(1);
    match tree {
        Value::Map(entries) => entries.iter_mut().for_each(|(_, inner)| mark(inner, nth)),
        Value::Array(items) => items.iter_mut().for_each(|item| mark(item, nth)),
        _ => {}
    }
}

/// The peak of a frame with as many `item`s as it has room for, as a list or as a map of one list, in each place in turn.
fn worst<F: Frame>(frame: &F, items: &[&[u8]]) -> usize {
    let honest = wire::tree(&encode(frame).unwrap());
    let mut worst = 0;
    for place in 2..places(&honest) {
        let mut marked = honest.clone();
        mark(&mut marked, &mut place.clone());
        let marked = wire::bytes(&marked);
        let at = marked.windows(MARK.len()).position(|window| window == MARK).unwrap();
        let (before, after) = (&marked[..at], &marked[at + MARK.len()..]);
        for (start, item) in
            [&b""[..], b"\x81\xa1x"].iter().flat_map(|start| items.iter().map(move |item| (start, item)))
        {
            let count = (FRAME_BYTES - marked.len() - start.len()) / item.len();
            let header = [0xdc, (count >> 8) as u8, count as u8];
            worst = worst.max(peak::<F>(&[before, start, &header, &item.repeat(count), after].concat()));
        }
    }
    worst
}

/// Each place of each sample in turn filled with `items` that are cheap to send.
fn worst_of_all(items: &[&[u8]]) -> usize {
    let agent = samples::agent().into_iter().map(|(_, frame)| worst(&frame, items)).max();
    let gateway = samples::gateway().into_iter().map(|(_, frame)| worst(&frame, items)).max();
    agent.max(gateway).unwrap()
}

/// A whole answer of two nested lists, each of half the frame.
fn nested_lists() -> Vec<u8> {
    let mut tree = wire::tree(&encode(&samples::agent().swap_remove(12).1).unwrap());
    let Value::Array(body) = wire::field(wire::field(wire::field(&mut tree, "Reply"), "answer"), "body")
    else {
        panic!("not a list")
    };
    *wire::field(wire::field(&mut body[0], "Items"), "Events") = Value::Array(vec![Value::Nil; 7_000]);
    body.extend(vec![Value::Nil; 8_000]);
    wire::bytes(&tree)
}

#[test]
fn a_hostile_frame_takes_a_bounded_amount_of_memory() {
    let scalars = worst_of_all(&[b"\xc0", b"\xa0"]);
    assert!(scalars <= OF_KNOWN_FIELDS, "{scalars}");
    let nested = peak::<AgentFrame>(&nested_lists());
    assert!((1 << 20..=OF_KNOWN_FIELDS).contains(&nested), "{nested}");
    let data = worst_of_all(&[b"\x81\xa0\xc0"]);
    assert!((1 << 20..=OF_DATA).contains(&data), "{data}");
    let lie = [&b"\x81\xa6Events\x81\xa6events\xdd"[..], &[0xff; 4], &[0xc0; 100]].concat();
    assert_eq!(
        (peak::<AgentFrame>(&lie), peak::<GatewayFrame>(&lie)),
        (0, 0),
        "a lie is refused before memory is taken"
    );
    println!("known fields {scalars}, nested lists {nested}, data {data} bytes");
}
