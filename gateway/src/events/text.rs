//! Events as the API shows them, written straight from the frames that they came in.

use oriel_proto::{CameraId, view::EventView};

use crate::clock::Day;

/// The beginning of a JSON text that ends in a list of events, whose last bracket is missing.
#[derive(Clone, Debug)]
pub struct Text {
    writer: Writer,
    json: Vec<u8>,
    empty: bool,
}

impl Text {
    /// No events of `camera` yet behind `before`, which opens the list; room for so many bytes.
    pub fn of(camera: &CameraId, before: &str, room: usize) -> Self {
        let mut json = Vec::with_capacity(room);
        json.extend_from_slice(before.as_bytes());
        Self { writer: Writer::of(camera), json, empty: true }
    }

    /// Adds an event.
    pub fn push(&mut self, event: &EventView<'_>) {
        if !self.empty {
            self.json.push(b',');
        }
        self.empty = false;
        self.writer.write(&mut self.json, event);
    }

    /// The text, to be ended.
    pub fn into_json(self) -> Vec<u8> {
        self.json
    }
}

/// Writes the events of a camera; their shape is that of [`Event`](crate::routes::events::Event).
#[derive(Clone, Debug)]
pub struct Writer {
    /// What stands between an event's id and its time.
    camera: String,
    /// That of the last time which was written: neighbours in a log are mostly of one day.
    day: Day,
}

impl Writer {
    /// One for the log of `camera`.
    pub fn of(camera: &CameraId) -> Self {
        // A camera's id has nothing to escape.
        Self { camera: format!("\",\"camera\":\"{camera}\",\"at\":\""), day: Day::default() }
    }

    /// Appends an event to `json`.
    pub fn write(&mut self, json: &mut Vec<u8>, event: &EventView<'_>) {
        // Neither ids nor times have anything to escape.
        put(json, b"{\"id\":\"");
        put(json, event.epoch.as_uuid().hyphenated().encode_lower(&mut [0; 36]).as_bytes());
        put(json, b"-");
        put(json, itoa::Buffer::new().format(event.seq).as_bytes());
        put(json, self.camera.as_bytes());
        self.day.write(event.at, json);
        text(json, b"\",\"kind\":\"", event.kind);
        text(json, b"\",\"severity\":\"", event.severity);
        text(json, b"\",\"description\":\"", event.description);
        if event.data.is_empty() {
            put(json, b"\",\"data\":{}");
        } else {
            put(json, b"\",\"data\":");
            let written = serde_json::to_writer(&mut *json, &event.data);
            debug_assert!(written.is_ok(), "JSON values are always JSON");
        }
        if let Some(image_at) = event.image_at {
            put(json, b",\"image_at\":\"");
            self.day.write(image_at, json);
            put(json, b"\"");
        }
        put(json, b"}");
    }
}

#[inline]
fn put(json: &mut Vec<u8>, text: &[u8]) {
    json.extend_from_slice(text);
}

/// The bytes that cannot stand in a JSON text as they are.
const ESCAPED: [bool; 256] = {
    let mut escaped = [false; 256];
    let mut control = 0;
    while control < b' ' as usize {
        escaped[control] = true;
        control += 1;
    }
    escaped[b'"' as usize] = true;
    escaped[b'\\' as usize] = true;
    escaped
};

/// Appends what stands before a text, up to its first quotation mark, and the text without its last one.
fn text(json: &mut Vec<u8>, before: &[u8], text: &str) {
    put(json, before);
    if text.bytes().any(|byte| ESCAPED[usize::from(byte)]) {
        json.pop();
        let written = serde_json::to_writer(&mut *json, text);
        debug_assert!(written.is_ok(), "text is always JSON");
        json.pop();
    } else {
        put(json, text.as_bytes());
    }
}
