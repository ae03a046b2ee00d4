//! Tokens for many agents, by the way that every agent gets one: a code is made, and traded.
//!
//! Only wrong codes are throttled. The store commits together what waits together, so asking from many connections at once is
//! what makes 10,000 enrolments take seconds.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use oriel_proto::CameraId;
use serde::Deserialize;
use serde_json::json;
use tokio::task::JoinSet;

use crate::{failure::Result, gateway::Gateway, target::source};

/// Connections that enrol at the same time.
const AT_ONCE: usize = 256;

/// A code as the gateway gives it.
#[derive(Deserialize)]
struct Made {
    code: String,
}

/// A token as the gateway gives it.
#[derive(Deserialize)]
struct Traded {
    token: String,
}

/// The tokens of agents with these cameras, in their order.
pub(crate) async fn tokens(gateway: &Gateway, agents: &[Vec<CameraId>]) -> Result<Vec<String>> {
    let (agents, next) = (Arc::<[Vec<CameraId>]>::from(agents), Arc::new(AtomicUsize::new(0)));
    let mut enrolling = JoinSet::new();
    for n in 0..AT_ONCE.min(agents.len()) {
        let (agents, next, mut caller) = (Arc::clone(&agents), Arc::clone(&next), gateway.caller(source(n)));
        enrolling.spawn(async move {
            let mut tokens = Vec::new();
            loop {
                let agent = next.fetch_add(1, Ordering::Relaxed);
                let Some(cameras) = agents.get(agent) else { return Ok(tokens) };
                let wanted = json!({"cameras": cameras});
                let made: Made = caller.post("/v1/enrollments", &wanted).await?.must_be(201)?.json()?;
                let trade = json!({"code": made.code, "name": format!("agent-{agent}")});
                let traded: Traded = caller.post("/v1/enroll", &trade).await?.must_be(201)?.json()?;
                tokens.push((agent, traded.token));
            }
        });
    }
    let mut tokens = Vec::with_capacity(agents.len());
    while let Some(done) = enrolling.join_next().await {
        let more: Result<Vec<_>> = done?;
        tokens.extend(more?);
    }
    tokens.sort_unstable();
    Ok(tokens.into_iter().map(|(_, token)| token).collect())
}
