//! Cameras that are away for a moment: a question waits for them or is put again, and dead links are found out.

#![allow(clippy::unwrap_used, reason = "what these helpers cannot do fails the test")]

mod common;

use std::time::{Duration, Instant};

use common::*;
use oriel_gateway::store::{Role, Scope};
use oriel_proto::{AgentFrame, Body, Epoch, InstanceId, Items};
use reqwest::Method;
use tokio::task::JoinHandle;

const PORCH: &str = "/v1/cameras/porch/events?source=camera";

fn asking(gateway: &TestGateway, path: &str) -> JoinHandle<Answer> {
    tokio::spawn(Answer::of(gateway.request(Method::GET, path).bearer_auth(&gateway.admin)))
}

/// The agent's next link.
async fn next_link(enrolled: &Enrolled, instance: InstanceId, generation: u64) -> RawAgent {
    let mut agent = enrolled.welcomed(instance, generation).await;
    agent.serve(&["porch"]).await;
    agent
}

#[tokio::test]
async fn a_question_whose_link_ends_is_put_once_more_over_the_next() {
    let gateway = TestGateway::start().await;
    let (enrolled, instance) = (gateway.enroll(&["porch"]).await, InstanceId::new());
    let mut first = next_link(&enrolled, instance, 1).await;
    let asked = asking(&gateway, PORCH);
    let id = first.request().await.id;
    // A part of a page is nothing that anybody has heard of.
    let body = Body::Items(Items::Events(vec![event(Epoch::new(), 1, "from the first link")]));
    first.send(AgentFrame::Part { id, n: 0, body }).await;
    drop(first);
    let mut second = next_link(&enrolled, instance, 2).await;
    let again = second.request().await;
    assert_ne!(again.id, id);
    second.send(page(again.id, "from the second link")).await;
    let answer = asked.await.unwrap().expect(200);
    assert!(answer.text.contains("from the second link") && !answer.text.contains("from the first link"));
}

#[tokio::test]
async fn a_question_is_not_put_a_third_time() {
    let gateway = TestGateway::start().await;
    let (enrolled, instance) = (gateway.enroll(&["porch"]).await, InstanceId::new());
    let asked = {
        let mut link = next_link(&enrolled, instance, 1).await;
        let asked = asking(&gateway, PORCH);
        link.request().await;
        asked
    };
    let mut link = next_link(&enrolled, instance, 2).await;
    link.request().await;
    drop(link);
    asked.await.unwrap().expect_problem(503, "camera_offline");
}

#[tokio::test]
async fn without_a_next_link_the_camera_is_offline_at_the_deadline() {
    let gateway = TestGateway::start().await;
    let mut agent = gateway.agent(&["porch"]).await;
    let start = Instant::now();
    let asked = asking(&gateway, &format!("{PORCH}&timeout=700ms"));
    agent.request().await;
    drop(agent);
    asked.await.unwrap().expect_problem(503, "camera_offline");
    assert!(start.elapsed() >= Duration::from_millis(650), "it had time to come back");
    let start = Instant::now();
    gateway.get(PORCH).await.expect_problem(503, "camera_offline");
    assert!(start.elapsed() < Duration::from_secs(5), "who asks later is told at once");
}

#[tokio::test]
async fn a_caller_may_wait_for_a_camera_to_connect() {
    let gateway = TestGateway::start().await;
    let enrolled = gateway.enroll(&["porch"]).await;
    let asked = asking(&gateway, &format!("{PORCH}&wait_online=20s&timeout=5s"));
    let missing = gateway.get(&format!("{PORCH}&wait_online=200ms")).await;
    missing.expect_problem(503, "camera_offline");
    enrolled.serving(&["porch"]).await.answering(|request| vec![page(request.id, "here I am")]);
    let answer = asked.await.unwrap().expect(200);
    assert!(answer.text.contains("here I am"));
    assert!(answer.header("server-timing").contains("queue;dur="), "{}", answer.header("server-timing"));
    gateway.get(&format!("{PORCH}&wait_online=61s")).await.expect_problem(400, "bad_request");
    gateway
        .get("/v1/cameras/nobody/events?source=camera&wait_online=20s")
        .await
        .expect_problem(404, "not_found");
}

#[tokio::test]
async fn who_may_no_longer_see_a_camera_does_not_wait_for_it() {
    let gateway = TestGateway::start().await;
    gateway.enroll(&["porch"]).await;
    let everywhere = Scope { all: true, ..Scope::default() };
    let (id, key) = gateway.key_with_id(Role::Viewer, everywhere).await;
    let asked = gateway.request(Method::GET, &format!("{PORCH}&wait_online=60s")).bearer_auth(&key);
    let asked = tokio::spawn(Answer::of(asked));
    gateway.metric_reaches("oriel_cameras_awaited", 1.0).await;
    gateway.delete(&format!("/v1/keys/{id}")).await.expect(204);
    assert_eq!(asked.await.unwrap().status, 403);
}

#[tokio::test]
async fn a_call_that_timed_out_finds_a_dead_link_within_five_seconds() {
    let gateway = TestGateway::start().await;
    // Nobody reads on this end, so that nothing answers a ping: the connection stands, and the agent is gone.
    let _dead = gateway.agent(&["porch"]).await;
    gateway.get(&format!("{PORCH}&timeout=100ms")).await.expect_problem(504, "camera_timeout");
    let start = Instant::now();
    let gone = async || gateway.registry.agents() == 0;
    until("the dead link is closed", gone).await;
    assert!((4..8).contains(&start.elapsed().as_secs()), "{:?}", start.elapsed());
    gateway.get(PORCH).await.expect_problem(503, "camera_offline");
}
