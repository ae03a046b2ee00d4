//! `oriel events --follow`: events as they come, over as many connections as it takes.

use std::time::Duration;

use oriel_gateway::events::table;
use serde_json::Value;

use super::{
    super::{
        comeback::Comeback,
        failure::say,
        output::{print_bytes, print_json},
        stop,
    },
    COLUMNS, Events, Failure, print_row_as, write_row,
};
use crate::client::{Client, Message};

/// The least time without a word after which a connection is given up: the gateway speaks every ten seconds.
const SILENCE: Duration = Duration::from_secs(25);

/// How far a follower has come.
#[derive(Debug)]
struct Progress {
    /// From where to go on; none before the first connection.
    place: Option<String>,
    /// Events written so far.
    count: u32,
    comeback: Comeback,
}

impl Events {
    /// Writes each event as it comes, until a signal or `--limit` ends it.
    pub(super) async fn follow(mut self) -> Result<(), Failure> {
        self.client = self.client.waiting(SILENCE);
        let client = Client::new(&self.client)?;
        let stop = stop::on_signal().map_err(Failure::Runtime)?;
        stop.run_until_cancelled(self.follow_on(&client)).await.unwrap_or(Ok(()))
    }

    async fn follow_on(&self, client: &Client) -> Result<(), Failure> {
        let mut progress = Progress { place: None, count: 0, comeback: Comeback::new() };
        loop {
            let ended = self.follow_once(client, &mut progress).await;
            if progress.comeback.after(ended, client).await? {
                return Ok(());
            }
        }
    }

    /// Follows over one connection; whether everything was written that was asked for.
    async fn follow_once(&self, client: &Client, progress: &mut Progress) -> Result<bool, Failure> {
        let mut messages = client.follow(&self.path(), &self.filters(), progress.place.as_deref()).await?;
        while let Some(Message { kind, place, data }) = client.next_message(&mut messages).await? {
            if kind != "hello" {
                progress.comeback.heard();
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
                progress.comeback.begun();
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
