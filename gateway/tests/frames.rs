//! What may come up a camera socket after its handshake, broken frames above all.

#![allow(clippy::unwrap_used, reason = "what these helpers cannot do fails the test")]

mod common;

use common::*;
use oriel_proto::{
    AgentFrame, Body, Epoch, FailureCode, InstanceId, Items, RequestId, encode, limits::FRAME_BYTES,
};
use reqwest::Method;
use tokio_tungstenite::tungstenite::Message;

const PORCH: &str = "/v1/cameras/porch/events?source=camera";

/// A map of one entry, from a name to these fields.
fn frame(tag: &str, fields: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let text = |text: &str| [vec![0xa0 | u8::try_from(text.len()).unwrap()], text.into()].concat();
    let mut bytes = [vec![0x81], text(tag), vec![0x80 | u8::try_from(fields.len()).unwrap()]].concat();
    for (name, value) in fields {
        bytes.extend([text(name), value.clone()].concat());
    }
    bytes
}

/// A request's id as MessagePack.
fn id_bytes(id: RequestId) -> Vec<u8> {
    [vec![0xc4, 16], id.as_uuid().as_bytes().to_vec()].concat()
}

fn asking(gateway: &TestGateway, path: &str) -> tokio::task::JoinHandle<Answer> {
    tokio::spawn(Answer::of(gateway.request(Method::GET, path).bearer_auth(&gateway.admin)))
}

#[tokio::test]
async fn a_broken_frame_closes_its_socket_with_the_code_that_says_why() {
    let gateway = TestGateway::start().await;
    let enrolled = gateway.enroll(&["porch"]).await;
    let valid = encode(&AgentFrame::Ready {}).unwrap();
    let nested = [vec![0x91; 40], vec![0xc0]].concat();
    for (what, bytes, code) in [
        ("too deep", frame("Ready", &[("x", nested)]), 1007),
        ("trailing", [valid.clone(), vec![0xc0]].concat(), 1007),
        ("two frames", [valid.clone(), valid.clone()].concat(), 1007),
        ("cut", valid[..valid.len() - 1].to_vec(), 1007),
        ("a lying array", frame("Ready", &[("x", vec![0xdd, 0xff, 0xff, 0xff, 0xff])]), 1007),
        ("a lying map", frame("Ready", &[("x", vec![0xdf, 0x7f, 0xff, 0xff, 0xff])]), 1007),
        ("a lying text", frame("Ready", &[("x", vec![0xdb, 0xff, 0xff, 0xff, 0xff])]), 1007),
        ("a lying bin", frame("Ready", &[("x", vec![0xc6, 0xff, 0xff, 0xff, 0xff])]), 1007),
        ("lying fields", vec![0x81, 0xa1, b'x', 0xdf, 0xff, 0xff, 0xff, 0xff], 1007),
        ("no MessagePack", frame("Ready", &[("x", vec![0xc1])]), 1007),
        ("wrong fields", frame("Camera", &[]), 1007),
        ("nothing", Vec::new(), 1007),
        ("a number", vec![0x07], 1002),
        ("an array", vec![0x91, 0x80], 1002),
        ("two entries", vec![0x82, 0xa1, b'x', 0x80, 0xa1, b'y', 0x80], 1002),
        ("no name", vec![0x81, 0x07, 0x80], 1002),
        ("no fields", vec![0x81, 0xa5, b'R', b'e', b'a', b'd', b'y', 0xc0], 1002),
        ("a second Hello", encode(&hello(InstanceId::new(), 9)).unwrap(), 1002),
        ("too large", vec![0xc0; FRAME_BYTES + 1], 1009),
        ("far too large", vec![0xc0; 4 << 20], 1009),
    ] {
        let mut agent = enrolled.welcomed(InstanceId::new(), 1).await;
        agent.send_bytes(bytes).await;
        assert_eq!(agent.close_code().await, Some(code), "{what}");
        let gone = async || gateway.registry.agents() == 0;
        until("the broken link leaves", gone).await;
    }
    assert!(gateway.metric("oriel_frames_broken_total").await >= 17.0);
}

#[tokio::test]
async fn only_binary_messages_are_frames() {
    let gateway = TestGateway::start().await;
    let mut agent = gateway.agent(&["porch"]).await;
    agent.send_message(Message::text("{}")).await;
    assert_eq!(agent.close_code().await, Some(1003));
}

#[tokio::test]
async fn a_broken_frame_ends_open_questions_in_time() {
    let gateway = TestGateway::start().await;
    let mut agent = gateway.agent(&["porch"]).await;
    let asking = asking(&gateway, &format!("{PORCH}&timeout=500ms"));
    agent.request().await;
    agent.send_bytes(vec![0xc1]).await;
    asking.await.unwrap().expect_problem(503, "camera_offline");
}

#[tokio::test]
async fn an_unknown_frame_is_skipped_and_counted() {
    let gateway = TestGateway::start().await;
    let mut agent = gateway.agent(&["porch"]).await;
    agent.send_bytes(frame("Teleport", &[("where", vec![0x07])])).await;
    agent.answering(|request| vec![page(request.id, "still here")]);
    gateway.get(PORCH).await.expect(200);
    assert!(gateway.metric("oriel_frames_unknown_total").await >= 1.0);
}

