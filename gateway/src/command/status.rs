//! `oriel status`: whether a gateway is there, for people and for health checks.

use super::{Failure, output::print_line};
use crate::client::{Client, GatewayOptions};

/// Options of `oriel status`.
#[derive(Debug, clap::Args)]
pub(crate) struct Status {
    #[command(flatten)]
    gateway: GatewayOptions,
}

impl Status {
    /// Prints how the gateway is; fails when it is not there, or welcomes no new work because it stops.
    pub(super) async fn run(self) -> Result<(), Failure> {
        let said = Client::without_key(&self.gateway)?.readiness().await?;
        match said["store"].as_str() {
            None => print_line("ready"),
            Some(why) => {
                print_line(&format!("ready, but events cannot be stored: {}", super::text::visible(why)))
            }
        }
    }
}
