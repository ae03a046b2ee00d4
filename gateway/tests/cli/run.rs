//! Runs the `oriel` program as a user would, with an environment of its own.

use std::{
    fs::{File, OpenOptions},
    io::Read,
    process::{Command, Output},
};

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

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

/// Runs it to its end with standard output and standard error on a terminal, and gives what that showed.
pub(crate) fn finish_on_terminal(mut command: Command) -> Ran {
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&master).unwrap();
    unlockpt(&master).unwrap();
    let name = ptsname(&master, Vec::new()).unwrap().into_string().unwrap();
    let slave = OpenOptions::new().read(true).write(true).open(name).unwrap();
    command.stdout(slave.try_clone().unwrap()).stderr(slave).env("TERM", "xterm");
    let mut child = command.spawn().unwrap();
    // Ours of the terminal's ends: reading stops when the last one is closed.
    drop(command);
    let mut shown = Vec::new();
    // A terminal that nobody has open any more ends with an error, not with an end.
    let _ = File::from(master).read_to_end(&mut shown);
    let code = child.wait().unwrap().code().unwrap();
    Ran { code, out: String::from_utf8(shown).unwrap(), err: String::new() }
}
