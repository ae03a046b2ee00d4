//! A camera's end: it is gone for everybody at once, and for its agent until somebody makes it anew.

#![allow(clippy::unwrap_used, reason = "what these helpers cannot do fails the test")]

mod common;

use common::*;
use oriel_proto::{GatewayFrame, frame::RefusalCode};
use reqwest::Method;
use serde_json::{Value, json};

const PORCH: &str = "/v1/cameras/porch";

#[tokio::test]
async fn a_deleted_camera_is_accepted_once_and_then_not_found() {
    let gateway = TestGateway::start().await;
    let mut agent = gateway.agent(&["porch", "yard"]).await;
    let answer = gateway.delete(PORCH).await.expect(202);
    assert_eq!(answer.json(), json!({"id": "porch"}));
    gateway.delete(PORCH).await.expect_problem(404, "not_found");
    gateway.get(PORCH).await.expect_problem(404, "not_found");
    gateway.get(&format!("{PORCH}/events")).await.expect_problem(404, "not_found");
    gateway.send(Method::PATCH, PORCH, json!({"name": "x"})).await.expect_problem(404, "not_found");
    let list: Value = gateway.get("/v1/cameras").await.expect(200).json();
    let ids: Vec<_> = list["cameras"].as_array().unwrap().iter().map(|camera| &camera["id"]).collect();
    assert_eq!(ids, ["yard"]);
    let told = agent.frame().await;
    assert!(
        matches!(&told, GatewayFrame::Refused { camera, code: RefusalCode::Removed, .. } if camera.as_str() == "porch"),
        "{told:?}"
    );
    assert_eq!(agent.announce("porch").await, Err(RefusalCode::Removed));
    assert_eq!(agent.announce("yard").await, Ok(()));
}

#[tokio::test]
async fn deleting_is_an_administrators_choice() {
    let gateway = TestGateway::start().await;
    gateway.enroll(&["porch"]).await;
    let role = |word: &str| word.parse().unwrap();
    for (key, status) in [
        (gateway.key_for(role("admin"), &["yard"]).await, 404),
        (gateway.key_for_all(role("operator")).await, 403),
        (gateway.key_for_all(role("viewer")).await, 403),
    ] {
        let request = gateway.request(Method::DELETE, PORCH).bearer_auth(key);
        Answer::of(request).await.expect(status);
    }
    gateway.get(PORCH).await.expect(200);
}