#[tokio::test]
async fn unknown_fields_are_ignored() {
    let gateway = TestGateway::start().await;
    let mut agent = gateway.agent(&["porch"]).await;
    agent.send_bytes(frame("Ready", &[("novelty", vec![0x92, 0x01, 0xa1, b'x'])])).await;
    agent.answering(|request| vec![page(request.id, "still here")]);
    gateway.get(PORCH).await.expect(200);
}

#[tokio::test]
async fn an_unknown_frame_that_answers_a_question_fails_it() {
    let gateway = TestGateway::start().await;
    let mut agent = gateway.agent(&["porch"]).await;
    for (tag, fields) in [
        ("Teleport", vec![]),
        ("Reply", vec![("answer", vec![0x07])]),
        ("Part", vec![("n", vec![0x00]), ("body", vec![0x07])]),
        ("Part", vec![("n", vec![0xc0]), ("body", vec![0x07])]),
        ("Done", vec![]),
        ("Fail", vec![]),
    ] {
        let asking = asking(&gateway, PORCH);
        let id = agent.request().await.id;
        let fields = [vec![("id", id_bytes(id))], fields].concat();
        agent.send_bytes(frame(tag, &fields)).await;
        let answer = asking.await.unwrap().expect_problem(502, "camera_failed");
        assert!(answer.detail().contains(tag), "{}", answer.detail());
    }
    assert!(gateway.metric("oriel_frames_unknown_total").await >= 6.0);
}

#[tokio::test]
async fn a_sender_over_its_credit_is_closed() {
    let gateway = TestGateway::start().await;
    let mut agent = gateway.agent(&["porch"]).await;
    let asking = asking(&gateway, &format!("{PORCH}&limit=1000&timeout=500ms"));
    let id = agent.request().await.id;
    let events = vec![event(Epoch::new(), 1, &"x".repeat(2_000)); 7];
    let parts = (0..40).map(|n| AgentFrame::Part { id, n, body: Body::Items(Items::Events(events.clone())) });
    // All at once: 560 KiB are more than any window, however fast the other end reads.
    agent.send_all(parts).await;
    assert_eq!(agent.close_code().await, Some(1008));
    asking.await.unwrap().expect_problem(503, "camera_offline");
}

#[tokio::test]
async fn a_sender_that_counts_its_parts_wrongly_is_closed() {
    let gateway = TestGateway::start().await;
    let mut agent = gateway.agent(&["porch"]).await;
    let asking = asking(&gateway, &format!("{PORCH}&timeout=500ms"));
    let id = agent.request().await.id;
    agent.send(AgentFrame::Part { id, n: 1, body: Body::Items(Items::Events(Vec::new())) }).await;
    assert_eq!(agent.close_code().await, Some(1008));
    asking.await.unwrap().expect_problem(503, "camera_offline");
}

#[tokio::test]
async fn a_late_answer_reaches_nobody() {
    let gateway = TestGateway::start().await;
    let mut agent = gateway.agent(&["porch"]).await;
    let late = asking(&gateway, &format!("{PORCH}&timeout=100ms"));
    let late_id = agent.request().await.id;
    late.await.unwrap().expect_problem(504, "camera_timeout");
    let other = asking(&gateway, PORCH);
    let other_id = agent.request().await.id;
    for frame in [
        page(late_id, "late"),
        AgentFrame::Part { id: late_id, n: 0, body: Body::Items(Items::Events(Vec::new())) },
        AgentFrame::Done { id: late_id, trailer: events_trailer(false) },
        fail(late_id, FailureCode::Internal, "late"),
        page(RequestId::new(), "never asked"),
    ] {
        agent.send(frame).await;
    }
    agent.send(page(other_id, "in time")).await;
    let answer = other.await.unwrap().expect(200);
    assert!(answer.text.contains("in time") && !answer.text.contains("late"));
    gateway.metric_reaches("oriel_frames_late_total", 5.0).await;
}

#[tokio::test]
async fn a_second_answer_reaches_nobody() {
    let gateway = TestGateway::start().await;
    let mut agent = gateway.agent(&["porch"]).await;
    let asking = asking(&gateway, PORCH);
    let id = agent.request().await.id;
    agent.send_all([page(id, "first"), page(id, "second"), fail(id, FailureCode::Internal, "third")]).await;
    let answer = asking.await.unwrap().expect(200);
    assert!(answer.text.contains("first") && !answer.text.contains("second"));
    gateway.metric_reaches("oriel_frames_late_total", 2.0).await;
}

#[tokio::test]
async fn one_agents_answer_cannot_answer_anothers_question() {
    let gateway = TestGateway::start().await;
    let mut porch = gateway.agent(&["porch"]).await;
    let mut yard = gateway.agent(&["yard"]).await;
    let asking = asking(&gateway, PORCH);
    let id = porch.request().await.id;
    yard.send(page(id, "forged")).await;
    gateway.metric_reaches("oriel_frames_late_total", 1.0).await;
    porch.send(page(id, "true")).await;
    assert!(asking.await.unwrap().expect(200).text.contains("true"));
}
