//! Enrolment, tokens, reconnecting, uploads, stopping.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failed step fails the test")]

mod common;

use std::path::Path;

use camera_agent::{AgentError, Config, StateError, config::GatewayConfig, enroll_at};
use common::{Agent, Peer, TestGateway, camera, config, soon};
use oriel_proto::{
    AgentFrame, Call, FailureCode, GatewayFrame,
    call::{EventsCall, Order},
    frame::{Acked, Bound, Feature},
    limits::Limits,
};

const TOKEN: &str = r#"{"agent":"0191d0c0-0000-7000-8000-000000000001","token":"oat_enrolled","cameras":["porch"],"new_cameras":null}"#;

fn http(status: &str, kind: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    )
}

fn created() -> String {
    http("201 Created", "application/json", TOKEN)
}

/// Like `config`, with a code instead of a token.
fn with_code(dir: &Path, gateway: &TestGateway) -> Config {
    let mut config = config(dir, gateway, vec![camera("porch", 0)]);
    config.gateways[0].token = None;
    config.gateways[0].code = Some("oen_once".into());
    config
}

/// A question is answered, so everything sent before it has been read.
async fn settle(peer: &mut Peer) {
    let id = peer.ask("porch", Call::Describe {}).await;
    peer.reply(id).await;
}

