//! The latest pictures of many cameras in one body.

use bytes::Bytes;
use oriel_proto::{Call, FailureCode, GatewayFrame};
use serde_json::{Value, json};

use super::one::get;
use crate::common::*;

/// A part: its head in lower case, and its body.
pub(crate) type Part = (String, Bytes);

/// The parts of a body, which must all have the length that they say.
pub(crate) fn read_parts(media_type: &str, body: &Bytes) -> Vec<Part> {
    let boundary = format!("--{}", media_type.split_once("boundary=").unwrap().1);
    let (mut rest, mut parts) = (&body[..], Vec::new());
    loop {
        rest = rest.strip_prefix(boundary.as_bytes()).unwrap();
        if rest == b"--\r\n" {
            return parts;
        }
        rest = rest.strip_prefix(b"\r\n").unwrap();
        let end = rest.windows(4).position(|four| four == b"\r\n\r\n").unwrap();
        let head = String::from_utf8(rest[..end].to_vec()).unwrap().to_lowercase();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
        let length: usize = length.parse().unwrap();
        rest = &rest[end + 4..];
        parts.push((head, Bytes::copy_from_slice(&rest[..length])));
        rest = rest[length..].strip_prefix(b"\r\n").unwrap();
    }
}

/// What the last part says.
pub(crate) fn last(mut parts: Vec<Part>) -> Value {
    let (head, last) = parts.pop().unwrap();
    assert!(head.contains("content-type: application/json"), "{head}");
    serde_json::from_slice(&last).unwrap()
}

async fn latest(gateway: &TestGateway, query: &str) -> (Vec<Part>, Value) {
    let got = get(gateway, &format!("/v1/images/latest{query}"), &[]).await;
    assert_eq!(got.status, 200);
    let mut parts = read_parts(got.header("content-type"), got.body.as_ref().unwrap());
    let told = last(parts.split_off(parts.len() - 1));
    (parts, told)
}

#[tokio::test]
async fn each_camera_has_its_picture_or_its_reason() {
    let gateway = TestGateway::start().await;
    let names: Vec<String> = (0..20).map(|n| format!("camera-{n}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut silent = gateway.agent(&["silent"]).await;
    gateway.agent(&names).await.answering(|request| {
        let n: i64 = request.camera.as_str().trim_start_matches("camera-").parse().unwrap();
        match n {
            3 => vec![fail(request.id, FailureCode::SourceFailed, "the lens is gone")],
            n => picture(request.id, n, &jpeg_of(1_000 + n as usize)),
        }
    });
    gateway.send(reqwest::Method::POST, "/v1/cameras", json!({"id": "attic"})).await.expect(201);
    let (mut parts, last) = latest(&gateway, "?timeout=500ms").await;
    parts.sort();
    assert_eq!(parts.len(), 19);
    for (head, jpeg) in &parts {
        let camera = head.lines().find_map(|line| line.strip_prefix("x-camera: camera-")).unwrap();
        let n: usize = camera.parse().unwrap();
        assert!(head.contains("content-type: image/jpeg"));
        assert!(head.contains(&format!("x-image-at: 2023-11-14t22:13:{:02}.000000z", 20 + n)), "{head}");
        assert!(*jpeg == jpeg_of(1_000 + n));
    }
    let missing = last["missing"].as_array().unwrap();
    let mut codes: Vec<_> = missing.iter().map(|one| (one["camera"].clone(), one["code"].clone())).collect();
    codes.sort_by_key(|(camera, _)| camera.to_string());
    let expected = [
        (json!("attic"), json!("camera_offline")),
        (json!("camera-3"), json!("camera_failed")),
        (json!("silent"), json!("camera_timeout")),
    ];
    assert_eq!((last["complete"].clone(), codes), (json!(false), expected.to_vec()));
    let asked = silent.request().await;
    assert!(matches!(asked.call, Call::Image(_)));
    assert!(matches!(silent.frame().await, GatewayFrame::Cancel { id } if id == asked.id));
}

#[tokio::test]
async fn what_the_caller_has_is_not_sent_again() {
    let gateway = TestGateway::start().await;
    let agent = gateway.agent(&["porch", "yard"]).await;
    agent.answering(|request| picture(request.id, 5, &jpeg_of(30_000)));
    let (mut parts, last) = latest(&gateway, "?have=porch@1700000005000&have=yard@1700000004000").await;
    parts.sort();
    assert_eq!(last, json!({"complete": true, "missing": []}));
    let (unchanged, sent) = (&parts[0], &parts[1]);
    assert!(unchanged.0.contains("x-camera: porch") && unchanged.0.contains("x-unchanged: true"));
    assert!(unchanged.1.is_empty());
    assert!(sent.0.contains("x-camera: yard") && sent.1.len() == 30_000);
}

#[tokio::test]
async fn only_cameras_that_may_be_seen_are_asked() {
    let gateway = TestGateway::start().await;
    let agent = gateway.agent(&["porch", "yard"]).await;
    agent.answering(|request| picture(request.id, 5, &jpeg_of(1_000)));
    let narrow = gateway.key_for(oriel_gateway::store::Role::Viewer, &["porch"]).await;
    let request = gateway.request(reqwest::Method::GET, "/v1/images/latest").bearer_auth(&narrow);
    let response = request.send().await.unwrap();
    let media_type = response.headers()["content-type"].to_str().unwrap().to_owned();
    let parts = read_parts(&media_type, &response.bytes().await.unwrap());
    assert_eq!(parts.len(), 2);
    assert!(parts[0].0.contains("x-camera: porch"));
    for query in ["?camera=yard", "?have=yard@1", "?camera=nowhere"] {
        gateway.get_as(&narrow, &format!("/v1/images/latest{query}")).await.expect_problem(404, "not_found");
    }
    for query in ["?have=porch", "?have=@1", "?have=porch@yesterday", "?class=x"] {
        gateway.get(&format!("/v1/images/latest{query}")).await.expect_problem(400, "bad_request");
    }
}
