//! Runs the `oriel` program as a user would, with an environment of its own.

use std::process::{Command, Output};

/// What one run gave.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// A run of `oriel` without any of this machine's `ORIEL_*` variables, in the zone UTC.
pub(crate) fn command(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_oriel"));
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("ORIEL_")) {
        command.env_remove(name);
    }
    command.env("TZ", "UTC").args(args);
    command
}

/// Runs it to its end.
pub(crate) fn finish(mut command: Command) -> Ran {
    let Output { status, stdout, stderr } = command.output().unwrap();
    Ran {
        code: status.code().unwrap(),
        out: String::from_utf8(stdout).unwrap(),
        err: String::from_utf8(stderr).unwrap(),
    }
}

/// Runs `oriel` with these arguments.
pub(crate) fn oriel(args: &[&str]) -> Ran {
    finish(command(args))
}
