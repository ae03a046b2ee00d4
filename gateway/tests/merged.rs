//! One answer from what is kept and from the camera: each event once, the camera asked only for what is not here, and what nobody has
//! said to be missing.

#![allow(clippy::unwrap_used, reason = "what these helpers cannot do fails the test")]

mod common;

use common::*;
use oriel_gateway::clock;
use oriel_proto::{
    AgentFrame, Answer as Reply, Body, Call, CameraId, Epoch, EventId, FailureCode, GatewayFrame, InstanceId,
    Items, LoggedEvent, Seq, SeqRange, Timestamp, Trailer,
    call::{EventsCall, EventsTrailer, Have},
    event::{LossReason, LostRange},
    frame::{AgentHealth, Events, Health, Request, SpoolState, Upload},
};
use serde_json::{Value, json};

const PORCH: &str = "/v1/cameras/porch/events";

fn porch() -> CameraId {
    "porch".parse().unwrap()
}

/// When the event of this number is, as it is asked for.
fn at(seq: Seq) -> String {
    clock::Rfc3339(event(Epoch::new(), seq, "").event.at).to_string()
}

/// A camera that has told of so many events of this epoch, of which the gateway holds the first ones.
async fn camera(gateway: &TestGateway, epoch: Epoch, held: Seq, written: Seq) -> RawAgent {
    let mut agent = gateway.enroll(&["porch"]).await.welcomed(InstanceId::new(), 1).await;
    let as_of = event(epoch, written, "").event.at;
    let spool = SpoolState { epoch, first: 1, next: written + 1, as_of };
    agent.bound(announcement(&porch(), Upload::Live, vec![spool])).await;
    agent.send(AgentFrame::Ready {}).await;
    upload(&mut agent, epoch, 1, held, written).await;
    agent
}

/// Uploads the events of these numbers, and waits until they are acknowledged.
async fn upload(agent: &mut RawAgent, epoch: Epoch, first: Seq, last: Seq, written: Seq) {
    let events = (first..=last).map(|seq| logged(epoch, seq).event).collect();
    let as_of = event(epoch, written, "").event.at;
    let frame = Events { camera: porch(), epoch, first, events, next: written + 1, as_of };
    agent.send(AgentFrame::Events(frame)).await;
    loop {
        if let GatewayFrame::Ack { seq, .. } = agent.frame().await
            && seq == last
        {
            return;
        }
    }
}

fn logged(epoch: Epoch, seq: Seq) -> LoggedEvent {
    event(epoch, seq, &format!("number {seq}"))
}

fn asked(request: &Request) -> EventsCall {
    match &request.call {
        Call::Events(call) => call.clone(),
        other => panic!("not a question for events: {other:?}"),
    }
}

/// A whole answer of the camera, whose clock stands at the event of this number.
fn reply(request: &Request, events: Vec<LoggedEvent>, as_of: Seq) -> AgentFrame {
    let as_of = event(Epoch::new(), as_of, "").event.at;
    let trailer =
        Trailer::Events(EventsTrailer { scanned: Vec::new(), lost: Vec::new(), as_of, more: false });
    let body = vec![Body::Items(Items::Events(events))];
    AgentFrame::Reply { id: request.id, answer: Reply { body, trailer } }
}

fn descriptions(events: &Value) -> Vec<&str> {
    events.as_array().unwrap().iter().map(|event| event["description"].as_str().unwrap()).collect()
}

fn asking(gateway: &TestGateway, query: &str) -> tokio::task::JoinHandle<Answer> {
    let path = format!("{PORCH}?kind=motion{query}");
    tokio::spawn(Answer::of(gateway.request(reqwest::Method::GET, &path).bearer_auth(&gateway.admin)))
}

#[tokio::test]
async fn the_camera_is_asked_for_what_is_not_here_and_each_event_stands_once() {
    let (gateway, epoch) = (TestGateway::start().await, Epoch::new());
    let mut agent = camera(&gateway, epoch, 3, 5).await;
    let answer = asking(&gateway, "&order=asc");
    let request = agent.request().await;
    let call = asked(&request);
    assert_eq!(call.from, Some(logged(epoch, 3).event.at), "from the last event before the first hole");
    assert_eq!(call.have, [Have { epoch, ranges: vec![SeqRange { first: 1, last: 3 }] }]);
    // Meanwhile one of them comes by itself.
    upload(&mut agent, epoch, 4, 4, 5).await;
    agent.send(reply(&request, vec![logged(epoch, 4), logged(epoch, 5)], 9)).await;
    let page = answer.await.unwrap().expect(200).json();
    assert_eq!(descriptions(&page["events"]), ["number 1", "number 2", "number 3", "number 4", "number 5"]);
    assert!(page["events"][3]["received_at"].is_string(), "what is kept is told as it is kept: {page}");
    let (from, to) = (at(3), at(9));
    assert_eq!(
        page["coverage"],
        json!([{"camera": "porch", "from": null, "to": from, "source": "store"},
               {"camera": "porch", "from": from, "to": to, "source": "camera"}])
    );
    assert_eq!(page["complete"], true);
}

