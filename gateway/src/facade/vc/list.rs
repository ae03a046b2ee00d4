//! The list that a camera posts, kept as it was written: its entries are read where they stand.

use std::{borrow::Cow, collections::HashMap, ops::Range};

use bytes::Bytes;
use oriel_proto::frame::Digest;
use serde::Deserialize;
use serde_json::value::RawValue;
use sha2::{Digest as _, Sha256};

use super::span::Span;
use crate::store::{Posted, PostedEntry};

/// The years 1 to 9999 in seconds: a time beyond them is a mistake, and as the times of a log never go back it would stay for ever.
const SECONDS: Range<f64> = -62_135_596_800.0..253_402_300_800.0;

/// What stands before and behind the entries of a list that is nothing else.
const HEAD: &[u8] = b"{\"events\":";
const TAIL: &[u8] = b"}";

/// A list and what became of it.
#[derive(Debug)]
pub(super) struct Answer {
    /// The list.
    pub(super) list: PostedList,
    /// Where its entries stand in the camera's log; none when they could not be stored.
    pub(super) kept: Option<Posted>,
}

/// A list as it was posted.
#[derive(Clone, Debug)]
pub(super) struct PostedList {
    body: Bytes,
    /// Where each entry stands in the body, which has less than 4 GiB.
    entries: Box<[Range<u32>]>,
}

#[derive(Deserialize)]
struct Body<'a> {
    #[serde(borrow)]
    events: &'a RawValue,
}

/// An entry as the camera wrote it.
#[derive(Debug, Deserialize)]
struct Entry<'a> {
    timestamp: f64,
    #[serde(borrow)]
    description: Cow<'a, str>,
}

impl PostedList {
    /// Reads a body, and gives its entries as they are stored too; none when it is not a list.
    pub(super) fn read(body: Bytes) -> Option<(Self, Vec<PostedEntry>)> {
        let events = object::<Body<'_>>(&body)?.events.get().as_bytes();
        let place = place(&body, events);
        if !(is(HEAD, &body[..place.start as usize]) && is(TAIL, &body[place.end as usize..])) {
            // Other things stand beside the entries, which clients have never seen.
            return Self::read([HEAD, events, TAIL].concat().into());
        }
        let raw: Vec<&RawValue> = serde_json::from_slice(events).ok()?;
        let entries = raw.iter().map(|raw| entry(raw.get().as_bytes())).collect::<Option<Vec<_>>>()?;
        let (named, places) =
            (named(entries), raw.iter().map(|raw| self::place(&body, raw.get().as_bytes())).collect());
        Some((Self { entries: places, body }, named))
    }

    /// All of it, as it was written.
    pub(super) fn whole(&self) -> Bytes {
        self.body.clone()
    }

    /// The same with those entries alone whose time lies in `span`.
    pub(super) fn between(&self, span: Span) -> Vec<u8> {
        let mut json = [HEAD, b"["].concat();
        let begin = json.len();
        for place in 0..self.entries.len() {
            if self.entry(place).is_some_and(|entry| span.contains(entry.at())) {
                if json.len() > begin {
                    json.push(b',');
                }
                json.extend_from_slice(self.text(place));
            }
        }
        json.push(b']');
        json.extend_from_slice(TAIL);
        json
    }

    /// The entry at this place, from 0; its name is not made again.
    pub(super) fn entry(&self, place: usize) -> Option<PostedEntry> {
        let Entry { timestamp, description } = entry(self.text(place))?;
        Some(PostedEntry { name: Digest::from_bytes([0; 16]), timestamp, description: description.into() })
    }

    fn text(&self, place: usize) -> &[u8] {
        self.entries.get(place).map_or(&[], |range| &self.body[range.start as usize..range.end as usize])
    }
}

/// Reads an object: without asking for its brace, an array of the same fields would be taken for one.
fn object<'a, T: Deserialize<'a>>(json: &'a [u8]) -> Option<T> {
    let is_object = json.trim_ascii_start().first() == Some(&b'{');
    serde_json::from_slice(json).ok().filter(|_| is_object)
}

fn entry(json: &[u8]) -> Option<Entry<'_>> {
    object(json).filter(|entry: &Entry<'_>| SECONDS.contains(&entry.timestamp))
}

/// Where a part of the body stands in it.
fn place(body: &Bytes, part: &[u8]) -> Range<u32> {
    let start = part.as_ptr().addr() - body.as_ptr().addr();
    start as u32..(start + part.len()) as u32
}

