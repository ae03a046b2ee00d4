//! Several pictures in one body, each with its length, so that a reader need not look for the boundary between them.

use std::{fmt::Display, io::Write as _};

use oriel_proto::{CameraId, RequestId, Timestamp};

use super::answer::IMAGE_AT;
use crate::clock;

/// What stands between the parts of one body; no picture can be made to hold it.
#[derive(Clone, Debug)]
pub struct Boundary(String);

impl Default for Boundary {
    /// Another one than ever before.
    fn default() -> Self {
        Self(RequestId::new().to_string())
    }
}

impl Boundary {
    /// The media type of a body with these boundaries.
    pub(super) fn media_type(&self, kind: &str) -> String {
        format!("multipart/{kind}; boundary={}", self.0)
    }

    /// Writes what stands before the first part's head.
    pub(super) fn begin(&self, body: &mut Vec<u8>) {
        write(body, format_args!("--{}\r\n", self.0));
    }

    /// Writes what stands behind a part and before the next one's head, so that the part is known to be whole.
    pub(super) fn between(&self, body: &mut Vec<u8>) {
        write(body, format_args!("\r\n--{}\r\n", self.0));
    }

    /// Writes what stands behind the last part.
    pub(super) fn end(&self, body: &mut Vec<u8>) {
        write(body, format_args!("\r\n--{}--\r\n", self.0));
    }

    /// The bytes of [`Self::between`].
    pub(super) const fn between_bytes(&self) -> usize {
        self.0.len() + 6
    }
}

/// Writes the head of a picture of so many bytes.
pub(super) fn picture(body: &mut Vec<u8>, camera: &CameraId, at: Timestamp, bytes: u64) {
    head(body, "image/jpeg", bytes);
    of_camera(body, camera, at);
    body.extend_from_slice(b"\r\n");
}

/// Writes the head of a part that stands for the picture which the caller has.
pub(super) fn unchanged(body: &mut Vec<u8>, camera: &CameraId, at: Timestamp) {
    head(body, "image/jpeg", 0);
    of_camera(body, camera, at);
    body.extend_from_slice(b"X-Unchanged: true\r\n\r\n");
}

/// Writes a part of JSON, whole.
pub(super) fn json(body: &mut Vec<u8>, json: &[u8]) {
    head(body, "application/json", json.len() as u64);
    body.extend_from_slice(b"\r\n");
    body.extend_from_slice(json);
}

fn head(body: &mut Vec<u8>, media_type: &str, bytes: u64) {
    write(body, format_args!("Content-Type: {media_type}\r\nContent-Length: {bytes}\r\n"));
}

fn of_camera(body: &mut Vec<u8>, camera: &CameraId, at: Timestamp) {
    write(body, format_args!("X-Camera: {camera}\r\n{IMAGE_AT}: {}\r\n", clock::Rfc3339(at)));
}

fn write(body: &mut Vec<u8>, text: impl Display) {
    // Memory takes everything.
    _ = write!(body, "{text}");
}
