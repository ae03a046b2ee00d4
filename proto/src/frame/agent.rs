//! What the agent's frames carry.

use serde::{Deserialize, Serialize};

use super::Feature;
use crate::{
    call::{Failure, FailureCode},
    event::{Event, LossReason, Seq},
    id::{CameraId, Epoch, InstanceId, RequestId},
    image::ImageClass,
    text::text_enum,
    time::Timestamp,
};

text_enum! {
    /// What a camera can do.
    Ability {
        /// It keeps a log.
        Events = "events",
        /// It keeps pictures.
        Images = "images",
        /// It takes a picture on demand.
        Snapshot = "snapshot",
        /// It gives moving pictures.
        Live = "live",
    }
}

text_enum! {
    /// When a camera's events travel to the gateway.
    Upload {
        /// As they are written.
        Live = "live",
        /// Only when somebody asks.
        OnDemand = "on_demand",
    }
}

text_enum! {
    /// How a camera's source is.
    SourceState {
        /// It works.
        Ok = "ok",
        /// It has not begun yet.
        Starting = "starting",
        /// It does not work and is being tried again.
        Failing = "failing",
    }
}

/// Who connects.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Hello {
    /// [`PROTOCOL_VERSION`](crate::PROTOCOL_VERSION).
    pub protocol: u32,
    /// What the agent understands.
    #[serde(default)]
    pub features: Vec<Feature>,
    /// The agent's state folder.
    pub instance: InstanceId,
    /// Kept on disk, one more at every dial.
    pub generation: u64,
    /// The program.
    pub agent: AgentFacts,
}

/// The agent program and its machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentFacts {
    /// The program's version.
    pub version: String,
    /// The operating system.
    pub os: String,
    /// The processor.
    pub arch: String,
}

/// A camera and its facts. Name and tags count only when the camera is first bound.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Announce {
    /// Which camera.
    pub camera: CameraId,
    /// Its display name.
    pub name: String,
    /// Words to group it by.
    #[serde(default)]
    pub tags: Vec<String>,
    /// The series of pictures it offers.
    #[serde(default)]
    pub classes: Vec<ImageClass>,
    /// What it can do.
    #[serde(default)]
    pub abilities: Vec<Ability>,
    /// When its events travel.
    pub upload: Upload,
    /// Its spool's epochs, oldest first.
    #[serde(default)]
    pub spools: Vec<SpoolState>,
}

/// What a spool holds of one epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SpoolState {
    /// The epoch.
    pub epoch: Epoch,
    /// The oldest sequence number still kept.
    pub first: Seq,
    /// The sequence number of the next event.
    pub next: Seq,
    /// A time of the camera's clock, now or shortly before: everything written up to it is below `next`, for ever.
    pub as_of: Timestamp,
}

/// Events of one epoch, without a gap; `L` is what their list is read into.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Events<L = Vec<Event>> {
    /// Whose.
    pub camera: CameraId,
    /// Of which epoch.
    pub epoch: Epoch,
    /// The sequence number of the first of `events`.
    pub first: Seq,
    /// The events in order.
    pub events: L,
    /// The sequence number of the next event to be written.
    pub next: Seq,
    /// A time of the camera's clock, when `next` was read or shortly before: everything written up to it is below `next`.
    pub as_of: Timestamp,
}

/// A frame that says something of a log unasked; `L` is what a list of events is read into.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub enum LogFrame<L> {
    /// New events.
    Events(Events<L>),
    /// Events that will never come.
    Lost(Lost),
}

/// A stretch of events that will never come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lost {
    /// Whose.
    pub camera: CameraId,
    /// Of which epoch.
    pub epoch: Epoch,
    /// The first lost sequence number.
    pub first: Seq,
    /// The last lost sequence number.
    pub last: Seq,
    /// The time of the first, or the best known bound.
    pub from: Timestamp,
    /// The time of the last, or the best known bound.
    pub to: Timestamp,
    /// Why.
    pub why: LossReason,
}

/// A question's failure.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fail {
    /// The question's id.
    pub id: RequestId,
    /// The reason for programs.
    pub code: FailureCode,
    /// The reason for people.
    pub message: String,
    /// When asking again may help, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u32>,
}

impl Fail {
    /// The failure of the question `id`.
    pub fn of(id: RequestId, failure: Failure) -> Self {
        Self { id, code: failure.code, message: failure.message, retry_after_ms: failure.retry_after_ms }
    }

    /// The failure without its question.
    pub fn into_failure(self) -> Failure {
        Failure { code: self.code, message: self.message, retry_after_ms: self.retry_after_ms }
    }
}

/// How an agent and those of its cameras are that changed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Health {
    /// The device's clock: every announced camera's `next` is what this link said last, or stands in `cameras`.
    pub as_of: Timestamp,
    /// The agent itself.
    pub agent: AgentHealth,
    /// The cameras that changed.
    #[serde(default)]
    pub cameras: Vec<CameraHealth>,
}

/// How an agent is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentHealth {
    /// Seconds since the program started.
    pub uptime_s: u64,
    /// The last measured round trip to the gateway in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rtt_ms: Option<u32>,
    /// The device's clock minus the gateway's, in milliseconds, as far as the device can tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clock_offset_ms: Option<i64>,
}

/// How a camera is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CameraHealth {
    /// Which camera.
    pub camera: CameraId,
    /// Its spool's present epoch.
    pub epoch: Epoch,
    /// The sequence number of its next event.
    pub next: Seq,
    /// Bytes on disk in its spool.
    pub spool: u64,
    /// Bytes on disk in its picture ring.
    pub ring: u64,
    /// How its source is.
    pub source: SourceState,
    /// Why the source is not ok.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}
