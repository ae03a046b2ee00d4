//! Lists of pictures: pages, lines, archives and numbers.

use std::io::Read as _;

use oriel_gateway::store::Role;
use oriel_proto::{
    AgentFrame, Call, FailureCode, ImageClass, InstanceId,
    call::{ImageCall, ImagesCall, Order},
    frame::{Request, Upload},
};
use serde_json::json;

use super::one::get;
use crate::common::*;

const LIST: &str = "/v1/cameras/porch/images";

/// Pictures 0 to 99 of a camera that answers as it is asked.
fn hundred(request: Request) -> Vec<AgentFrame> {
    let id = request.id;
    match request.call {
        Call::Images(call) => {
            let ImagesCall { from, to, count, order, .. } = call;
            let is_in =
                |n: &i64| from.is_none_or(|from| taken(*n) >= from) && to.is_none_or(|to| taken(*n) < to);
            let mut all: Vec<i64> = (0..100).filter(is_in).collect();
            if order == Order::Desc {
                all.reverse();
            }
            let more = count.is_some_and(|count| all.len() as u64 > count);
            all.truncate(count.unwrap_or(u64::MAX) as usize);
            vec![images(id, all, more)]
        }
        Call::Image(ImageCall { at, .. }) => {
            let n = (at.as_micros() - taken(0).as_micros()) / 1_000_000;
            match n {
                7 => vec![fail(id, FailureCode::NotFound, "it was dropped")],
                n => picture(id, n, &jpeg_of(1_000 + n as usize)),
            }
        }
        other => panic!("{other:?}"),
    }
}

async fn with_hundred() -> TestGateway {
    let gateway = TestGateway::start().await;
    gateway.agent(&["porch"]).await.answering(hundred);
    gateway
}

fn numbers(list: &serde_json::Value) -> Vec<i64> {
    let at = |image: &serde_json::Value| {
        let time: jiff::Timestamp = image["at"].as_str().unwrap().parse().unwrap();
        time.as_second() - 1_700_000_000
    };
    list["images"].as_array().unwrap().iter().map(at).collect()
}

#[tokio::test]
async fn pages_follow_each_other_without_a_hole_or_a_double() {
    let gateway = with_hundred().await;
    for (query, expected) in [
        ("count=30", (0..100).rev().collect::<Vec<_>>()),
        ("count=30&order=asc", (0..100).collect()),
        ("count=7&from=1700000010&to=1700000040", (10..40).rev().collect()),
        ("count=7&after=1700000010&before=1700000040&order=asc", (11..40).collect()),
    ] {
        let (mut seen, mut cursor) = (Vec::new(), String::new());
        loop {
            let list = gateway.get(&format!("{LIST}?{query}&cursor={cursor}")).await.expect(200).json();
            seen.extend(numbers(&list));
            match list["next"].as_str() {
                Some(next) => cursor = next.to_owned(),
                None => break,
            }
        }
        assert_eq!(seen, expected, "{query}");
    }
}

#[tokio::test]
async fn the_pictures_next_to_a_time_come_first() {
    let gateway = with_hundred().await;
    let list = async |query: &str| gateway.get(&format!("{LIST}?{query}")).await;
    let before = list("before=1700000050&count=3").await.expect(200).json();
    assert_eq!(numbers(&before), [49, 48, 47]);
    assert_eq!(
        before["images"][0],
        json!({"camera": "porch", "class": "preview", "at": "2023-11-14T22:14:09.000000Z", "bytes": 1_000})
    );
    assert_eq!(numbers(&list("after=1700000050&count=3").await.expect(200).json()), [51, 52, 53]);
    for wrong in
        ["from=1&after=2", "to=1&before=2", "from=9&to=1", "order=up", "count=0", "count=1001", "cursor=x"]
    {
        assert_eq!(list(wrong).await.status, 400, "{wrong}");
    }
}

#[tokio::test]
async fn lines_have_an_end_and_all_of_them_need_an_operator() {
    let gateway = with_hundred().await;
    let lines = async |key: &str, query: &str| {
        let request = gateway.request(reqwest::Method::GET, &format!("{LIST}{query}")).bearer_auth(key);
        Answer::of(request.header("accept", "application/x-ndjson")).await
    };
    let text = lines(&gateway.admin, "").await.expect(200).text;
    let last: serde_json::Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
    assert_eq!((text.lines().count(), last), (101, json!({"end": {"more": false, "next": null}})));
    let viewer = gateway.key_for_all(Role::Viewer).await;
    lines(&viewer, "").await.expect_problem(403, "forbidden");
    let text = lines(&viewer, "?count=10").await.expect(200).text;
    let last: serde_json::Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
    let next = last["end"]["next"].as_str().unwrap();
    let text = lines(&viewer, &format!("?count=10&cursor={next}")).await.expect(200).text;
    assert!(text.lines().next().unwrap().contains("22:14:49"));
}

