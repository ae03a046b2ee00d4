//! Requests as HTTP means them: `HEAD`, wrong methods, the host that was asked, and repetitions that do nothing twice.

#![allow(clippy::unwrap_used, reason = "what these helpers cannot do fails the test")]

mod common;

use std::collections::HashSet;

use common::*;
use futures_util::future::join_all;
use http::request::Builder;
use oriel_gateway::{config::Config, routes::OPEN, store::Role};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::{io::AsyncWriteExt, net::TcpStream};

/// Asks over HTTP/2; gives status, headers and body.
async fn ask_h2(gateway: &TestGateway, request: Builder, body: String) -> (u16, http::HeaderMap, String) {
    let tcp = TcpStream::connect(gateway.address).await.unwrap();
    let (mut client, connection) = h2::client::handshake(tcp).await.unwrap();
    let driving = tokio::spawn(connection);
    let request = request.header("authorization", format!("Bearer {}", gateway.admin)).body(()).unwrap();
    let (answer, mut sending) = client.send_request(request, body.is_empty()).unwrap();
    if !body.is_empty() {
        sending.send_data(body.into(), true).unwrap();
    }
    let answer = soon("an answer", answer).await.unwrap();
    let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
    let (mut body, mut text) = (answer.into_body(), Vec::new());
    while let Some(chunk) = soon("a piece of the body", body.data()).await {
        text.extend_from_slice(&chunk.unwrap());
    }
    driving.abort();
    (status, headers, String::from_utf8(text).unwrap())
}

#[tokio::test]
async fn head_is_get_without_the_body() {
    let gateway = TestGateway::start().await;
    for path in ["/healthz", "/v1/cameras", "/v1/keys?limit=1000", "/openapi.json", "/v1/cameras/none"] {
        let whole = gateway.get(path).await;
        let head = Answer::of(gateway.request(Method::HEAD, path).bearer_auth(&gateway.admin)).await;
        assert_eq!((head.status, head.text.as_str()), (whole.status, ""), "{path}");
        for name in ["content-type", "content-length"] {
            assert_eq!(head.header(name), whole.header(name), "{path} {name}");
        }
        let request = http::Request::head(format!("http://{}{path}", gateway.address));
        let (status, headers, body) = ask_h2(&gateway, request, String::new()).await;
        assert_eq!((status, body.as_str()), (whole.status, ""), "{path}");
        assert_eq!(headers["content-length"], *whole.header("content-length"), "{path}");
    }
    Answer::of(gateway.request(Method::HEAD, "/v1/cameras")).await.expect(401);
}

#[tokio::test]
async fn what_has_no_end_has_no_head() {
    let gateway = TestGateway::start().await;
    for path in ["/v1/stream", "/v1/agent/connect"] {
        let head = Answer::of(gateway.request(Method::HEAD, path).bearer_auth(&gateway.admin)).await;
        assert_eq!((head.status, head.header("allow").as_str()), (405, "GET"), "{path}");
    }
}

#[tokio::test]
async fn a_wrong_method_on_an_open_path_is_said_to_everybody() {
    let gateway = TestGateway::start().await;
    for path in OPEN {
        let answer = Answer::of(gateway.request(Method::PUT, path)).await;
        let answer = answer.expect_problem(405, "method_not_allowed");
        let allow = if *path == "/v1/enroll" { "POST" } else { "GET, HEAD" };
        assert_eq!(answer.header("allow"), allow, "{path}");
    }
    for path in ["/v1/cameras", "/v1/nothing"] {
        Answer::of(gateway.request(Method::PUT, path)).await.expect_problem(401, "unauthorized");
    }
}

#[tokio::test]
async fn the_command_for_a_device_names_the_host_that_was_asked() {
    let gateway = TestGateway::start().await;
    let request = http::Request::post("http://cams.example:8080/v1/enrollments");
    let (status, _, body) = ask_h2(&gateway, request, json!({"cameras": ["porch"]}).to_string()).await;
    assert_eq!(status, 201, "{body}");
    let made: Value = serde_json::from_str(&body).unwrap();
    let command = made["command"].as_str().unwrap();
    assert!(
        command.starts_with("camera-agent enroll --gateway http://cams.example:8080 --code "),
        "{command}"
    );
}

/// The ids of all open enrolments.
async fn enrollments(gateway: &TestGateway) -> HashSet<String> {
    let list = gateway.get("/v1/enrollments?limit=1000").await.expect(200).json();
    let ids = list["enrollments"].as_array().unwrap().iter();
    ids.map(|enrollment| enrollment["id"].as_str().unwrap().to_owned()).collect()
}

/// Asks for a code that any number of others may be made beside.
async fn repeated(gateway: &TestGateway, key: &str) -> Answer {
    let request = gateway.request(Method::POST, "/v1/enrollments").bearer_auth(&gateway.admin);
    Answer::of(request.header("idempotency-key", key).json(&json!({"new_cameras": "site-*"}))).await
}

#[tokio::test]
async fn of_equal_requests_at_once_one_is_carried_out() {
    let gateway = TestGateway::start().await;
    let answers = join_all((0..16).map(|_| repeated(&gateway, "once"))).await;
    for answer in answers {
        if answer.status != 201 {
            answer.expect_problem(409, "conflict");
        }
    }
    let made = repeated(&gateway, "once").await.expect(201).json();
    let id = made["enrollment"]["id"].as_str().unwrap().to_owned();
    assert_eq!(enrollments(&gateway).await, HashSet::from([id]));
}

#[tokio::test]
async fn whoever_hung_up_finds_its_answer_by_asking_again() {
    let gateway = TestGateway::with(|config: &mut Config| config.limits.connections = 100).await;
    let admin = gateway.key_for_all(Role::Admin).await;
    let body = json!({"new_cameras": "site-*"}).to_string();
    for n in 0..32 {
        let mut tcp = TcpStream::connect(gateway.address).await.unwrap();
        let head = format!(
            "POST /v1/enrollments HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {admin}\r\nIdempotency-Key: {n}\r\n\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        tcp.write_all(head.as_bytes()).await.unwrap();
        // One leaves before it is heard, others while they are served.
        for _ in 0..n {
            tokio::task::yield_now().await;
        }
        drop(tcp);
    }
    let mut found = HashSet::new();
    for n in 0..32 {
        let again = async || {
            let request = gateway.request(Method::POST, "/v1/enrollments").bearer_auth(&admin);
            let request =
                request.header("idempotency-key", n.to_string()).header("content-type", "application/json");
            Answer::of(request.body(body.clone())).await
        };
        until("it is no longer worked on", async || again().await.status == 201).await;
        found.insert(again().await.json()["enrollment"]["id"].as_str().unwrap().to_owned());
    }
    assert_eq!((found.len(), enrollments(&gateway).await), (32, found));
}
