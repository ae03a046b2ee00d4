//! A gateway in this process, what is asked of it, and hand-made agents that also do what no honest agent would.

#![allow(dead_code, reason = "each test program uses its own part")]
#![allow(unused_imports, reason = "each test program uses its own part")]
#![allow(clippy::unwrap_used, reason = "what these helpers cannot do fails the test")]

mod agent;
mod answers;
mod cases;
mod gateway;
mod http;
mod sse;
mod world;

use std::{future::Future, time::Duration};

use tokio::time::{interval, timeout};

pub(crate) use self::{
    agent::{Enrolled, RawAgent, announcement, hello},
    answers::{
        by_all, done, event, events_trailer, fail, head, images, jpeg_of, page, page_of, parts, picture,
        pieces, taken,
    },
    cases::{Case, Needs, routes},
    gateway::TestGateway,
    http::{Answer, client, raw},
    sse::{Message, Sse},
    world::{TRACES, World},
};

/// How long anything may take that should happen at once: far more than it needs on a busy machine.
pub(crate) const SOON: Duration = Duration::from_secs(20);

/// Awaits something that should happen soon.
pub(crate) async fn soon<F: Future>(what: &str, future: F) -> F::Output {
    match timeout(SOON, future).await {
        Ok(output) => output,
        Err(_) => panic!("not within {SOON:?}: {what}"),
    }
}

/// Asks again and again until the answer is yes.
pub(crate) async fn until<F: Future<Output = bool>>(what: &str, mut ask: impl FnMut() -> F) {
    let again = async {
        let mut pause = interval(Duration::from_millis(5));
        while !ask().await {
            pause.tick().await;
        }
    };
    soon(what, again).await;
}