#[tokio::test]
async fn an_archive_has_the_pictures_and_says_which_it_could_not_have() {
    let gateway = with_hundred().await;
    let got = get(&gateway, "/v1/cameras/porch/images.zip?count=10&order=asc", &[]).await;
    assert_eq!((got.status, got.header("content-type")), (200, "application/zip"));
    assert_eq!(got.header("content-disposition"), "attachment; filename=\"porch-images.zip\"");
    let mut archive = zip::ZipArchive::new(std::io::Cursor::new(got.body.unwrap())).unwrap();
    assert_eq!(archive.len(), 10, "nine pictures and a note");
    for n in (0..10).filter(|n| *n != 7) {
        let name = format!("porch-202311142213{}.000.jpeg", 20 + n);
        let (mut jpeg, mut entry) = (Vec::new(), archive.by_name(&name).unwrap());
        entry.read_to_end(&mut jpeg).unwrap();
        assert!(jpeg == jpeg_of(1_000 + n), "{name}");
    }
    let mut note = String::new();
    archive.by_name("missing.txt").unwrap().read_to_string(&mut note).unwrap();
    assert_eq!(note, "porch-20231114221327.000.jpeg: not_found\n");
    let viewer = gateway.key_for_all(Role::Viewer).await;
    gateway.get_as(&viewer, "/v1/cameras/porch/images.zip").await.expect_problem(403, "forbidden");
}

#[tokio::test]
async fn an_archive_waits_for_a_camera_that_loses_its_connection() {
    let gateway = TestGateway::start().await;
    let enrolled = gateway.enroll(&["porch"]).await;
    let mut porch = enrolled.serving(&["porch"]).await;
    let asking = get(&gateway, "/v1/cameras/porch/images.zip?count=5&order=asc", &[]);
    let answering = async {
        for _ in 0..3 {
            let frames = hundred(porch.request().await);
            porch.send_all(frames).await;
        }
        let id = porch.request().await.id;
        // In the middle of a picture.
        porch.send_all(parts(id, 0, pieces(2, &jpeg_of(30_000)).into_iter().take(2))).await;
        drop(porch);
        let camera = "porch".parse().unwrap();
        until("the camera is gone", async || gateway.registry.find(&camera).is_none()).await;
        enrolled.serving(&["porch"]).await.answering(hundred);
    };
    let (got, ()) = tokio::join!(asking, answering);
    let mut archive = zip::ZipArchive::new(std::io::Cursor::new(got.body.unwrap())).unwrap();
    assert!(archive.len() == 5 && archive.by_name("missing.txt").is_err(), "nothing is missing");
}

#[tokio::test]
async fn a_timeline_has_the_numbers_of_pictures_beside_those_of_events() {
    let gateway = TestGateway::start().await;
    let mut porch = gateway.enroll(&["porch"]).await.welcomed(InstanceId::new(), 1).await;
    let mut announce = announcement(&"porch".parse().unwrap(), Upload::OnDemand, Vec::new());
    announce.classes = vec![ImageClass::Preview];
    porch.bound(announce).await;
    porch.answering(|request| match &request.call {
        Call::Events(_) => vec![fail(request.id, FailureCode::Unsupported, "no log")],
        _ => by_all(request, ""),
    });
    let path = "/v1/cameras/porch/timeline?from=1699999200&to=1700002800&step=1h";
    let timeline = gateway.get(path).await.expect(200).json();
    assert_eq!(timeline["images"], json!({"complete": true, "why": null}));
    let step = &timeline["steps"][0];
    assert_eq!(step["images"], json!({"preview": {"count": 1, "bytes": 1_000}}), "{timeline}");
    let stored = gateway.get(&format!("{path}&source=store")).await.expect(200).json();
    assert_eq!(stored["images"], json!({"complete": false, "why": "not_asked"}));
    let away = gateway.send(reqwest::Method::POST, "/v1/cameras", json!({"id": "attic"})).await;
    assert_eq!(away.status, 201);
    let away = gateway.get("/v1/cameras/attic/timeline").await.expect(200).json();
    assert_eq!(away["images"], json!({"complete": false, "why": "camera_offline"}));
}
