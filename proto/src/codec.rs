//! Frames to MessagePack and back; the only file that names `rmp_serde`.

use std::io;

use serde::{Serialize, de::DeserializeOwned};
use sha2::{Digest as _, Sha256};

use crate::{
    call::Trailer,
    event::{Data, Event},
    frame::{AgentFrame, Digest, GatewayFrame, LogFrame},
    id::RequestId,
    limits::{FRAME_BYTES, WORD_BYTES},
    scan,
};

pub use crate::scan::Outline;

/// Why bytes are not one well-formed frame; the socket that sent them is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// Larger than [`FRAME_BYTES`].
    #[error("a frame is larger than {FRAME_BYTES} bytes")]
    TooLarge,
    /// More than [`DEPTH`](crate::limits::DEPTH) levels.
    #[error("a frame nests more than {} levels", crate::limits::DEPTH)]
    TooDeep,
    /// A declared length exceeds what is there.
    #[error("a declared length exceeds the frame")]
    LyingLength,
    /// Something stands behind the frame.
    #[error("bytes stand behind the frame")]
    Trailing,
    /// A byte that MessagePack never uses.
    #[error("not MessagePack")]
    NotMessagePack,
    /// Not a map of one entry from a name to a map.
    #[error("not a map from a frame's name to its fields")]
    NotAFrame,
    /// A known frame whose fields are wrong.
    #[error("the fields of a known frame are wrong")]
    WrongFields,
}

impl Violation {
    /// The WebSocket close code that tells the sender.
    pub const fn close_code(self) -> u16 {
        match self {
            Self::TooLarge => 1009,
            Self::TooDeep | Self::LyingLength | Self::Trailing | Self::NotMessagePack | Self::WrongFields => {
                1007
            }
            Self::NotAFrame => 1002,
        }
    }
}

/// Why a frame could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The sender broke the protocol.
    #[error(transparent)]
    Violation(#[from] Violation),
    /// A frame of a newer version: skipped, and where it answers a question, that question fails.
    #[error("unknown frame {tag:?}")]
    Unknown {
        /// The frame's name, at most [`WORD_BYTES`] of it.
        tag: String,
        /// The question it belongs to.
        id: Option<RequestId>,
    },
    /// A known frame with an `id` whose contents this version cannot read: that question fails.
    #[error("unreadable {tag} frame: {why}")]
    Unreadable {
        /// The frame's name.
        tag: String,
        /// The question it belongs to.
        id: RequestId,
        /// What serde said, at most 200 bytes of it: it may repeat what the sender wrote.
        why: String,
    },
}

/// Why a frame could not be written.
#[derive(Debug, thiserror::Error)]
pub enum EncodeError {
    /// It would be larger than the other end accepts.
    #[error("a {tag} frame of {bytes} bytes exceeds {FRAME_BYTES}")]
    TooLarge {
        /// The frame's name.
        tag: &'static str,
        /// Its size.
        bytes: usize,
    },
    /// It has no MessagePack form.
    #[error("a {tag} frame cannot be written: {why}")]
    Unwritable {
        /// The frame's name.
        tag: &'static str,
        /// What the encoder said.
        why: String,
    },
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for super::AgentFrame {}
    impl Sealed for super::GatewayFrame {}
}

/// [`AgentFrame`] and [`GatewayFrame`].
pub trait Frame: sealed::Sealed + Serialize + DeserializeOwned {
    /// The names of all frames of this direction.
    const TAGS: &'static [&'static str];

    /// This frame's name.
    fn name(&self) -> &'static str;
}

impl Frame for AgentFrame {
    const TAGS: &'static [&'static str] = &[
        "Hello", "Camera", "Gone", "Ready", "Events", "Lost", "Reply", "Part", "Done", "Fail", "Fresh",
        "Health",
    ];

    fn name(&self) -> &'static str {
        self.tag()
    }
}

impl Frame for GatewayFrame {
    const TAGS: &'static [&'static str] = &[
        "Welcome", "Bound", "Refused", "Request", "Cancel", "Credit", "Ack", "Watch", "Token", "Drain",
        "Notice",
    ];

    fn name(&self) -> &'static str {
        self.tag()
    }
}

