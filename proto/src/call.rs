//! What can be asked of a camera, and what comes back.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::{
    event::{EventFilter, Kind, LoggedEvent, LostRange, Position, SeqRange, Severity},
    frame::{Ability, CameraHealth, SpoolState},
    id::Epoch,
    image::{ImageClass, ImageCount, ImageInfo},
    text::text_enum,
    time::Timestamp,
};

/// A question to a camera.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Call {
    /// Entries of its log.
    Events(EventsCall),
    /// A list of the pictures it keeps.
    Images(ImagesCall),
    /// One kept picture.
    Image(ImageCall),
    /// A picture taken now.
    Snapshot(SnapshotCall),
    /// Moving pictures until cancelled.
    Live(LiveCall),
    /// Its facts and state.
    Describe {},
}

impl Call {
    /// Whether asking twice does no harm, so that the relay may ask once more over a newer link.
    pub const fn is_repeatable(&self) -> bool {
        !matches!(self, Self::Snapshot(_))
    }
}

text_enum! {
    /// The direction of a list.
    Order {
        /// Oldest first.
        Asc = "asc",
        /// Newest first.
        Desc = "desc",
    }
}

/// Asks for events; answered by [`Items::Events`], or [`Items::EventCounts`] with `bucket_ms`, and [`Trailer::Events`].
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct EventsCall {
    /// The earliest time wanted, included; none means from the beginning.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Timestamp>,
    /// The time before which all wanted events lie; none means no end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<Timestamp>,
    /// Continue behind this place, in the direction of `order`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<Position>,
    /// The direction.
    pub order: Order,
    /// The most events wanted; none means all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u64>,
    /// Only these kinds; empty means any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub kinds: Vec<Kind>,
    /// Only these severities; empty means any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub severity: Vec<Severity>,
    /// Only descriptions that contain this, whatever the case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// What the asker holds already and need not be sent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub have: Vec<Have>,
    /// Count events per stretch of this many milliseconds instead of listing them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bucket_ms: Option<u64>,
}

impl EventsCall {
    /// All events, in `order`, without limit or filter.
    pub const fn all(order: Order) -> Self {
        Self {
            from: None,
            to: None,
            after: None,
            order,
            limit: None,
            kinds: Vec::new(),
            severity: Vec::new(),
            text: None,
            have: Vec::new(),
            bucket_ms: None,
        }
    }

    /// What the question wants beside times and order.
    pub fn filter(&self) -> EventFilter {
        EventFilter::new(self.kinds.clone(), self.severity.clone(), self.text.as_deref())
    }
}

/// Ranges of one epoch that the asker holds.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Have {
    /// The epoch.
    pub epoch: Epoch,
    /// Held sequence numbers, ascending, at most [`HAVE_RANGES`](crate::limits::HAVE_RANGES) in all.
    pub ranges: Vec<SeqRange>,
}

/// Asks for a list of pictures; answered by [`Items::Images`], or [`Items::ImageCounts`] with `bucket_ms`, and
/// [`Trailer::Images`].
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ImagesCall {
    /// The series.
    pub class: ImageClass,
    /// The earliest time wanted, included.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Timestamp>,
    /// The time before which all wanted pictures lie.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<Timestamp>,
    /// The most pictures wanted; none means all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u64>,
    /// The direction.
    pub order: Order,
    /// Count pictures per stretch of this many milliseconds instead of listing them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bucket_ms: Option<u64>,
}

text_enum! {
    /// Which picture answers a time that has none.
    ImageMatch {
        /// Only the one taken exactly then.
        Exact = "exact",
        /// The newest at or before then.
        Before = "before",
        /// The oldest at or after then.
        After = "after",
        /// The newest of all.
        Latest = "latest",
    }
}

/// Asks for one kept picture; answered by [`Body::Head`] and [`Body::Bytes`].
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ImageCall {
    /// The series.
    pub class: ImageClass,
    /// The time meant; ignored for `latest`.
    pub at: Timestamp,
    /// How `at` is meant.
    #[serde(rename = "match")]
    pub matching: ImageMatch,
    /// How old the newest may be, in milliseconds, before a new one is taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_age_ms: Option<u64>,
}

