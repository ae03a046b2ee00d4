//! Pictures are for who may see their camera, as long as that is so, and of the camera that is meant.

use oriel_gateway::store::{Role, Scope};
use reqwest::Method;
use serde_json::json;

use super::{live::Viewer, one::get};
use crate::common::*;

const PORCH: &str = "/v1/cameras/porch";
const EXACT: &str = "/v1/cameras/porch/images/20231114221325.000";

#[tokio::test]
async fn a_camera_that_is_removed_leaves_no_picture_to_one_of_the_same_name() {
    let gateway = TestGateway::start().await;
    gateway.agent(&["porch"]).await.answering(|request| picture(request.id, 5, &jpeg_of(10_000)));
    for path in [EXACT, "/v1/cameras/porch/images/latest"] {
        assert_eq!(get(&gateway, path, &[]).await.status, 200);
    }
    gateway.delete(PORCH).await.expect(202);
    let made = async || gateway.post("/v1/cameras", json!({"id": "porch"})).await.status == 201;
    until("the name is free again", made).await;
    for path in [EXACT, "/v1/cameras/porch/images/latest?max_age=3650d"] {
        gateway.get(path).await.expect_problem(503, "camera_offline");
    }
}

#[tokio::test]
async fn whoever_may_not_see_the_camera_any_more_sees_no_more_of_it() {
    let gateway = TestGateway::start().await;
    let agent = gateway.agent(&["porch"]).await;
    agent.answering(|request| parts(request.id, 0, pieces(1, &jpeg_of(1_000))));
    let tags = async |tags: &[&str]| {
        gateway.send(Method::PATCH, PORCH, json!({"tags": tags})).await.expect(200);
    };
    tags(&["site:7"]).await;
    let scope = Scope { tags: vec!["site:7".into()], ..Scope::default() };
    let key = gateway.key(Role::Viewer, scope).await;
    let mut viewer = Viewer::open_as(&gateway, &key, "").await;
    assert!(viewer.next().await.is_some());
    tags(&[]).await;
    assert!(viewer.next().await.is_none(), "no picture has come meanwhile");
    let mut other = Viewer::open(&gateway, "").await;
    assert!(other.next().await.is_some());
    gateway.delete(PORCH).await.expect(202);
    assert!(other.next().await.is_none());
}
