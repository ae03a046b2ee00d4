//! What becomes of a list: each entry is kept once, however often it comes, and nothing grows.

use oriel_gateway::config::Endpoint;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::{common::*, old::*};

/// How much of this process may be in memory more after hundreds of lists: far less than they have together.
const GROWTH: u64 = 6 << 20;

/// Bytes of this process that are in memory.
fn memory() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: u64 = statm.split(' ').nth(1).unwrap().parse().unwrap();
    pages * 4_096
}

/// The events of a camera that it wrote itself, oldest first.
async fn events(gateway: &TestGateway, camera: &str) -> Vec<Value> {
    let path = format!("/v1/cameras/{camera}/events?order=asc&limit=1000&source=store");
    let events = gateway.get(&path).await.expect(200).json()["events"].as_array().unwrap().clone();
    events.into_iter().filter(|event| event["data"]["by"] != "gateway").collect()
}

fn descriptions(events: &[Value]) -> Vec<&str> {
    events.iter().map(|event| event["description"].as_str().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_that_is_sent_a_thousand_times_is_kept_once_and_memory_stays_flat() {
    let gateway = gateway().await;
    let says: Vec<String> = (0..40).map(|n| format!("entry {n}{}", " and so on".repeat(40))).collect();
    let list = list(&says.iter().map(String::as_str).collect::<Vec<_>>());
    let mut before = 0;
    for round in 0..5 {
        let mut cameras = JoinSet::new();
        for _ in 0..8 {
            let (camera, list) = (Old::new(&gateway), list.clone());
            cameras.spawn(async move {
                for _ in 0..25 {
                    camera.post(&list).await;
                }
            });
        }
        cameras.join_all().await;
        if round == 0 {
            before = memory();
        }
    }
    let grown = memory().saturating_sub(before);
    assert!(grown < GROWTH, "{grown} bytes more after 800 lists of {} bytes", list.to_string().len());
    let events = events(&gateway, "default").await;
    assert_eq!(descriptions(&events), says);
    assert_eq!(gateway.metric("oriel_events_stored_total").await, 40.0);
}

#[tokio::test]
async fn two_equal_entries_in_one_list_stay_two() {
    let gateway = gateway().await;
    let camera = Old::new(&gateway);
    let entry = |description| json!({"timestamp": 1_700_000_000.5, "description": description});
    camera.post(&json!({"events": [entry("camera reset"), entry("camera reset")]})).await;
    camera.post(&json!({"events": [entry("camera reset"), entry("x"), entry("camera reset")]})).await;
    let events = events(&gateway, "default").await;
    assert_eq!(descriptions(&events), ["camera reset", "camera reset", "x"]);
}

#[tokio::test]
async fn a_list_that_grows_adds_what_is_new() {
    let gateway = gateway().await;
    let camera = Old::new(&gateway);
    for many in [1, 2, 4] {
        camera.post(&list(&["a", "b", "c", "d"][..many])).await;
    }
    // The camera was reset and begins anew.
    camera.post(&json!({"events": [{"timestamp": 1_700_000_100, "description": "e"}]})).await;
    let events = events(&gateway, "default").await;
    assert_eq!(descriptions(&events), ["a", "b", "c", "d", "e"]);
    let ids: Vec<_> =
        events.iter().map(|event| event["id"].as_str().unwrap().rsplit_once('-').unwrap()).collect();
    assert!(
        ids.iter().zip(1..).all(|((epoch, seq), n)| *epoch == ids[0].0 && *seq == n.to_string()),
        "{ids:?}"
    );
}

#[tokio::test]
async fn times_never_go_back_and_the_original_stays() {
    let gateway = gateway().await;
    let camera = Old::new(&gateway);
    let entry = |seconds: f64| json!({"timestamp": seconds, "description": "detected motion"});
    camera.post(&json!({"events": [entry(1_700_000_010.25), entry(1_700_000_005.5)]})).await;
    let events = events(&gateway, "default").await;
    assert!(events.iter().all(|event| event["at"] == "2023-11-14T22:13:30.250000Z"), "{events:?}");
    let originals: Vec<_> = events.iter().map(|event| &event["data"]["timestamp"]).collect();
    assert_eq!(originals, [&json!(1_700_000_010.25), &json!(1_700_000_005.5)]);
}

#[tokio::test]
async fn the_kind_comes_from_the_words() {
    let gateway = gateway().await;
    let camera = Old::new(&gateway);
    let words = [
        "detected motion",
        "User started viewing live video",
        "brightness adjusted",
        "camera reset",
        "something",
    ];
    camera.post(&list(&words)).await;
    let events = events(&gateway, "default").await;
    let kinds: Vec<_> = events.iter().map(|event| event["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["motion", "view_started", "brightness", "reset", "log"]);
    assert!(events.iter().all(|event| event["severity"] == "info"));
}

#[tokio::test]
async fn from_and_to_choose_entries_of_what_is_posted_and_of_what_is_kept() {
    let gateway = gateway().await;
    let camera = Old::new(&gateway);
    let range = "?from=1700000001.123&to=1700000003.123";
    let (poll, ask) = (camera.polling(), {
        let client = camera.clone();
        tokio::spawn(async move { client.ask_for(range).await })
    });
    assert_eq!(ended("the camera is woken", poll).await, 200);
    camera.post(&list(&["a", "b", "c", "d"])).await;
    assert_eq!(said(&soon("an answer", ask).await.unwrap().expect(200)), ["b", "c"]);
    tokio::time::pause();
    assert_eq!(said(&camera.ask_for(range).await.expect(200)), ["b", "c"]);
    camera.ask_for("?from=yesterday").await.expect(400);
}

#[tokio::test]
async fn what_is_no_list_is_a_bad_request() {
    let gateway = gateway().await;
    let camera = Old::new(&gateway);
    for body in ["", "x", "[]", r#"{"events":7}"#, r#"{"events":[{"timestamp":"now","description":"a"}]}"#] {
        let answer = camera.post_text(body.into()).await.expect(400);
        assert_eq!(answer.text, r#"{"error":"Bad request"}"#, "{body}");
    }
    assert_eq!(events(&gateway, "default").await, [] as [Value; 0]);
}

#[tokio::test]
async fn after_a_restart_nothing_is_kept_twice() {
    let folder = tempfile::tempdir().unwrap();
    let start = || {
        TestGateway::with(|config| {
            config.data = folder.path().join("data");
            config.legacy_listen = Endpoint::At(([127, 0, 0, 1], 0).into());
        })
    };
    let first = start().await;
    Old::named(&first, "porch").post(&list(&["a", "b"])).await;
    let agents = first.get("/v1/agents").await.expect(200).json()["agents"].clone();
    assert_eq!((agents.as_array().unwrap().len(), &agents[0]["name"]), (1, &json!("legacy listener")));
    first.stopped().await;
    let second = start().await;
    Old::named(&second, "porch").post(&list(&["a", "b", "c"])).await;
    assert_eq!(descriptions(&events(&second, "porch").await), ["a", "b", "c"]);
    assert_eq!(second.get("/v1/agents").await.expect(200).json()["agents"][0]["id"], agents[0]["id"]);
}
