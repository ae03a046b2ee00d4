//! The camera-agent program: parse the command line, start logging, run one command.

mod command;

use std::{io::Write as _, process::ExitCode, time::Duration};

use clap::Parser as _;

/// The longest that the end of the program waits for threads that wait for the system.
const STOP_WITHIN: Duration = Duration::from_secs(1);

fn main() -> ExitCode {
    if rustls::crypto::ring::default_provider().install_default().is_err() {
        return failed("the TLS provider cannot be installed");
    }
    let line = command::Line::parse();
    if let Err(why) = command::start_logging(&line) {
        return failed(&why);
    }
    // One thread: a device has little to do at once, and its disk work has threads of its own.
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(e) => return failed(&format!("the program cannot start: {e}")),
    };
    let ended = runtime.block_on(command::run(line));
    // A resolver or a disk that hangs keeps its thread, but not the program.
    runtime.shutdown_timeout(STOP_WITHIN);
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => failed(&why),
    }
}

fn failed(why: &str) -> ExitCode {
    // Nothing is left to do when even this cannot be written.
    let _ = writeln!(std::io::stderr(), "camera-agent: {why}");
    ExitCode::FAILURE
}