/// The bytes of one frame, at most [`FRAME_BYTES`].
pub fn encode<F: Frame>(frame: &F) -> Result<Vec<u8>, EncodeError> {
    let tag = frame.name();
    let bytes =
        rmp_serde::to_vec_named(frame).map_err(|e| EncodeError::Unwritable { tag, why: e.to_string() })?;
    if bytes.len() > FRAME_BYTES {
        return Err(EncodeError::TooLarge { tag, bytes: bytes.len() });
    }
    Ok(bytes)
}

/// The frame that `bytes` hold.
pub fn decode<F: Frame>(bytes: &[u8]) -> Result<F, DecodeError> {
    decode_outlined(bytes, outline(bytes)?)
}

/// Checks that `bytes` are one well-formed frame, and gives its name and question; its fields may still be wrong.
pub fn outline(bytes: &[u8]) -> Result<Outline<'_>, Violation> {
    if bytes.len() > FRAME_BYTES { Err(Violation::TooLarge) } else { scan::outline(bytes) }
}

/// The frame that `bytes` hold, which [`outline`] has found to be well-formed.
pub fn decode_outlined<F: Frame>(bytes: &[u8], outline: Outline<'_>) -> Result<F, DecodeError> {
    if !F::TAGS.contains(&outline.tag) {
        return Err(DecodeError::Unknown { tag: beginning(outline.tag, WORD_BYTES), id: outline.id });
    }
    rmp_serde::from_slice(bytes).map_err(|e| match outline.id {
        Some(id) => DecodeError::Unreadable {
            tag: outline.tag.to_owned(),
            id,
            why: beginning(&e.to_string(), WHY_BYTES),
        },
        None => Violation::WrongFields.into(),
    })
}

/// The Events or Lost frame that `bytes` hold, which [`outline`] has found to be well-formed. Events become an `L`, as their reader
/// wants them; `IgnoredAny` passes over them.
pub fn decode_log<L: DeserializeOwned>(bytes: &[u8]) -> Result<LogFrame<L>, Violation> {
    rmp_serde::from_slice(bytes).map_err(|_| Violation::WrongFields)
}

/// The trailer that `bytes` hold, which stood in a well-formed frame.
pub(crate) fn trailer(bytes: &[u8]) -> Option<Trailer> {
    rmp_serde::from_slice(bytes).ok()
}

/// The data of an event that `bytes` hold, which stood in a well-formed frame.
pub(crate) fn data(bytes: &[u8]) -> Option<Data> {
    crate::event::lenient_data(&mut rmp_serde::Deserializer::from_read_ref(bytes)).ok()
}

/// The most bytes of a reason that came of a stranger's frame: it goes into logs and answers.
const WHY_BYTES: usize = 200;

/// At most `most` bytes of `text`, whole characters.
fn beginning(text: &str, most: usize) -> String {
    text[..text.floor_char_boundary(most)].to_owned()
}

/// How many bytes `value` takes inside a frame; what has no MessagePack form counts as too large for any.
pub fn encoded_len<T: Serialize + ?Sized>(value: &T) -> usize {
    let mut counter = Counter(0);
    rmp_serde::encode::write_named(&mut counter, value).map_or(usize::MAX, |()| counter.0)
}

/// Counts what is written to it.
pub(crate) struct Counter(pub(crate) usize);

impl io::Write for Counter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What tells two events with one identity apart: the first 16 bytes of the SHA-256 of the event's MessagePack, without `was`.
pub fn digest(event: &Event) -> Digest {
    let flat = event.data.values().all(|value| !value.is_array() && !value.is_object());
    let sorted = event.data.keys().is_sorted() && flat;
    let bytes = if sorted && event.was.is_none() { named(event) } else { named(&bare(event)) };
    let hash = Sha256::digest(bytes);
    let mut first = [0; 16];
    first.copy_from_slice(&hash[..16]);
    Digest::from_bytes(first)
}

/// The event without `was`, the keys of its data in the order of their bytes, whatever order the map of this build keeps.
fn bare(event: &Event) -> Event {
    let mut bare = Event { was: None, ..event.clone() };
    bare.data.sort_keys();
    bare.data.values_mut().for_each(serde_json::Value::sort_all_objects);
    bare
}

/// The event's MessagePack; nothing when it has none.
fn named(event: &Event) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(USUAL_EVENT + event.description.len());
    if rmp_serde::encode::write_named(&mut bytes, event).is_err() {
        bytes.clear();
    }
    bytes
}

/// More bytes than an event mostly takes beside its description.
const USUAL_EVENT: usize = 256;
