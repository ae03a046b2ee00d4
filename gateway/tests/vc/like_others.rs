//! For everybody else a camera of the older system is a camera like any other.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::{
    task::yield_now,
    time::{Instant, advance, pause},
};

use crate::{common::*, old::*};

const PORCH: &str = "/v1/cameras/porch";

async fn status(gateway: &TestGateway) -> Value {
    gateway.get(PORCH).await.json()["status"].clone()
}

#[tokio::test]
async fn a_camera_that_polls_is_online_and_has_an_agent() {
    let gateway = gateway().await;
    let camera = Old::named(&gateway, "porch");
    let _poll = camera.polling();
    until("it is online", async || status(&gateway).await == "online").await;
    let shown = gateway.get(PORCH).await.expect(200).json();
    let agents = gateway.get("/v1/agents").await.expect(200).json();
    assert_eq!((&shown["id"], &shown["agent"]["id"]), (&json!("porch"), &agents["agents"][0]["id"]));
    let list = gateway.get("/v1/cameras?status=online").await.expect(200).json();
    assert_eq!(list["cameras"][0]["id"], "porch");
}

#[tokio::test]
async fn a_camera_that_only_posts_is_not_online() {
    let gateway = gateway().await;
    Old::named(&gateway, "porch").post(&list(&["a"])).await;
    assert_eq!(status(&gateway).await, "offline");
}

#[tokio::test]
async fn a_camera_is_offline_ten_seconds_after_its_last_poll() {
    let gateway = gateway().await;
    let camera = Old::named(&gateway, "porch");
    let poll = camera.polling();
    until("it is online", async || status(&gateway).await == "online").await;
    // Its poll ends with an answer, which the camera does not act on.
    let _ask = camera.asking();
    assert_eq!(ended("the camera is woken", poll).await, 200);
    pause();
    let start = Instant::now();
    let porch = "porch".parse().unwrap();
    advance(Duration::from_secs(9)).await;
    for _ in 0..100 {
        yield_now().await;
    }
    assert!(gateway.registry.presence(&porch).is_some());
    advance(Duration::from_secs(2)).await;
    until("it has gone", async || gateway.registry.presence(&porch).is_none()).await;
    assert!(start.elapsed() < Duration::from_secs(12), "{:?}", start.elapsed());
}

#[tokio::test]
async fn its_posted_events_are_its_log() {
    let gateway = gateway().await;
    let camera = Old::named(&gateway, "porch");
    let _poll = camera.polling();
    until("it is online", async || status(&gateway).await == "online").await;
    camera.post(&list(&["detected motion", "camera reset"])).await;
    // Once it has posted a list, its log is what is kept of it.
    let porch = "porch".parse().unwrap();
    let has_log = async || !gateway.registry.told_log(&porch).unwrap().epochs.is_empty();
    until("it has a log", has_log).await;
    let log = gateway.get(&format!("{PORCH}/events?kind=motion&kind=reset")).await.expect(200);
    assert!(log.header("server-timing").starts_with("store"));
    let log = log.json();
    let said: Vec<_> = log["events"].as_array().unwrap().iter().map(|event| &event["description"]).collect();
    assert_eq!(said, ["camera reset", "detected motion"]);
    assert_eq!(log["events"][1]["at"], "2023-11-14T22:13:20.123000Z");
    assert_eq!(log["events"][0]["data"]["timestamp"], 1_700_000_001.123);
}

#[tokio::test]
async fn a_question_over_the_api_wakes_it() {
    let gateway = gateway().await;
    let camera = Old::named(&gateway, "porch");
    let life = camera.clone();
    let _life = tokio_util::task::AbortOnDropHandle::new(tokio::spawn(async move {
        loop {
            if life.poll().await == 200 {
                life.post(&list(&["detected motion", "camera reset", "detected motion", "x"])).await;
            }
        }
    }));
    until("it is online", async || status(&gateway).await == "online").await;
    let ask = async |query: &str| gateway.get(&format!("{PORCH}/events?source=camera&{query}")).await;
    let motion = ask("kind=motion&limit=1").await.expect(200).json();
    assert_eq!(motion["events"].as_array().unwrap().len(), 1);
    assert_eq!(motion["events"][0]["at"], "2023-11-14T22:13:22.123000Z");
    assert_eq!((&motion["complete"], motion["next"].is_string()), (&json!(true), true));
    let all = ask("order=asc&from=1700000001").await.expect(200).json();
    let said: Vec<_> = all["events"].as_array().unwrap().iter().map(|event| &event["description"]).collect();
    assert_eq!(said, ["camera reset", "detected motion", "x"]);
    // What the camera says and what is kept of it are the same events.
    let kept =
        gateway.get(&format!("{PORCH}/events?source=store&order=asc&kind=motion")).await.expect(200).json();
    assert_eq!(kept["events"][1]["id"], motion["events"][0]["id"]);
}

#[tokio::test]
async fn a_long_list_comes_whole_over_the_api() {
    let gateway = gateway().await;
    let camera = Old::named(&gateway, "porch");
    let says: Vec<String> =
        (0..1_500).map(|n| format!("entry {n} of a list that is longer than one frame")).collect();
    let long = list(&says.iter().map(String::as_str).collect::<Vec<_>>());
    let poll = camera.polling();
    until("it is online", async || status(&gateway).await == "online").await;
    let path = format!("{PORCH}/events?source=camera&order=asc&timeout=20s");
    let asked = gateway.request(reqwest::Method::GET, &path).bearer_auth(&gateway.admin);
    let asked = tokio::spawn(Answer::of(asked.header("accept", "application/x-ndjson")));
    assert_eq!(ended("the camera is woken", poll).await, 200);
    camera.post(&long).await;
    let lines = soon("all of it", asked).await.unwrap().expect(200).text;
    let said: Vec<_> = lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()).collect();
    assert_eq!(said.len(), 1_501);
    assert!(says.iter().zip(&said).all(|(says, line)| line["description"] == says.as_str()));
    assert_eq!(said[1_500]["end"]["complete"], true);
}

#[tokio::test]
async fn a_question_that_its_camera_does_not_answer_ends_in_time() {
    let gateway = gateway().await;
    let camera = Old::named(&gateway, "porch");
    let _poll = camera.polling();
    until("it is online", async || status(&gateway).await == "online").await;
    let path = format!("{PORCH}/events?source=camera&timeout=200ms");
    gateway.get(&path).await.expect_problem(504, "camera_timeout");
}

#[tokio::test]
async fn an_open_poll_does_not_hold_up_the_stop() {
    let gateway = gateway().await;
    let camera = Old::named(&gateway, "porch");
    let poll = camera.polling();
    until("it is online", async || status(&gateway).await == "online").await;
    gateway.stopped().await;
    assert_eq!(ended("the poll ends", poll).await, 204);
}
