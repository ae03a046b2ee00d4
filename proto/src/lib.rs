//! What travels on the camera socket: one agent, one WebSocket, opened by the agent.
//!
//! The conversation, each message being one MessagePack frame ([`AgentFrame`] or [`GatewayFrame`]):
//!
//! - The agent opens `GET /v1/agent/connect` with its token and says [`Hello`](frame::Hello); the gateway says
//!   [`Welcome`](frame::Welcome) with its limits.
//! - The agent announces each [`Camera`](frame::Announce); the gateway answers `Bound` or `Refused`; `Ready` ends the list.
//! - The gateway sends a [`Request`](frame::Request) with a fresh [`RequestId`] and a [`Call`]; the agent answers with one
//!   `Reply`, or with `Part`s and `Done`, or with `Fail`. `Cancel` says that nobody waits any more.
//! - Parts are sent against credit: [`limits::FIRST_CREDIT`] bytes of whole frames are free, `Credit` allows more.
//! - `Events` and `Lost` travel up unasked and are acknowledged cumulatively; `Fresh` and `Health` are told, not answered.
//! - `Drain`, `Token`, `Watch` and `Notice` travel down unasked.
//!
//! Unknown fields are ignored, unknown frames are skipped, and every text enum keeps words that it does not know, so that
//! either end may be newer than the other. This crate has no sockets, no tasks and no clock.

pub mod call;
pub mod codec;
pub mod event;
pub mod frame;
pub mod id;
pub mod image;
pub mod jpeg;
pub mod limits;
mod scan;
pub mod secret;
mod text;
pub mod time;
pub mod view;

pub use call::{Answer, Body, Call, Failure, FailureCode, Items, Trailer};
pub use codec::{DecodeError, EncodeError, decode, encode};
pub use event::{Event, Kind, LoggedEvent, Seq, SeqRange, Severity};
pub use frame::{AgentFrame, GatewayFrame};
pub use id::{AgentId, CameraId, Epoch, EventId, InstanceId, RequestId, SessionId};
pub use image::{ImageClass, ImageInfo};
pub use secret::Secret;
pub use time::Timestamp;

/// The version that [`frame::Hello`] carries and the sub-protocol names.
pub const PROTOCOL_VERSION: u32 = 1;

/// The WebSocket sub-protocol of [`PROTOCOL_VERSION`].
pub const SUBPROTOCOL: &str = "oriel.v1";
