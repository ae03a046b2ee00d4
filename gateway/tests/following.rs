//! Following: each event once, in the order in which they come, whatever lies between two connections.

#![allow(clippy::unwrap_used, reason = "what these helpers cannot do fails the test")]

mod common;

use common::*;
use oriel_gateway::{config::Config, store::Role};
use oriel_proto::{
    AgentFrame, CameraId, Epoch, GatewayFrame, InstanceId, Seq,
    frame::{Events, NoticeCode, SpoolState, Upload, Watch},
};
use reqwest::Method;
use serde_json::{Value, json};

const PORCH: &str = "/v1/cameras/porch/events";

/// A connected camera that uploads its log as it is written, or not.
struct Camera {
    agent: RawAgent,
    id: CameraId,
    epoch: Epoch,
}

impl Camera {
    async fn new(gateway: &TestGateway, id: &str, upload: Upload) -> Self {
        let agent = gateway.enroll(&[id]).await.welcomed(InstanceId::new(), 1).await;
        let mut camera = Self { agent, id: id.parse().unwrap(), epoch: Epoch::new() };
        camera.announce(upload).await;
        camera
    }

    async fn live(gateway: &TestGateway, id: &str) -> Self {
        Self::new(gateway, id, Upload::Live).await
    }

    /// Announces a log of 100 events, of which the gateway is told to hold those; gives how far it holds it.
    async fn announce(&mut self, upload: Upload) -> Vec<Seq> {
        let as_of = event(self.epoch, 100, "").event.at;
        let spool = SpoolState { epoch: self.epoch, first: 1, next: 101, as_of };
        let bound = self.agent.bound(announcement(&self.id, upload, vec![spool])).await;
        self.agent.send(AgentFrame::Ready {}).await;
        bound.acked.iter().map(|acked| acked.seq).collect()
    }

    /// Uploads the events of these numbers, and waits until that is acknowledged.
    async fn upload(&mut self, first: Seq, last: Seq) {
        let said = |seq| format!("{} {seq}", self.id);
        let events = (first..=last).map(|seq| event(self.epoch, seq, &said(seq)).event).collect();
        let (camera, as_of) = (self.id.clone(), event(self.epoch, 100, "").event.at);
        let next = (last + 1).max(101);
        let frame = Events { camera, epoch: self.epoch, first, events, next, as_of };
        self.agent.send(AgentFrame::Events(frame)).await;
        loop {
            if let GatewayFrame::Ack { seq, .. } = self.agent.frame().await
                && seq == last
            {
                return;
            }
        }
    }

    /// What it is told next of whether somebody follows it.
    async fn watched(&mut self) -> bool {
        loop {
            if let GatewayFrame::Watch(Watch { camera, events, on, .. }) = self.agent.frame().await {
                assert_eq!((camera, events), (self.id.clone(), on));
                return on;
            }
        }
    }
}

async fn follow(gateway: &TestGateway, path: &str, place: &str) -> Sse {
    let mut stream = Sse::follow(gateway, &gateway.admin, path, place).await;
    let hello = stream.next().await.unwrap();
    assert_eq!((hello.kind.as_str(), &hello.data["resumed"]), ("hello", &json!(!place.is_empty())));
    stream
}

/// The next so many events: what they say, and the place behind the last.
async fn told(stream: &mut Sse, count: usize) -> (Vec<String>, String) {
    let (mut said, mut place) = (Vec::new(), String::new());
    while said.len() < count {
        let message = stream.next_of("event").await;
        said.push(message.data["description"].as_str().unwrap().to_owned());
        place = message.id;
    }
    (said, place)
}

fn says(camera: &str, seqs: impl IntoIterator<Item = Seq>) -> Vec<String> {
    seqs.into_iter().map(|seq| format!("{camera} {seq}")).collect()
}

