//! Events as the API shows them, written straight from the frames that they came in or the rows that they are kept in.

use oriel_proto::{CameraId, Epoch, Timestamp, event::Position, view::EventView};
use uuid::Uuid;

use crate::{clock::Day, store::KeptEvent};

/// Events as JSON behind some text, with one byte between two of them.
#[derive(Clone, Debug)]
pub struct Text {
    writer: Writer,
    json: Vec<u8>,
    between: u8,
    /// Where the first event begins.
    begin: usize,
    /// The place of each event in the total order, and where it ends in the text.
    ends: Vec<(Position, usize)>,
}

impl Text {
    /// No events of `camera` yet behind `before`; room for so many bytes.
    pub fn of(camera: &CameraId, before: &str, between: u8, room: usize) -> Self {
        let mut json = Vec::with_capacity(room);
        json.extend_from_slice(before.as_bytes());
        Self { writer: Writer::of(camera), begin: json.len(), json, between, ends: Vec::new() }
    }

    /// Adds an event.
    pub fn push(&mut self, event: &EventView<'_>) {
        self.separate();
        self.writer.write(&mut self.json, event);
        self.ends.push((event.position(), self.json.len()));
    }

    /// Adds an event that is kept here.
    pub fn push_kept(&mut self, kept: &KeptEvent<'_>) {
        self.separate();
        self.writer.write_kept(&mut self.json, kept);
        self.ends.push((kept.event.position(), self.json.len()));
    }

    /// Adds an event that was written before.
    pub fn push_written(&mut self, place: Position, event: &[u8]) {
        self.separate();
        put(&mut self.json, event);
        self.ends.push((place, self.json.len()));
    }

    fn separate(&mut self) {
        if !self.ends.is_empty() {
            self.json.push(self.between);
        }
    }

    /// How many events there are.
    pub const fn count(&self) -> usize {
        self.ends.len()
    }

    /// One of the events, counted from 0: its place in the total order and its JSON.
    pub fn get(&self, n: usize) -> Option<(Position, &[u8])> {
        let (place, end) = self.ends.get(n)?;
        let begin = n.checked_sub(1).and_then(|before| self.ends.get(before)).map(|(_, end)| end + 1);
        Some((*place, self.json.get(begin.unwrap_or(self.begin)..*end)?))
    }

    /// The place of the last event.
    pub fn last(&self) -> Option<Position> {
        self.ends.last().map(|(place, _)| *place)
    }

    /// The text, to be ended.
    pub fn into_json(self) -> Vec<u8> {
        self.json
    }
}

/// Writes the events of a camera; their shape is that of [`Event`](crate::routes::events::Event).
#[derive(Clone, Debug)]
pub struct Writer {
    /// The epoch of the last event which was written, and what an event of it begins with: neighbours in a log mostly share it.
    epoch: Epoch,
    head: String,
    /// What stands between an event's id and its time.
    camera: String,
    /// That of the last time which was written: neighbours are mostly of one day.
    day: Day,
}

impl Writer {
    /// One for the log of `camera`.
    pub fn of(camera: &CameraId) -> Self {
        let epoch = Epoch::from(Uuid::nil());
        // A camera's id has nothing to escape.
        let camera = format!("\",\"camera\":\"{camera}\",\"at\":\"");
        Self { epoch, head: head(epoch), camera, day: Day::default() }
    }

    /// Appends an event to `json`.
    pub fn write(&mut self, json: &mut Vec<u8>, event: &EventView<'_>) {
        self.begin(json, event);
        if event.data.is_empty() {
            put(json, b"\",\"data\":{}");
        } else {
            put(json, b"\",\"data\":");
            let written = serde_json::to_writer(&mut *json, &event.data);
            debug_assert!(written.is_ok(), "JSON values are always JSON");
        }
        self.time(json, b",\"image_at\":\"", event.image_at);
        put(json, b"}");
    }

    /// Appends an event that is kept here, and when it came.
    pub fn write_kept(&mut self, json: &mut Vec<u8>, kept: &KeptEvent<'_>) {
        self.begin(json, &kept.event);
        put(json, b"\",\"data\":");
        put(json, kept.data.unwrap_or("{}").as_bytes());
        self.time(json, b",\"image_at\":\"", kept.event.image_at);
        self.time(json, b",\"received_at\":\"", Some(kept.received_at));
        put(json, b"}");
    }

    /// Appends what all events have, up to the last quotation mark of the description.
    #[inline]
    fn begin(&mut self, json: &mut Vec<u8>, event: &EventView<'_>) {
        if event.epoch != self.epoch {
            (self.epoch, self.head) = (event.epoch, head(event.epoch));
        }
        // Neither ids nor times have anything to escape.
        put(json, self.head.as_bytes());
        put(json, itoa::Buffer::new().format(event.seq).as_bytes());
        put(json, self.camera.as_bytes());
        self.day.write(event.at, json);
        text(json, b"\",\"kind\":\"", event.kind);
        text(json, b"\",\"severity\":\"", event.severity);
        text(json, b"\",\"description\":\"", event.description);
    }

    /// Appends a time, if there is one, behind what stands before it.
    #[inline]
    fn time(&mut self, json: &mut Vec<u8>, before: &[u8], time: Option<Timestamp>) {
        if let Some(time) = time {
            put(json, before);
            self.day.write(time, json);
            put(json, b"\"");
        }
    }
}

/// What an event of this epoch begins with, up to its number.
fn head(epoch: Epoch) -> String {
    format!("{{\"id\":\"{epoch}-")
}

#[inline]
fn put(json: &mut Vec<u8>, text: &[u8]) {
    json.extend_from_slice(text);
}

/// Whether a text stands in JSON as it is, without control characters, quotation marks and backslashes; looks at eight bytes at once.
fn is_verbatim(text: &str) -> bool {
    let (chunks, rest) = text.as_bytes().as_chunks::<8>();
    let mut last = [b'_'; 8];
    last[..rest.len()].copy_from_slice(rest);
    let escaped = chunks.iter().fold(to_escape(last), |found, chunk| found | to_escape(*chunk));
    escaped == 0
}

/// Not zero if one of these bytes is to be escaped. A byte below its bound has to borrow, which sets its highest bit; that of the next
/// one may be set by that too, which does not matter.
const fn to_escape(bytes: [u8; 8]) -> u64 {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    const fn any_below(bytes: u64, bound: u8) -> u64 {
        bytes.wrapping_sub(ONES * bound as u64) & !bytes & (ONES << 7)
    }
    let bytes = u64::from_ne_bytes(bytes);
    let quotation = bytes ^ (ONES * b'"' as u64);
    let backslash = bytes ^ (ONES * b'\\' as u64);
    any_below(bytes, b' ') | any_below(quotation, 1) | any_below(backslash, 1)
}

/// Appends what stands before a text, up to its first quotation mark, and the text without its last one.
fn text(json: &mut Vec<u8>, before: &[u8], text: &str) {
    put(json, before);
    if is_verbatim(text) {
        put(json, text.as_bytes());
    } else {
        json.pop();
        let written = serde_json::to_writer(&mut *json, text);
        debug_assert!(written.is_ok(), "text is always JSON");
        json.pop();
    }
}
