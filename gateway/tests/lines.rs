//! A log line by line: as it comes, however long, and never mistaken for whole when it broke off.

#![allow(clippy::unwrap_used, reason = "what these helpers cannot do fails the test")]

mod common;

use common::*;
use oriel_gateway::store::{Role, Scope};
use oriel_proto::{
    AgentFrame, Body, Call, Epoch, GatewayFrame, Items, RequestId, call::EventsCall, frame::Request,
};
use reqwest::{Method, RequestBuilder, Response};
use serde_json::{Value, json};

const PORCH: &str = "/v1/cameras/porch/events?source=camera";

fn lines(gateway: &TestGateway, key: &str, path: &str) -> RequestBuilder {
    gateway.request(Method::GET, path).bearer_auth(key).header("accept", "application/x-ndjson")
}

fn asked(request: &Request) -> &EventsCall {
    match &request.call {
        Call::Events(call) => call,
        other => panic!("not a question for events: {other:?}"),
    }
}

/// A Part with one event of this number.
fn part(id: RequestId, n: u32, epoch: Epoch) -> AgentFrame {
    let events = vec![event(epoch, u64::from(n) + 1, &format!("event {n}"))];
    AgentFrame::Part { id, n, body: Body::Items(Items::Events(events)) }
}

fn done(id: RequestId, more: bool) -> AgentFrame {
    AgentFrame::Done { id, trailer: events_trailer(more) }
}

/// The next bytes of the body, as text; none at its end, an error when it broke off.
async fn chunk(response: &mut Response) -> Result<Option<String>, reqwest::Error> {
    let chunk = soon("a chunk", response.chunk()).await?;
    Ok(chunk.map(|bytes| String::from_utf8(bytes.to_vec()).unwrap()))
}

fn values(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test]
async fn each_event_is_a_line_and_the_last_says_what_is_covered() {
    let gateway = TestGateway::start().await;
    let epoch = Epoch::new();
    let mut agent = gateway.agent(&["porch"]).await;
    let answer = tokio::spawn(Answer::of(lines(&gateway, &gateway.admin, PORCH)));
    let request = agent.request().await;
    assert_eq!(asked(&request).limit, None, "without a limit all is asked for");
    agent.send_all((0..3).map(|n| part(request.id, n, epoch)).chain([done(request.id, false)])).await;
    let answer = answer.await.unwrap().expect(200);
    assert_eq!(answer.header("content-type"), "application/x-ndjson");
    assert!(answer.header("server-timing").starts_with("camera;dur="));
    let lines = values(&answer.text);
    assert_eq!(lines.len(), 4);
    assert_eq!((&lines[0]["description"], &lines[2]["camera"]), (&json!("event 0"), &json!("porch")));
    let end = &lines[3]["end"];
    assert_eq!((&end["complete"], &end["next"]), (&json!(true), &json!(null)));
    assert_eq!(end["coverage"][0]["source"], "camera");
}

#[tokio::test]
async fn lines_arrive_while_the_camera_is_still_answering() {
    let gateway = TestGateway::start().await;
    let (epoch, mut agent) = (Epoch::new(), gateway.agent(&["porch"]).await);
    let response = tokio::spawn(lines(&gateway, &gateway.admin, PORCH).send());
    let id = agent.request().await.id;
    agent.send(part(id, 0, epoch)).await;
    let mut response = response.await.unwrap().unwrap();
    for n in 0..50 {
        assert!(chunk(&mut response).await.unwrap().unwrap().contains(&format!("event {n}\"")));
        agent.send(part(id, n + 1, epoch)).await;
    }
    agent.send(done(id, false)).await;
    let mut rest = String::new();
    while let Some(chunk) = chunk(&mut response).await.unwrap() {
        rest.push_str(&chunk);
    }
    assert_eq!(values(&rest).len(), 2);
}

#[tokio::test]
async fn lines_that_break_off_end_as_a_broken_body_without_a_last_line() {
    let gateway = TestGateway::start().await;
    let (epoch, mut agent) = (Epoch::new(), gateway.agent(&["porch"]).await);
    let response = tokio::spawn(lines(&gateway, &gateway.admin, PORCH).send());
    let id = agent.request().await.id;
    agent.send(part(id, 0, epoch)).await;
    let mut response = response.await.unwrap().unwrap();
    assert!(chunk(&mut response).await.unwrap().unwrap().contains("event 0"));
    drop(agent);
    assert!(chunk(&mut response).await.is_err(), "a client can tell");
}

