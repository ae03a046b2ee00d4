//! A gateway that stops: who has another gateway goes there first, and nobody's answer is cut short.

#![allow(clippy::unwrap_used, reason = "what these helpers cannot do fails the test")]

mod common;

use std::time::{Duration, Instant};

use common::*;
use oriel_proto::{AgentFrame, CameraId, GatewayFrame};
use reqwest::Method;
use tokio::task::JoinHandle;

const PORCH: &str = "/v1/cameras/porch/events?source=camera";

fn asking(gateway: &TestGateway, path: &str) -> JoinHandle<Answer> {
    tokio::spawn(Answer::of(gateway.request(Method::GET, path).bearer_auth(&gateway.admin)))
}

fn gone(camera: &str) -> AgentFrame {
    AgentFrame::Gone { camera: camera.parse::<CameraId>().unwrap() }
}

/// Waits for the word that the gateway stops; gives the time that is left.
async fn drained(agent: &mut RawAgent) -> Duration {
    loop {
        if let GatewayFrame::Drain { within_ms } = agent.frame().await {
            return Duration::from_millis(within_ms.into());
        }
    }
}

#[tokio::test]
async fn while_agents_move_everything_else_goes_on() {
    let mut gateway = TestGateway::start().await;
    let mut mover = gateway.enroll(&["porch"]).await.mover(&["porch"]).await;
    let mut stayer = gateway.agent(&["yard"]).await;
    gateway.stop.cancel();
    assert!(drained(&mut mover).await <= Duration::from_secs(8));
    assert!(drained(&mut stayer).await <= Duration::from_secs(8));
    gateway.get("/readyz").await.expect_problem(503, "draining");
    assert_eq!(stayer.enrolled.try_connect().await.err(), Some(503), "no agent is let in");
    let yard = asking(&gateway, "/v1/cameras/yard/events?source=camera");
    let id = stayer.request().await.id;
    stayer.send(page(id, "still here")).await;
    assert!(yard.await.unwrap().expect(200).text.contains("still here"));
    let porch = asking(&gateway, PORCH);
    let id = mover.request().await.id;
    mover.send(gone("porch")).await;
    until("the camera is given back", async || gateway.registry.find(&"porch".parse().unwrap()).is_none())
        .await;
    // Another question than the open one, whose answer it would share.
    gateway.get(&format!("{PORCH}&q=new")).await.expect_problem(503, "camera_offline");
    mover.send(page(id, "the last answer")).await;
    assert!(porch.await.unwrap().expect(200).text.contains("the last answer"));
    assert_eq!(mover.close_code().await, Some(1012));
    assert_eq!(stayer.close_code().await, Some(1012));
    soon("the gateway ends", gateway.ended()).await;
}

#[tokio::test]
async fn a_gateway_whose_agents_have_nowhere_to_go_stops_at_once() {
    let mut gateway = TestGateway::start().await;
    let mut agent = gateway.agent(&["porch"]).await;
    let start = Instant::now();
    gateway.stop.cancel();
    assert_eq!(agent.close_code().await, Some(1012));
    soon("the gateway ends", gateway.ended()).await;
    assert!(start.elapsed() < Duration::from_secs(4), "{:?}", start.elapsed());
}

#[tokio::test]
async fn a_question_that_waits_for_a_camera_does_not_hold_up_a_stop() {
    let mut gateway = TestGateway::start().await;
    gateway.enroll(&["attic"]).await;
    let waiting = asking(&gateway, "/v1/cameras/attic/events?source=camera&wait_online=60s");
    gateway.metric_reaches("oriel_cameras_awaited", 1.0).await;
    gateway.stop.cancel();
    waiting.await.unwrap().expect_problem(503, "camera_offline");
    soon("the gateway ends", gateway.ended()).await;
}

#[tokio::test]
async fn who_still_waits_when_the_gateway_ends_is_told_so() {
    let mut gateway = TestGateway::start().await;
    let mut agent = gateway.agent(&["porch"]).await;
    let porch = asking(&gateway, &format!("{PORCH}&timeout=30s"));
    agent.request().await;
    let start = Instant::now();
    gateway.stop.cancel();
    porch.await.unwrap().expect_problem(503, "camera_offline");
    assert!(start.elapsed() > Duration::from_secs(7), "given up after {:?}", start.elapsed());
    assert_eq!(agent.close_code().await, Some(1012));
    soon("the gateway ends", gateway.ended()).await;
}
