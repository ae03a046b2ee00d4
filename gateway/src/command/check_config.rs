//! `oriel check-config`: checks the options of `serve` and shows what holds.

use oriel_gateway::config::Config;

use super::{Failure, output::print};

/// Checks `config` as a whole, then writes it as a file that would say the same.
pub(super) fn run(config: &Config) -> Result<(), Failure> {
    config.check()?;
    print(&config.to_toml())
}
