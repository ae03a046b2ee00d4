//! What a revoked agent or key still has open ends at once.

#![allow(clippy::unwrap_used, reason = "what these helpers cannot do fails the test")]

mod common;

use std::time::Duration;

use common::*;
use oriel_gateway::store::Role;
use oriel_proto::InstanceId;
use reqwest::Method;
use serde_json::json;
use tokio::time::timeout;

const PORCH: &str = "/v1/cameras/porch/events?source=camera";

#[tokio::test]
async fn a_revoked_agent_is_cut_within_a_second() {
    let gateway = TestGateway::start().await;
    let mut agent = gateway.agent(&["porch"]).await;
    let mut unspoken = agent.enrolled.connect().await;
    let asking = tokio::spawn(Answer::of(
        gateway.request(Method::GET, &format!("{PORCH}&timeout=1s")).bearer_auth(&gateway.admin),
    ));
    agent.request().await;
    let cut = async {
        gateway.delete(&format!("/v1/agents/{}", agent.enrolled.id)).await.expect(204);
        agent.close_code().await
    };
    assert_eq!(timeout(Duration::from_secs(1), cut).await, Ok(Some(4003)));
    asking.await.unwrap().expect_problem(503, "camera_offline");
    assert_eq!(agent.enrolled.try_connect().await.err(), Some(403));
    // A socket that was let in before, and speaks only now.
    unspoken.send(hello(InstanceId::new(), 9)).await;
    assert_eq!(unspoken.close_code().await, Some(4003));
    until("the link has left", async || gateway.registry.agents() == 0).await;
    assert_eq!(gateway.get("/v1/cameras/porch").await.expect(200).json()["status"], "offline");
}

#[tokio::test]
async fn a_revoked_agent_loses_its_older_link_too() {
    let gateway = TestGateway::start().await;
    let (enrolled, instance) = (gateway.enroll(&["porch"]).await, InstanceId::new());
    let mut older = enrolled.welcomed(instance, 1).await;
    older.serve(&["porch"]).await;
    let asking = tokio::spawn(Answer::of(gateway.request(Method::GET, PORCH).bearer_auth(&gateway.admin)));
    older.request().await;
    let mut newer = enrolled.welcomed(instance, 2).await;
    newer.serve(&["porch"]).await;
    let cut = async {
        gateway.delete(&format!("/v1/agents/{}", enrolled.id)).await.expect(204);
        (older.close_code().await, newer.close_code().await)
    };
    assert_eq!(timeout(Duration::from_secs(1), cut).await, Ok((Some(4003), Some(4003))));
    asking.abort();
}

#[tokio::test]
async fn a_revoked_key_ends_its_streams_within_a_second() {
    let gateway = TestGateway::start().await;
    let (id, key) = gateway
        .key_with_id(Role::Viewer, oriel_gateway::store::Scope { all: true, ..Default::default() })
        .await;
    let mut stream = Sse::open(&gateway, &key, "").await;
    let mut other = Sse::open(&gateway, &gateway.admin, "").await;
    stream.next_of("hello").await;
    other.next_of("hello").await;
    let cut = async {
        gateway.delete(&format!("/v1/keys/{id}")).await.expect(204);
        while stream.next().await.is_some() {}
    };
    timeout(Duration::from_secs(1), cut).await.unwrap();
    gateway.get_as(&key, "/v1/cameras").await.expect_problem(401, "unauthorized");
    gateway.post("/v1/cameras", json!({"id": "porch"})).await.expect(201);
    assert_eq!(other.next_of("status").await.data["id"], "porch", "other streams go on");
}
