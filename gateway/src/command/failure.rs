//! Why a command failed, in one line and an exit code.

use std::{io, io::Write, process::ExitCode};

use clap::error::ErrorKind;
use oriel_gateway::{StartError, access::AccessError, config::ConfigError, store::CopyError};

use super::text::visible;
use crate::client::ClientError;

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// The command line is wrong, or asks for help; clap says which.
    #[error("{}", one_line(_0))]
    CommandLine(#[from] clap::Error),
    /// The options are wrong in a way that no single one is.
    #[error("{0}")]
    Usage(String),
    /// The options of a gateway are wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The gateway did not do it.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The data folder did not do it.
    #[error(transparent)]
    Access(#[from] AccessError),
    /// The database was not copied.
    #[error("there is no backup: {0}")]
    Backup(CopyError),
    /// The gateway cannot start.
    #[error(transparent)]
    Start(#[from] StartError),
    /// Standard output takes no more.
    #[error("cannot write: {0}")]
    Output(#[from] io::Error),
    /// A file cannot be written.
    #[error("cannot write {path}: {why}")]
    File {
        /// The file.
        path: String,
        /// What the system says.
        why: io::Error,
    },
    /// Some of what was asked for is missing, or nobody waited for it.
    #[error("{what}")]
    Incomplete {
        /// What is missing.
        what: String,
        /// The exit code.
        code: u8,
    },
    /// The system gives no threads.
    #[error("cannot start: {0}")]
    Runtime(io::Error),
}

/// Anything that has no code of its own.
const OTHER: u8 = 1;
/// The command line or the configuration is wrong.
const USAGE: u8 = 2;
/// The gateway refuses the key.
const REFUSED: u8 = 3;
/// The camera is offline.
const OFFLINE: u8 = 4;

impl Failure {
    /// A wrong combination of options.
    pub(crate) fn usage(why: impl Into<String>) -> Self {
        Self::Usage(why.into())
    }

    /// That something is missing, with the exit code of the reason.
    pub(crate) fn incomplete(what: impl Into<String>, why: Option<&Self>) -> Self {
        Self::Incomplete { what: what.into(), code: why.map_or(OTHER, Self::code) }
    }

    /// Tells the user and gives the exit code.
    pub(crate) fn report(self) -> ExitCode {
        match &self {
            // Whoever reads our output has seen enough.
            Self::Output(why) if why.kind() == io::ErrorKind::BrokenPipe => return ExitCode::SUCCESS,
            Self::CommandLine(error) | Self::Config(ConfigError::Usage(error)) if !error.use_stderr() => {
                let _ = error.print();
                return ExitCode::SUCCESS;
            }
            Self::CommandLine(error)
                if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand =>
            {
                let _ = error.print();
            }
            _ => say(&format!("oriel: {self}")),
        }
        ExitCode::from(self.code())
    }

    /// The exit code: 2 usage, 3 refused, 4 camera offline, 1 anything else.
    pub(crate) fn code(&self) -> u8 {
        match self {
            Self::CommandLine(_)
            | Self::Usage(_)
            | Self::Config(_)
            | Self::Access(AccessError::Invalid(_)) => USAGE,
            Self::Client(error) => client_code(error),
            Self::Incomplete { code, .. } => *code,
            Self::Access(_)
            | Self::Backup(_)
            | Self::Start(_)
            | Self::Output(_)
            | Self::File { .. }
            | Self::Runtime(_) => OTHER,
        }
    }
}

fn client_code(error: &ClientError) -> u8 {
    match error {
        ClientError::NoKey | ClientError::NotAKey | ClientError::Url { .. } => USAGE,
        ClientError::Refused { .. } => REFUSED,
        ClientError::Offline { .. } => OFFLINE,
        _ => OTHER,
    }
}

/// Writes one line to standard error, with control characters shown: parts of it may come from outside.
pub(super) fn say(line: &str) {
    // Nobody is left to be told when standard error is gone.
    let _ = writeln!(io::stderr(), "{}", visible(line));
}

/// What clap holds against the command line, on one line with its tips.
fn one_line(error: &clap::Error) -> String {
    let text = error.render().to_string();
    let mut parts = text.split("\n\n").map(|part| part.split_whitespace().collect::<Vec<_>>().join(" "));
    let mut line = parts.next().unwrap_or_default().trim_start_matches("error: ").to_owned();
    for tip in parts.filter(|part| part.starts_with("tip: ")) {
        line = format!("{line}; {}", tip.trim_start_matches("tip: "));
    }
    line
}
