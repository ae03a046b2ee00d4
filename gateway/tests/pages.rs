//! Pages of a log say what they know and what they do not, every question that is let in reaches its camera, and only the gateway
//! makes cursors.

#![allow(clippy::unwrap_used, reason = "what these helpers cannot do fails the test")]

mod common;

use std::path::Path;

use common::*;
use oriel_gateway::store::Role;
use oriel_proto::{Call, Epoch, call::EventsCall, frame::Request};
use serde_json::json;

const PORCH: &str = "/v1/cameras/porch/events?source=camera";

fn asked(request: &Request) -> &EventsCall {
    match &request.call {
        Call::Events(call) => call,
        other => panic!("not asked here: {other:?}"),
    }
}

#[tokio::test]
async fn a_search_that_gave_up_is_never_called_complete() {
    let gateway = TestGateway::start().await;
    gateway.agent(&["porch"]).await.answering(|request| {
        // The first page finds one event and stops; behind it the search finds nothing before it must stop again.
        let events = match asked(&request).after {
            None => vec![event(Epoch::new(), 7, "a needle")],
            Some(_) => Vec::new(),
        };
        vec![page_of(request.id, events, true)]
    });
    let path = format!("{PORCH}&from=2023-01-01T00:00:00Z&q=needle");
    let first = gateway.get(&path).await.expect(200).json();
    let (at, from) = ("2023-11-14T22:13:27.000000Z", "2023-01-01T00:00:00.000000Z");
    assert_eq!(first["complete"], true, "for what it covers: {first}");
    assert_eq!(
        (&first["coverage"][0]["from"], &first["coverage"][0]["source"]),
        (&json!(at), &json!("camera"))
    );
    let path = format!("{path}&cursor={}", first["next"].as_str().unwrap());
    let second = gateway.get(&path).await.expect(200).json();
    let unknown = json!([{"camera": "porch", "from": from, "to": at, "missing": "search_limit"}]);
    assert_eq!((&second["events"], &second["next"]), (&json!([]), &json!(null)));
    assert_eq!((&second["complete"], &second["coverage"]), (&json!(false), &unknown));
}

#[tokio::test]
async fn the_largest_question_fits_a_frame_and_a_larger_one_is_refused() {
    let gateway = TestGateway::start().await;
    gateway.agent(&["porch"]).await.answering(|request| {
        let call = asked(&request);
        let said =
            format!("{} {} {}", call.kinds.len(), call.severity.len(), call.text.as_ref().unwrap().len());
        vec![page(request.id, &said)]
    });
    let words = |n: usize, bytes: usize| vec!["w".repeat(bytes); n].join(",");
    let path = |kinds: &str, severity: &str, text: usize| {
        format!("{PORCH}&kind={kinds}&severity={severity}&q={}", "x".repeat(text))
    };
    let largest = path(&words(32, 64), &words(32, 64), 256);
    let answer = gateway.get(&largest).await.expect(200).json();
    assert_eq!(answer["events"][0]["description"], "32 32 256");
    for (path, part) in [
        (path(&words(33, 1), "info", 1), "kind: at most 32 of them"),
        (path("motion", &words(33, 1), 1), "severity: at most 32 of them"),
        (path(&words(1, 65), "info", 1), "kind: at most 64 bytes each"),
        (path("motion", &words(1, 65), 1), "severity: at most 64 bytes each"),
        (path("motion", "info", 257), "q: at most 256 bytes"),
    ] {
        let answer = gateway.get(&path).await.expect_problem(400, "bad_request");
        assert_eq!(answer.detail(), part);
    }
}

/// The lists that have pages.
const LISTS: [&str; 7] = [
    "/v1/cameras",
    "/v1/cameras?sort=name",
    "/v1/agents",
    "/v1/keys",
    "/v1/enrollments",
    "/v1/cameras/porch/events",
    "/v1/events",
];

/// A gateway on this folder.
async fn on(folder: &Path) -> TestGateway {
    TestGateway::with(|config| config.data = folder.to_owned()).await
}

/// Two of each thing that is listed.
async fn fill(gateway: &TestGateway) {
    for camera in ["porch", "yard"] {
        let one_of_many =
            |request: Request| vec![page_of(request.id, vec![event(Epoch::new(), 7, "a")], true)];
        gateway.agent(&[camera]).await.answering(one_of_many);
        gateway.post("/v1/enrollments", json!({"new_cameras": "*"})).await.expect(201);
        gateway.key_for_all(Role::Viewer).await;
    }
}

/// The first row of a list on a page of its own; behind a cursor the next one.
fn page_path(list: &str, cursor: Option<&str>) -> String {
    let cursor = cursor.map_or(String::new(), |cursor| format!("&cursor={cursor}"));
    format!("{list}{}limit=1{cursor}", if list.contains('?') { '&' } else { '?' })
}

/// The cursor of the second page of each list.
async fn cursors(gateway: &TestGateway) -> Vec<(&'static str, String)> {
    let mut cursors = Vec::new();
    for list in LISTS {
        let first = gateway.get(&page_path(list, None)).await.expect(200).json();
        cursors.push((list, first["next"].as_str().unwrap_or_else(|| panic!("{list}: {first}")).to_owned()));
    }
    cursors
}

#[tokio::test]
async fn a_cursor_with_a_changed_byte_is_refused() {
    let gateway = TestGateway::start().await;
    fill(&gateway).await;
    for (list, cursor) in cursors(&gateway).await {
        gateway.get(&page_path(list, Some(&cursor))).await.expect(200);
        for at in 0..cursor.len() {
            let other = if &cursor[at..=at] == "A" { "B" } else { "A" };
            let changed = format!("{}{other}{}", &cursor[..at], &cursor[at + 1..]);
            gateway.get(&page_path(list, Some(&changed))).await.expect_problem(400, "bad_cursor");
        }
    }
}

#[tokio::test]
async fn a_cursor_of_another_list_is_refused() {
    let gateway = TestGateway::start().await;
    fill(&gateway).await;
    for (of, cursor) in cursors(&gateway).await {
        for list in LISTS.into_iter().filter(|list| *list != of) {
            gateway.get(&page_path(list, Some(&cursor))).await.expect_problem(400, "bad_cursor");
        }
    }
}

#[tokio::test]
async fn a_cursor_of_another_gateway_is_refused() {
    let (gateway, other) = (TestGateway::start().await, TestGateway::start().await);
    fill(&gateway).await;
    for (list, cursor) in cursors(&gateway).await {
        let path = page_path(list, Some(&cursor));
        gateway.get(&path).await.expect(200);
        other.post("/v1/cameras", json!({"id": "porch"})).await;
        other.get(&path).await.expect_problem(400, "bad_cursor");
    }
}

#[tokio::test]
async fn a_cursor_survives_a_restart_of_its_gateway() {
    let folder = tempfile::tempdir().unwrap();
    let first = on(&folder.path().join("data")).await;
    fill(&first).await;
    let cursors = cursors(&first).await;
    first.stopped().await;
    let second = on(&folder.path().join("data")).await;
    for (list, cursor) in cursors {
        second.get(&page_path(list, Some(&cursor))).await.expect(200);
    }
}