#[tokio::test]
async fn events_are_told_as_they_come_and_once() {
    let gateway = TestGateway::start().await;
    let mut porch = Camera::live(&gateway, "porch").await;
    let mut stream = follow(&gateway, &format!("{PORCH}?kind=motion"), "").await;
    porch.upload(1, 3).await;
    porch.upload(2, 5).await;
    let event = stream.next_of("event").await;
    let listed = gateway.get(&format!("{PORCH}?source=store&kind=motion&order=asc&limit=1")).await.json();
    assert_eq!(event.data, listed["events"][0], "as a list shows it");
    assert_eq!(told(&mut stream, 4).await.0, says("porch", 2..=5));
}

#[tokio::test]
async fn whoever_comes_again_misses_nothing_and_hears_nothing_twice() {
    let gateway = TestGateway::start().await;
    let mut porch = Camera::live(&gateway, "porch").await;
    let path = format!("{PORCH}?kind=motion");
    let mut stream = follow(&gateway, &path, "").await;
    porch.upload(1, 4).await;
    let (_, place) = told(&mut stream, 2).await;
    drop(stream);
    porch.upload(5, 6).await;
    let mut stream = follow(&gateway, &path, &place).await;
    porch.upload(7, 8).await;
    assert_eq!(told(&mut stream, 6).await.0, says("porch", 3..=8));
    // The same as a parameter, for who cannot send the header.
    let mut stream = Sse::follow(&gateway, &gateway.admin, &format!("{path}&follow={place}"), "").await;
    assert_eq!(told(&mut stream, 6).await.0, says("porch", 3..=8));
}

#[tokio::test]
async fn between_a_list_and_its_follow_nothing_is_missed() {
    for list in [&format!("{PORCH}?source=store&kind=motion"), "/v1/events?kind=motion&timeout=100ms"] {
        let gateway = TestGateway::start().await;
        let mut porch = Camera::live(&gateway, "porch").await;
        porch.upload(1, 2).await;
        let page = gateway.get(list).await.expect(200).json();
        assert_eq!(page["events"].as_array().unwrap().len(), 2);
        let lines = gateway.request(Method::GET, list).bearer_auth(&gateway.admin);
        let lines = Answer::of(lines.header("accept", "application/x-ndjson")).await.expect(200).text;
        let end: Value = serde_json::from_str(lines.lines().last().unwrap()).unwrap();
        assert_eq!(end["end"]["follow"], page["follow"], "{list}");
        porch.upload(3, 4).await;
        let mut stream = follow(&gateway, "/v1/events?kind=motion", page["follow"].as_str().unwrap()).await;
        assert_eq!(told(&mut stream, 2).await.0, says("porch", 3..=4), "{list}");
    }
}

#[tokio::test]
async fn history_comes_first_and_what_happened_long_ago_is_told_when_it_comes() {
    let gateway = TestGateway::start().await;
    let mut porch = Camera::live(&gateway, "porch").await;
    porch.upload(1, 10).await;
    let from = oriel_gateway::clock::Rfc3339(event(porch.epoch, 8, "").event.at);
    for path in [format!("{PORCH}?kind=motion&from={from}"), format!("/v1/events?kind=motion&from={from}")] {
        let mut stream = follow(&gateway, &path, "").await;
        let (said, place) = told(&mut stream, 2).await;
        assert_eq!(said, says("porch", 8..=9));
        drop(stream);
        let mut stream = follow(&gateway, &path, &place).await;
        assert_eq!(told(&mut stream, 1).await.0, says("porch", [10]), "the history goes on where it was");
        // Another epoch, whose events are older than all of these.
        porch.epoch = Epoch::new();
        porch.upload(1, 2).await;
        assert_eq!(told(&mut stream, 2).await.0, says("porch", 1..=2));
    }
}

