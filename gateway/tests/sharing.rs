//! Equal questions share one answer, and each of their callers is served as if alone.

#![allow(clippy::unwrap_used, reason = "what these helpers cannot do fails the test")]

mod common;

use common::*;
use futures_util::future::join_all;
use oriel_gateway::store::Role;
use oriel_proto::GatewayFrame;
use reqwest::Method;
use tokio::task::JoinHandle;

const PORCH: &str = "/v1/cameras/porch/events?source=camera";

fn asking(gateway: &TestGateway, path: &str) -> JoinHandle<Answer> {
    tokio::spawn(Answer::of(gateway.request(Method::GET, path).bearer_auth(&gateway.admin)))
}

/// Waits until so many callers share an answer that another one asked for.
async fn joined(gateway: &TestGateway, count: u32) {
    gateway.metric_reaches("oriel_calls_joined_total", count.into()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_question_of_a_thousand_callers_goes_to_the_camera_once() {
    let gateway = TestGateway::with(|config| config.limits.connections_per_address = 2_000).await;
    let mut agent = gateway.agent(&["porch"]).await;
    let stranger = gateway.key_for(Role::Viewer, &["yard"]).await;
    let callers: Vec<_> = (0..1_000).map(|_| asking(&gateway, PORCH)).collect();
    let strangers = join_all((0..20).map(|_| gateway.get_as(&stranger, PORCH)));
    let hurried = join_all((0..20).map(|_| asking(&gateway, &format!("{PORCH}&timeout=100ms"))));
    let id = agent.request().await.id;
    for answer in strangers.await {
        answer.expect_problem(404, "not_found");
    }
    for answer in hurried.await {
        answer.unwrap().expect_problem(504, "camera_timeout");
    }
    joined(&gateway, 1_019).await;
    agent.send(page(id, "one for all")).await;
    for answer in join_all(callers).await {
        assert!(answer.unwrap().expect(200).text.contains("one for all"));
    }
    // The next question is a new one: nothing of the first is kept.
    let again = asking(&gateway, PORCH);
    let request = agent.request().await;
    assert_ne!(request.id, id);
    agent.send(page(request.id, "later")).await;
    assert!(again.await.unwrap().expect(200).text.contains("later"));
}

#[tokio::test]
async fn a_caller_with_more_time_than_the_first_makes_the_camera_asked_again() {
    let gateway = TestGateway::start().await;
    let mut agent = gateway.agent(&["porch"]).await;
    let short = asking(&gateway, &format!("{PORCH}&timeout=500ms"));
    let first = agent.request().await;
    let long = asking(&gateway, &format!("{PORCH}&timeout=20s"));
    short.await.unwrap().expect_problem(504, "camera_timeout");
    let second = agent.request().await;
    assert!(first.deadline_ms <= 500 && second.deadline_ms > 15_000, "{first:?} {second:?}");
    agent.send(page(second.id, "in time")).await;
    assert!(long.await.unwrap().expect(200).text.contains("in time"));
}

#[tokio::test]
async fn a_shared_answer_is_cancelled_when_its_last_caller_leaves() {
    let gateway = TestGateway::start().await;
    let mut agent = gateway.agent(&["porch"]).await;
    let (one, two) = (asking(&gateway, PORCH), asking(&gateway, PORCH));
    let id = agent.request().await.id;
    joined(&gateway, 1).await;
    one.abort();
    let other = asking(&gateway, "/v1/cameras/porch/events?source=camera&q=other");
    let next = agent.request().await;
    agent.send(page(next.id, "")).await;
    other.await.unwrap().expect(200);
    two.abort();
    assert_eq!(agent.frame().await, GatewayFrame::Cancel { id });
}

#[tokio::test]
async fn different_questions_are_not_mixed_up() {
    let gateway = TestGateway::start().await;
    let mut agent = gateway.agent(&["porch", "yard"]).await;
    let paths = [
        PORCH.to_owned(),
        "/v1/cameras/yard/events?source=camera".to_owned(),
        format!("{PORCH}&order=asc"),
        format!("{PORCH}&limit=7"),
        format!("{PORCH}&q=a"),
        format!("{PORCH}&kind=motion"),
        format!("{PORCH}&from=2020-01-01T00:00:00Z"),
    ];
    let mut asked: Vec<JoinHandle<Answer>> = Vec::new();
    let mut ids = Vec::new();
    for path in &paths {
        asked.push(asking(&gateway, path));
        ids.push(agent.request().await.id);
    }
    for (n, id) in ids.into_iter().enumerate().rev() {
        agent.send(page(id, &format!("answer {n}."))).await;
    }
    for (n, answer) in join_all(asked).await.into_iter().enumerate() {
        assert!(answer.unwrap().expect(200).text.contains(&format!("answer {n}.")));
    }
}
