//! The `oriel` program: parses the command line, starts logging, runs one command, tells how it went by exit code.

mod client;
mod command;

use std::process::ExitCode;

use command::{Cli, Failure};
use tikv_jemallocator::Jemalloc;

/// What one worker allocates another one often frees: this one passes memory between threads without a lock, and gives back to
/// the system what a crowd has left.
#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}

fn run() -> Result<(), Failure> {
    // First of all: whoever makes a TLS configuration asks for the provider of the process.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let cli = Cli::read(std::env::args_os())?;
    let settings = cli.command.settings();
    command::start_logging(&settings)?;
    settings.make_room();
    settings.runtime().map_err(Failure::Runtime)?.block_on(cli.command.run())
}
