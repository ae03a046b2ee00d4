//! A log as a table: read back cell by cell, harmless to spreadsheets, and never silent about what is missing.

#![allow(clippy::unwrap_used, reason = "what these helpers cannot do fails the test")]

mod common;

use common::*;
use oriel_gateway::{clock, store::Role};
use oriel_proto::{
    AgentFrame, Body, CameraId, Epoch, GatewayFrame, Items, Kind, LoggedEvent, Timestamp,
    frame::{Events, SpoolState, Upload},
};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

const PORCH: &str = "/v1/cameras/porch/events?source=camera";
const COLUMNS: [&str; 8] = ["id", "camera", "at", "received_at", "kind", "severity", "description", "data"];

fn table(gateway: &TestGateway, key: &str, path: &str) -> RequestBuilder {
    gateway.request(Method::GET, path).bearer_auth(key).header("accept", "text/csv")
}

async fn ask(gateway: &TestGateway, path: &str) -> Answer {
    Answer::of(table(gateway, &gateway.admin, path)).await.expect(200)
}

/// The rows of a table without the one that names its columns.
fn rows(text: &str) -> Vec<Vec<String>> {
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    assert_eq!(reader.headers().unwrap(), &COLUMNS[..]);
    let cells = |row: csv::StringRecord| row.iter().map(str::to_owned).collect();
    reader.records().map(|row| cells(row.unwrap())).collect()
}

/// Some cells of each row.
fn cells<'a, const N: usize>(rows: &'a [Vec<String>], columns: [&str; N]) -> Vec<[&'a str; N]> {
    let place = |column| COLUMNS.iter().position(|name| *name == column).unwrap();
    rows.iter().map(|row| columns.map(|column| row[place(column)].as_str())).collect()
}

fn data(row: &[String]) -> Value {
    serde_json::from_str(&row[7]).unwrap()
}

/// A connected camera that answers every question with these events.
async fn answering(gateway: &TestGateway, camera: &str, events: Vec<LoggedEvent>) {
    let answer = move |request: oriel_proto::frame::Request| {
        let oriel_proto::Call::Events(call) = &request.call else { panic!("{request:?}") };
        let limit = call.limit.map_or(events.len(), |limit| events.len().min(limit as usize));
        vec![page_of(request.id, events[..limit].to_vec(), limit < events.len())]
    };
    gateway.agent(&[camera]).await.answering(answer);
}

#[tokio::test]
async fn each_event_is_a_row_of_a_file_and_the_last_row_is_the_end() {
    let gateway = TestGateway::start().await;
    let epoch = Epoch::new();
    answering(&gateway, "porch", vec![event(epoch, 1, "a cat"), event(epoch, 2, "a dog")]).await;
    let answer = ask(&gateway, PORCH).await;
    assert_eq!(answer.header("content-type"), "text/csv; charset=utf-8");
    assert_eq!(answer.header("content-disposition"), "attachment; filename=\"porch-events.csv\"");
    assert!(answer.header("server-timing").starts_with("camera;dur="));
    let rows = rows(&answer.text);
    let at = clock::format(event(epoch, 1, "").event.at);
    let first = [&format!("{epoch}-1"), "porch", &at, "", "motion", "info", "a cat", "{}"];
    assert_eq!((rows.len(), &rows[0]), (3, &first.map(str::to_owned).to_vec()));
    assert_eq!(cells(&rows[2..], ["id", "kind", "description"]), [["", "end", "nothing is missing"]]);
    let end = data(&rows[2]);
    assert_eq!(end, json!({"complete": true, "follow": end["follow"]}));
    assert!(end["follow"].is_string(), "from where to follow");
}

#[tokio::test]
async fn a_hostile_log_is_text_to_every_spreadsheet() {
    let gateway = TestGateway::start().await;
    let words =
        ["=cmd|'/c calc'!A1", "+1", "-1", "@x", "\t=1", "\r\n=1", "\u{1b}[2J", "a,\"b\"\r\nc,d", "ﬀ Tür"];
    let mut events: Vec<_> = (1..).zip(words).map(|(n, words)| event(Epoch::new(), n, words)).collect();
    events[0].event.kind = Kind::from("=HYPERLINK(\"http://x\")");
    events[0].event.data.insert("=a".into(), json!("\",\r\n=b"));
    events[1].event.at = Timestamp::MIN;
    answering(&gateway, "porch", events).await;
    let rows = rows(&ask(&gateway, PORCH).await.text);
    let told: Vec<_> = cells(&rows[..9], ["description"]).concat();
    let marked =
        |words: &str| if words.starts_with(['a', 'ﬀ']) { words.into() } else { format!("'{words}") };
    assert_eq!(told, words.map(marked));
    assert_eq!(
        (rows[0][4].as_str(), data(&rows[0])),
        ("'=HYPERLINK(\"http://x\")", json!({"=a": "\",\r\n=b"}))
    );
    assert!(rows[1][2].starts_with("'-00"), "{:?}", rows[1]);
    let starts = rows.iter().flatten().filter_map(|cell| cell.chars().next());
    assert!(starts.into_iter().all(|first| !"=+-@".contains(first) && !first.is_control()), "{rows:?}");
}

