//! Why a camera socket is closed, and the WebSocket close code that says so.

use std::fmt;

/// The gateway's reasons to close a camera socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Close {
    /// The gateway stops and will be back.
    Restart,
    /// A newer socket of the same agent took over.
    Superseded,
    /// The agent's token was revoked.
    Revoked,
    /// Nothing was heard for two and a half heartbeats.
    Silent,
    /// Another device uses the same token, or this dial is older than the present one.
    Duplicate,
    /// Too much waits for the store: the agent keeps its events and comes again later.
    Overloaded,
    /// A sender went over its credit.
    OverCredit,
    /// Something other than a binary message.
    NotBinary,
    /// No valid Hello in time, or a broken frame; carries the close code.
    Violation(u16),
}

impl Close {
    /// The WebSocket close code.
    pub const fn code(self) -> u16 {
        match self {
            Self::Restart => 1012,
            Self::Superseded => 4001,
            Self::Revoked => 4003,
            Self::Silent => 4008,
            Self::Duplicate => 4409,
            Self::Overloaded => 1013,
            Self::OverCredit => 1008,
            Self::NotBinary => 1003,
            Self::Violation(code) => code,
        }
    }

    /// The reason that travels with the code.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Restart => "restart",
            Self::Superseded => "a newer socket took over",
            Self::Revoked => "revoked",
            Self::Silent => "silent",
            Self::Duplicate => "two devices use one token",
            Self::Overloaded => "too many events wait",
            Self::OverCredit => "over credit",
            Self::NotBinary => "frames are binary",
            Self::Violation(_) => "protocol violation",
        }
    }
}

impl fmt::Display for Close {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.reason(), self.code())
    }
}
