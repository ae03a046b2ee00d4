//! Coming back to a stream whose connection was lost, for as long as it takes.

use std::time::Duration;

use tokio::time::sleep;

use super::{Failure, failure::say};
use crate::client::Client;

/// How long a lost connection is waited for: the first time, and at most.
const FIRST_WAIT: Duration = Duration::from_millis(500);
const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// What is known of the connections so far.
#[derive(Debug)]
pub(super) struct Comeback {
    /// Whether the stream has said anything at all.
    has_begun: bool,
    /// How long the next lost connection is waited for.
    wait: Duration,
}

impl Comeback {
    /// Before the first connection.
    pub(super) const fn new() -> Self {
        Self { has_begun: false, wait: FIRST_WAIT }
    }

    /// The stream has greeted: the address is right.
    pub(super) const fn begun(&mut self) {
        self.has_begun = true;
    }

    /// The stream has said something: the next loss is one of its own.
    pub(super) const fn heard(&mut self) {
        self.has_begun = true;
        self.wait = FIRST_WAIT;
    }

    /// Waits after a connection has ended; `Ok(false)` says that another one is to be tried, `Ok(true)` that all is done.
    pub(super) async fn after(
        &mut self,
        ended: Result<bool, Failure>,
        client: &Client,
    ) -> Result<bool, Failure> {
        match ended {
            Ok(true) => return Ok(true),
            Ok(false) if self.has_begun => say("oriel: the connection ended; going on from there"),
            Ok(false) => return Err(Failure::Client(client.broken())),
            // Nobody has been heard yet: it is more likely a wrong address than a gateway that starts again.
            Err(Failure::Client(error)) if self.has_begun && error.is_passing() => {
                say(&format!("oriel: {error}; trying again"));
            }
            Err(error) => return Err(error),
        }
        sleep(self.wait).await;
        self.wait = (self.wait * 2).min(LONGEST_WAIT);
        Ok(false)
    }
}
