//! A gateway that does not keep to the protocol.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failed step fails the test")]

mod common;

use common::{Agent, TestGateway, camera, config};
use oriel_proto::{
    AgentFrame, Call, CameraId, FailureCode, GatewayFrame, RequestId,
    call::{EventsCall, Order},
    encode,
    frame::{Bound, Request},
};

/// The close code that `bytes` are answered with.
async fn closed_for(bytes: Vec<u8>) -> u16 {
    let (dir, gateway) = (tempfile::tempdir().unwrap(), TestGateway::listen().await);
    let _agent = Agent::start(config(dir.path(), &gateway, vec![camera("porch", 0)]));
    let mut peer = gateway.agent().await;
    peer.send_raw(bytes).await;
    peer.closed().await
}

fn ready() -> Vec<u8> {
    encode(&GatewayFrame::Drain { within_ms: 1 }).unwrap()
}

#[tokio::test]
async fn an_oversized_frame_is_closed_with_1009() {
    assert_eq!(closed_for(vec![0x80; 17 << 10]).await, 1009);
}

#[tokio::test]
async fn deep_nesting_is_closed_with_1007() {
    let mut bytes = b"\x81\xa5Drain\x81\xa1x".to_vec();
    bytes.extend([0x91; 5_000]);
    bytes.push(0xc0);
    assert_eq!(closed_for(bytes).await, 1007);
}

#[tokio::test]
async fn bytes_behind_a_frame_are_closed_with_1007() {
    let mut bytes = ready();
    bytes.push(0);
    assert_eq!(closed_for(bytes).await, 1007);
}

#[tokio::test]
async fn a_lying_length_is_closed_with_1007() {
    assert_eq!(closed_for(b"\x81\xa5Drain\x81\xa1x\xc6\x3b\x9a\xca\x00".to_vec()).await, 1007);
}

#[tokio::test]
async fn what_is_no_frame_is_closed_with_1002() {
    assert_eq!(closed_for(vec![0x01]).await, 1002);
}

#[tokio::test]
async fn unknown_frames_are_skipped_and_fail_the_question_they_name() {
    let (dir, gateway) = (tempfile::tempdir().unwrap(), TestGateway::listen().await);
    let _agent = Agent::start(config(dir.path(), &gateway, vec![camera("porch", 0)]));
    let mut peer = gateway.agent().await;
    peer.send_raw(b"\x81\xa4Song\x80".to_vec()).await;
    let id = RequestId::new();
    let mut bytes = b"\x81\xa4Song\x81\xa2id\xc4\x10".to_vec();
    bytes.extend(id.as_uuid().as_bytes());
    peer.send_raw(bytes).await;
    assert_eq!(peer.failure(id).await, FailureCode::Unsupported);
}

#[tokio::test]
async fn an_unknown_call_is_unsupported_and_the_connection_goes_on() {
    let (dir, gateway) = (tempfile::tempdir().unwrap(), TestGateway::listen().await);
    let _agent = Agent::start(config(dir.path(), &gateway, vec![camera("porch", 0)]));
    let mut peer = gateway.agent().await;
    let id = RequestId::new();
    let call = Call::Describe {};
    let camera: CameraId = "porch".parse().unwrap();
    let bytes = encode(&GatewayFrame::Request(Request { id, camera, deadline_ms: 9, call })).unwrap();
    let text = bytes.windows(8).position(|window| window == b"Describe").unwrap();
    let mut changed = bytes.clone();
    changed[text..text + 8].copy_from_slice(b"Dreaming");
    peer.send_raw(changed).await;
    assert_eq!(peer.failure(id).await, FailureCode::Unsupported);
    let id = peer.ask("porch", Call::Events(EventsCall::all(Order::Asc))).await;
    peer.reply(id).await;
}

#[tokio::test]
async fn frames_about_nothing_known_do_no_harm() {
    let (dir, gateway) = (tempfile::tempdir().unwrap(), TestGateway::listen().await);
    let _agent = Agent::start(config(dir.path(), &gateway, vec![camera("porch", 0)]));
    let mut peer = gateway.agent().await;
    let stranger: CameraId = "stranger".parse().unwrap();
    peer.send(GatewayFrame::Cancel { id: RequestId::new() }).await;
    peer.send(GatewayFrame::Credit { id: RequestId::new(), bytes: u32::MAX }).await;
    peer.send(GatewayFrame::Bound(Bound { camera: stranger.clone(), acked: vec![] })).await;
    peer.send(GatewayFrame::Ack { camera: stranger, epoch: oriel_proto::Epoch::new(), seq: 9 }).await;
    let id = peer.ask("porch", Call::Describe {}).await;
    peer.reply(id).await;
}

#[tokio::test]
async fn a_second_welcome_is_closed_with_1002() {
    let welcome = oriel_proto::frame::Welcome {
        session: oriel_proto::SessionId::new(),
        now: oriel_proto::Timestamp::default(),
        heartbeat_ms: 1,
        features: vec![],
        limits: oriel_proto::limits::Limits::default(),
    };
    assert_eq!(closed_for(encode(&GatewayFrame::Welcome(welcome)).unwrap()).await, 1002);
}

#[tokio::test]
async fn a_text_message_is_closed_with_1003() {
    let (dir, gateway) = (tempfile::tempdir().unwrap(), TestGateway::listen().await);
    let _agent = Agent::start(config(dir.path(), &gateway, vec![camera("porch", 0)]));
    let mut peer = gateway.agent().await;
    peer.send_text("hello").await;
    assert_eq!(peer.closed().await, 1003);
}

#[tokio::test]
async fn an_unreadable_frame_ends_the_answer_that_it_names() {
    let (dir, gateway) = (tempfile::tempdir().unwrap(), TestGateway::listen().await);
    let _agent = Agent::start(config(dir.path(), &gateway, vec![camera("porch", 3_000)]));
    let mut peer = gateway.agent().await;
    let id = peer.ask("porch", Call::Events(EventsCall::all(Order::Asc))).await;
    peer.find(|frame| matches!(frame, AgentFrame::Part { .. }).then_some(())).await;
    let mut bytes = b"\x81\xa4Song\x81\xa2id\xc4\x10".to_vec();
    bytes.extend(id.as_uuid().as_bytes());
    peer.send_raw(bytes).await;
    assert_eq!(peer.failure(id).await, FailureCode::Unsupported);
    peer.send(GatewayFrame::Credit { id, bytes: 1 << 20 }).await;
    let probe = peer.ask("porch", Call::Describe {}).await;
    loop {
        match peer.frame().await {
            AgentFrame::Reply { id, .. } if id == probe => break,
            AgentFrame::Part { .. } | AgentFrame::Done { .. } => panic!("it went on"),
            _ => {}
        }
    }
}
