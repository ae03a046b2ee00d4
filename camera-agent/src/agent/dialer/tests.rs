//! Promises of the order in which gateways are dialled, with a clock that is moved.

use std::time::Duration;

use super::*;
use crate::{agent::gateway::failed, spool::system_clock};

/// An agent with two gateways that has dialled neither.
async fn two_gateways(dir: &tempfile::TempDir) -> Dialer {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let gateways =
        ["http://127.0.0.1:1", "http://127.0.0.1:2"].map(|url| GatewayConfig::new(url.parse().unwrap()));
    let state = State::open(dir.path()).await.unwrap();
    let (_, bell) = watch::channel(());
    let since = Instant::now();
    let stop = CancellationToken::new();
    Dialer::new(gateways.into(), state, vec![], system_clock(), bell, since, stop).unwrap()
}

fn lost() -> Ended {
    Ended { ending: Ending::Broken, why: String::new(), welcomed: Some(Duration::from_secs(5)) }
}

#[tokio::test(start_paused = true)]
async fn a_lost_gateway_is_dialled_after_the_others_which_come_within_two_seconds() {
    let dir = tempfile::tempdir().unwrap();
    for _ in 0..100 {
        let mut dialer = two_gateways(&dir).await;
        let now = Instant::now();
        dialer.note(0, lost()).await;
        let (next, at) = dialer.next(None).unwrap();
        assert_eq!(next, 1);
        assert!(at <= now + backoff::SWITCH.1, "after {:?}", at - now);
        assert!(dialer.gateways[0].ready_at >= at);
    }
}

#[tokio::test(start_paused = true)]
async fn a_dead_gateway_does_not_keep_an_agent_from_a_living_one() {
    let dir = tempfile::tempdir().unwrap();
    let mut dialer = two_gateways(&dir).await;
    dialer.note(0, lost()).await;
    let ready_at = dialer.gateways[1].ready_at;
    for _ in 0..10 {
        dialer.note(0, failed(Ending::Broken, String::new())).await;
        assert_eq!(dialer.gateways[1].ready_at, ready_at);
    }
}
