//! `oriel-impair`: two network namespaces joined by a link that is slow, lossy or dead, and what Oriel must do over it.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program that prints what it measured")]

mod api;
mod cancel;
mod direction;
mod failure;
mod half_open;
mod impairment;
mod join;
mod link;
mod namespace;
mod pair;
mod picture;
mod process;
mod report;
mod self_test;
mod signals;
mod slow_link;
mod world;

use std::process::ExitCode;

use clap::Parser;

use crate::failure::Failure;

/// Joins two network namespaces by an impaired link, and measures Oriel over it. Needs root.
#[derive(Debug, Parser)]
#[command(name = "oriel-impair", version)]
enum Command {
    /// Join two namespaces and stay
    Join(join::Join),
    /// Show that the link does what its options say
    SelfTest {
        /// Decides which packets are lost [default: a random one, which is printed]
        #[arg(long, value_name = "N")]
        seed: Option<u64>,
    },
    /// Ask a short question beside a long answer on the same socket, over a slow link
    Link(slow_link::SlowLink),
    /// Hang up in the middle of a large picture, and see when the agent stops
    Cancel(cancel::Cancel),
    /// Let packets vanish without a FIN, and see who notices when
    HalfOpen(half_open::HalfOpen),
}

/// The exit code of a run that could not show anything.
const BROKEN: u8 = 2;

fn main() -> ExitCode {
    let ran = match Command::parse() {
        Command::Join(join) => join.run().map(|()| true),
        Command::SelfTest { seed } => measured(|| self_test::run(seed)),
        Command::Link(link) => measured(|| link.run()),
        Command::Cancel(cancel) => measured(|| cancel.run()),
        Command::HalfOpen(half_open) => measured(|| half_open.run()),
    };
    match ran {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(failure) => {
            eprintln!("oriel-impair: {failure}");
            ExitCode::from(BROKEN)
        }
    }
}

fn measured(run: impl FnOnce() -> Result<bool, Failure>) -> Result<bool, Failure> {
    namespace::need_root()?;
    signals::end_at_once();
    run()
}