#[tokio::test]
async fn a_page_of_lines_can_be_gone_on_from() {
    let gateway = TestGateway::start().await;
    let (epoch, mut agent) = (Epoch::new(), gateway.agent(&["porch"]).await);
    let first = tokio::spawn(Answer::of(lines(&gateway, &gateway.admin, &format!("{PORCH}&limit=2"))));
    let id = agent.request().await.id;
    agent.send_all([part(id, 0, epoch), part(id, 1, epoch), done(id, true)]).await;
    let first = values(&first.await.unwrap().expect(200).text);
    let next = first[2]["end"]["next"].as_str().unwrap();
    let path = format!("{PORCH}&limit=2&cursor={next}");
    let second = tokio::spawn(Answer::of(lines(&gateway, &gateway.admin, &path)));
    assert_eq!(asked(&agent.request().await).after.unwrap().seq, 2);
    second.abort();
}

#[tokio::test]
async fn a_list_without_limit_needs_an_operator() {
    let gateway = TestGateway::start().await;
    let agent = gateway.agent(&["porch"]).await;
    agent.answering(|request| vec![page(request.id, "hello")]);
    let viewer = gateway.key_for(Role::Viewer, &["porch"]).await;
    let operator = gateway.key_for(Role::Operator, &["porch"]).await;
    let ask = async |key: &str, path: &str| Answer::of(lines(&gateway, key, path)).await;
    ask(&viewer, PORCH).await.expect_problem(403, "forbidden");
    ask(&viewer, &format!("{PORCH}&limit=1001")).await.expect_problem(400, "bad_request");
    ask(&viewer, &format!("{PORCH}&limit=1000")).await.expect(200);
    ask(&operator, PORCH).await.expect(200);
    ask(&operator, &format!("{PORCH}&limit=0")).await.expect_problem(400, "bad_request");
    ask(&operator, "/v1/cameras/yard/events?source=camera").await.expect_problem(404, "not_found");
}

#[tokio::test]
async fn failures_before_the_first_line_are_problems() {
    let gateway = TestGateway::start().await;
    let ask = async |path: &str| Answer::of(lines(&gateway, &gateway.admin, path)).await;
    gateway.enroll(&["attic"]).await;
    ask("/v1/cameras/attic/events?source=camera").await.expect_problem(503, "camera_offline");
    let agent = gateway.agent(&["porch"]).await;
    agent.answering(|request| vec![fail(request.id, oriel_proto::FailureCode::SourceFailed, "lens cap")]);
    ask(PORCH).await.expect_problem(502, "camera_failed");
}

#[tokio::test]
async fn a_revoked_key_gets_no_more_lines() {
    let gateway = TestGateway::start().await;
    let (epoch, mut agent) = (Epoch::new(), gateway.agent(&["porch"]).await);
    let everywhere = Scope { all: true, ..Scope::default() };
    let (key_id, key) = gateway.key_with_id(Role::Operator, everywhere).await;
    let response = tokio::spawn(lines(&gateway, &key, PORCH).send());
    let id = agent.request().await.id;
    agent.send(part(id, 0, epoch)).await;
    let mut response = response.await.unwrap().unwrap();
    chunk(&mut response).await.unwrap().unwrap();
    gateway.delete(&format!("/v1/keys/{key_id}")).await.expect(204);
    assert!(chunk(&mut response).await.is_err());
    assert_eq!(agent.frame().await, GatewayFrame::Cancel { id }, "and the camera stops");
}

#[tokio::test]
async fn a_caller_who_hangs_up_stops_the_camera() {
    let gateway = TestGateway::start().await;
    let (epoch, mut agent) = (Epoch::new(), gateway.agent(&["porch"]).await);
    let response = tokio::spawn(lines(&gateway, &gateway.admin, PORCH).send());
    let id = agent.request().await.id;
    agent.send(part(id, 0, epoch)).await;
    drop(response.await.unwrap().unwrap());
    assert_eq!(agent.frame().await, GatewayFrame::Cancel { id });
}
