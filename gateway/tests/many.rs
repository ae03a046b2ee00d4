//! The logs of many cameras at once: one order, one page, and nobody who does not answer holds up the others.

#![allow(clippy::unwrap_used, reason = "what these helpers cannot do fails the test")]

mod common;

use std::collections::{HashMap, HashSet};

use common::*;
use oriel_proto::{CameraId, Epoch, LoggedEvent, Seq};
use reqwest::Method;
use serde_json::{Value, json};

/// A connected camera that answers every question with the events of these numbers that lie behind the place asked for.
async fn answering(gateway: &TestGateway, camera: &str, seqs: &[Seq]) {
    let (epoch, seqs, name) = (Epoch::new(), seqs.to_vec(), camera.to_owned());
    let agent = gateway.agent(&[camera]).await;
    agent.answering(move |request| {
        let oriel_proto::Call::Events(call) = &request.call else { panic!("{request:?}") };
        let is_behind = |event: &LoggedEvent| call.after.is_none_or(|after| event.position() > after);
        let all = seqs.iter().map(|seq| event(epoch, *seq, &format!("{name} {seq}")));
        let mut events: Vec<_> = all.filter(is_behind).collect();
        let more = events.len() as u64 > call.limit.unwrap_or(u64::MAX);
        events.truncate(call.limit.unwrap_or(u64::MAX) as usize);
        vec![page_of(request.id, events, more)]
    });
}

fn descriptions(page: &Value) -> Vec<&str> {
    let events = page["events"].as_array().unwrap().iter();
    events.map(|event| event["description"].as_str().unwrap()).collect()
}

/// Whose lines and ends a body has, and what the last line says.
fn read(text: &str) -> (Vec<Value>, HashMap<String, Value>, Value) {
    let mut lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let end = lines.pop().unwrap()["end"].clone();
    let (ends, events): (Vec<_>, Vec<_>) = lines.into_iter().partition(|line| line["camera_end"].is_object());
    let ends = ends.into_iter().map(|end| {
        let end = end["camera_end"].clone();
        (end["camera"].as_str().unwrap().to_owned(), end)
    });
    (events, ends.collect(), end)
}

#[tokio::test]
async fn the_logs_of_all_cameras_are_one_list_by_pages() {
    let gateway = TestGateway::start().await;
    answering(&gateway, "porch", &[1, 4, 5]).await;
    answering(&gateway, "yard", &[2, 3, 9]).await;
    gateway.post("/v1/cameras", json!({"id": "attic"})).await.expect(201);
    let question = "/v1/events?kind=motion&order=asc&limit=2";
    let first = gateway.get(question).await.expect(200).json();
    assert_eq!(descriptions(&first), ["porch 1", "yard 2"]);
    let covered = first["coverage"].as_array().unwrap();
    let whose: HashSet<_> = covered.iter().map(|stretch| stretch["camera"].as_str().unwrap()).collect();
    assert_eq!(whose, HashSet::from(["porch", "yard", "attic"]));
    assert!(covered.iter().all(|stretch| stretch["to"] == first["events"][1]["at"]), "{covered:?}");
    assert_eq!(first["complete"], false, "one camera has never been seen");
    let (mut told, mut next) = (Vec::new(), first["next"].clone());
    while let Some(cursor) = next.as_str() {
        let page = gateway.get(&format!("{question}&cursor={cursor}")).await.expect(200).json();
        told.extend(descriptions(&page).into_iter().map(str::to_owned));
        next = page["next"].clone();
    }
    assert_eq!(told, ["yard 3", "porch 4", "porch 5", "yard 9"]);
    let one = gateway.get("/v1/events?kind=motion&camera=yard&order=asc").await.expect(200).json();
    assert_eq!((descriptions(&one), &one["complete"]), (vec!["yard 2", "yard 3", "yard 9"], &json!(true)));
    gateway
        .get(&format!("/v1/events?camera=yard&cursor={}", first["next"].as_str().unwrap()))
        .await
        .expect_problem(400, "bad_cursor");
    gateway.get("/v1/events?camera=yard&camera=nowhere").await.expect_problem(404, "not_found");
    gateway.get("/v1/events?source=store").await.expect_problem(400, "bad_request");
}

