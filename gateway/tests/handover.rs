//! Two gateways and real agents that are enrolled at both: when one stops, its cameras are at the other before they leave.

#![allow(clippy::unwrap_used, reason = "what these helpers cannot do fails the test")]

mod common;

use camera_agent::{
    Config,
    config::{CameraConfig, GatewayConfig},
};
use common::*;
use serde_json::json;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// A real agent that knows two gateways.
struct Agent {
    stop: CancellationToken,
    task: JoinHandle<()>,
    _state: tempfile::TempDir,
}

impl Agent {
    /// Enrols a simulated camera at both, in this order, and starts.
    async fn start(camera: &str, gateways: [&TestGateway; 2]) -> Self {
        let state = tempfile::tempdir().unwrap();
        let mut list = Vec::new();
        for gateway in gateways {
            let made = gateway.post("/v1/enrollments", json!({"cameras": [camera]})).await.expect(201).json();
            let mut config = GatewayConfig::new(format!("http://{}", gateway.address).parse().unwrap());
            config.code = Some(made["code"].as_str().unwrap().into());
            list.push(config);
        }
        let cameras = vec![CameraConfig::simulated(camera.parse().unwrap())];
        let config = Config { state: state.path().to_owned(), gateways: list, cameras };
        let stop = CancellationToken::new();
        let stopping = stop.clone();
        let task = tokio::spawn(async move { camera_agent::run(config, stopping).await.unwrap() });
        Self { stop, task, _state: state }
    }

    async fn stopped(self) {
        self.stop.cancel();
        soon("the agent stops", self.task).await.unwrap();
    }
}

async fn serves(gateway: &TestGateway, camera: &str) {
    let camera = camera.parse().unwrap();
    until("the camera is connected", async || gateway.registry.find(&camera).is_some()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_is_at_the_second_gateway_before_it_leaves_the_first() {
    let (mut first, second) = (TestGateway::start().await, TestGateway::start().await);
    let agent = Agent::start("porch", [&first, &second]).await;
    serves(&first, "porch").await;
    let porch = "porch".parse().unwrap();
    let watched = first.registry.find(&porch).unwrap();
    first.stop.cancel();
    let left = async || first.registry.find(&porch).is_none() || watched.is_closed();
    until("the camera has left the first gateway", left).await;
    assert!(second.registry.find(&porch).is_some(), "it was at the second one before");
    second.get("/v1/cameras/porch/events").await.expect(200);
    soon("the first gateway ends", first.ended()).await;
    agent.stopped().await;
    until("it has left the second one too", async || second.registry.agents() == 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_comes_back_when_its_second_gateway_stops_too() {
    let (first, second) = (TestGateway::start().await, TestGateway::start().await);
    let agent = Agent::start("porch", [&first, &second]).await;
    serves(&first, "porch").await;
    let address = first.address;
    first.stopped().await;
    serves(&second, "porch").await;
    // Something else stands where the first one was: it cannot go there, and stays until it is put out.
    let mut second = second;
    let _elsewhere = tokio::net::TcpListener::bind(address).await.unwrap();
    second.stop.cancel();
    soon("the second gateway ends", second.ended()).await;
    agent.stopped().await;
}
