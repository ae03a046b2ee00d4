//! What a gateway says of its store, and whether it still asks cameras.

use std::{net::Ipv4Addr, time::Duration};

use oriel_proto::CameraId;
use serde::Deserialize;
use tokio::time::{Instant, sleep};

use crate::{
    crash::row,
    failure::Result,
    gateway::Gateway,
    http::Caller,
    report::{Report, millis},
    stats::Times,
};

/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// How the metric is called that says whether the store can be written.
const WRITABLE: &str = "oriel_store_writable";

/// What the gateway says of its store.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct State {
    status: u16,
    /// The field of `/readyz`.
    trouble: Option<String>,
    /// The metric.
    writable: Option<f64>,
}

/// The body of `/readyz`.
#[derive(Deserialize)]
struct Ready {
    store: Option<String>,
}

impl State {
    async fn of(gateway: &Gateway, caller: &mut Caller) -> Result<Self> {
        let reply = caller.get("/readyz").await?;
        let trouble = if reply.status == 200 { reply.json::<Ready>()?.store } else { None };
        Ok(Self { status: reply.status, trouble, writable: gateway.metric(WRITABLE).await? })
    }

    /// Ready, and the store cannot be written.
    fn is_troubled(&self) -> bool {
        self.status == 200 && self.trouble.is_some() && self.writable == Some(0.0)
    }

    /// Ready, and the store can be written.
    fn is_well(&self) -> bool {
        self.status == 200 && self.trouble.is_none() && self.writable == Some(1.0)
    }
}

/// Waits until the gateway says that its store cannot be written; how long that took, none when it takes longer than `within`.
pub(super) async fn troubled(gateway: &Gateway, within: Duration) -> Result<Option<Duration>> {
    until(gateway, within, State::is_troubled).await
}

/// Waits until the gateway says that its store can be written; how long that took, none when it takes longer than `within`.
pub(super) async fn well(gateway: &Gateway, within: Duration) -> Result<Option<Duration>> {
    until(gateway, within, State::is_well).await
}

async fn until(gateway: &Gateway, within: Duration, holds: fn(&State) -> bool) -> Result<Option<Duration>> {
    let (mut caller, start) = (gateway.caller(Ipv4Addr::LOCALHOST), Instant::now());
    while start.elapsed() < within {
        if holds(&State::of(gateway, &mut caller).await?) {
            return Ok(Some(start.elapsed()));
        }
        sleep(LOOK_EVERY).await;
    }
    Ok(None)
}

/// What was seen of a gateway whose store cannot be written.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// States other than that, in the order in which they were seen.
    wrong: Vec<State>,
    /// How long the answers of a camera took.
    answered: Times,
    unanswered: u64,
}

impl Seen {
    /// Looks at it, and asks `camera` for its log, again and again for so long.
    pub(super) async fn look(&mut self, gateway: &Gateway, camera: &CameraId, time: Duration) -> Result<()> {
        let (mut caller, start) = (gateway.caller(Ipv4Addr::LOCALHOST), Instant::now());
        while start.elapsed() < time {
            let state = State::of(gateway, &mut caller).await?;
            if !state.is_troubled() {
                self.wrong.push(state);
            }
            self.ask(&mut caller, camera).await;
            sleep(LOOK_EVERY).await;
        }
        Ok(())
    }

    /// Asks `camera` for its newest events, past the store, and waits some seconds for its agent.
    pub(super) async fn ask(&mut self, caller: &mut Caller, camera: &CameraId) {
        let start = Instant::now();
        let question = "source=camera&limit=10&timeout=10s&wait_online=10s";
        match row::page(caller, camera, question).await {
            Ok(Some(rows)) if !rows.is_empty() => self.answered.push(start.elapsed()),
            _ => self.unanswered += 1,
        }
    }

    /// Tells it; `when` begins the figures' names.
    pub(super) fn tell(&self, when: &str, report: &mut Report) {
        if let Some(first) = self.wrong.first() {
            report.progress(format!("{when}: {first:?}"));
        }
        let wrong = self.wrong.len() as u64;
        report.none(&format!("{when}: looks at a gateway that did not say so, or was not ready"), wrong);
        let told = format!("{}, longest {}", self.answered.len(), millis(self.answered.longest()));
        report.figure(&format!("{when}: questions that a camera answered"), told);
        report.none(&format!("{when}: questions that it did not answer"), self.unanswered);
    }
}
