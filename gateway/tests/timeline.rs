//! Numbers of events step by step: as many as the list of the same time has, whoever answers for it.

#![allow(clippy::unwrap_used, reason = "what these helpers cannot do fails the test")]

mod common;

use std::{collections::BTreeMap, time::Duration};

use camera_agent::{
    Config,
    config::{CameraConfig, GatewayConfig, SimulatorConfig, SourceConfig},
};
use common::*;
use oriel_gateway::{clock, store::Role};
use oriel_proto::{
    AgentFrame, Answer as Reply, Body, Call, CameraId, Epoch, EventId, FailureCode, GatewayFrame, InstanceId,
    Items, Kind, LoggedEvent, Seq, Timestamp, Trailer,
    call::{EventCount, EventsCall, EventsTrailer},
    frame::{Events, Request, SpoolState, Upload},
};
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

const TIMELINE: &str = "/v1/cameras/porch/timeline";

fn porch() -> CameraId {
    "porch".parse().unwrap()
}

fn logged(epoch: Epoch, seq: Seq) -> LoggedEvent {
    event(epoch, seq, &format!("number {seq}"))
}

/// When the event of this number is.
fn time(seq: Seq) -> Timestamp {
    logged(Epoch::new(), seq).event.at
}

/// The same as an answer writes it.
fn at(seq: Seq) -> String {
    clock::format(time(seq))
}

/// A camera that has told of so many events of this epoch, of which the gateway holds the first ones.
async fn camera(gateway: &TestGateway, policy: Upload, epoch: Epoch, held: Seq, written: Seq) -> RawAgent {
    let mut agent = gateway.enroll(&["porch"]).await.welcomed(InstanceId::new(), 1).await;
    let spool = SpoolState { epoch, first: 1, next: written + 1, as_of: time(written) };
    agent.bound(announcement(&porch(), policy, vec![spool])).await;
    agent.send(AgentFrame::Ready {}).await;
    if held > 0 {
        upload(&mut agent, epoch, 1, held, written).await;
    }
    agent
}

/// Uploads the events of these numbers, and waits until they are acknowledged.
async fn upload(agent: &mut RawAgent, epoch: Epoch, first: Seq, last: Seq, written: Seq) {
    let events = (first..=last).map(|seq| logged(epoch, seq).event).collect();
    let frame = Events { camera: porch(), epoch, first, events, next: written + 1, as_of: time(written) };
    agent.send(AgentFrame::Events(frame)).await;
    loop {
        if let GatewayFrame::Ack { seq, .. } = agent.frame().await
            && seq == last
        {
            return;
        }
    }
}

/// Asks for the time of the first ten events, in steps of two seconds.
fn asking(gateway: &TestGateway, query: &str) -> JoinHandle<Answer> {
    let path = format!("{TIMELINE}?from={}&to={}&step=2s{query}", at(0), at(10));
    tokio::spawn(Answer::of(gateway.request(reqwest::Method::GET, &path).bearer_auth(&gateway.admin)))
}

fn asked(request: &Request) -> EventsCall {
    match &request.call {
        Call::Events(call) => call.clone(),
        other => panic!("not a question for events: {other:?}"),
    }
}

/// A whole answer of the camera, whose clock stands behind what is asked for.
fn reply(request: &Request, items: Items) -> AgentFrame {
    let as_of = time(20);
    let trailer =
        Trailer::Events(EventsTrailer { scanned: Vec::new(), lost: Vec::new(), as_of, more: false });
    AgentFrame::Reply { id: request.id, answer: Reply { body: vec![Body::Items(items)], trailer } }
}

/// So many of a kind, of the step that begins with the event of this number.
fn count(seq: Seq, kind: Kind, count: u64) -> EventCount {
    EventCount { at: time(seq), kind, count }
}

/// The numbers of an answer, by step and kind.
fn numbers(timeline: &Value) -> Vec<(String, Value)> {
    let steps = timeline["steps"].as_array().unwrap().iter();
    steps.map(|step| (step["at"].as_str().unwrap().to_owned(), step["events"].clone())).collect()
}

/// The steps of these numbers of motions.
fn motions(steps: &[(Seq, u64)]) -> Vec<(String, Value)> {
    steps.iter().map(|&(seq, count)| (at(seq), json!({"motion": count}))).collect()
}