/// Whether a text says this, whatever white space it has.
fn is(wanted: &[u8], text: &[u8]) -> bool {
    text.iter().filter(|byte| !byte.is_ascii_whitespace()).eq(wanted)
}

/// The entries with their names: equal ones are told apart by their order alone.
fn named(entries: Vec<Entry<'_>>) -> Vec<PostedEntry> {
    let mut equal: HashMap<(u64, &str), u32> = HashMap::new();
    let mut names = Vec::with_capacity(entries.len());
    for entry in &entries {
        let before = equal.entry((entry.timestamp.to_bits(), &entry.description)).or_default();
        names.push(name(entry, *before));
        *before += 1;
    }
    drop(equal);
    let named = |(name, Entry { timestamp, description }): (_, Entry<'_>)| PostedEntry {
        name,
        timestamp,
        description: description.into(),
    };
    names.into_iter().zip(entries).map(named).collect()
}

fn name(entry: &Entry<'_>, before: u32) -> Digest {
    let mut hash = Sha256::new();
    hash.update(entry.timestamp.to_bits().to_be_bytes());
    hash.update(before.to_be_bytes());
    hash.update(entry.description.as_bytes());
    let mut first = [0; 16];
    first.copy_from_slice(&hash.finalize()[..16]);
    Digest::from_bytes(first)
}

#[cfg(test)]
mod tests {
    use oriel_proto::Timestamp;

    use super::*;

    fn read(body: &str) -> Option<(PostedList, Vec<PostedEntry>)> {
        PostedList::read(Bytes::copy_from_slice(body.as_bytes()))
    }

    #[test]
    fn a_list_is_given_as_it_was_written() {
        for (body, whole) in [
            ("{ \"events\" : [ ] }\n", "{ \"events\" : [ ] }\n"),
            (
                r#"{"events":[{"description":"a","timestamp":1.50}]}"#,
                r#"{"events":[{"description":"a","timestamp":1.50}]}"#,
            ),
            (
                r#"{"id":7,"events":[{"timestamp":1,"description":"\u00e4","n":1}]}"#,
                r#"{"events":[{"timestamp":1,"description":"\u00e4","n":1}]}"#,
            ),
        ] {
            assert_eq!(read(body).unwrap().0.whole(), whole);
        }
    }

    #[test]
    fn what_is_no_list_is_refused() {
        for body in [
            "",
            "[]",
            "[[]]",
            "{}",
            r#"{"events":{}}"#,
            r#"{"events":[1]}"#,
            r#"{"events":[[1,"a"]]}"#,
            r#"{"events":[{"timestamp":"1","description":"a"}]}"#,
            r#"{"events":[{"timestamp":1}]}"#,
            r#"{"events":[{"timestamp":1e300,"description":"a"}]}"#,
            r#"{"events":[{"timestamp":1e999,"description":"a"}]}"#,
            r#"{"events":[]} x"#,
            r#"{"events":[],"events":[]}"#,
        ] {
            assert!(read(body).is_none(), "{body}");
        }
    }

    #[test]
    fn equal_entries_have_names_of_their_own_and_the_same_ones_in_every_list() {
        let names =
            |body: &str| -> Vec<_> { read(body).unwrap().1.into_iter().map(|entry| entry.name).collect() };
        let a = r#"{"timestamp":1.5,"description":"a"}"#;
        let first = names(&format!(r#"{{"events":[{a},{a}]}}"#));
        let again = r#"{"description":"a","timestamp":1.50}"#;
        let second = names(&format!(r#"{{"events":[{{"timestamp":1,"description":"a"}},{again},{a}]}}"#));
        assert_eq!(second[1..], first);
        assert!(first[0] != first[1] && !first.contains(&second[0]));
    }

    #[test]
    fn a_part_of_a_list_has_the_entries_of_its_time_as_they_were_written() {
        let list =
            read(r#"{"events":[{"timestamp":1,"description":"a"}, {"timestamp":2.0,"description":"b"}]}"#)
                .unwrap()
                .0;
        let from = |seconds: i64| Span { from: Some(Timestamp::from_millis(seconds * 1_000)), to: None };
        assert_eq!(list.between(from(2)), br#"{"events":[{"timestamp":2.0,"description":"b"}]}"#);
        assert_eq!(list.between(from(3)), br#"{"events":[]}"#);
        assert_eq!(
            list.between(from(0)),
            br#"{"events":[{"timestamp":1,"description":"a"},{"timestamp":2.0,"description":"b"}]}"#
        );
    }
}
