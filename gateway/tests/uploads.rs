//! Events that agents upload: stored, acknowledged, answered from the store, and never taken twice or from a stranger.

#![allow(clippy::unwrap_used, reason = "what these helpers cannot do fails the test")]

mod common;

use camera_agent::{
    Config,
    config::{CameraConfig, GatewayConfig, SimulatorConfig, SourceConfig},
};
use common::*;
use oriel_proto::{
    AgentFrame, CameraId, Epoch, Event, GatewayFrame, InstanceId, Seq,
    event::LossReason,
    frame::{Bound, Events, Feature, Lost, NoticeCode, SpoolState, Upload},
    limits::DESCRIPTION_BYTES,
};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

fn porch() -> CameraId {
    "porch".parse().unwrap()
}

/// Numbers `first` and on of an epoch, which say what they are told to.
fn events(epoch: Epoch, first: Seq, descriptions: &[&str]) -> Events {
    let events: Vec<Event> =
        (first..).zip(descriptions).map(|(seq, description)| event(epoch, seq, description).event).collect();
    let (next, as_of) = (first + events.len() as Seq, events.last().unwrap().at);
    Events { camera: porch(), epoch, first, events, next, as_of }
}

/// Announces `porch` with a log that has this epoch; gives what the gateway holds of it.
async fn announce(agent: &mut RawAgent, epoch: Epoch, next: Seq) -> Bound {
    announce_all(agent, &[(epoch, next)]).await
}

/// Announces `porch` with a log that has these epochs, of which the last is the present one.
async fn announce_all(agent: &mut RawAgent, epochs: &[(Epoch, Seq)]) -> Bound {
    let spool = |&(epoch, next)| SpoolState { epoch, first: 1, next, as_of: event(epoch, next, "").event.at };
    agent.bound(announcement(&porch(), Upload::Live, epochs.iter().map(spool).collect())).await
}

/// An agent whose camera `porch` has a log of this epoch.
async fn uploader(gateway: &TestGateway, epoch: Epoch) -> RawAgent {
    let mut agent = gateway.enroll(&["porch"]).await.welcomed(InstanceId::new(), 1).await;
    announce(&mut agent, epoch, 1).await;
    agent.send(AgentFrame::Ready {}).await;
    agent
}

/// Two connections of one device whose camera `porch` has a log of this epoch.
async fn connected_twice(gateway: &TestGateway, epoch: Epoch) -> (RawAgent, RawAgent) {
    let (enrolled, instance) = (gateway.enroll(&["porch"]).await, InstanceId::new());
    let mut older = enrolled.welcomed(instance, 1).await;
    announce(&mut older, epoch, 1).await;
    let mut newer = enrolled.welcomed(instance, 2).await;
    announce(&mut newer, epoch, 1).await;
    (older, newer)
}

/// The number up to which the next acknowledgement goes.
async fn acked(agent: &mut RawAgent, expected: Epoch) -> Seq {
    loop {
        if let GatewayFrame::Ack { camera, epoch, seq } = agent.frame().await {
            assert_eq!((camera, epoch), (porch(), expected));
            return seq;
        }
    }
}

