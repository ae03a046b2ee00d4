//! `oriel completions`: what a shell needs to complete our commands.

use clap::CommandFactory;
use clap_complete::{Shell, generate};

use super::{Cli, Failure, output::print};

/// Options of `oriel completions`.
#[derive(Debug, clap::Args)]
pub(crate) struct Completions {
    /// The shell
    shell: Shell,
}

impl Completions {
    pub(super) fn run(self) -> Result<(), Failure> {
        let mut script = Vec::new();
        generate(self.shell, &mut Cli::command(), "oriel", &mut script);
        print(&String::from_utf8_lossy(&script))
    }
}
