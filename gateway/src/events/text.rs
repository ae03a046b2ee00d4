//! Events as the API shows them, written straight from the frames that they came in or the rows that they are kept in.

use oriel_proto::{CameraId, Epoch, Timestamp, event::Position, view::EventView};
use uuid::Uuid;

use super::table::Rows;
use crate::{clock::Day, store::KeptEvent};

/// As what events are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// An object of JSON each.
    Json,
    /// A row of CSV each, with the columns that [`table`](super::table) names.
    Csv,
}

/// Events behind some text, with one byte between two of them.
#[derive(Clone, Debug)]
pub struct Text {
    /// None where of each event only the kind is written.
    writer: Option<Writer>,
    bytes: Vec<u8>,
    between: u8,
    /// Where the first event begins.
    begin: usize,
    /// The place of each event in the total order, and where it ends in the text.
    ends: Vec<(Position, usize)>,
}

impl Text {
    /// No events of `camera` yet, as JSON behind `before`; room for so many bytes.
    pub fn of(camera: &CameraId, before: &str, between: u8, room: usize) -> Self {
        let mut bytes = Vec::with_capacity(room);
        bytes.extend_from_slice(before.as_bytes());
        let writer = Some(Writer::of(camera, Form::Json));
        Self { writer, begin: bytes.len(), bytes, between, ends: Vec::new() }
    }

    /// No events of `camera` yet, of which each will be a line, the last one without its end.
    pub fn lines(camera: &CameraId, form: Form) -> Self {
        let writer = Some(Writer::of(camera, form));
        Self { writer, begin: 0, bytes: Vec::new(), between: b'\n', ends: Vec::new() }
    }

    /// No events yet, of each of which only the kind will be written, as it is.
    pub const fn of_kinds() -> Self {
        Self { writer: None, begin: 0, bytes: Vec::new(), between: b'\n', ends: Vec::new() }
    }

    /// Adds an event.
    pub fn push(&mut self, event: &EventView<'_>) {
        self.separate();
        match &mut self.writer {
            Some(writer) => writer.write(&mut self.bytes, event),
            None => put(&mut self.bytes, event.kind.as_bytes()),
        }
        self.ends.push((event.position(), self.bytes.len()));
    }

    /// Adds an event that is kept here.
    pub fn push_kept(&mut self, kept: &KeptEvent<'_>) {
        self.separate();
        match &mut self.writer {
            Some(writer) => writer.write_kept(&mut self.bytes, kept),
            None => put(&mut self.bytes, kept.event.kind.as_bytes()),
        }
        self.ends.push((kept.event.position(), self.bytes.len()));
    }

    /// Adds an event that was written before.
    pub fn push_written(&mut self, place: Position, event: &[u8]) {
        self.separate();
        put(&mut self.bytes, event);
        self.ends.push((place, self.bytes.len()));
    }

    fn separate(&mut self) {
        if !self.ends.is_empty() {
            self.bytes.push(self.between);
        }
    }

    /// How many events there are.
    pub const fn count(&self) -> usize {
        self.ends.len()
    }

    /// One of the events, counted from 0: its place in the total order and how it is written.
    pub fn get(&self, n: usize) -> Option<(Position, &[u8])> {
        let (place, end) = self.ends.get(n)?;
        let begin = n.checked_sub(1).and_then(|before| self.ends.get(before)).map(|(_, end)| end + 1);
        Some((*place, self.bytes.get(begin.unwrap_or(self.begin)..*end)?))
    }

    /// The place of the last event.
    pub fn last(&self) -> Option<Position> {
        self.ends.last().map(|(place, _)| *place)
    }

    /// The text, to be ended.
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}

/// Writes the events of a camera in one of the forms.
#[derive(Clone, Debug)]
pub struct Writer(As);

#[derive(Clone, Debug)]
enum As {
    Json(Objects),
    Csv(Rows),
}

impl Writer {
    /// One for the log of `camera`.
    pub fn of(camera: &CameraId, form: Form) -> Self {
        Self(match form {
            Form::Json => As::Json(Objects::of(camera)),
            Form::Csv => As::Csv(Rows::of(camera)),
        })
    }

    /// Appends an event; as a line it lacks its line feed.
    pub fn write(&mut self, text: &mut Vec<u8>, event: &EventView<'_>) {
        match &mut self.0 {
            As::Json(objects) => objects.write(text, event),
            As::Csv(rows) => rows.write(text, event),
        }
    }

    /// Appends an event that is kept here, and when it came; as a line it lacks its line feed.
    pub fn write_kept(&mut self, text: &mut Vec<u8>, kept: &KeptEvent<'_>) {
        match &mut self.0 {
            As::Json(objects) => objects.write_kept(text, kept),
            As::Csv(rows) => rows.write_kept(text, kept),
        }
    }
}

/// Writes the events of a camera as JSON; their shape is that of [`Event`](crate::routes::events::Event).
#[derive(Clone, Debug)]
struct Objects {
    /// The epoch of the last event which was written, and what an event of it begins with: neighbours in a log mostly share it.
    epoch: Epoch,
    head: String,
    /// What stands between an event's id and its time.
    camera: String,
    /// That of the last time which was written: neighbours are mostly of one day.
    day: Day,
}

impl Objects {
    fn of(camera: &CameraId) -> Self {
        let epoch = Epoch::from(Uuid::nil());
        // A camera's id has nothing to escape.
        let camera = format!("\",\"camera\":\"{camera}\",\"at\":\"");
        Self { epoch, head: head(epoch), camera, day: Day::default() }
    }

    /// Appends an event to `json`.
    fn write(&mut self, json: &mut Vec<u8>, event: &EventView<'_>) {
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
    fn write_kept(&mut self, json: &mut Vec<u8>, kept: &KeptEvent<'_>) {
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
