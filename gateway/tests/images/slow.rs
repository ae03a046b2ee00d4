//! Readers that take nothing: what they hold is their own, and others go on.

use std::sync::atomic::Ordering;

use oriel_gateway::store::Role;
use reqwest::Method;
use serde_json::json;

use super::{
    credit::Giver,
    many::{last, read_parts},
};
use crate::common::*;

const MIB: usize = 1 << 20;

/// What is said of the latest pictures at the end.
async fn told(gateway: &TestGateway, key: &str, query: &str) -> serde_json::Value {
    let request = gateway.request(Method::GET, &format!("/v1/images/latest{query}")).bearer_auth(key);
    let whole = async {
        let response = request.send().await.unwrap();
        let media_type = response.headers()["content-type"].to_str().unwrap().to_owned();
        last(read_parts(&media_type, &response.bytes().await.unwrap()))
    };
    soon("an answer", whole).await
}

#[tokio::test]
async fn whoever_holds_all_its_room_makes_nobody_else_wait_and_is_no_cameras_fault() {
    let gateway = TestGateway::start().await;
    let (mut givers, other) = (Vec::new(), gateway.key_for_all(Role::Viewer).await);
    for camera in ["large-1", "large-2", "large-3"] {
        givers.push(Giver::start(gateway.agent(&[camera]).await, jpeg_of(12 * MIB)));
    }
    let yard = Giver::start(gateway.agent(&["yard"]).await, jpeg_of(20_000));
    let _silent = gateway.agent(&["silent"]).await;
    let query = "/v1/images/latest?camera=large-1,large-2,large-3&timeout=60s";
    let greedy = gateway.request(Method::GET, query).bearer_auth(&gateway.admin).send();
    let greedy = soon("the answer begins", greedy).await.unwrap();
    let gave = || givers.iter().map(|giver| giver.gave.load(Ordering::Relaxed)).sum::<u32>();
    until("one picture is here", async || gave() > 0).await;
    let whole = json!({"complete": true, "missing": []});
    assert_eq!(told(&gateway, &other, "?camera=yard").await, whole, "another key has room of its own");
    let same = told(&gateway, &gateway.admin, "?camera=yard&timeout=200ms");
    let meanwhile = async {
        until("it is asked", async || yard.asked.load(Ordering::Relaxed) == 2).await;
        let silent = told(&gateway, &other, "?camera=silent&timeout=1s").await;
        assert_eq!(silent["missing"][0]["code"], "camera_timeout");
        drop(greedy);
    };
    let (same, ()) = tokio::join!(same, meanwhile);
    assert_eq!(same, whole, "its camera has answered in time");
}
