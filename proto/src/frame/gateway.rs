//! What the gateway's frames carry.

use serde::{Deserialize, Serialize};

use super::Feature;
use crate::{
    call::Call,
    event::Seq,
    id::{CameraId, Epoch, RequestId, SessionId},
    image::ImageClass,
    limits::Limits,
    text::text_enum,
    time::Timestamp,
};

text_enum! {
    /// Why a gateway does not take a camera from an agent.
    RefusalCode {
        /// It belongs to another agent.
        NotYours = "not_yours",
        /// Nobody allowed this agent to bring it.
        Unknown = "unknown",
        /// It was removed.
        Removed = "removed",
    }
}

text_enum! {
    /// What a gateway wants an agent to know.
    NoticeCode {
        /// Two different events came with one identity.
        EpochConflict = "epoch_conflict",
    }
}

/// What the gateway says first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Welcome {
    /// The name of this socket in logs.
    pub session: SessionId,
    /// The gateway's clock.
    pub now: Timestamp,
    /// How often the agent should ping, in milliseconds.
    pub heartbeat_ms: u32,
    /// What the gateway understands.
    #[serde(default)]
    pub features: Vec<Feature>,
    /// What the agent must keep to.
    pub limits: Limits,
}

/// A camera is taken, and this is held of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bound {
    /// Which camera.
    pub camera: CameraId,
    /// What the gateway has acknowledged for good, per epoch.
    #[serde(default)]
    pub acked: Vec<Acked>,
}

/// How far one epoch is acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Acked {
    /// The epoch.
    pub epoch: Epoch,
    /// The last acknowledged sequence number.
    pub seq: Seq,
    /// [`digest`](crate::codec::digest) of the event at `seq`, when the gateway holds it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hash: Option<Digest>,
}

/// The first 16 bytes of a SHA-256.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Digest(uuid::Uuid);

impl Digest {
    /// From its bytes.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(uuid::Uuid::from_bytes(bytes))
    }

    /// Its bytes.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }
}

/// A question to a camera.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Request {
    /// Names the question; every frame of its answer repeats it.
    pub id: RequestId,
    /// Whom it asks.
    pub camera: CameraId,
    /// How long the asker waits for the first byte, in milliseconds from now.
    pub deadline_ms: u32,
    /// What it asks.
    pub call: Call,
}

/// What somebody looks at now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Watch {
    /// Which camera.
    pub camera: CameraId,
    /// `Fresh` is wanted for these series.
    #[serde(default)]
    pub classes: Vec<ImageClass>,
    /// Whether events are wanted as they are written, even of an `on_demand` camera.
    #[serde(default)]
    pub events: bool,
    /// Whether somebody looks; false ends it.
    pub on: bool,
}

/// Something an agent should know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    /// For programs.
    pub code: NoticeCode,
    /// For people.
    pub message: String,
    /// The camera it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub camera: Option<CameraId>,
    /// The epoch it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epoch: Option<Epoch>,
}