#[tokio::test]
async fn a_question_that_what_is_kept_answers_goes_to_no_camera() {
    let (gateway, epoch) = (TestGateway::start().await, Epoch::new());
    let _agent = camera(&gateway, epoch, 3, 5).await;
    let to = at(3);
    let page = gateway.get(&format!("{PORCH}?kind=motion&timeout=60s&to={to}")).await.expect(200).json();
    assert_eq!(descriptions(&page["events"]), ["number 2", "number 1"]);
    assert_eq!(page["complete"], true);
    let page = gateway.get(&format!("{PORCH}?kind=motion&timeout=60s&order=asc&limit=2")).await.expect(200);
    assert_eq!(
        (&page.json()["complete"], page.header("server-timing").contains("camera")),
        (&json!(true), false)
    );
}

#[tokio::test]
async fn a_camera_that_cannot_answer_leaves_missing_what_is_not_here_and_the_answer_says_why() {
    let (gateway, epoch) = (TestGateway::start().await, Epoch::new());
    let mut agent = camera(&gateway, epoch, 3, 5).await;
    for (code, missing) in [
        (FailureCode::Busy, "camera_busy"),
        (FailureCode::Unsupported, "camera_unsupported"),
        (FailureCode::Deadline, "camera_timeout"),
        (FailureCode::SourceFailed, "camera_failed"),
    ] {
        let answer = asking(&gateway, "");
        let request = agent.request().await;
        agent.send(fail(request.id, code, "no")).await;
        let page = answer.await.unwrap().expect(200).json();
        assert_eq!(descriptions(&page["events"]), ["number 3", "number 2", "number 1"]);
        assert_eq!(page["complete"], false);
        assert_eq!(
            (&page["coverage"][1]["from"], &page["coverage"][1]["missing"]),
            (&json!(at(3)), &json!(missing))
        );
    }
    let answer = asking(&gateway, "&timeout=100ms").await.unwrap().expect(200).json();
    assert_eq!(answer["coverage"][1]["missing"], "camera_timeout");
}

#[tokio::test]
async fn of_a_quiet_camera_that_left_a_minute_ago_that_minute_is_missing_and_nothing_else() {
    let (gateway, epoch) = (TestGateway::start().await, Epoch::new());
    let mut agent = camera(&gateway, epoch, 3, 3).await;
    let left = Timestamp::from_micros(clock::now().as_micros() - 60_000_000);
    let health = AgentHealth { uptime_s: 1, rtt_ms: None, clock_offset_ms: None };
    agent.send(AgentFrame::Health(Health { as_of: left, agent: health, cameras: Vec::new() })).await;
    let told = || gateway.registry.told_log(&porch()).is_some_and(|told| told.epochs[0].as_of == left);
    until("the gateway knows", async || told()).await;
    drop(agent);
    let noted = async || {
        let page = gateway.get(&format!("{PORCH}?source=store&kind=offline")).await.expect(200).json();
        !page["events"].as_array().unwrap().is_empty()
    };
    until("it is written down that the camera left", noted).await;
    let page = gateway.get(&format!("{PORCH}?kind=motion&from=-1h")).await.expect(200).json();
    let left = clock::Rfc3339(left).to_string();
    let coverage = page["coverage"].as_array().unwrap();
    assert_eq!(
        (coverage.len(), &coverage[0]["to"], &coverage[0]["source"]),
        (2, &json!(left), &json!("store"))
    );
    assert_eq!((&coverage[1]["from"], &coverage[1]["missing"]), (&json!(left), &json!("camera_offline")));
    // Before that minute everything is here.
    let page = gateway.get(&format!("{PORCH}?kind=motion&to=-2m")).await.expect(200).json();
    assert_eq!((&page["complete"], page["events"].as_array().unwrap().len()), (&json!(true), 3));
}

