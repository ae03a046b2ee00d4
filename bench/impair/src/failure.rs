//! Why a run cannot go on.

use std::{io, process::ExitStatus};

/// Why a run cannot go on; what it was to show is neither shown nor refuted.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// Namespaces are the system administrator's.
    #[error("this needs root: it makes network namespaces and TUN devices")]
    NotRoot,
    /// A program that is needed is missing.
    #[error("{program} cannot be started: {why}")]
    Missing {
        /// The program.
        program: String,
        /// What the system said.
        why: io::Error,
    },
    /// A program that is needed failed.
    #[error("{what} ended with {status}: {said}")]
    Ended {
        /// What was run.
        what: String,
        /// How it ended.
        status: ExitStatus,
        /// What it wrote.
        said: String,
    },
    /// The system refused something.
    #[error("{what}: {why}")]
    System {
        /// What was tried.
        what: String,
        /// What the system said.
        why: io::Error,
    },
    /// Something that was waited for did not happen.
    #[error("{0}")]
    Late(String),
    /// The gateway answered something else than this program can use.
    #[error("{0}")]
    Odd(String),
}

impl Failure {
    /// The system refused `what`.
    pub(crate) fn system(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let what = what.into();
        move |why| Self::System { what, why }
    }
}
