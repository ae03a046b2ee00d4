//! How an agent treats its questions, and what their callers may see of it.

use oriel_proto::FailureCode;

/// How an agent treats its questions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Manner {
    /// Answers at once.
    Quick,
    /// Answers in pieces, after a while and out of order; stops when it is told to.
    Pieces,
    /// Answers in pieces and goes on whatever it is told.
    Stubborn,
    /// Never answers.
    Silent,
    /// Answers when the time is over.
    Late,
    /// Fails.
    Failing,
    /// Answers twice, answers finished questions again, and answers those of other agents.
    Confused,
    /// Drops its connection now and then and comes back.
    Leaving,
    /// Opens another connection now and then while the old one is open.
    Moving,
}

/// What a camera's failure is for its caller.
#[derive(Clone, Copy, Debug)]
pub(super) struct Failing {
    /// What the camera says.
    pub(super) code: FailureCode0,
    /// What the caller is told.
    pub(super) problem: &'static str,
    /// Whether the caller is told the camera's words.
    pub(super) with_words: bool,
}

/// A failure code that can stand in a constant.
pub(super) type FailureCode0 = fn() -> FailureCode;

const FAILURES: [Failing; 6] = [
    Failing { code: || FailureCode::SourceFailed, problem: "camera_failed", with_words: true },
    Failing { code: || FailureCode::Busy, problem: "camera_busy", with_words: true },
    Failing { code: || FailureCode::Unsupported, problem: "camera_unsupported", with_words: true },
    Failing { code: || FailureCode::Internal, problem: "camera_failed", with_words: true },
    Failing { code: || FailureCode::NotFound, problem: "not_found", with_words: false },
    Failing { code: || FailureCode::Deadline, problem: "camera_timeout", with_words: false },
];

impl Manner {
    const ALL: [Self; 9] = [
        Self::Quick,
        Self::Pieces,
        Self::Stubborn,
        Self::Silent,
        Self::Late,
        Self::Failing,
        Self::Confused,
        Self::Leaving,
        Self::Moving,
    ];

    /// That of an agent.
    pub(super) fn of(agent: usize) -> Self {
        Self::ALL[agent % Self::ALL.len()]
    }

    /// Whether its answers, if any, come after the deadline.
    pub(super) const fn is_too_late(self) -> bool {
        matches!(self, Self::Silent | Self::Late)
    }

    /// What a caller with all the time in the world may see; `marker` is its question's.
    pub(super) fn allows(self, code: &str, marker: &str) -> bool {
        match self {
            Self::Quick | Self::Pieces | Self::Stubborn | Self::Confused | Self::Moving => code == "ok",
            Self::Silent | Self::Late => code == "camera_timeout",
            Self::Failing => code == failing(marker).problem,
            Self::Leaving => matches!(code, "ok" | "camera_offline"),
        }
    }
}

/// How the question with this marker fails.
pub(super) fn failing(marker: &str) -> Failing {
    FAILURES[(hash(marker) % FAILURES.len() as u64) as usize]
}

/// How many pieces answer the question with this marker, when it is answered in pieces.
pub(super) fn pieces(marker: &str) -> u32 {
    (hash(marker) % 3) as u32 + 1
}

/// A number made from a text (FNV-1a).
fn hash(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}
