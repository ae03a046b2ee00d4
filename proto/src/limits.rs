//! Sizes and times that both ends agree on, each with its reason.

use std::time::Duration;

/// The largest frame in bytes: a codec keeps the memory of its biggest frame for as long as it lives.
pub const FRAME_BYTES: usize = 16 << 10;

/// The largest body of one `Part` in bytes as it is encoded: turns between answers are taken per Part, so this bounds the wait of a small one.
pub const PART_BYTES: usize = 8 << 10;

/// Bytes of `Part` frames that each answer may send before any `Credit`: enough for a log page without a round trip. A Part
/// costs the length of its whole MessagePack message; `Reply`, `Done` and `Fail` cost nothing.
pub const FIRST_CREDIT: u32 = 32 << 10;

/// The most unread bytes of `Part` frames that one answer may have at the gateway.
pub const WINDOW: u32 = 256 << 10;

/// The most unread bytes of `Part` frames, beyond each answer's first credit, on one socket.
pub const SOCKET_WINDOW: u32 = 4 << 20;

/// Bytes of `Events` that may be unacknowledged on one socket: keeps a slow store from filling the link.
pub const UNACKED_BYTES: u32 = 64 << 10;

/// Requests that may be open on one socket; one more is answered as busy.
pub const CALLS: u32 = 1024;

/// Cameras that one agent may announce: bounds the memory that one socket may claim.
pub const CAMERAS_PER_AGENT: usize = 1024;

/// How often the agent pings: NAT tables forget quiet flows after a minute or more.
pub const HEARTBEAT: Duration = Duration::from_secs(30);

/// Silent heartbeat intervals, in halves, after which either end closes: two lost pings and a half.
pub const SILENT_HALF_INTERVALS: u32 = 5;

/// `Hello` must come within this time of the upgrade: a second less than the ten after which who says nothing is closed.
pub const HELLO_WITHIN: Duration = Duration::from_secs(9);

/// Levels of maps and arrays that the pre-scan accepts, the frame's own two included.
pub const DEPTH: usize = 32;

/// The longest kind or severity of an event in bytes; longer ones are cut and say so in `data.cut_bytes`.
pub const WORD_BYTES: usize = 64;

/// The longest event description in bytes; longer ones are cut and say so in `data.cut_bytes`.
pub const DESCRIPTION_BYTES: usize = 2_000;

/// The largest `data` of an event in bytes, as JSON.
pub const DATA_BYTES: usize = 1_500;

/// The longest display name of a camera in bytes.
pub const NAME_BYTES: usize = 200;

/// The most tags of one camera.
pub const TAGS: usize = 32;

/// The longest tag in bytes.
pub const TAG_BYTES: usize = 64;

/// The most ranges that a question's `have` may list; the largest are kept.
pub const HAVE_RANGES: usize = 64;

/// The most rows that a search may read.
pub const SEARCH_ROWS: u64 = 1_000_000;

/// The largest picture in bytes: room for the full size of any camera, and what one answer may take of a device's memory.
pub const IMAGE_BYTES: usize = 16 << 20;

/// The most pixels of a picture that is decoded; a header of a few bytes may promise 4 G of them.
pub const IMAGE_PIXELS: u32 = 64_000_000;

/// The most bytes that may stand behind the end of a picture: some cameras fill up a block.
pub const IMAGE_TRAILING_BYTES: usize = 64 << 10;

/// The limits a gateway tells in `Welcome`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Limits {
    /// Largest frame in bytes.
    pub frame: u32,
    /// Largest Part body in bytes.
    pub part: u32,
    /// Largest credit of one answer in bytes.
    pub window: u32,
    /// Largest credit of all answers of one socket together in bytes.
    pub socket_window: u32,
    /// Bytes of unacknowledged Events.
    pub unacked: u32,
    /// Open requests.
    pub calls: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            frame: FRAME_BYTES as u32,
            part: PART_BYTES as u32,
            window: WINDOW,
            socket_window: SOCKET_WINDOW,
            unacked: UNACKED_BYTES,
            calls: CALLS,
        }
    }
}
