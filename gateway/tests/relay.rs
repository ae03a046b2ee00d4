//! Questions that travel down a camera's socket, and what becomes of them.

#![allow(clippy::unwrap_used, reason = "what these helpers cannot do fails the test")]

mod common;

use std::time::{Duration, Instant};

use common::*;
use oriel_proto::{
    AgentFrame, Body, Call, Epoch, FailureCode, GatewayFrame, Items, LoggedEvent, RequestId, Trailer,
    call::{EventsCall, Order},
    frame::{Fail, Request},
};
use reqwest::Method;
use serde_json::json;

const PORCH: &str = "/v1/cameras/porch/events?source=camera";

/// What a question for events asks.
fn asked(request: &Request) -> &EventsCall {
    match &request.call {
        Call::Events(call) => call,
        other => panic!("not a question for events: {other:?}"),
    }
}

/// The words that a question looks for; these tests steer their agents by them.
fn words(request: &Request) -> &str {
    asked(request).text.as_deref().unwrap_or_default()
}

fn descriptions(answer: &Answer) -> Vec<String> {
    let json = answer.json();
    let events = json["events"].as_array().unwrap();
    events.iter().map(|event| event["description"].as_str().unwrap().to_owned()).collect()
}

/// Asks in the background; aborting it hangs up.
fn asking(gateway: &TestGateway, path: &str) -> tokio::task::JoinHandle<Answer> {
    let request = gateway.request(Method::GET, path).bearer_auth(&gateway.admin);
    tokio::spawn(Answer::of(request))
}

#[tokio::test]
async fn a_question_travels_down_and_back() {
    let gateway = TestGateway::start().await;
    gateway.agent(&["porch"]).await.answering(|request| vec![page(request.id, "hello there")]);
    let answer = gateway.get(PORCH).await.expect(200);
    assert_eq!(descriptions(&answer), ["hello there"]);
    let event = &answer.json()["events"][0];
    assert_eq!((&event["camera"], &event["kind"]), (&json!("porch"), &json!("motion")));
    assert_eq!(event["at"], "2023-11-14T22:13:21.000000Z");
    assert_eq!((&answer.json()["complete"], &answer.json()["next"]), (&json!(true), &json!(null)));
    assert_eq!(answer.json()["coverage"][0]["source"], "camera");
}

#[tokio::test]
async fn an_answer_of_a_camera_names_its_request_and_its_time() {
    let gateway = TestGateway::start().await;
    gateway.agent(&["porch"]).await.answering(|request| vec![page(request.id, "")]);
    let (one, two) = (gateway.get(PORCH).await, gateway.get(PORCH).await);
    assert!(one.header("server-timing").starts_with("camera;dur="), "{one:?}");
    assert_eq!(one.header("x-request-id").len(), 36);
    assert_ne!(one.header("x-request-id"), two.header("x-request-id"));
}

#[tokio::test]
async fn each_failure_of_a_camera_becomes_its_status() {
    let gateway = TestGateway::start().await;
    let agent = gateway.agent(&["porch"]).await;
    agent.answering(|request| vec![fail(request.id, FailureCode::from(words(&request)), "the reason")]);
    let expected = [
        ("unknown_camera", 404, "not_found"),
        ("not_found", 404, "not_found"),
        ("unsupported", 501, "camera_unsupported"),
        ("busy", 503, "camera_busy"),
        ("deadline", 504, "camera_timeout"),
        ("cancelled", 502, "camera_failed"),
        ("source_failed", 502, "camera_failed"),
        ("internal", 502, "camera_failed"),
        ("a_word_of_a_newer_agent", 502, "camera_failed"),
    ];
    assert_eq!(expected.len(), FailureCode::WORDS.len() + 1, "every code has its line");
    for (word, status, code) in expected {
        let answer = gateway.get(&format!("{PORCH}&q={word}")).await.expect_problem(status, code);
        assert_eq!(answer.json()["camera"], "porch", "{word}");
        if code == "camera_failed" {
            assert_eq!(answer.detail(), format!("{word}: the reason"));
        }
    }
}

