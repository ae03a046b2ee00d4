//! A gateway that drains is left when, and only when, another one has said what it makes of every camera.
//!
//! Seen failing against an agent that leaves at the first word of the other gateway, each time.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failed step fails the test")]

mod common;

use common::{Agent, Peer, TestGateway, camera, config};
use oriel_proto::{
    AgentFrame, Call, GatewayFrame,
    frame::{Bound, RefusalCode},
    limits::Limits,
};

/// Questions that the first gateway asks, to find out that the agent has not left it: an agent that would leave too early has
/// long done so when the last one is answered.
const QUESTIONS: usize = 50;

/// Asks until an answer tells that nothing else came before it; fails if the camera was given back.
async fn is_still_there(first: &mut Peer) {
    for _ in 0..QUESTIONS {
        let asked = first.ask("porch", Call::Describe {}).await;
        first
            .find(|frame| match frame {
                AgentFrame::Gone { .. } => panic!("it left before the second gateway had taken its cameras"),
                AgentFrame::Reply { id, .. } if id == asked => Some(()),
                _ => None,
            })
            .await;
    }
}

#[tokio::test]
async fn a_draining_gateway_is_left_when_another_has_spoken_of_every_camera() {
    let dir = tempfile::tempdir().unwrap();
    let (here, there) = (TestGateway::listen().await, TestGateway::listen().await);
    let mut both = config(dir.path(), &here, vec![camera("porch", 0), camera("yard", 0)]);
    both.gateways.extend(config(dir.path(), &there, vec![]).gateways);
    let _agent = Agent::start(both);
    let mut first = here.agent().await;
    first.send(GatewayFrame::Drain { within_ms: 8_000 }).await;
    let (mut second, _) = there.greet(Limits::default(), vec![]).await;
    second.find(|frame| matches!(frame, AgentFrame::Ready {}).then_some(())).await;
    is_still_there(&mut first).await;
    second.send(GatewayFrame::Bound(Bound { camera: "porch".parse().unwrap(), acked: vec![] })).await;
    is_still_there(&mut first).await;
    let refused = RefusalCode::NotYours;
    let yard = "yard".parse().unwrap();
    second.send(GatewayFrame::Refused { camera: yard, code: refused, message: String::new() }).await;
    let mut gone = Vec::new();
    while gone.len() < 2 {
        gone.push(
            first
                .find(|frame| if let AgentFrame::Gone { camera } = frame { Some(camera) } else { None })
                .await,
        );
    }
    assert_eq!(gone, ["porch", "yard"].map(|id| id.parse().unwrap()));
}