#[tokio::test]
async fn only_what_is_asked_for_and_may_be_seen_is_told() {
    let gateway = TestGateway::start().await;
    let (mut porch, mut yard) = (Camera::live(&gateway, "porch").await, Camera::live(&gateway, "yard").await);
    gateway.send(Method::PATCH, "/v1/cameras/yard", json!({"tags": ["far"]})).await.expect(200);
    let limited = gateway.key_for(Role::Viewer, &["porch"]).await;
    let mut narrow = Sse::follow(&gateway, &limited, "/v1/events", "").await;
    let mut text = follow(&gateway, "/v1/events?q=PORCH+2", "").await;
    let mut tagged = follow(&gateway, "/v1/events?tag=far", "").await;
    let mut nobody = follow(&gateway, "/v1/events?camera=porch&tag=far", "").await;
    let mut named = follow(&gateway, "/v1/events?camera=porch&camera=yard&kind=motion", "").await;
    yard.upload(1, 1).await;
    porch.upload(1, 3).await;
    yard.upload(2, 2).await;
    assert_eq!(told(&mut narrow, 3).await.0, says("porch", 1..=3));
    assert!(!narrow.whole.contains("yard"));
    assert_eq!(told(&mut text, 1).await.0, says("porch", [2]));
    assert_eq!(told(&mut tagged, 2).await.0, says("yard", 1..=2));
    assert_eq!(
        told(&mut named, 5).await.0,
        [says("yard", [1]), says("porch", 1..=3), says("yard", [2])].concat()
    );
    yard.upload(3, 3).await;
    assert_eq!(told(&mut named, 1).await.0, says("yard", [3]));
    gateway.send(Method::PATCH, "/v1/cameras/porch", json!({"tags": ["far"]})).await.expect(200);
    porch.upload(4, 4).await;
    assert_eq!(told(&mut nobody, 1).await.0, says("porch", [4]), "the first that has the tag");
    let history = gateway.request(Method::GET, "/v1/events?from=0").bearer_auth(&limited);
    Answer::of(history.header("accept", "text/event-stream")).await.expect_problem(403, "forbidden");
    let foreign = gateway.request(Method::GET, "/v1/events?camera=yard").bearer_auth(&limited);
    Answer::of(foreign.header("accept", "text/event-stream")).await.expect_problem(404, "not_found");
}

#[tokio::test]
async fn a_place_that_is_none_of_this_gateway_is_refused() {
    let (gateway, other) = (TestGateway::start().await, TestGateway::start().await);
    let mut porch = Camera::live(&other, "porch").await;
    Camera::live(&gateway, "porch").await;
    porch.upload(1, 3).await;
    let page = other.get(&format!("{PORCH}?source=store&limit=1")).await.expect(200).json();
    let ask = |query: &str| {
        let request = gateway.request(Method::GET, &format!("{PORCH}?{query}"));
        Answer::of(request.bearer_auth(&gateway.admin).header("accept", "text/event-stream"))
    };
    let (follow, next) = (page["follow"].as_str().unwrap(), page["next"].as_str().unwrap());
    for place in [follow, next, "nonsense"] {
        ask(&format!("follow={place}")).await.expect_problem(400, "bad_cursor");
    }
    other
        .get(&format!("{PORCH}?source=store&limit=1&cursor={follow}"))
        .await
        .expect_problem(400, "bad_cursor");
    for wrong in ["to=now", "limit=5", "order=asc", "source=store", "timeout=1s"] {
        let problem = ask(wrong).await.expect_problem(400, "bad_request");
        assert!(problem.detail().contains(wrong.split('=').next().unwrap()), "{}", problem.detail());
    }
    let list = gateway.get(&format!("{PORCH}?follow={follow}")).await.expect_problem(400, "bad_request");
    assert!(list.detail().contains("text/event-stream"), "{}", list.detail());
}

