//! Logs as the gateway tells them, from its store or from the camera itself.

use oriel_gateway::clock;
use oriel_proto::{CameraId, Epoch, Event, EventId, Kind, Seq, Severity, Timestamp, event::Data};
use serde::Deserialize;

use crate::{
    failure::{Doing, Failure, Result},
    http::Caller,
};

/// An event with its name.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Row {
    /// Its name.
    pub(super) id: EventId,
    /// When it happened.
    pub(super) at: Timestamp,
    /// What it says.
    pub(super) said: Said,
}

/// What an event says, whoever wrote it and whenever.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub(super) struct Said {
    kind: Kind,
    severity: Severity,
    description: String,
    data: Data,
}

/// A whole log.
#[derive(Debug, Default)]
pub(super) struct Log {
    /// What the camera wrote, in the order in which it was told.
    pub(super) rows: Vec<Row>,
    /// How many more there are that the gateway wrote itself.
    pub(super) own: u64,
    /// Whether the gateway says that nothing is missing.
    pub(super) complete: bool,
}

#[derive(Deserialize)]
struct Line {
    id: String,
    at: String,
    #[serde(flatten)]
    said: Said,
}

#[derive(Deserialize)]
struct Page {
    events: Vec<Line>,
}

#[derive(Deserialize)]
struct Last {
    end: End,
}

#[derive(Deserialize)]
struct End {
    complete: bool,
}

impl Row {
    /// An event as it was written.
    pub(super) fn of(epoch: Epoch, seq: Seq, event: Event) -> Self {
        let Event { at, kind, severity, description, data, .. } = event;
        Self { id: EventId { epoch, seq }, at, said: Said { kind, severity, description, data } }
    }

    /// Whether the gateway wrote it: that the camera came or went.
    fn is_gateways(&self) -> bool {
        let said = &self.said;
        matches!(said.kind, Kind::Online | Kind::Offline)
            && said.data.get("by").and_then(|by| by.as_str()) == Some("gateway")
    }
}

impl Line {
    fn row(self) -> Result<Row> {
        let at = clock::parse(&self.at, Timestamp::default())?;
        Ok(Row { id: self.id.parse()?, at, said: self.said })
    }
}

/// The whole log of a camera, oldest first, line by line; `question` is what else is said in the query.
pub(super) async fn log(caller: &mut Caller, camera: &CameraId, question: &str) -> Result<Log> {
    let path = format!("/v1/cameras/{camera}/events?order=asc&{question}");
    let reply = caller.get_lines(&path).await.doing(&path)?.must_be(200).doing(&path)?;
    let (mut log, mut ended) = (Log::default(), false);
    for line in reply.body.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        if line.starts_with(b"{\"end\":") {
            let Last { end } = serde_json::from_slice(line).doing("the last line")?;
            (log.complete, ended) = (end.complete, true);
            continue;
        }
        let row = serde_json::from_slice::<Line>(line).doing("a line")?.row()?;
        if row.is_gateways() {
            log.own += 1;
        } else {
            log.rows.push(row);
        }
    }
    if ended { Ok(log) } else { Err(Failure::new(format!("{path} broke off"))) }
}

/// A page of a log, without what the gateway wrote itself; `question` is the query. None when there is no answer.
pub(super) async fn page(caller: &mut Caller, camera: &CameraId, question: &str) -> Result<Option<Vec<Row>>> {
    let reply = caller.get(&format!("/v1/cameras/{camera}/events?{question}")).await?;
    if reply.status != 200 {
        return Ok(None);
    }
    let Page { events } = reply.json()?;
    let rows = events.into_iter().map(Line::row).collect::<Result<Vec<_>>>()?;
    Ok(Some(rows.into_iter().filter(|row| !row.is_gateways()).collect()))
}
