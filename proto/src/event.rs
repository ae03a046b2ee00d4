//! Events: what a camera wrote down, once and for ever.

mod data;
mod filter;

use serde::{Deserialize, Serialize};
use serde_json::Map;

pub(crate) use self::data::lenient as lenient_data;
pub use self::{data::Data, filter::EventFilter};
use crate::{
    id::{Epoch, EventId},
    limits::{DATA_BYTES, DESCRIPTION_BYTES, WORD_BYTES},
    text::text_enum,
    time::Timestamp,
};

/// A place in an epoch, counted from 1 without gaps.
pub type Seq = u64;

text_enum! {
    /// What happened; an open set.
    Kind {
        /// Something moved in the picture.
        Motion = "motion",
        /// The movement ended.
        MotionEnded = "motion_ended",
        /// Somebody began to watch live pictures.
        ViewStarted = "view_started",
        /// The camera adjusted its brightness.
        Brightness = "brightness",
        /// The camera started again.
        Reset = "reset",
        /// The camera's agent connected; written by the gateway.
        Online = "online",
        /// The camera's agent left; written by the gateway.
        Offline = "offline",
        /// A line of a log, of no more special kind.
        Log = "log",
    }
}

text_enum! {
    /// How much an event matters.
    Severity {
        /// For whoever looks for a fault.
        Debug = "debug",
        /// As expected.
        Info = "info",
        /// Worth knowing.
        Notice = "notice",
        /// May need attention.
        Warning = "warning",
        /// Something failed.
        Error = "error",
        /// Needs attention now.
        Critical = "critical",
    }
}

/// One entry of a camera's log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// When it happened by the camera's clock; never decreases inside an epoch.
    pub at: Timestamp,
    /// What happened.
    pub kind: Kind,
    /// How much it matters.
    pub severity: Severity,
    /// One line for people, at most [`DESCRIPTION_BYTES`].
    pub description: String,
    /// Small facts for programs, at most [`DATA_BYTES`] as JSON.
    #[serde(default, skip_serializing_if = "Map::is_empty", deserialize_with = "data::lenient")]
    pub data: Data,
    /// The time of the picture that shows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_at: Option<Timestamp>,
    /// Its identity before it had to be sent again under a new epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub was: Option<EventId>,
}

impl Event {
    /// The same event within the limits, so that it fits any Part: a long description or word is cut at a character and says so
    /// in `data.cut_bytes`; data that is too large keeps only `cut_bytes`.
    #[must_use]
    pub fn within_limits(mut self) -> Self {
        let mut cut = 0;
        if self.kind.as_str().len() > WORD_BYTES {
            let (kept, lost) = cut_at(self.kind.as_str(), WORD_BYTES);
            (self.kind, cut) = (kept.into(), cut + lost);
        }
        if self.severity.as_str().len() > WORD_BYTES {
            let (kept, lost) = cut_at(self.severity.as_str(), WORD_BYTES);
            (self.severity, cut) = (kept.into(), cut + lost);
        }
        if self.description.len() > DESCRIPTION_BYTES {
            let (kept, lost) = cut_at(&self.description, DESCRIPTION_BYTES);
            (self.description, cut) = (kept.to_owned(), cut + lost);
        }
        // Room is left for the note itself, so that adding it cannot exceed the limit.
        let data = data::json_len(&self.data);
        if data > DATA_BYTES || (cut > 0 && data + 32 > DATA_BYTES) {
            cut += data;
            self.data = Map::new();
        }
        if cut > 0 {
            self.data.insert("cut_bytes".into(), cut.into());
        }
        self
    }

    /// Whether kind, severity, description and data are within the limits.
    pub fn is_within_limits(&self) -> bool {
        self.kind.as_str().len() <= WORD_BYTES
            && self.severity.as_str().len() <= WORD_BYTES
            && self.description.len() <= DESCRIPTION_BYTES
            && data::json_len(&self.data) <= DATA_BYTES
    }
}

/// The beginning of `text`, of at most `most` bytes and whole characters, and how many bytes that leaves out.
fn cut_at(text: &str, most: usize) -> (&str, usize) {
    let kept = &text[..text.floor_char_boundary(most)];
    (kept, text.len() - kept.len())
}

/// An event with its identity, as it stands in answers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LoggedEvent {
    /// The run of the spool it was written in.
    pub epoch: Epoch,
    /// Its place in that run.
    pub seq: Seq,
    /// The entry itself.
    pub event: Event,
}

impl LoggedEvent {
    /// Its identity.
    pub const fn id(&self) -> EventId {
        EventId { epoch: self.epoch, seq: self.seq }
    }

    /// Its place in the total order of answers.
    pub const fn position(&self) -> Position {
        Position { at: self.event.at, epoch: self.epoch, seq: self.seq }
    }
}

/// A place in the total order of a camera's events: time, then epoch, then sequence number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Position {
    /// The event's time.
    pub at: Timestamp,
    /// The event's epoch.
    pub epoch: Epoch,
    /// The event's sequence number.
    pub seq: Seq,
}

/// Sequence numbers from `first` to `last`, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SeqRange {
    /// The first one.
    pub first: Seq,
    /// The last one.
    pub last: Seq,
}

impl SeqRange {
    /// Whether `seq` lies in it.
    pub const fn contains(self, seq: Seq) -> bool {
        self.first <= seq && seq <= self.last
    }
}

text_enum! {
    /// Why events will never come.
    LossReason {
        /// The spool was full.
        Dropped = "dropped",
        /// The device's retention removed them.
        PastRetention = "past_retention",
        /// The spool could not be read.
        Unreadable = "unreadable",
    }
}

/// A stretch of events that will never come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LostRange {
    /// The epoch they were written in.
    pub epoch: Epoch,
    /// The first lost sequence number.
    pub first: Seq,
    /// The last lost sequence number.
    pub last: Seq,
    /// The time of the first lost event, or the best known bound.
    pub from: Timestamp,
    /// The time of the last lost event, or the best known bound.
    pub to: Timestamp,
    /// Why they are lost.
    pub why: LossReason,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(description: &str) -> Event {
        Event {
            at: Timestamp::from_millis(1),
            kind: Kind::Motion,
            severity: Severity::Info,
            description: description.into(),
            data: Data::new(),
            image_at: None,
            was: None,
        }
    }

    #[test]
    fn a_long_description_is_cut_at_a_character_and_says_so() {
        let cut = event(&"ä".repeat(1_500)).within_limits();
        assert!(cut.is_within_limits());
        assert_eq!(cut.data["cut_bytes"], 1_000);
        assert_eq!(event("short").within_limits(), event("short"));
    }

    #[test]
    fn data_that_is_too_large_is_dropped_and_says_so() {
        let mut large = event("x");
        large.data.insert("blob".into(), "y".repeat(3_000).into());
        let cut = large.within_limits();
        assert!(cut.is_within_limits());
        assert!(cut.data["cut_bytes"].as_u64() > Some(3_000));
    }
}
