//! A key limited to one camera sees nothing of another one: in no list, count, stream, cursor or error.

#![allow(clippy::unwrap_used, reason = "what these helpers cannot do fails the test")]

mod common;

use common::*;
use reqwest::Method;
use serde_json::{Value, json};

/// The problem without what differs from request to request.
fn anonymous(answer: &Answer) -> (u16, Value, Vec<(String, String)>) {
    let mut body = answer.json();
    body.as_object_mut().unwrap().remove("request_id").unwrap();
    let headers =
        answer.headers.iter().filter(|(name, _)| !["x-request-id", "date"].contains(&name.as_str()));
    let headers =
        headers.map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned())).collect();
    (answer.status, body, headers)
}

#[tokio::test]
async fn a_foreign_camera_is_the_same_404_as_a_missing_one() {
    let world = World::new().await;
    let mut compared = 0;
    for (method, route, case) in routes() {
        if case.foreign.is_empty() {
            continue;
        }
        let missing = case.foreign.replace("zanzibar", "nowhere1");
        for key in world.narrow() {
            for body in [case.body.clone(), json!({"nonsense": 1}), json!({"agent": world.foreign})] {
                let body = if method == "GET" { json!(null) } else { body };
                for query in ["", "?nonsense=1", "?limit=0", "?cursor=x"] {
                    let ask = |path: &str| {
                        let path = format!("{path}{query}");
                        let (world, method, body) = (&world, &method, &body);
                        async move { world.ask(method, &path, key, body).await }
                    };
                    let (foreign, missing) = (ask(case.foreign).await, ask(&missing).await);
                    // A query that a route takes nothing of is refused before anything is looked up.
                    assert!([400, 404].contains(&foreign.status), "{method} {route}{query}: {foreign:?}");
                    assert!(!query.is_empty() || foreign.status == 404, "{method} {route}: {foreign:?}");
                    assert_eq!(anonymous(&foreign), anonymous(&missing), "{method} {route}{query}");
                    assert_eq!(foreign.text.len(), missing.text.len());
                    compared += 1;
                }
            }
        }
    }
    assert!(compared > 100);
}

#[tokio::test]
async fn nothing_of_a_foreign_camera_is_in_any_answer() {
    let world = World::new().await;
    let foreign = world.foreign.to_string();
    let clean = |what: &str, text: &str| {
        for trace in TRACES.iter().copied().chain([foreign.as_str()]) {
            assert!(!text.contains(trace), "{what}: {trace} in {text}");
        }
    };
    for key in world.narrow() {
        for (method, route, case) in routes() {
            let (mine, body) = (case.path.replace("spare", "porch/"), &case.body);
            if case.path != "/v1/cameras/spare" {
                let answer = world.ask(&method, &mine, key, body).await;
                clean(&format!("{method} {route}"), &format!("{} {:?}", answer.text, answer.headers));
            }
            if !case.foreign.is_empty() {
                // What was asked may be said again; nothing else may.
                let answer = world.ask(&method, case.foreign, key, body).await;
                clean(&format!("{method} {route}"), &answer.text);
            }
        }
        for query in [
            "?q=zanz",
            "?q=quetz",
            "?tag=xylophone",
            "?status=online",
            "?sample=1000",
            "?limit=1",
            "?sort=name",
            "?sort=name&limit=1",
            "?status=online&tag=xylophone&tag=site:7",
        ] {
            let answer =
                world.ask("GET", &format!("/v1/cameras{query}"), key, &json!(null)).await.expect(200);
            clean(query, &answer.text);
            assert!(answer.json()["cameras"].as_array().unwrap().len() <= 1, "{query}");
            assert_eq!(answer.json()["next"], json!(null), "{query}: that there is more would be a count");
        }
    }
}

#[tokio::test]
async fn a_cursor_shows_no_more_than_its_bringer_may_see() {
    let world = World::new().await;
    for camera in ["zanzibar2", "aardvark"] {
        world.gateway.post("/v1/cameras", json!({"id": camera})).await.expect(201);
    }
    for sort in ["id", "name"] {
        let mut path = format!("/v1/cameras?limit=1&sort={sort}");
        // An administrator's cursors, each of which points at some camera.
        while let Some(next) = world.gateway.get(&path).await.expect(200).json()["next"].as_str() {
            path = format!("/v1/cameras?limit=1&sort={sort}&cursor={next}");
            for key in world.narrow() {
                let answer = world.ask("GET", &path, key, &json!(null)).await.expect(200);
                let ids: Vec<_> = answer.json()["cameras"].as_array().unwrap().clone();
                assert!(ids.iter().all(|camera| camera["id"] == "porch"), "{ids:?}");
                assert_eq!(answer.json()["next"], json!(null));
                assert!(TRACES.iter().all(|trace| !answer.text.contains(trace)));
            }
        }
    }
    let log = world.gateway.get("/v1/cameras/zanzibar/events?limit=1&kind=motion").await.expect(200);
    assert!(log.text.contains("brontosaurus"), "an administrator sees it");
}

#[tokio::test]
async fn a_stream_tells_nothing_of_a_foreign_camera() {
    let world = World::new().await;
    let narrow: Vec<_> = world.narrow().cloned().collect();
    let mut streams = Vec::new();
    for key in &narrow {
        for query in ["", "?camera=zanzibar", "?camera=zanzibar&camera=porch", "?tag=xylophone&tag=site:7"] {
            let mut stream = Sse::open(&world.gateway, key, query).await;
            stream.next_of("hello").await;
            streams.push((query, stream));
        }
    }
    let mut everything = Sse::open(&world.gateway, &world.gateway.admin, "").await;
    everything.next_of("hello").await;
    let rename = |camera: &'static str, name: &'static str| {
        world.gateway.send(Method::PATCH, camera, json!({"name": name}))
    };
    rename("/v1/cameras/zanzibar", "Quetzalcoatl again").await.expect(200);
    world.gateway.delete(&format!("/v1/agents/{}", world.foreign)).await.expect(204);
    while everything.next_of("status").await.data["status"] != "offline" {}
    world.gateway.delete("/v1/cameras/zanzibar").await.expect(202);
    assert_eq!(everything.next_of("gone").await.data["camera"], "zanzibar");
    // What happened before this would have come before it.
    rename("/v1/cameras/porch", "The end").await.expect(200);
    for (query, mut stream) in streams {
        if query != "?camera=zanzibar" {
            while stream.next_of("status").await.data["name"] != "The end" {}
        }
        for trace in TRACES.iter().copied().chain([world.foreign.to_string().as_str()]) {
            assert!(!stream.whole.contains(trace), "{query}: {trace} in {}", stream.whole);
        }
    }
}

#[tokio::test]
async fn a_camera_that_loses_its_tag_leaves_the_stream_of_a_key_by_tag() {
    let world = World::new().await;
    let mut stream = Sse::open(&world.gateway, &world.by_tag, "").await;
    assert_eq!(stream.next_of("status").await.data["id"], "porch");
    let tags = |tags: Value| world.gateway.send(Method::PATCH, "/v1/cameras/porch", json!({"tags": tags}));
    tags(json!(["site:8"])).await.expect(200);
    assert_eq!(stream.next_of("gone").await.data, json!({"camera": "porch"}));
    world.ask("GET", "/v1/cameras/porch", &world.by_tag, &json!(null)).await.expect_problem(404, "not_found");
    tags(json!(["site:7"])).await.expect(200);
    assert_eq!(stream.next_of("status").await.data["id"], "porch");
}