/// Asks for a picture taken now; answered by [`Body::Head`] and [`Body::Bytes`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotCall {
    /// The series.
    pub class: ImageClass,
}

/// Asks for moving pictures; answered by [`Body::Head`] and [`Body::Bytes`] per picture.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LiveCall {
    /// The series.
    pub class: ImageClass,
    /// The most pictures per second.
    pub max_fps: f32,
}

/// A whole answer that fits one frame: the bodies that its Parts would carry, and the trailer of its Done.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Answer {
    /// The bodies in order.
    pub body: Vec<Body>,
    /// What is known only at the end.
    pub trailer: Trailer,
}

/// A piece of an answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Body {
    /// Facts known before the first byte.
    Head(Head),
    /// A list that is complete by itself.
    Items(Items),
    /// Bytes of a picture.
    Bytes(Bytes),
}

/// What is known of a picture before its first byte.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// Its media type.
    pub media_type: String,
    /// Its length in bytes.
    pub length: u64,
    /// When it was taken.
    pub at: Timestamp,
    /// Changes whenever the bytes do.
    pub etag: String,
    /// The time of the picture before it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prev: Option<Timestamp>,
    /// The time of the picture after it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<Timestamp>,
}

/// A piece of a list.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Items {
    /// Events in the order asked for.
    Events(Vec<LoggedEvent>),
    /// Numbers of events per stretch of time.
    EventCounts(Vec<EventCount>),
    /// Pictures in the order asked for.
    Images(Vec<ImageInfo>),
    /// Numbers of pictures per stretch of time.
    ImageCounts(Vec<ImageCount>),
}

/// How many events of a kind lie in one stretch of time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventCount {
    /// Where the stretch begins.
    pub at: Timestamp,
    /// The kind counted.
    pub kind: Kind,
    /// How many.
    pub count: u64,
}

/// What is known only at the end of an answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Trailer {
    /// Ends a list of events.
    Events(EventsTrailer),
    /// Ends a list of pictures.
    Images {
        /// Whether more pictures lie in the range.
        more: bool,
    },
    /// The answer to `Describe`.
    Description(Box<Description>),
    /// Ends everything else.
    Nothing {},
}

/// How complete a list of events is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EventsTrailer {
    /// Which sequence numbers the answer is complete for.
    pub scanned: Vec<Scanned>,
    /// What lies in the range and will never come.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lost: Vec<LostRange>,
    /// The camera's clock when it looked, or shortly before: everything written up to then was seen.
    pub as_of: Timestamp,
    /// Whether more events lie in the range.
    pub more: bool,
}

/// A stretch of one epoch that an answer is complete for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scanned {
    /// The epoch.
    pub epoch: Epoch,
    /// The first sequence number looked at.
    pub first: u64,
    /// The last one.
    pub last: u64,
}

/// A camera's facts and state.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Description {
    /// Its display name at the device.
    pub name: String,
    /// The kind of source that feeds it.
    pub source: String,
    /// The series of pictures it offers.
    pub classes: Vec<ImageClass>,
    /// What it can do.
    pub abilities: Vec<Ability>,
    /// Its spool's epochs.
    pub spools: Vec<SpoolState>,
    /// How it is.
    pub health: CameraHealth,
}

text_enum! {
    /// Why a camera did not answer.
    FailureCode {
        /// This agent serves no such camera.
        UnknownCamera = "unknown_camera",
        /// No such picture.
        NotFound = "not_found",
        /// The camera cannot do that.
        Unsupported = "unsupported",
        /// The camera has too much to do.
        Busy = "busy",
        /// The time given was not enough.
        Deadline = "deadline",
        /// The asker left.
        Cancelled = "cancelled",
        /// The source behind the camera failed.
        SourceFailed = "source_failed",
        /// The agent failed.
        Internal = "internal",
    }
}

/// A camera's answer that it has none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message}")]
pub struct Failure {
    /// The reason for programs.
    pub code: FailureCode,
    /// The reason for people.
    pub message: String,
    /// When asking again may help, in milliseconds.
    pub retry_after_ms: Option<u32>,
}

impl Failure {
    /// A failure without a time to try again.
    pub fn new(code: FailureCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), retry_after_ms: None }
    }
}
