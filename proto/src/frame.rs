//! The frames, named by who sends them; each travels as a map of one entry, from its name to its fields.

pub mod agent;
pub mod gateway;

use serde::{Deserialize, Serialize};

pub use self::{
    agent::{
        Ability, AgentFacts, AgentHealth, Announce, CameraHealth, Events, Fail, Health, Hello, LogFrame,
        Lost, SourceState, SpoolState, Upload,
    },
    gateway::{Acked, Bound, Digest, Notice, NoticeCode, RefusalCode, Request, Watch, Welcome},
};
use crate::{
    call::{Answer, Body, Trailer},
    event::Seq,
    id::{CameraId, Epoch, RequestId},
    image::ImageClass,
    secret::Secret,
    text::text_enum,
    time::Timestamp,
};

text_enum! {
    /// Something that one end understands beyond the first version.
    Feature {
        /// The gateway stores events: agents may upload.
        Ingest = "ingest",
        /// The agent has another gateway to go to: on `Drain` it opens a socket there and says `Gone` here.
        Move = "move",
    }
}

/// Frames that an agent sends.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum AgentFrame {
    /// The first frame.
    Hello(Hello),
    /// A camera that this agent serves; again whenever its facts change.
    Camera(Announce),
    /// A camera that it serves no longer.
    Gone {
        /// Which one.
        camera: CameraId,
    },
    /// All cameras have been announced.
    Ready {},
    /// New events.
    Events(Events),
    /// Events that will never come; acknowledged like Events.
    Lost(Lost),
    /// A whole answer.
    Reply {
        /// The question's id.
        id: RequestId,
        /// The answer.
        answer: Answer,
    },
    /// A piece of an answer.
    Part {
        /// The question's id.
        id: RequestId,
        /// Its place among the pieces, from 0.
        n: u32,
        /// The piece.
        body: Body,
    },
    /// The end of an answer in pieces.
    Done {
        /// The question's id.
        id: RequestId,
        /// What is known only now.
        trailer: Trailer,
    },
    /// There is no answer, or no more of it.
    Fail(Fail),
    /// A new picture exists; sent only while watched.
    Fresh {
        /// Whose.
        camera: CameraId,
        /// Of which series.
        class: ImageClass,
        /// When it was taken.
        at: Timestamp,
    },
    /// How agent and cameras are.
    Health(Health),
}

/// Frames that a gateway sends.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum GatewayFrame {
    /// The answer to Hello.
    Welcome(Welcome),
    /// A camera is taken.
    Bound(Bound),
    /// A camera is not taken, or no longer.
    Refused {
        /// Which one.
        camera: CameraId,
        /// Why, for programs.
        code: RefusalCode,
        /// Why, for people.
        message: String,
    },
    /// A question.
    Request(Request),
    /// Nobody waits for that answer any more.
    Cancel {
        /// The question's id.
        id: RequestId,
    },
    /// More of that answer may be sent.
    Credit {
        /// The question's id.
        id: RequestId,
        /// How many bytes more.
        bytes: u32,
    },
    /// Everything of that epoch up to `seq` is durable or known lost.
    Ack {
        /// Whose events.
        camera: CameraId,
        /// Of which epoch.
        epoch: Epoch,
        /// The last one covered.
        seq: Seq,
    },
    /// What somebody looks at now.
    Watch(Watch),
    /// A new token; the old one works until this one has been used.
    Token {
        /// The token.
        token: Secret,
    },
    /// This gateway will stop: find another.
    Drain {
        /// How long until it does, in milliseconds.
        within_ms: u32,
    },
    /// Something the agent should know.
    Notice(Notice),
}

impl AgentFrame {
    /// The frame's name on the wire.
    pub const fn tag(&self) -> &'static str {
        match self {
            Self::Hello(_) => "Hello",
            Self::Camera(_) => "Camera",
            Self::Gone { .. } => "Gone",
            Self::Ready {} => "Ready",
            Self::Events(_) => "Events",
            Self::Lost(_) => "Lost",
            Self::Reply { .. } => "Reply",
            Self::Part { .. } => "Part",
            Self::Done { .. } => "Done",
            Self::Fail(_) => "Fail",
            Self::Fresh { .. } => "Fresh",
            Self::Health(_) => "Health",
        }
    }
}

impl GatewayFrame {
    /// The frame's name on the wire.
    pub const fn tag(&self) -> &'static str {
        match self {
            Self::Welcome(_) => "Welcome",
            Self::Bound(_) => "Bound",
            Self::Refused { .. } => "Refused",
            Self::Request(_) => "Request",
            Self::Cancel { .. } => "Cancel",
            Self::Credit { .. } => "Credit",
            Self::Ack { .. } => "Ack",
            Self::Watch(_) => "Watch",
            Self::Token { .. } => "Token",
            Self::Drain { .. } => "Drain",
            Self::Notice(_) => "Notice",
        }
    }
}
