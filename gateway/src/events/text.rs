//! Events as the API shows them, written straight from the frames that they came in.

use std::io::Write as _;

use oriel_proto::{CameraId, Timestamp, view::EventView};
use serde::Serialize;

use crate::clock::Rfc3339;

/// Events as the values of a JSON array, without its brackets.
#[derive(Debug)]
pub struct Text {
    camera: CameraId,
    json: Vec<u8>,
}

impl Text {
    /// No events of `camera` yet; room for so many bytes.
    pub fn of(camera: &CameraId, room: usize) -> Self {
        Self { camera: camera.clone(), json: Vec::with_capacity(room) }
    }

    /// Adds an event.
    pub fn push(&mut self, event: &EventView<'_>) {
        if !self.json.is_empty() {
            self.json.push(b',');
        }
        write(&mut self.json, &self.camera, event);
    }

    /// The values.
    pub fn as_json(&self) -> &[u8] {
        &self.json
    }
}

/// Appends an event of `camera` to `json`; its shape is that of [`Event`](crate::routes::events::Event).
pub fn write(json: &mut Vec<u8>, camera: &CameraId, event: &EventView<'_>) {
    // Neither ids nor times have anything to escape.
    put(json, b"{\"id\":\"");
    put(json, event.epoch.as_uuid().hyphenated().encode_lower(&mut [0; 36]).as_bytes());
    put(json, b"-");
    put(json, itoa::Buffer::new().format(event.seq).as_bytes());
    put(json, b"\",\"camera\":\"");
    put(json, camera.as_str().as_bytes());
    time(json, b"\",\"at\":", event.at);
    value(json, b",\"kind\":", event.kind);
    value(json, b",\"severity\":", event.severity);
    value(json, b",\"description\":", event.description);
    value(json, b",\"data\":", &event.data);
    if let Some(image_at) = event.image_at {
        time(json, b",\"image_at\":", image_at);
    }
    put(json, b"}");
}

fn put(json: &mut Vec<u8>, text: &[u8]) {
    json.extend_from_slice(text);
}

fn time(json: &mut Vec<u8>, name: &[u8], time: Timestamp) {
    put(json, name);
    let written = write!(json, "\"{}\"", Rfc3339(time));
    debug_assert!(written.is_ok(), "memory takes everything");
}

fn value<T: Serialize + ?Sized>(json: &mut Vec<u8>, name: &[u8], value: &T) {
    put(json, name);
    let written = serde_json::to_writer(json, value);
    debug_assert!(written.is_ok(), "text and JSON values are always JSON");
}