/// What the camera itself wrote, as the store tells it, oldest first.
async fn stored(gateway: &TestGateway) -> Vec<String> {
    let path = "/v1/cameras/porch/events?source=store&order=asc&kind=motion";
    let page = gateway.get(path).await.expect(200).json();
    let list = page["events"].as_array().unwrap().iter();
    list.map(|event| event["description"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_gateway_offers_to_take_events_and_acknowledges_what_is_stored() {
    let (gateway, epoch) = (TestGateway::start().await, Epoch::new());
    let enrolled = gateway.enroll(&["porch"]).await;
    let mut agent = enrolled.connect().await;
    assert_eq!(agent.hello(InstanceId::new(), 1).await.features, [Feature::Ingest]);
    assert_eq!(announce(&mut agent, epoch, 1).await.acked, []);
    agent.send(AgentFrame::Events(events(epoch, 1, &["a cat", "a dog"]))).await;
    assert_eq!(acked(&mut agent, epoch).await, 2);
    assert_eq!(stored(&gateway).await, ["a cat", "a dog"]);
    let acked = announce(&mut agent, epoch, 3).await.acked;
    let ours: Vec<_> = acked.iter().map(|acked| (acked.epoch, acked.seq, acked.hash.is_some())).collect();
    assert_eq!(ours, [(epoch, 2, true)]);
    assert_eq!(gateway.metric("oriel_events_stored_total").await, 2.0);
}

#[tokio::test]
async fn events_count_from_an_older_connection_too_and_the_newest_is_told() {
    let (gateway, epoch) = (TestGateway::start().await, Epoch::new());
    let (mut older, mut newer) = connected_twice(&gateway, epoch).await;
    older.send(AgentFrame::Events(events(epoch, 1, &["a cat"]))).await;
    assert_eq!(acked(&mut newer, epoch).await, 1);
}

#[tokio::test]
async fn an_agent_is_told_that_the_gateway_holds_other_events_of_its_epoch() {
    let (gateway, epoch) = (TestGateway::start().await, Epoch::new());
    let mut agent = uploader(&gateway, epoch).await;
    agent.send(AgentFrame::Events(events(epoch, 1, &["a cat"]))).await;
    acked(&mut agent, epoch).await;
    agent.send(AgentFrame::Events(events(epoch, 1, &["a dog", "another"]))).await;
    let notice = loop {
        match agent.frame().await {
            GatewayFrame::Notice(notice) => break notice,
            GatewayFrame::Ack { .. } => panic!("acknowledged"),
            _ => {}
        }
    };
    assert_eq!(
        (notice.code, notice.camera, notice.epoch),
        (NoticeCode::EpochConflict, Some(porch()), Some(epoch))
    );
    assert_eq!(stored(&gateway).await, ["a cat"]);
    assert_eq!(gateway.metric("oriel_events_refused_total{reason=\"conflict\"}").await, 1.0);
}

#[tokio::test]
async fn a_loss_is_acknowledged_and_answers_say_it() {
    let (gateway, epoch) = (TestGateway::start().await, Epoch::new());
    let mut agent = uploader(&gateway, epoch).await;
    let (from, to) = (event(epoch, 1, "").event.at, event(epoch, 3, "").event.at);
    let lost = Lost { camera: porch(), epoch, first: 1, last: 3, from, to, why: LossReason::Dropped };
    agent.send(AgentFrame::Lost(lost)).await;
    assert_eq!(acked(&mut agent, epoch).await, 3);
    agent.send(AgentFrame::Events(events(epoch, 4, &["a cat"]))).await;
    assert_eq!(acked(&mut agent, epoch).await, 4);
    let page = gateway.get("/v1/cameras/porch/events").await.expect(200).json();
    assert_eq!(page["complete"], false);
    let missing: Vec<_> = page["coverage"].as_array().unwrap().iter().map(|part| &part["missing"]).collect();
    assert!(missing.contains(&&json!("lost_on_camera")), "{page}");
}

#[tokio::test]
async fn what_no_honest_agent_uploads_ends_its_connection() {
    let gateway = TestGateway::start().await;
    let epoch = Epoch::new();
    let long = "x".repeat(DESCRIPTION_BYTES + 1);
    let lost = |first, last| {
        let (from, to, why) =
            (event(epoch, 1, "").event.at, event(epoch, 1, "").event.at, LossReason::Dropped);
        AgentFrame::Lost(Lost { camera: porch(), epoch, first, last, from, to, why })
    };
    let enrolled = gateway.enroll(&["porch"]).await;
    let unsound = [
        AgentFrame::Events(events(epoch, 0, &["a cat"])),
        AgentFrame::Events(Events { next: 1, ..events(epoch, 1, &["a cat"]) }),
        AgentFrame::Events(Events { next: u64::MAX, ..events(epoch, 1, &["a cat"]) }),
        AgentFrame::Events(events(epoch, u64::MAX - 1, &["a cat"])),
        AgentFrame::Events(events(epoch, 1, &[&long])),
        lost(0, 4),
        lost(4, 3),
        lost(1, u64::MAX),
    ];
    for (n, frame) in unsound.into_iter().enumerate() {
        let mut agent = enrolled.welcomed(InstanceId::new(), 1).await;
        announce(&mut agent, epoch, 1).await;
        agent.send(frame).await;
        assert_eq!(agent.close_code().await, Some(1008), "{n}");
        until("it has left", async || gateway.registry.agents() == 0).await;
    }
    assert_eq!(stored(&gateway).await, [""; 0]);
}

#[tokio::test]
async fn events_of_a_camera_that_is_not_the_agents_are_counted_and_not_stored() {
    let (gateway, epoch) = (TestGateway::start().await, Epoch::new());
    let _owner = uploader(&gateway, Epoch::new()).await;
    let mut stranger = gateway.agent(&["yard"]).await;
    stranger.send(AgentFrame::Events(events(epoch, 1, &["a cat"]))).await;
    gateway.metric_reaches("oriel_events_unwanted_total", 1.0).await;
    assert_eq!(stored(&gateway).await, [""; 0]);
}

#[tokio::test]
async fn who_finds_no_room_is_sent_away_and_keeps_its_events() {
    let gateway = TestGateway::with(|config| config.limits.ingest_bytes = 1_000).await;
    let epoch = Epoch::new();
    let mut agent = uploader(&gateway, epoch).await;
    let long = "x".repeat(DESCRIPTION_BYTES);
    agent.send(AgentFrame::Events(events(epoch, 1, &[&long]))).await;
    assert_eq!(agent.close_code().await, Some(1013));
}

#[tokio::test]
async fn coming_and_going_stands_in_the_log() {
    let (gateway, epoch) = (TestGateway::start().await, Epoch::new());
    let agent = uploader(&gateway, epoch).await;
    drop(agent);
    let page = async || gateway.get("/v1/cameras/porch/events?source=store").await.expect(200).json();
    let both = async || page().await["events"].as_array().unwrap().len() == 2;
    until("both are written down", both).await;
    let events = page().await["events"].clone();
    let shown = |n: usize| (events[n]["kind"].clone(), events[n]["data"]["by"].clone());
    assert_eq!(shown(0), (json!("offline"), json!("gateway")));
    assert_eq!(shown(1), (json!("online"), json!("gateway")));
    assert!(events[0]["received_at"].is_string());
}

#[tokio::test]
async fn a_newer_connection_is_no_coming_and_going() {
    let (gateway, epoch) = (TestGateway::start().await, Epoch::new());
    let (mut older, mut newer) = connected_twice(&gateway, epoch).await;
    newer.send(AgentFrame::Ready {}).await;
    assert_eq!(older.close_code().await, Some(4001));
    newer.send(AgentFrame::Events(events(epoch, 1, &["a cat"]))).await;
    acked(&mut newer, epoch).await;
    let page = gateway.get("/v1/cameras/porch/events?kind=online&kind=offline").await.expect(200).json();
    assert_eq!(page["events"].as_array().unwrap().len(), 1, "{page}");
}

#[tokio::test]
async fn the_camera_is_asked_where_its_events_are_not_uploaded() {
    let gateway = TestGateway::start().await;
    let agent = gateway.agent(&["porch"]).await;
    agent.answering(|request| vec![page(request.id, "from the camera")]);
    let usual = gateway.get("/v1/cameras/porch/events?kind=motion").await.expect(200).json();
    assert_eq!(usual["events"][0]["description"], "from the camera");
    assert_eq!(usual["coverage"][0]["source"], "camera");
    let kept = gateway.get("/v1/cameras/porch/events?source=store&kind=motion").await.expect(200).json();
    assert_eq!((&kept["events"], &kept["complete"]), (&json!([]), &json!(false)));
    assert_eq!(kept["coverage"][0]["missing"], "not_uploaded");
    let wrong = gateway.get("/v1/cameras/porch/events?source=disk").await.expect(400).json();
    assert!(wrong["detail"].as_str().unwrap().contains("source"), "{wrong}");
}

#[tokio::test]
async fn a_log_is_not_whole_while_events_that_it_is_said_to_have_are_missing() {
    let (gateway, epoch) = (TestGateway::start().await, Epoch::new());
    let mut agent = uploader(&gateway, epoch).await;
    let complete = async || {
        gateway.get("/v1/cameras/porch/events?source=store").await.expect(200).json()["complete"].clone()
    };
    assert_eq!(complete().await, true);
    // Nothing of this can be kept, since four events are missing before it; that they were written is known all the same.
    agent.send(AgentFrame::Events(events(epoch, 5, &["a cat"]))).await;
    gateway.metric_reaches("oriel_events_refused_total{reason=\"gap\"}", 1.0).await;
    assert_eq!(complete().await, false);
}

#[tokio::test]
async fn a_log_is_not_whole_when_an_older_epoch_is_and_the_present_one_is_not() {
    let (gateway, older, present) = (TestGateway::start().await, Epoch::new(), Epoch::new());
    let mut agent = gateway.enroll(&["porch"]).await.welcomed(InstanceId::new(), 1).await;
    announce_all(&mut agent, &[(older, 2), (present, 3)]).await;
    agent.send(AgentFrame::Ready {}).await;
    agent.send(AgentFrame::Events(events(older, 1, &["of the older one"]))).await;
    assert_eq!(acked(&mut agent, older).await, 1);
    let page = gateway.get("/v1/cameras/porch/events?source=store").await.expect(200).json();
    assert_eq!(page["complete"], false, "{page}");
}

#[tokio::test]
async fn stored_events_come_as_pages_and_as_lines_and_say_what_they_cover() {
    let (gateway, epoch) = (TestGateway::start().await, Epoch::new());
    let mut agent = uploader(&gateway, epoch).await;
    let descriptions: Vec<String> = (0..150).map(|n| format!("event {n}")).collect();
    let all: Vec<&str> = descriptions.iter().map(String::as_str).collect();
    agent.send(AgentFrame::Events(events(epoch, 1, &all))).await;
    assert_eq!(acked(&mut agent, epoch).await, 150);
    let (mut seen, mut path) =
        (Vec::new(), "/v1/cameras/porch/events?order=asc&limit=60&kind=motion".to_owned());
    loop {
        let page = gateway.get(&path).await.expect(200).json();
        assert_eq!((&page["complete"], &page["coverage"][0]["source"]), (&json!(true), &json!("store")));
        seen.extend(page["events"].as_array().unwrap().iter().map(|event| event["description"].clone()));
        let Some(next) = page["next"].as_str() else { break };
        path = format!("/v1/cameras/porch/events?order=asc&limit=60&kind=motion&cursor={next}");
    }
    assert_eq!(seen, descriptions);
    let request = gateway.request(reqwest::Method::GET, "/v1/cameras/porch/events?order=asc&kind=motion");
    let lines =
        Answer::of(request.bearer_auth(&gateway.admin).header("accept", "application/x-ndjson")).await;
    let lines: Vec<Value> =
        lines.expect(200).text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines[..150].iter().map(|line| line["description"].clone()).collect::<Vec<_>>(), descriptions);
    assert_eq!((lines.len(), &lines[150]["end"]["complete"]), (151, &json!(true)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_cameras_events_reach_the_store_by_themselves_and_stay_when_it_leaves() {
    let gateway = TestGateway::start().await;
    let made = gateway.post("/v1/enrollments", json!({"cameras": ["porch"]})).await.expect(201).json();
    let state = tempfile::tempdir().unwrap();
    let mut list = GatewayConfig::new(format!("http://{}", gateway.address).parse().unwrap());
    list.code = Some(made["code"].as_str().unwrap().into());
    let mut camera = CameraConfig::simulated(porch());
    camera.source = SourceConfig::Simulator(SimulatorConfig {
        backfill: 500,
        preview_ms: 0,
        main_ms: 0,
        ..SimulatorConfig::default()
    });
    let config = Config { state: state.path().to_owned(), gateways: vec![list], cameras: vec![camera] };
    let stop = CancellationToken::new();
    let stopping = stop.clone();
    let task = tokio::spawn(async move { camera_agent::run(config, stopping).await.unwrap() });
    gateway.metric_reaches("oriel_events_stored_total", 500.0).await;
    let ids = async |source: &str| {
        let path = format!("/v1/cameras/porch/events?source={source}&order=asc&limit=400");
        let page = gateway.get(&path).await.expect(200).json();
        page["events"].as_array().unwrap().iter().map(|event| event["id"].clone()).collect::<Vec<_>>()
    };
    let kept = ids("store").await;
    assert_eq!((kept.len(), kept), (400, ids("camera").await));
    stop.cancel();
    soon("the agent stops", task).await.unwrap();
    let page = gateway.get("/v1/cameras/porch/events").await.expect(200).json();
    assert_eq!(page["complete"], false, "what it writes now is not here: {}", page["coverage"]);
    assert_eq!(page["events"].as_array().unwrap().len(), 100);
}