#[tokio::test]
async fn what_retention_removed_before_it_could_be_told_is_said_to_be_missing() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let gateway = TestGateway::with(|config| config.data = data.clone()).await;
    let mut porch = Camera::live(&gateway, "porch").await;
    porch.upload(1, 2).await;
    let (_, place) = told(&mut follow(&gateway, &format!("{PORCH}?kind=motion&from=0"), "").await, 1).await;
    porch.upload(3, 20).await;
    gateway.stopped().await;
    let few = |config: &mut Config| (config.data, config.retention.events) = (data.clone(), 5);
    let gateway = TestGateway::with(few).await;
    gateway.metric_reaches("oriel_events_expired_total", 1.0).await;
    let mut stream = follow(&gateway, &format!("{PORCH}?kind=motion"), &place).await;
    let missing = stream.next().await.unwrap();
    assert_eq!((missing.kind.as_str(), &missing.data), ("missing", &json!({"missing": "past_retention"})));
    while told(&mut stream, 1).await.0 != ["porch 20"] {}
    assert!(!stream.whole.contains("porch 10"), "{}", stream.whole);
    let mut history = follow(&gateway, &format!("{PORCH}?kind=motion&from=0"), "").await;
    assert_eq!(history.next().await.unwrap().kind, "missing", "of a history too");
}

#[tokio::test]
async fn a_log_that_is_left_on_its_device_comes_up_while_somebody_follows_it() {
    let gateway = TestGateway::start().await;
    let mut porch = Camera::new(&gateway, "porch", Upload::OnDemand).await;
    let everybody = follow(&gateway, "/v1/events", "").await;
    let mut stream = follow(&gateway, &format!("{PORCH}?kind=motion"), "").await;
    assert!(porch.watched().await);
    let second = follow(&gateway, "/v1/events?camera=porch", "").await;
    // Nobody knows what lies before these, and they are told all the same.
    porch.upload(41, 42).await;
    porch.upload(42, 43).await;
    assert_eq!(told(&mut stream, 3).await.0, says("porch", 41..=43));
    assert!(porch.announce(Upload::OnDemand).await.is_empty(), "how far the log is held has not moved");
    assert!(porch.watched().await, "it is told anew");
    drop(second);
    drop(stream);
    assert!(!porch.watched().await, "nobody names it any more");
    drop(everybody);
    // Uploaded as a whole later on, each of them is kept once.
    assert!(porch.announce(Upload::Live).await.is_empty());
    porch.upload(1, 100).await;
    let page = gateway.get(&format!("{PORCH}?source=store&kind=motion&order=asc&limit=200")).await.json();
    let said: Vec<_> = page["events"].as_array().unwrap().iter().map(|event| &event["description"]).collect();
    assert_eq!(json!(said), json!(says("porch", 1..=100)));
    assert_eq!(page["complete"], true, "{}", page["coverage"]);
}

#[tokio::test]
async fn an_older_copy_of_a_log_that_was_followed_is_told_that_its_numbers_are_taken() {
    let gateway = TestGateway::start().await;
    let mut porch = Camera::new(&gateway, "porch", Upload::OnDemand).await;
    let _stream = follow(&gateway, PORCH, "").await;
    assert!(porch.watched().await);
    porch.upload(101, 103).await;
    let spool =
        SpoolState { epoch: porch.epoch, first: 1, next: 104, as_of: event(porch.epoch, 103, "").event.at };
    let older = SpoolState { next: 103, ..spool };
    for (spool, is_conflict) in [(spool, false), (older, true)] {
        porch.agent.bound(announcement(&porch.id, Upload::OnDemand, vec![spool])).await;
        // Control goes down in this order, of which the next Bound is the end.
        porch.agent.send(AgentFrame::Camera(announcement(&porch.id, Upload::OnDemand, Vec::new()))).await;
        let mut has_notice = false;
        loop {
            match porch.agent.frame().await {
                GatewayFrame::Notice(notice) => {
                    assert_eq!((notice.code, notice.epoch), (NoticeCode::EpochConflict, Some(porch.epoch)));
                    has_notice = true;
                }
                GatewayFrame::Bound(_) => break,
                _ => {}
            }
        }
        assert_eq!(has_notice, is_conflict);
    }
}

