//! What a request may carry: parameters, methods, bodies; everything else is refused with the reason.

#![allow(clippy::unwrap_used, reason = "what these helpers cannot do fails the test")]

mod common;

use common::*;
use reqwest::Method;
use serde_json::json;

const PORCH: &str = "/v1/cameras/porch/events?source=camera";

#[tokio::test]
async fn a_parameter_out_of_bounds_is_named() {
    let gateway = TestGateway::start().await;
    gateway.agent(&["porch"]).await.answering(|request| vec![page(request.id, "")]);
    for (query, named) in [
        ("limit=0", "limit"),
        ("limit=", "limit"),
        ("limit=1001", "limit"),
        ("limit=many", "limit"),
        ("limit=-1", "limit"),
        ("limit=5&limit=6", "limit"),
        ("timeout=99ms", "timeout"),
        ("timeout=61s", "timeout"),
        ("timeout=soon", "timeout"),
        ("timeout=inf", "timeout"),
        ("order=up", "order"),
        ("from=tomorrow", "from"),
        ("to=2023-11-14", "to"),
        ("from=1700000001&to=1700000000", "from"),
        ("form=now", "\"from\""),
        ("Limit=5", "\"limit\""),
        ("severty=info", "\"severity\""),
    ] {
        let answer = gateway.get(&format!("{PORCH}&{query}")).await.expect_problem(400, "bad_request");
        assert!(answer.detail().contains(named), "{query}: {}", answer.detail());
    }
    for query in ["limit=1000", "limit=1", "timeout=100ms", "timeout=60s", "timeout=0.5", "q=", "from=-7d"] {
        gateway.get(&format!("{PORCH}&{query}")).await.expect(200);
    }
}

#[tokio::test]
async fn a_list_of_cameras_keeps_its_bounds_too() {
    let gateway = TestGateway::start().await;
    for (query, named) in [
        ("limit=0", "limit"),
        ("sample=1001", "sample"),
        ("sample=1&limit=1", "sample"),
        ("sample=1&limit=x", "limit"),
        ("sample=1&cursor=x", "sample"),
        ("status=asleep", "status"),
        ("sort=size", "sort"),
        ("tags=a", "\"tag\""),
    ] {
        let answer = gateway.get(&format!("/v1/cameras?{query}")).await.expect_problem(400, "bad_request");
        assert!(answer.detail().contains(named), "{query}: {}", answer.detail());
    }
}

#[tokio::test]
async fn a_path_that_takes_other_methods_names_them() {
    let gateway = TestGateway::start().await;
    for (method, path, allow) in [
        (Method::PUT, "/v1/cameras", "GET, HEAD, POST"),
        (Method::POST, PORCH, "GET, HEAD"),
        (Method::POST, "/v1/cameras/porch", "GET, HEAD, PATCH, DELETE"),
        (Method::OPTIONS, "/v1/stream", "GET"),
        (Method::GET, "/v1/enroll", "POST"),
    ] {
        let answer = gateway.send(method, path, json!({})).await.expect_problem(405, "method_not_allowed");
        assert_eq!(answer.header("allow"), allow, "{path}");
    }
    for path in
        ["/", "/v1", "/v2/cameras", "/v1/cameras/porch/events/1", "/v1/cameras//events", "/v1/cameras/Porch"]
    {
        gateway.get(path).await.expect_problem(404, "not_found");
    }
}

#[tokio::test]
async fn a_body_that_is_too_large_or_of_another_kind_is_refused() {
    let gateway = TestGateway::with(|config| config.limits.body_bytes = 1_000).await;
    let (method, path) = (Method::POST, "/v1/cameras");
    let large = json!({"id": "porch", "name": "x".repeat(1_000)});
    gateway.post(path, large).await.expect_problem(413, "too_large");
    let send = |kind: &'static str, body: &'static str| {
        let request = gateway.request(method.clone(), path).bearer_auth(&gateway.admin);
        Answer::of(request.header("content-type", kind).body(body))
    };
    let porch = r#"{"id":"porch"}"#;
    for kind in ["text/plain", "application/x-www-form-urlencoded", "application/jsonx", "é"] {
        send(kind, porch).await.expect_problem(415, "unsupported_media_type");
    }
    for body in [
        "",
        "[]",
        "[\"porch\"]",
        "{",
        r#"{"id":"porch"}x"#,
        r#"{"id":"Porch"}"#,
        r#"{"id":"porch","colour":1}"#,
    ] {
        send("application/json", body).await.expect_problem(400, "bad_request");
    }
    send("Application/JSON; charset=utf-8", porch).await.expect(201);
    gateway.post(path, json!({"id": "porch"})).await.expect_problem(409, "conflict");
}