#[tokio::test]
async fn a_busy_camera_says_when_to_ask_again() {
    let gateway = TestGateway::start().await;
    gateway.agent(&["porch"]).await.answering(|request| {
        let (code, message) = (FailureCode::Busy, "too much to do".into());
        vec![AgentFrame::Fail(Fail { id: request.id, code, message, retry_after_ms: Some(2_500) })]
    });
    let answer = gateway.get(PORCH).await.expect_problem(503, "camera_busy");
    assert_eq!(
        (answer.header("retry-after").as_str(), &answer.json()["retry_after_ms"]),
        ("3", &json!(2_500))
    );
}

#[tokio::test]
async fn a_connection_has_1024_open_questions_and_the_next_one_is_told_busy() {
    let gateway = TestGateway::start().await;
    let mut agent = gateway.agent(&["porch", "yard"]).await;
    gateway.agent(&["attic"]).await.answering(|request| vec![page(request.id, "")]);
    let porch = "porch".parse().unwrap();
    let link = gateway.registry.find(&porch).unwrap();
    let ask = || link.call(porch.clone(), Call::Describe {}, tokio::time::Instant::now() + SOON).unwrap();
    let mut open: Vec<_> = (0..1_024).map(|_| ask()).collect();
    for _ in &open {
        agent.request().await;
    }
    for camera in ["porch", "yard"] {
        let path = format!("/v1/cameras/{camera}/events?source=camera");
        let answer = gateway.get(&path).await.expect_problem(503, "camera_busy");
        assert_eq!(answer.json()["camera"], camera);
    }
    gateway.get("/v1/cameras/attic/events?source=camera").await.expect(200);
    assert_eq!(link.open_calls(), 1_024, "who was refused left nothing behind");
    // Taken back, so that there is room for one; the camera hears of it first.
    drop(open.pop());
    let asked = asking(&gateway, PORCH);
    let request = agent.request().await;
    agent.send(page(request.id, "there is room")).await;
    assert!(asked.await.unwrap().expect(200).text.contains("there is room"));
}

#[tokio::test]
async fn a_camera_that_is_not_connected_is_offline_at_once() {
    let gateway = TestGateway::start().await;
    gateway.enroll(&["porch"]).await;
    let answer = gateway.get(PORCH).await.expect_problem(503, "camera_offline");
    assert_eq!(answer.header("retry-after"), "5");
}

#[tokio::test]
async fn a_camera_that_is_silent_times_out_and_is_told_to_stop() {
    let gateway = TestGateway::start().await;
    let mut agent = gateway.agent(&["porch"]).await;
    let start = Instant::now();
    let asking = asking(&gateway, &format!("{PORCH}&timeout=300ms"));
    let request = agent.request().await;
    assert!(
        (1..=300).contains(&request.deadline_ms),
        "the agent is told what is left: {}",
        request.deadline_ms
    );
    asking.await.unwrap().expect_problem(504, "camera_timeout");
    assert!(start.elapsed() >= Duration::from_millis(300));
    assert_eq!(agent.frame().await, GatewayFrame::Cancel { id: request.id });
}

#[tokio::test]
async fn a_caller_who_hangs_up_takes_the_question_back() {
    let gateway = TestGateway::start().await;
    let mut agent = gateway.agent(&["porch"]).await;
    let asking = asking(&gateway, PORCH);
    let request = agent.request().await;
    asking.abort();
    assert_eq!(agent.frame().await, GatewayFrame::Cancel { id: request.id });
    assert!(gateway.registry.links().iter().all(|link| link.open_calls() == 0));
}

#[tokio::test]
async fn a_caller_who_hangs_up_in_the_middle_of_an_answer_takes_the_question_back() {
    let gateway = TestGateway::start().await;
    let mut agent = gateway.agent(&["porch"]).await;
    let asking = asking(&gateway, PORCH);
    let request = agent.request().await;
    agent.send(part(request.id, 0, vec![event(Epoch::new(), 1, "one")])).await;
    asking.abort();
    assert_eq!(agent.frame().await, GatewayFrame::Cancel { id: request.id });
}

fn part(id: RequestId, n: u32, events: Vec<LoggedEvent>) -> AgentFrame {
    AgentFrame::Part { id, n, body: Body::Items(Items::Events(events)) }
}