#[tokio::test]
async fn what_is_kept_and_what_the_camera_has_beside_that_is_counted_once() {
    let (gateway, epoch) = (TestGateway::start().await, Epoch::new());
    let mut agent = camera(&gateway, Upload::Live, epoch, 3, 5).await;
    let answer = asking(&gateway, "");
    let request = agent.request().await;
    let call = asked(&request);
    assert_eq!((call.from, call.to, call.bucket_ms), (Some(time(3)), Some(time(10)), None));
    // Meanwhile one of them comes by itself.
    upload(&mut agent, epoch, 4, 4, 5).await;
    agent.send(reply(&request, Items::Events(vec![logged(epoch, 4), logged(epoch, 5)]))).await;
    let timeline = answer.await.unwrap().expect(200).json();
    assert_eq!(numbers(&timeline), motions(&[(0, 1), (2, 2), (4, 2)]), "{timeline}");
    assert_eq!((&timeline["camera"], &timeline["step_ms"]), (&json!("porch"), &json!(2_000)));
    assert_eq!((&timeline["from"], &timeline["to"]), (&json!(at(0)), &json!(at(10))));
    let stretch =
        |from, to, source| json!({"camera": "porch", "from": at(from), "to": at(to), "source": source});
    assert_eq!(timeline["coverage"], json!([stretch(0, 3, "store"), stretch(3, 10, "camera")]));
    assert_eq!(timeline["complete"], true);
}

#[tokio::test]
async fn an_event_that_comes_again_under_another_name_is_counted_once() {
    let (gateway, epoch) = (TestGateway::start().await, Epoch::new());
    let mut agent = camera(&gateway, Upload::Live, epoch, 3, 5).await;
    let answer = asking(&gateway, "");
    let mut again = logged(epoch, 3);
    (again.epoch, again.seq, again.event.was) = (Epoch::new(), 1, Some(EventId { epoch, seq: 3 }));
    let request = agent.request().await;
    agent.send(reply(&request, Items::Events(vec![again]))).await;
    let timeline = answer.await.unwrap().expect(200).json();
    assert_eq!(numbers(&timeline), motions(&[(0, 1), (2, 2)]), "{timeline}");
}

#[tokio::test]
async fn a_camera_whose_events_are_not_uploaded_counts_them_itself() {
    let (gateway, epoch) = (TestGateway::start().await, Epoch::new());
    let mut agent = camera(&gateway, Upload::OnDemand, epoch, 0, 9).await;
    for query in ["", "&source=camera"] {
        let answer = asking(&gateway, query);
        let request = agent.request().await;
        assert_eq!(asked(&request).bucket_ms, Some(2_000));
        let counts = vec![count(0, Kind::Motion, 2), count(0, Kind::Reset, 1), count(6, Kind::Motion, 70)];
        agent.send(reply(&request, Items::EventCounts(counts))).await;
        let timeline = answer.await.unwrap().expect(200).json();
        let wanted = vec![(at(0), json!({"motion": 2, "reset": 1})), (at(6), json!({"motion": 70}))];
        assert_eq!((numbers(&timeline), &timeline["complete"]), (wanted, &json!(true)), "{query}");
        assert_eq!(timeline["coverage"][0]["source"], "camera");
    }
}

#[tokio::test]
async fn numbers_of_a_camera_count_for_nothing_when_some_of_its_events_came_meanwhile() {
    let (gateway, epoch) = (TestGateway::start().await, Epoch::new());
    let mut agent = camera(&gateway, Upload::OnDemand, epoch, 0, 2).await;
    let answer = asking(&gateway, "");
    let request = agent.request().await;
    upload(&mut agent, epoch, 1, 1, 2).await;
    agent.send(reply(&request, Items::EventCounts(vec![count(0, Kind::Motion, 1)]))).await;
    let request = agent.request().await;
    assert_eq!(asked(&request).bucket_ms, None);
    agent.send(reply(&request, Items::Events(vec![logged(epoch, 2)]))).await;
    let timeline = answer.await.unwrap().expect(200).json();
    assert_eq!(numbers(&timeline), motions(&[(0, 1), (2, 1)]), "{timeline}");
}