#[tokio::test]
async fn an_event_that_comes_again_under_another_name_stands_once_and_another_of_that_name_stays() {
    let (gateway, epoch, newer) = (TestGateway::start().await, Epoch::new(), Epoch::new());
    let mut agent = camera(&gateway, epoch, 2, 3).await;
    let renamed = |seq, was: Seq, description: &str| {
        let mut again = event(newer, seq, description);
        again.event.at = logged(epoch, was).event.at;
        again.event.was = Some(EventId { epoch, seq: was });
        again
    };
    for order in ["asc", "desc"] {
        let answer = asking(&gateway, &format!("&order={order}"));
        let request = agent.request().await;
        let mut events = vec![renamed(1, 1, "other words"), renamed(2, 2, "number 2")];
        if order == "desc" {
            events.reverse();
        }
        agent.send(reply(&request, events, 9)).await;
        let page = answer.await.unwrap().expect(200).json();
        let mut told = descriptions(&page["events"]);
        told.sort_unstable();
        assert_eq!(told, ["number 1", "number 2", "other words"], "{order}");
    }
}

#[tokio::test]
async fn lines_whose_camera_leaves_in_the_middle_say_from_where_on_something_is_missing() {
    let (gateway, epoch) = (TestGateway::start().await, Epoch::new());
    let mut agent = camera(&gateway, epoch, 2, 5).await;
    let request = gateway.request(reqwest::Method::GET, &format!("{PORCH}?kind=motion&order=asc"));
    let request = request.bearer_auth(&gateway.admin).header("accept", "application/x-ndjson");
    let answer = tokio::spawn(Answer::of(request));
    let request = agent.request().await;
    let part = |n: u32, seq| AgentFrame::Part {
        id: request.id,
        n,
        body: Body::Items(Items::Events(vec![logged(epoch, seq)])),
    };
    agent.send_all([part(0, 3), part(1, 4)]).await;
    drop(agent);
    let answer = answer.await.unwrap().expect(200);
    let mut lines: Vec<Value> = answer.text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let end = lines.pop().unwrap()["end"].clone();
    assert_eq!(descriptions(&json!(lines)), ["number 1", "number 2", "number 3", "number 4"]);
    let stretches: Vec<_> = end["coverage"].as_array().unwrap().iter().collect();
    assert_eq!((&stretches[0]["to"], &stretches[0]["source"]), (&json!(at(2)), &json!("store")));
    assert_eq!((&stretches[1]["to"], &stretches[1]["source"]), (&json!(at(4)), &json!("camera")));
    assert_eq!((&stretches[2]["from"], &stretches[2]["missing"]), (&json!(at(4)), &json!("camera_offline")));
    assert_eq!((stretches.len(), &end["complete"]), (3, &json!(false)));
}

#[tokio::test]
async fn a_camera_that_keeps_its_log_is_asked_about_the_time_before_all_that_it_has_told_of() {
    let gateway = TestGateway::start().await;
    let mut agent = gateway.enroll(&["porch"]).await.welcomed(InstanceId::new(), 1).await;
    let (present, lost) = (Epoch::new(), Epoch::new());
    let as_of = event(present, 9, "").event.at;
    let spool = SpoolState { epoch: present, first: 1, next: 1, as_of };
    agent.bound(announcement(&porch(), Upload::OnDemand, vec![spool])).await;
    agent.send(AgentFrame::Ready {}).await;
    let answer = asking(&gateway, "");
    let request = agent.request().await;
    assert_eq!(asked(&request).from, None, "nothing was told of an epoch that it lost before");
    let (from, to) = (event(lost, 3, "").event.at, event(lost, 5, "").event.at);
    let lost = LostRange { epoch: lost, first: 3, last: 5, from, to, why: LossReason::PastRetention };
    let trailer = EventsTrailer { scanned: Vec::new(), lost: vec![lost], as_of, more: false };
    let body = vec![Body::Items(Items::Events(Vec::new()))];
    let whole = Reply { body, trailer: Trailer::Events(trailer) };
    agent.send(AgentFrame::Reply { id: request.id, answer: whole }).await;
    let page = answer.await.unwrap().expect(200).json();
    assert_eq!(page["complete"], false, "{page}");
    let missing = page["coverage"].as_array().unwrap().iter().find(|stretch| stretch["missing"].is_string());
    assert_eq!(missing.unwrap()["missing"], "past_retention", "{page}");
}
