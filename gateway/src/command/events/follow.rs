//! `oriel events --follow`: events as they come, over as many connections as it takes.

use std::time::Duration;

use oriel_gateway::events::table;
use serde_json::Value;
use tokio::time::sleep;

use super::{
    super::{
        failure::say,
        output::{print_bytes, print_json},
        stop,
    },
    COLUMNS, Events, Failure, print_row_as, write_row,
};
use crate::client::{Client, ClientError, Message};

/// How long a lost connection is waited for: the first time, and at most.
const FIRST_WAIT: Duration = Duration::from_millis(500);
const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// The least time without a word after which a connection is given up: the gateway speaks every ten seconds.
const SILENCE: Duration = Duration::from_secs(25);

/// How far a follower has come.
#[derive(Debug)]
struct Progress {
    /// From where to go on; none before the first connection.
    place: Option<String>,
    /// Events written so far.
    count: u32,
    /// How long the next lost connection is waited for.
    wait: Duration,
}

impl Events {
    /// Writes each event as it comes, until a signal or `--limit` ends it.
    pub(super) async fn follow(mut self) -> Result<(), Failure> {
        self.client.timeout = self.client.timeout.max(SILENCE);
        let client = Client::new(&self.client)?;
        let stop = stop::on_signal().map_err(Failure::Runtime)?;
        stop.run_until_cancelled(self.follow_on(&client)).await.unwrap_or(Ok(()))
    }

    async fn follow_on(&self, client: &Client) -> Result<(), Failure> {
        let mut progress = Progress { place: None, count: 0, wait: FIRST_WAIT };
        loop {
            match self.follow_once(client, &mut progress).await {
                Ok(true) => return Ok(()),
                Ok(false) if progress.place.is_some() => {
                    say("oriel: the connection ended; going on from there")
                }
                Ok(false) => return Err(Failure::Client(client.broken())),
                // Nobody has been heard yet: it is more likely a wrong address than a gateway that starts again.
                Err(error) if progress.place.is_none() || !is_passing(&error) => return Err(error),
                Err(error) => say(&format!("oriel: {error}; trying again")),
            }
            sleep(progress.wait).await;
            progress.wait = (progress.wait * 2).min(LONGEST_WAIT);
        }
    }

    /// Follows over one connection; whether everything was written that was asked for.
    async fn follow_once(&self, client: &Client, progress: &mut Progress) -> Result<bool, Failure> {
        let mut messages = client.follow(&self.path(), &self.filters(), progress.place.as_deref()).await?;
        while let Some(Message { kind, place, data }) = client.next_message(&mut messages).await? {
            if kind != "hello" {
                progress.wait = FIRST_WAIT;
            }
            match kind.as_str() {
                "event" => {
                    self.write_followed(&data, progress.count == 0)?;
                    progress.count += 1;
                }
                "missing" => say("missing: retention removed events before they could be told"),
                "gone" => {
                    let camera = data["camera"].as_str().unwrap_or("?");
                    say(&format!("oriel: camera {camera} was removed, or is not to be seen any more"));
                    return Ok(true);
                }
                _ => {}
            }
            if !place.is_empty() {
                progress.place = Some(place);
            }
            if self.limit.is_some_and(|limit| progress.count >= limit) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn write_followed(&self, event: &Value, is_first: bool) -> Result<(), Failure> {
        if self.json {
            return print_json(event);
        }
        if !self.csv {
            return print_row_as(self.look(), COLUMNS, event);
        }
        let mut text = Vec::new();
        if is_first {
            table::write_head(&mut text);
        }
        write_row(&mut text, event);
        print_bytes(&text)
    }
}

/// Whether a failure may pass by itself.
fn is_passing(error: &Failure) -> bool {
    matches!(
        error,
        Failure::Client(ClientError::Unreachable { .. } | ClientError::Problem { status: 429 | 500.., .. })
    )
}