#[tokio::test]
async fn lines_of_each_camera_end_by_themselves_and_the_last_one_sums_up() {
    let gateway = TestGateway::start().await;
    answering(&gateway, "porch", &[1, 2, 3]).await;
    gateway.post("/v1/cameras", json!({"id": "attic", "tags": ["high"]})).await.expect(201);
    let ask = async |query: &str| {
        let request = gateway.request(Method::GET, &format!("/v1/events?kind=motion{query}"));
        Answer::of(request.bearer_auth(&gateway.admin).header("accept", "application/x-ndjson")).await
    };
    let (events, ends, end) = read(&ask("&order=asc&limit=2").await.expect(200).text);
    assert_eq!(
        events.iter().map(|event| event["description"].clone()).collect::<Vec<_>>(),
        ["porch 1", "porch 2"]
    );
    assert_eq!((&end["complete"], &end["cameras"]), (&json!(false), &json!(2)));
    assert_eq!(end["missing"], json!({"camera_offline": 1}));
    assert_eq!((&ends["porch"]["complete"], &ends["attic"]["complete"]), (&json!(true), &json!(false)));
    assert_eq!(ends["attic"]["coverage"][0]["missing"], "camera_offline");
    // The cursor is one of that camera alone.
    let next = ends["porch"]["next"].as_str().unwrap();
    let rest = format!("/v1/cameras/porch/events?kind=motion&order=asc&cursor={next}");
    assert_eq!(descriptions(&gateway.get(&rest).await.expect(200).json()), ["porch 3"]);
    let (_, ends, end) = read(&ask("&tag=high").await.expect(200).text);
    assert_eq!((ends.len(), &end["cameras"]), (1, &json!(1)));
    ask("&cursor=x").await.expect_problem(400, "bad_request");
    let limited = gateway.key_for(oriel_gateway::store::Role::Viewer, &["porch"]).await;
    let path = "/v1/events?camera=attic";
    gateway.get_as(&limited, path).await.expect_problem(404, "not_found");
}

#[tokio::test]
async fn cameras_that_never_answer_hold_up_nobody_and_are_explained_in_the_end() {
    let gateway = TestGateway::start().await;
    let silent: Vec<String> = (0..20).map(|n| format!("silent-{n}")).collect();
    let silent: Vec<&str> = silent.iter().map(String::as_str).collect();
    gateway.agent(&silent).await.answering(|_| Vec::new());
    for n in 0..480 {
        gateway.post("/v1/cameras", json!({"id": format!("away-{n}")})).await.expect(201);
    }
    let ask = |timeout: &str| {
        let request = gateway.request(Method::GET, &format!("/v1/events?timeout={timeout}"));
        request.bearer_auth(&gateway.admin).header("accept", "application/x-ndjson").send()
    };
    // All others have ended while those are waited for.
    let mut response = ask("60s").await.unwrap();
    let (mut text, mut ended) = (String::new(), 0);
    while ended < 480 {
        let chunk = soon("another line", response.chunk()).await.unwrap().unwrap();
        text.push_str(std::str::from_utf8(&chunk).unwrap());
        ended = text.matches("\"camera_end\"").count();
    }
    assert!(!text.contains("\"camera_end\":{\"camera\":\"silent-"), "{text}");
    drop(response);
    let text = soon("the deadline", ask("300ms").await.unwrap().text()).await.unwrap();
    let (_, ends, end) = read(&text);
    assert_eq!(end["missing"], json!({"camera_offline": 480, "camera_timeout": 20}));
    assert_eq!((ends.len(), &end["cameras"]), (500, &json!(500)));
    let page = gateway.get("/v1/events?timeout=300ms").await.expect(200).json();
    let late =
        page["coverage"].as_array().unwrap().iter().filter(|stretch| stretch["missing"] == "camera_timeout");
    assert_eq!(late.count(), 20);
    let camera: CameraId = silent[0].parse().unwrap();
    assert!(gateway.registry.find(&camera).is_some(), "who does not answer is not cut off");
}