#[tokio::test]
async fn an_agent_with_a_code_enrols_itself_once() {
    let (dir, gateway) = (tempfile::tempdir().unwrap(), TestGateway::listen().await);
    let agent = Agent::start(with_code(dir.path(), &gateway));
    let asked = gateway.answer_http(&created()).await;
    assert!(asked.starts_with("POST /v1/enroll ") && asked.contains(r#""code":"oen_once""#), "{asked}");
    assert_eq!(gateway.agent().await.token, "oat_enrolled");
    agent.stop().await.unwrap();
    // The token is kept: the code is not used again.
    let _again = Agent::start(with_code(dir.path(), &gateway));
    assert_eq!(gateway.agent().await.token, "oat_enrolled");
}

#[tokio::test]
async fn a_refused_code_is_explained_in_the_gateways_words() {
    let (dir, gateway) = (tempfile::tempdir().unwrap(), TestGateway::listen().await);
    let url = camera_agent::config::parse_gateway_url(&gateway.url()).unwrap();
    let with = GatewayConfig { code: Some("oen_old".into()), ..GatewayConfig::new(url) };
    let problem =
        r#"{"title":"Unauthorized","status":401,"detail":"the code was used","code":"unauthorized"}"#;
    let answer = http("401 Unauthorized", "application/problem+json", problem);
    let (enrolled, _) = tokio::join!(enroll_at(&with, dir.path()), gateway.answer_http(&answer));
    let why = enrolled.unwrap_err().to_string();
    assert!(why.contains("401") && why.contains("the code was used") && !why.contains("oen_old"), "{why}");
}

#[tokio::test]
async fn a_rotated_token_is_used_next_and_the_old_one_when_it_is_refused() {
    let (dir, gateway) = (tempfile::tempdir().unwrap(), TestGateway::listen().await);
    let _agent = Agent::start(config(dir.path(), &gateway, vec![camera("porch", 0)]));
    let mut peer = gateway.agent().await;
    peer.send(GatewayFrame::Token { token: "oat_second".into() }).await;
    settle(&mut peer).await;
    peer.close(1012).await;
    let asked = gateway.answer_http(&http("401 Unauthorized", "text/plain", "")).await;
    assert!(asked.contains("Bearer oat_second"), "{asked}");
    let mut peer = gateway.agent().await;
    assert_eq!(peer.token, "oat_first");
    peer.send(GatewayFrame::Token { token: "oat_third".into() }).await;
    settle(&mut peer).await;
    peer.close(1012).await;
    let peer = gateway.agent().await;
    assert_eq!(peer.token, "oat_third");
    peer.close(1012).await;
    assert_eq!(gateway.agent().await.token, "oat_third");
}

#[tokio::test]
async fn each_dial_has_a_higher_generation_and_the_same_instance() {
    let (dir, gateway) = (tempfile::tempdir().unwrap(), TestGateway::listen().await);
    let _agent = Agent::start(config(dir.path(), &gateway, vec![camera("porch", 0)]));
    let (peer, first) = gateway.greet(Limits::default(), vec![]).await;
    peer.close(1012).await;
    let (_peer, second) = gateway.greet(Limits::default(), vec![]).await;
    assert_eq!(first.instance, second.instance);
    assert!(second.generation > first.generation);
}

#[tokio::test]
async fn the_next_gateway_is_tried_when_one_is_away() {
    let (dir, gone, here) =
        (tempfile::tempdir().unwrap(), TestGateway::listen().await, TestGateway::listen().await);
    let mut both = config(dir.path(), &gone, vec![camera("porch", 0)]);
    both.gateways.extend(config(dir.path(), &here, vec![]).gateways);
    drop(gone);
    let _agent = Agent::start(both);
    settle(&mut here.agent().await).await;
}

#[tokio::test]
async fn stopping_closes_normally_and_frees_the_folder() {
    let (dir, gateway) = (tempfile::tempdir().unwrap(), TestGateway::listen().await);
    let agent = Agent::start(config(dir.path(), &gateway, vec![camera("porch", 0)]));
    let mut peer = gateway.agent().await;
    let second = Agent::start(config(dir.path(), &gateway, vec![camera("porch", 0)])).ended().await;
    assert!(matches!(second, Err(AgentError::State(StateError::InUse(_)))), "{second:?}");
    let (stopped, code) = tokio::join!(agent.stop(), peer.closed());
    stopped.unwrap();
    assert_eq!(code, 1000);
}

#[tokio::test]
async fn stopping_does_not_wait_for_an_enrolment() {
    let (dir, gateway) = (tempfile::tempdir().unwrap(), TestGateway::listen().await);
    let agent = Agent::start(with_code(dir.path(), &gateway));
    let _silent = gateway.connection().await;
    agent.stop().await.unwrap();
}

#[tokio::test]
async fn a_log_that_cannot_be_opened_stops_no_other_camera_and_is_tried_again() {
    let (dir, gateway) = (tempfile::tempdir().unwrap(), TestGateway::listen().await);
    let blocked = dir.path().join("cameras/porch.db");
    std::fs::create_dir_all(&blocked).unwrap();
    let cameras = vec![camera("porch", 0), camera("yard", 5)];
    let _agent = Agent::start(config(dir.path(), &gateway, cameras));
    let mut peer = gateway.agent().await;
    let all = || Call::Events(EventsCall::all(Order::Asc));
    let id = peer.ask("porch", all()).await;
    assert_eq!(peer.failure(id).await, FailureCode::Internal);
    let id = peer.ask("yard", all()).await;
    peer.reply(id).await;
    std::fs::remove_dir(&blocked).unwrap();
    let id = peer.ask("porch", all()).await;
    peer.reply(id).await;
}

#[tokio::test]
async fn without_ingest_nothing_is_uploaded() {
    let (dir, gateway) = (tempfile::tempdir().unwrap(), TestGateway::listen().await);
    let _agent = Agent::start(config(dir.path(), &gateway, vec![camera("porch", 100)]));
    let mut peer = gateway.agent().await;
    let id = peer.ask("porch", Call::Describe {}).await;
    loop {
        match peer.frame().await {
            AgentFrame::Events(_) | AgentFrame::Lost(_) => panic!("nobody asked for events"),
            AgentFrame::Reply { id: of, .. } if of == id => break,
            _ => {}
        }
    }
}

#[tokio::test]
async fn with_ingest_everything_is_uploaded_within_its_window() {
    let (dir, gateway) = (tempfile::tempdir().unwrap(), TestGateway::listen().await);
    let _agent = Agent::start(config(dir.path(), &gateway, vec![camera("porch", 2_000)]));
    let limits = Limits { unacked: 32 << 10, ..Limits::default() };
    let mut peer = gateway.agent_with(limits, vec![Feature::Ingest]).await;
    let (mut next, mut unacked) = (1, Vec::new());
    while next <= 2_000 {
        let frame = peer.frame().await;
        let bytes = oriel_proto::codec::encoded_len(&frame);
        let AgentFrame::Events(events) = frame else { continue };
        assert_eq!(events.first, next);
        next += events.events.len() as u64;
        unacked.push(bytes);
        assert!(unacked.iter().sum::<usize>() <= 32 << 10, "more than the window is on its way");
        if unacked.len() == 2 {
            unacked.clear();
            let (camera, epoch) = (events.camera, events.epoch);
            peer.send(GatewayFrame::Ack { camera, epoch, seq: next - 1 }).await;
        }
    }
}

#[tokio::test]
async fn an_upload_goes_on_where_the_gateway_says() {
    let (dir, gateway) = (tempfile::tempdir().unwrap(), TestGateway::listen().await);
    let _agent = Agent::start(config(dir.path(), &gateway, vec![camera("porch", 100)]));
    let (mut peer, _) = gateway.greet(Limits::default(), vec![Feature::Ingest]).await;
    let camera = peer
        .find(|frame| match frame {
            AgentFrame::Camera(camera) => Some(camera),
            _ => None,
        })
        .await;
    let acked = vec![Acked { epoch: camera.spools[0].epoch, seq: 60, hash: None }];
    peer.send(GatewayFrame::Bound(Bound { camera: camera.camera, acked })).await;
    let first = peer
        .find(|frame| match frame {
            AgentFrame::Events(events) => Some(events.first),
            _ => None,
        })
        .await;
    assert_eq!(first, 61);
}

#[tokio::test]
async fn a_card_from_an_image_is_announced_anew() {
    let (dir, gateway) = (tempfile::tempdir().unwrap(), TestGateway::listen().await);
    let _agent = Agent::start(config(dir.path(), &gateway, vec![camera("porch", 10)]));
    let (mut peer, _) = gateway.greet(Limits::default(), vec![]).await;
    let next_camera = async |peer: &mut Peer| {
        peer.find(|frame| match frame {
            AgentFrame::Camera(camera) => Some(camera),
            _ => None,
        })
        .await
    };
    let camera = next_camera(&mut peer).await;
    let old = camera.spools[0].epoch;
    let acked = vec![Acked { epoch: old, seq: 5_000, hash: None }];
    peer.send(GatewayFrame::Bound(Bound { camera: camera.camera, acked })).await;
    let again = soon(next_camera(&mut peer)).await;
    assert_ne!(again.spools.last().unwrap().epoch, old);
    assert!(again.spools.last().unwrap().next >= 11);
}