#[tokio::test]
async fn what_is_kept_says_when_it_came_and_what_is_missing_since() {
    let gateway = TestGateway::start().await;
    let (porch, epoch) = ("porch".parse::<CameraId>().unwrap(), Epoch::new());
    let mut agent = gateway.enroll(&["porch"]).await.serving(&[]).await;
    let as_of = event(epoch, 2, "").event.at;
    let spool = SpoolState { epoch, first: 1, next: 3, as_of };
    agent.bound(announcement(&porch, Upload::Live, vec![spool])).await;
    let mut kept = event(epoch, 1, "kept").event;
    kept.data.insert("n".into(), json!(1));
    let frame = Events { camera: porch, epoch, first: 1, events: vec![kept], next: 3, as_of };
    agent.send(AgentFrame::Events(frame)).await;
    while !matches!(agent.frame().await, GatewayFrame::Ack { seq: 1, .. }) {}
    for query in ["?source=store&kind=motion", "?kind=motion&order=asc"] {
        let asking = gateway.http.get(format!("http://{}/v1/cameras/porch/events{query}", gateway.address));
        let asking =
            tokio::spawn(Answer::of(asking.bearer_auth(&gateway.admin).header("accept", "text/csv")));
        if query.ends_with("asc") {
            let request = agent.request().await;
            agent.send(fail(request.id, oriel_proto::FailureCode::Busy, "later")).await;
        }
        let rows = rows(&asking.await.unwrap().expect(200).text);
        assert_eq!((rows[0][6].as_str(), data(&rows[0])), ("kept", json!({"n": 1})));
        assert!(rows[0][3].starts_with("20"), "{:?}", rows[0]);
        let why = if query.ends_with("asc") { "camera_busy" } else { "not_uploaded" };
        let (from, to) = (rows[1][2].clone(), data(&rows[1])["to"].as_str().unwrap().to_owned());
        assert_eq!(from, clock::format(event(epoch, 1, "").event.at));
        let sentence = format!("events may be missing from {from} to {to}: {why}");
        let missing = ["", "porch", &from, "", "missing", "warning", &sentence];
        assert_eq!(rows[1][..7], missing.map(str::to_owned));
        assert_eq!(data(&rows[1]), json!({"from": from, "to": to, "missing": why}));
        let end = data(&rows[2]);
        assert_eq!((rows.len(), &end), (3, &json!({"complete": false, "follow": end["follow"]})));
    }
}

#[tokio::test]
async fn many_cameras_are_one_table_in_which_each_says_what_it_lacks() {
    let gateway = TestGateway::start().await;
    let epoch = Epoch::new();
    answering(&gateway, "porch", (1..4).map(|n| event(epoch, n, "a cat")).collect()).await;
    answering(&gateway, "yard", vec![event(epoch, 1, "=a dog")]).await;
    gateway.post("/v1/cameras", json!({"id": "attic"})).await.expect(201);
    let answer = ask(&gateway, "/v1/events?kind=motion&order=asc&limit=2").await;
    assert_eq!(answer.header("content-disposition"), "attachment; filename=\"events.csv\"");
    let rows = rows(&answer.text);
    let of = |camera: &str| rows.iter().filter(|row| row[1] == camera).cloned().collect::<Vec<_>>();
    let porch = of("porch");
    assert_eq!(
        cells(&porch, ["kind", "description"])[1..],
        [["motion", "a cat"], ["more", "there are more events than the limit"]]
    );
    let next = data(&porch[2])["next"].as_str().unwrap().to_owned();
    let rest = format!("/v1/cameras/porch/events?kind=motion&order=asc&cursor={next}");
    gateway.get(&rest).await.expect(200);
    assert_eq!(cells(&of("yard"), ["description"]), [["'=a dog"]]);
    let attic = of("attic");
    assert_eq!(cells(&attic, ["id", "at", "kind"]), [["", "", "missing"]], "it has never been seen");
    assert!(attic[0][6].starts_with("events may be missing from the beginning to 20"), "{attic:?}");
    let end = rows.last().unwrap();
    assert_eq!((end[0].as_str(), end[4].as_str()), ("", "end"));
    let said = data(end);
    assert_eq!((&said["complete"], &said["cameras"]), (&json!(false), &json!(3)));
    assert_eq!(said["missing"], json!({"camera_offline": 1}));
}

#[tokio::test]
async fn a_table_that_breaks_off_has_no_end_and_its_body_ends_as_broken() {
    let gateway = TestGateway::start().await;
    let mut agent = gateway.agent(&["porch"]).await;
    let response = tokio::spawn(table(&gateway, &gateway.admin, PORCH).send());
    let id = agent.request().await.id;
    let body = Body::Items(Items::Events(vec![event(Epoch::new(), 1, "a cat")]));
    agent.send(AgentFrame::Part { id, n: 0, body }).await;
    let mut response = response.await.unwrap().unwrap();
    let first = soon("a chunk", response.chunk()).await.unwrap().unwrap();
    assert_eq!(rows(std::str::from_utf8(&first).unwrap()).len(), 1);
    drop(agent);
    assert!(soon("the end", response.chunk()).await.is_err(), "a client can tell");
}

#[tokio::test]
async fn a_table_without_limit_needs_an_operator() {
    let gateway = TestGateway::start().await;
    answering(&gateway, "porch", vec![event(Epoch::new(), 1, "a cat"), event(Epoch::new(), 2, "a dog")])
        .await;
    let viewer = gateway.key_for(Role::Viewer, &["porch"]).await;
    for path in ["/v1/cameras/porch/events?", "/v1/events?"] {
        let ask = async |query: &str| Answer::of(table(&gateway, &viewer, &format!("{path}{query}"))).await;
        ask("").await.expect_problem(403, "forbidden");
        ask("limit=1001").await.expect_problem(400, "bad_request");
        ask("limit=1").await.expect(200);
    }
}
