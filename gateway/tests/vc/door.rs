//! Who may use the listener, and what is found there.

use futures_util::future::join_all;
use reqwest::Method;
use serde_json::json;

use crate::{common::*, old::*};

const NOT_FOUND: &str = r#"{"error":"Not found"}"#;

#[tokio::test]
async fn other_networks_are_refused() {
    let gateway = gateway_with(|config| config.legacy.allow = vec!["10.0.0.0/8".parse().unwrap()]).await;
    let (camera, client) = (Old::new(&gateway), Old::new(&gateway));
    let answer = camera.post_text(list(&["a"]).to_string()).await.expect(403);
    assert_eq!(answer.text, r#"{"error":"Forbidden"}"#);
    client.ask().await.expect(403);
    // What a caller says of where it comes from counts for nothing here.
    let claim = gateway.http.get(camera.url("/")).header("x-forwarded-for", "10.0.0.1");
    Answer::of(claim).await.expect(403);
    assert_eq!(gateway.get("/v1/cameras").await.json()["cameras"], json!([]));
}

#[tokio::test]
async fn without_being_asked_for_there_is_no_listener_and_no_agent() {
    let gateway = TestGateway::start().await;
    assert_eq!(gateway.legacy, None);
    assert_eq!(gateway.get("/v1/agents").await.expect(200).json()["agents"], json!([]));
}

#[tokio::test]
async fn each_listener_has_its_own_paths_alone() {
    let gateway = gateway().await;
    gateway.get("/verkada/api/v1.0/logs").await.expect_problem(404, "not_found");
    let old = Old::new(&gateway);
    for (method, path) in [
        (Method::GET, "/v1/cameras"),
        (Method::GET, "/openapi.json"),
        (Method::GET, "/verkada/api/v2.0/logs"),
        (Method::GET, "/Porch"),
        (Method::POST, "/"),
        (Method::POST, "/verkada/api/v1.0/logs"),
        (Method::DELETE, "/verkada/api/v1.0/logs/post"),
    ] {
        let answer = Answer::of(gateway.http.request(method, old.url(path))).await.expect(404);
        assert_eq!(
            (answer.text.as_str(), answer.header("content-type").as_str()),
            (NOT_FOUND, "application/json")
        );
    }
}

#[tokio::test]
async fn an_agents_camera_is_not_there_for_old_cameras() {
    let gateway = gateway_with(|config| config.legacy.cameras = vec!["porch".parse().unwrap()]).await;
    let _agent = gateway.agent(&["porch"]).await;
    let camera = Old::named(&gateway, "porch");
    assert_eq!(camera.post_text(list(&["mine"]).to_string()).await.expect(404).text, NOT_FOUND);
    assert_eq!(camera.poll().await, 404);
}

#[tokio::test]
async fn a_camera_that_is_reserved_or_was_removed_is_not_there() {
    let gateway = gateway().await;
    gateway.post("/v1/enrollments", json!({"cameras": ["porch"]})).await.expect(201);
    assert_eq!(Old::named(&gateway, "porch").poll().await, 404);
    let yard = Old::named(&gateway, "yard");
    let poll = yard.polling();
    until("it is online", async || gateway.registry.presence(&"yard".parse().unwrap()).is_some()).await;
    gateway.delete("/v1/cameras/yard").await.expect(202);
    assert_eq!(ended("its poll ends", poll).await, 204);
    assert_eq!(yard.poll().await, 404);
    assert_eq!(yard.post_text(list(&["a"]).to_string()).await.expect(404).text, NOT_FOUND);
}

#[tokio::test]
async fn an_agents_camera_is_there_for_old_clients_where_it_was_granted() {
    let gateway = gateway_with(|config| {
        config.legacy.cameras = ["porch", "tag:garden"].map(|cameras| cameras.parse().unwrap()).into();
    })
    .await;
    let agent = gateway.agent(&["porch", "yard", "hall"]).await;
    agent.answering(|request| {
        vec![page_of(request.id, vec![event(oriel_proto::Epoch::new(), 1, "a cat")], false)]
    });
    let tag = json!({"tags": ["garden"]});
    gateway.send(Method::PATCH, "/v1/cameras/yard", tag).await.expect(200);
    for granted in ["porch", "yard"] {
        let answer = Old::named(&gateway, granted).ask().await.expect(200);
        assert_eq!(answer.text, r#"{"events":[{"timestamp":1700000001.0,"description":"a cat"}]}"#);
    }
    for unknown in ["hall", "nowhere"] {
        assert_eq!(Old::named(&gateway, unknown).ask().await.expect(404).text, NOT_FOUND);
    }
}

#[tokio::test]
async fn a_camera_of_which_no_agent_is_there_is_offline() {
    let gateway = gateway_with(|config| config.legacy.cameras = vec!["*".parse().unwrap()]).await;
    gateway.enroll(&["porch"]).await;
    let answer = Old::named(&gateway, "porch").ask().await.expect(503);
    assert_eq!(answer.text, r#"{"error":"Camera offline"}"#);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn there_is_room_for_1024_cameras() {
    let gateway = gateway().await;
    let cameras: Vec<_> = (0..1_024).map(|n| Old::named(&gateway, &format!("cam-{n}"))).collect();
    for some in cameras.chunks(64) {
        let empty = list(&[]);
        join_all(some.iter().map(|camera| camera.post(&empty))).await;
    }
    let answer = Old::named(&gateway, "another").post_text(list(&[]).to_string()).await.expect(503);
    assert_eq!(answer.text, r#"{"error":"Too many cameras"}"#);
    cameras[7].post(&list(&["still here"])).await;
}

#[tokio::test]
async fn revoking_its_agent_shuts_the_listener() {
    let gateway = gateway().await;
    let camera = Old::new(&gateway);
    camera.post(&list(&["a"])).await;
    let agents = gateway.get("/v1/agents").await.expect(200).json();
    let id = agents["agents"][0]["id"].as_str().unwrap().to_owned();
    assert_eq!(gateway.delete(&format!("/v1/agents/{id}")).await.status / 100, 2);
    camera.post_text(list(&["b"]).to_string()).await.expect(403);
    camera.ask().await.expect(403);
}