#[tokio::test]
async fn a_camera_that_does_not_count_is_asked_for_its_events() {
    let (gateway, epoch) = (TestGateway::start().await, Epoch::new());
    let mut agent = camera(&gateway, Upload::OnDemand, epoch, 0, 2).await;
    let answer = asking(&gateway, "");
    let request = agent.request().await;
    agent.send(fail(request.id, FailureCode::Unsupported, "no numbers")).await;
    let request = agent.request().await;
    assert_eq!(asked(&request).bucket_ms, None);
    agent.send(reply(&request, Items::Events(vec![logged(epoch, 1), logged(epoch, 2)]))).await;
    let timeline = answer.await.unwrap().expect(200).json();
    assert_eq!(numbers(&timeline), motions(&[(0, 1), (2, 1)]), "{timeline}");
}

#[tokio::test]
async fn a_camera_that_cannot_answer_leaves_missing_what_is_not_here_and_the_answer_says_why() {
    let (gateway, epoch) = (TestGateway::start().await, Epoch::new());
    let mut agent = camera(&gateway, Upload::Live, epoch, 3, 5).await;
    let is_missing = |timeline: &Value, why: &str| {
        assert_eq!(numbers(timeline), motions(&[(0, 1), (2, 2)]), "{timeline}");
        let missing = json!({"camera": "porch", "from": at(3), "to": at(10), "missing": why});
        assert_eq!((&timeline["coverage"][1], &timeline["complete"]), (&missing, &json!(false)));
    };
    let answer = asking(&gateway, "");
    let request = agent.request().await;
    agent.send(fail(request.id, FailureCode::Busy, "no")).await;
    is_missing(&answer.await.unwrap().expect(200).json(), "camera_busy");
    is_missing(&asking(&gateway, "&timeout=100ms").await.unwrap().expect(200).json(), "camera_timeout");
    is_missing(&asking(&gateway, "&source=store").await.unwrap().expect(200).json(), "not_uploaded");
    drop(agent);
    until("the camera is gone", async || gateway.registry.told_log(&porch()).is_none()).await;
    is_missing(&asking(&gateway, "").await.unwrap().expect(200).json(), "camera_offline");
    asking(&gateway, "&source=camera").await.unwrap().expect_problem(503, "camera_offline");
}

#[tokio::test]
async fn only_wanted_events_are_counted() {
    let (gateway, epoch) = (TestGateway::start().await, Epoch::new());
    let _agent = camera(&gateway, Upload::Live, epoch, 9, 9).await;
    let only = async |query: &str| numbers(&asking(&gateway, query).await.unwrap().expect(200).json());
    assert_eq!(only("&source=store&q=NUMBER%203").await, motions(&[(2, 1)]));
    assert_eq!(only("&source=store&kind=reset").await, []);
    assert_eq!(only("&source=store&severity=info&kind=motion").await.len(), 5);
}

#[tokio::test]
async fn what_is_asked_wrongly_is_refused_with_what_is_allowed() {
    let gateway = TestGateway::start().await;
    let _agent = camera(&gateway, Upload::Live, Epoch::new(), 1, 1).await;
    for (query, says) in [
        ("step=1s", "step: that time has 86401 of them, at most 2000 are counted; give at least 44s"),
        ("from=0&to=2001&step=1s", "step: that time has 2001 of them"),
        ("step=500ms", "step"),
        ("step=0", "step"),
        ("step=often", "step"),
        ("from=-1h&to=-2h", "from lies behind to"),
        ("from=2090-01-01T00:00:00Z", "from lies behind to"),
        ("from=soon", "from"),
        ("source=disk", "source"),
        ("timeout=1ms", "timeout"),
        ("limit=5", "limit"),
        ("cursor=x", "cursor"),
    ] {
        let refused = gateway.get(&format!("{TIMELINE}?{query}")).await.expect_problem(400, "bad_request");
        assert!(refused.detail().contains(says), "{query}: {}", refused.detail());
    }
    gateway.get(&format!("{TIMELINE}?from=0&to=2000&step=1s")).await.expect(200);
    gateway.get(&format!("{TIMELINE}?from=0&to=0&step=1s")).await.expect(200);
}

