//! What is measured, and what the gateway must reach in it.

use std::fmt;

use crate::measure::{NULL, Question, Way};

/// One way of asking.
#[derive(Debug)]
pub(super) struct Phase {
    /// What it is called.
    pub(super) name: &'static str,
    /// Connections that ask at the same time, each one question after the other.
    pub(super) callers: usize,
    /// Whether all cameras are asked in turn, or always the first.
    pub(super) all_cameras: bool,
    /// Whether every request has a connection of its own.
    pub(super) alone: bool,
    /// What the gateway must reach.
    pub(super) targets: &'static [Target],
}

impl Phase {
    /// How it asks for so many events when there are so many cameras.
    pub(super) fn way(&self, cameras: usize, events: u64) -> Way {
        let (cameras, question) = (if self.all_cameras { cameras } else { 1 }, Question::Events(events));
        Way { callers: self.callers, cameras: (0..cameras).collect(), alone: self.alone, question }
    }
}

/// What the gateway must reach against another side in the same round.
#[derive(Debug)]
pub(super) enum Target {
    /// At least this share of its requests per second.
    Rate(&'static str, f64),
    /// At most this multiple of its processor time per request.
    Processor(&'static str, f64),
}

impl Target {
    /// Whether a ratio reaches it.
    pub(super) fn holds(&self, ratio: f64) -> bool {
        match self {
            Self::Rate(_, least) => ratio >= *least,
            Self::Processor(_, most) => ratio <= *most,
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rate(to, least) => write!(f, "at least {least:.2} of the requests of {to}"),
            Self::Processor(to, most) => write!(f, "at most {most:.2} times the processor time of {to}"),
        }
    }
}

/// The name of NATS, whose processor time is that of its server and of the front.
pub(super) const NATS: &str = "nats";

/// The name of rathole, whose processor time is that of its server.
pub(super) const RATHOLE: &str = "rathole";

/// All of them, in the order in which they are measured.
pub(super) const PHASES: [Phase; 5] = [
    Phase {
        name: "one camera, 1 caller",
        callers: 1,
        all_cameras: false,
        alone: false,
        targets: &[Target::Rate(NULL, 0.90), Target::Rate(NATS, 1.90), Target::Rate(RATHOLE, 1.20)],
    },
    Phase {
        name: "one camera, 32 callers",
        callers: 32,
        all_cameras: false,
        alone: false,
        targets: &[Target::Rate(NULL, 0.80), Target::Rate(NATS, 1.25), Target::Rate(RATHOLE, 1.25)],
    },
    Phase {
        name: "one camera, 256 callers",
        callers: 256,
        all_cameras: false,
        alone: false,
        targets: &[
            Target::Rate(NULL, 0.80),
            Target::Processor(NULL, 1.35),
            Target::Rate(NATS, 1.15),
            Target::Rate(RATHOLE, 1.60),
        ],
    },
    Phase {
        name: "all cameras, 256 callers",
        callers: 256,
        all_cameras: true,
        alone: false,
        targets: &[Target::Rate(NULL, 0.85)],
    },
    Phase {
        name: "a connection per request, 32 callers",
        callers: 32,
        all_cameras: false,
        alone: true,
        targets: &[Target::Rate(RATHOLE, 2.50)],
    },
];