#[tokio::test]
async fn nobody_makes_a_camera_upload_that_he_may_not_see() {
    let gateway = TestGateway::start().await;
    let mut yard = Camera::new(&gateway, "yard", Upload::OnDemand).await;
    Camera::live(&gateway, "porch").await;
    let limited = gateway.key_for(Role::Viewer, &["porch"]).await;
    let mut stream = Sse::open(&gateway, &limited, "?camera=yard").await;
    stream.next_of("hello").await;
    let mut seen = Sse::open(&gateway, &gateway.admin, "?camera=yard").await;
    assert!(yard.watched().await);
    seen.next_of("hello").await;
    drop(seen);
    assert!(!yard.watched().await, "the one who may see it was the last");
}

#[tokio::test]
async fn a_stream_of_everything_tells_of_events_and_goes_on_where_it_was() {
    let gateway = TestGateway::start().await;
    let mut porch = Camera::live(&gateway, "porch").await;
    told(&mut follow(&gateway, &format!("{PORCH}?from=0&kind=online"), "").await, 1).await;
    let mut few = Sse::open(&gateway, &gateway.admin, "?types=event&camera=porch").await;
    let mut all = Sse::open(&gateway, &gateway.admin, "?types=event").await;
    assert_eq!(
        (few.next().await.unwrap().kind, all.next().await.unwrap().kind),
        ("hello".into(), "hello".into())
    );
    porch.upload(1, 5).await;
    let mut place = String::new();
    for seq in 1..=5 {
        let notice = few.next_of("event").await;
        assert_eq!((&notice.data["camera"], &notice.data["count"]), (&json!("porch"), &json!(1)));
        assert_eq!(notice.data["event"]["description"], format!("porch {seq}"));
        place = if seq == 2 { notice.id } else { place };
    }
    let first = all.next_of("event").await.data;
    let rest = all.next_of("event").await.data;
    assert_eq!((&first["count"], &first["event"]["description"]), (&json!(1), &json!("porch 1")));
    assert_eq!((&rest["count"], &rest["event"]["description"]), (&json!(4), &json!("porch 5")));
    let path = "/v1/stream?types=event&camera=porch";
    let mut again = Sse::follow(&gateway, &gateway.admin, path, &place).await;
    assert_eq!(again.next().await.unwrap().data["resumed"], true);
    assert_eq!(again.next_of("event").await.data["event"]["description"], "porch 3");
}

#[tokio::test]
async fn a_stream_ends_with_its_key_and_says_when_the_gateway_stops() {
    let gateway = TestGateway::start().await;
    let mut porch = Camera::live(&gateway, "porch").await;
    let (id, key) = gateway
        .key_with_id(Role::Viewer, oriel_gateway::store::Scope { all: true, ..Default::default() })
        .await;
    let mut ended = Sse::follow(&gateway, &key, PORCH, "").await;
    ended.next_of("hello").await;
    gateway.delete(&format!("/v1/keys/{id}")).await.expect(204);
    while ended.next().await.is_some() {}
    porch.upload(1, 1).await;
    let mut stream = follow(&gateway, PORCH, "").await;
    gateway.stop.cancel();
    let restart = stream.next_of("restart").await;
    assert!(!restart.id.is_empty(), "from where to go on");
    assert!(soon("its end", async { stream.next().await.is_none() }).await);
}

#[tokio::test]
async fn a_camera_that_is_removed_ends_what_follows_it_alone() {
    let gateway = TestGateway::start().await;
    Camera::live(&gateway, "porch").await;
    let mut stream = follow(&gateway, PORCH, "").await;
    gateway.delete("/v1/cameras/porch").await.expect(202);
    let gone = stream.next_of("gone").await;
    assert_eq!(gone.data, json!({"camera": "porch"}));
    assert!(stream.next().await.is_none());
}