#[tokio::test]
async fn parts_come_together_in_order() {
    let gateway = TestGateway::start().await;
    gateway.agent(&["porch"]).await.answering(|request| {
        let epoch = Epoch::new();
        let parts = (0..40).map(|n| part(request.id, n, vec![event(epoch, u64::from(n), &n.to_string())]));
        let done = AgentFrame::Done { id: request.id, trailer: events_trailer(false) };
        parts.chain([done]).collect()
    });
    let answer = gateway.get(PORCH).await.expect(200);
    assert_eq!(descriptions(&answer), (0..40).map(|n| n.to_string()).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_large_answer_flows_against_its_credit() {
    let gateway = TestGateway::start().await;
    let mut agent = gateway.agent(&["porch"]).await;
    let asking = asking(&gateway, &format!("{PORCH}&limit=1000"));
    let id = agent.request().await.id;
    let (epoch, mut credit, mut parts) = (Epoch::new(), 32 << 10, 0);
    // 1,000 events of 1,000 bytes: 30 times what may be sent without being allowed more.
    for n in 0..200_u32 {
        let events = (0..5).map(|i| event(epoch, u64::from(n * 5 + i), &"x".repeat(1_000))).collect();
        let frame = part(id, n, events);
        let cost = oriel_proto::encode(&frame).unwrap().len();
        while credit < cost {
            if let GatewayFrame::Credit { id: of, bytes } = agent.frame().await {
                assert_eq!(of, id);
                credit += bytes as usize;
                parts += 1;
            }
        }
        credit -= cost;
        agent.send(frame).await;
    }
    agent.send(AgentFrame::Done { id, trailer: events_trailer(false) }).await;
    assert_eq!(descriptions(&asking.await.unwrap().expect(200)).len(), 1_000);
    assert!(parts > 1, "credit was given in steps");
}

#[tokio::test]
async fn an_agent_that_leaves_before_it_answers_is_offline() {
    let gateway = TestGateway::start().await;
    let mut agent = gateway.agent(&["porch"]).await;
    let asking = asking(&gateway, &format!("{PORCH}&timeout=2s"));
    agent.request().await;
    drop(agent);
    asking.await.unwrap().expect_problem(503, "camera_offline");
}

#[tokio::test]
async fn an_agent_that_leaves_in_the_middle_of_a_page_is_offline_too() {
    let gateway = TestGateway::start().await;
    let mut agent = gateway.agent(&["porch"]).await;
    let asking = asking(&gateway, PORCH);
    let request = agent.request().await;
    agent.send(part(request.id, 0, vec![event(Epoch::new(), 1, "one")])).await;
    drop(agent);
    // Nothing of the page had been sent on, so asking again is all that is needed.
    let answer = asking.await.unwrap().expect_problem(503, "camera_offline");
    assert_eq!(answer.header("retry-after"), "5");
}

#[tokio::test]
async fn an_answer_of_another_kind_is_the_cameras_failure() {
    let gateway = TestGateway::start().await;
    gateway.agent(&["porch"]).await.answering(|request| {
        let answer = match words(&request) {
            "too many" => return vec![page_of(request.id, vec![event(Epoch::new(), 1, ""); 101], false)],
            "bytes" => oriel_proto::Answer {
                body: vec![Body::Bytes(vec![1, 2, 3].into())],
                trailer: events_trailer(false),
            },
            _ => oriel_proto::Answer { body: Vec::new(), trailer: Trailer::Nothing {} },
        };
        vec![AgentFrame::Reply { id: request.id, answer }]
    });
    for words in ["too many", "bytes", "nothing"] {
        gateway.get(&format!("{PORCH}&q={words}")).await.expect_problem(502, "camera_failed");
    }
}

/// Answers like an honest agent from five events.
fn honest(request: &Request, log: &[LoggedEvent]) -> AgentFrame {
    let call = asked(request);
    let mut events = log.to_vec();
    events.sort_by_key(LoggedEvent::position);
    if call.order == Order::Desc {
        events.reverse();
    }
    events.retain(|event| {
        let behind = |after| match call.order {
            Order::Desc => event.position() < after,
            _ => event.position() > after,
        };
        call.after.is_none_or(behind) && call.filter().matches(&event.event)
    });
    let limit = usize::try_from(call.limit.unwrap()).unwrap();
    let more = events.len() > limit;
    events.truncate(limit);
    page_of(request.id, events, more)
}

#[tokio::test]
async fn a_log_is_read_page_by_page() {
    let gateway = TestGateway::start().await;
    let epoch = Epoch::new();
    let log: Vec<_> = (1..=5).map(|n| event(epoch, n, &n.to_string())).collect();
    gateway.agent(&["porch"]).await.answering(move |request| vec![honest(&request, &log)]);
    for (order, expected) in [("desc", "5 4 3 2 1"), ("asc", "1 2 3 4 5")] {
        let (mut seen, mut cursor) = (Vec::new(), String::new());
        loop {
            let path = format!("{PORCH}&limit=2&order={order}&from=2023-01-01T00:00:00Z&cursor={cursor}");
            let answer = gateway.get(&path).await.expect(200);
            seen.extend(descriptions(&answer));
            match answer.json()["next"].as_str() {
                Some(next) => cursor = next.to_owned(),
                None => break,
            }
        }
        assert_eq!(seen.join(" "), expected);
    }
}

#[tokio::test]
async fn a_cursor_belongs_to_its_question() {
    let gateway = TestGateway::start().await;
    let log: Vec<_> = (1..=5).map(|n| event(Epoch::new(), n, &n.to_string())).collect();
    let agent = gateway.agent(&["porch", "yard"]).await;
    agent.answering(move |request| vec![honest(&request, &log)]);
    let first = gateway.get(&format!("{PORCH}&limit=2")).await.expect(200).json();
    let cursor = first["next"].as_str().unwrap();
    gateway.get(&format!("{PORCH}&limit=3&cursor={cursor}")).await.expect(200);
    for other in [
        format!("{PORCH}&limit=2&order=asc&cursor={cursor}"),
        format!("{PORCH}&limit=2&q=1&cursor={cursor}"),
        format!("{PORCH}&limit=2&kind=motion&cursor={cursor}"),
        format!("{PORCH}&limit=2&from=-1h&cursor={cursor}"),
        format!("/v1/cameras/yard/events?source=camera&limit=2&cursor={cursor}"),
        format!("{PORCH}&cursor={}", &cursor[1..]),
        format!("{PORCH}&cursor={}", "A".repeat(4_000)),
        format!("/v1/cameras?cursor={cursor}"),
    ] {
        gateway.get(&other).await.expect_problem(400, "bad_cursor");
    }
}

#[tokio::test]
async fn the_question_reaches_the_camera_as_it_was_asked() {
    let gateway = TestGateway::start().await;
    let mut agent = gateway.agent(&["porch"]).await;
    let path = format!(
        "{PORCH}&from=2023-11-14T22:13:20.5 00:00&to=20231115000000&kind=motion,reset&kind=log&severity=info&q=A%20b&order=asc&limit=7"
    );
    let asking = asking(&gateway, &path);
    let request = agent.request().await;
    let call = asked(&request);
    assert_eq!(call.from.unwrap().as_micros(), 1_700_000_000_500_000);
    assert_eq!(call.to.unwrap().as_micros(), 1_700_006_400_000_000);
    assert_eq!(call.kinds.iter().map(|kind| kind.as_str()).collect::<Vec<_>>(), ["motion", "reset", "log"]);
    assert_eq!(call.severity, ["info".into()]);
    assert_eq!((call.text.as_deref(), &call.order, call.limit), (Some("A b"), &Order::Asc, Some(7)));
    agent.send(page(request.id, "")).await;
    asking.await.unwrap().expect(200);
}

#[tokio::test]
async fn what_a_camera_does_not_vouch_for_yet_is_covered_by_an_empty_stretch() {
    let gateway = TestGateway::start().await;
    gateway.agent(&["porch"]).await.answering(|request| vec![page_of(request.id, Vec::new(), false)]);
    let answer = gateway.get(&format!("{PORCH}&from=2099-01-01T00:00:00Z")).await.expect(200);
    let coverage = &answer.json()["coverage"][0];
    assert_eq!(coverage["from"], coverage["to"], "never one that ends before it begins");
}