#[tokio::test]
async fn the_last_day_is_counted_in_quarters_of_an_hour_unless_something_else_is_asked() {
    let gateway = TestGateway::start().await;
    let agent = gateway.agent(&["porch"]).await;
    agent.answering(|request| vec![reply(&request, Items::EventCounts(Vec::new()))]);
    let noted = async || {
        let page = gateway.get("/v1/cameras/porch/events?source=store").await.expect(200).json();
        !page["events"].as_array().unwrap().is_empty()
    };
    until("it is written down that the camera came", noted).await;
    let timeline = gateway.get(TIMELINE).await.expect(200).json();
    assert_eq!(timeline["step_ms"], 900_000);
    let time = |name: &str| {
        clock::parse(timeline[name].as_str().unwrap(), Timestamp::default()).unwrap().as_micros()
    };
    assert_eq!(time("to") - time("from"), 86_400_000_000);
    // That the camera came is written down by the gateway, and stands in its log.
    let (_, events) = numbers(&timeline).pop().unwrap();
    assert_eq!(events, json!({"online": 1}));
}

#[tokio::test]
async fn a_camera_that_a_key_does_not_see_is_not_there() {
    let gateway = TestGateway::start().await;
    let _agent = gateway.agent(&["zanzibar"]).await;
    let key = gateway.key_for(Role::Viewer, &["porch"]).await;
    for camera in ["zanzibar", "nowhere"] {
        let path = format!("/v1/cameras/{camera}/timeline?step=nonsense");
        gateway.get_as(&key, &path).await.expect_problem(404, "not_found");
    }
}

/// The numbers of a list, in steps of so many microseconds.
fn counted(lines: &str, step: i64) -> Vec<(String, Value)> {
    let mut steps: BTreeMap<i64, BTreeMap<String, u64>> = BTreeMap::new();
    let events = lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    for event in events.filter(|line| line["end"].is_null()) {
        let at = clock::parse(event["at"].as_str().unwrap(), Timestamp::default()).unwrap().as_micros();
        let kinds = steps.entry(at.div_euclid(step) * step).or_default();
        *kinds.entry(event["kind"].as_str().unwrap().to_owned()).or_default() += 1;
    }
    let shown = |(at, kinds)| (clock::format(Timestamp::from_micros(at)), json!(kinds));
    steps.into_iter().map(shown).collect()
}

/// How far the logs of real cameras are looked back.
const SINCE: Duration = Duration::from_secs(6_000);

#[tokio::test(flavor = "multi_thread")]
async fn the_numbers_of_a_real_camera_are_those_of_its_list_whether_it_uploads_its_events_or_not() {
    let gateway = TestGateway::start().await;
    // Nothing of this time is written later.
    let to = clock::now();
    let enrollment = json!({"cameras": ["porch", "yard"]});
    let made = gateway.post("/v1/enrollments", enrollment).await.expect(201).json();
    let state = tempfile::tempdir().unwrap();
    let mut list = GatewayConfig::new(format!("http://{}", gateway.address).parse().unwrap());
    list.code = Some(made["code"].as_str().unwrap().into());
    let simulated = |id: &str, upload| {
        let source = SourceConfig::Simulator(SimulatorConfig {
            backfill: 500,
            preview_ms: 0,
            main_ms: 0,
            ..SimulatorConfig::default()
        });
        CameraConfig { upload, source, ..CameraConfig::simulated(id.parse().unwrap()) }
    };
    let cameras = vec![simulated("porch", Upload::Live), simulated("yard", Upload::OnDemand)];
    let config = Config { state: state.path().to_owned(), gateways: vec![list], cameras };
    let stop = CancellationToken::new();
    let stopping = stop.clone();
    let task = tokio::spawn(async move { camera_agent::run(config, stopping).await.unwrap() });
    gateway.metric_reaches("oriel_events_stored_total", 500.0).await;
    until("both are there", async || gateway.registry.told_log(&"yard".parse().unwrap()).is_some()).await;
    for camera in ["porch", "yard"] {
        let range = format!("from={}&to={}", clock::format(to.before(SINCE)), clock::format(to));
        let path = format!("/v1/cameras/{camera}/events?{range}");
        let lines = gateway.request(reqwest::Method::GET, &path).bearer_auth(&gateway.admin);
        let lines = Answer::of(lines.header("accept", "application/x-ndjson")).await.expect(200).text;
        let path = format!("/v1/cameras/{camera}/timeline?{range}&step=1m");
        let timeline = gateway.get(&path).await.expect(200).json();
        assert_eq!(numbers(&timeline), counted(&lines, 60_000_000), "{camera}");
        assert_eq!(timeline["complete"], true, "{camera}: {timeline}");
    }
    stop.cancel();
    soon("the agent stops", task).await.unwrap();
}
