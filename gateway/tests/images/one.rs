//! One picture: what its answer says, and what is refused.

use bytes::Bytes;
use oriel_gateway::store::Role;
use oriel_proto::{
    Body, Call, FailureCode, GatewayFrame,
    call::{ImageCall, ImageMatch},
};
use reqwest::{Method, header::HeaderValue};

use crate::{common::*, real};

const LATEST: &str = "/v1/cameras/porch/images/latest";

/// A whole answer whose body is bytes.
pub(crate) struct Got {
    pub(crate) status: u16,
    pub(crate) headers: reqwest::header::HeaderMap,
    pub(crate) body: Result<Bytes, reqwest::Error>,
}

impl Got {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

pub(crate) async fn get(gateway: &TestGateway, path: &str, headers: &[(&str, &str)]) -> Got {
    let request = gateway.request(Method::GET, path).bearer_auth(&gateway.admin);
    let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    let whole = async {
        let response = request.send().await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Got { status, headers, body: response.bytes().await }
    };
    soon("an answer", whole).await
}

#[tokio::test]
async fn a_picture_passes_through_as_it_came_and_says_what_it_is() {
    let gateway = TestGateway::start().await;
    let jpeg = jpeg_of(30_000);
    let sent = jpeg.clone();
    gateway.agent(&["porch"]).await.answering(move |request| picture(request.id, 5, &sent));
    let got = get(&gateway, "/v1/cameras/porch/images/20231114221325.000", &[]).await;
    assert_eq!((got.status, got.header("content-type")), (200, "image/jpeg"));
    assert_eq!(got.header("content-length"), "30000");
    assert_eq!(got.header("etag"), "\"tag-5\"");
    assert_eq!(got.header("x-image-at"), "2023-11-14T22:13:25.000000Z");
    assert_eq!(got.header("cache-control"), "private, max-age=31536000, immutable");
    assert_eq!(got.header("vary"), "authorization, cookie");
    assert_eq!(got.header("x-content-type-options"), "nosniff");
    assert_eq!(got.header("content-location"), "/v1/cameras/porch/images/20231114221325.000?class=preview");
    let before = "</v1/cameras/porch/images/20231114221324.000?class=preview>; rel=\"prev\"";
    assert_eq!(got.header("link"), before);
    assert!(got.header("server-timing").starts_with("camera;dur="));
    assert!(got.body.unwrap() == jpeg);
    let latest = get(&gateway, LATEST, &[]).await;
    assert_eq!(latest.header("cache-control"), "private, no-cache");
}

#[tokio::test]
async fn head_has_the_headers_of_get_and_costs_the_camera_the_beginning() {
    let gateway = TestGateway::start().await;
    let mut porch = gateway.agent(&["porch"]).await;
    let jpeg = jpeg_of(500_000);
    let ask = async |method: Method| {
        let request = gateway.request(method, LATEST).bearer_auth(&gateway.admin);
        let mut response = soon("an answer", request.send()).await.unwrap();
        let mut headers = std::mem::take(response.headers_mut());
        for of_this_answer in ["date", "server-timing", "x-request-id"] {
            headers.remove(of_this_answer);
        }
        (response.status(), headers, response)
    };
    let mut asked = async |method: Method| {
        let answering = async {
            let id = porch.request().await.id;
            porch.send_all(parts(id, 0, pieces(3, &jpeg).into_iter().take(2))).await;
            id
        };
        let (answer, id) = tokio::join!(ask(method.clone()), answering);
        if method == Method::HEAD {
            assert!(answer.2.bytes().await.unwrap().is_empty());
        } else {
            drop(answer.2);
        }
        let cancelled = async {
            loop {
                if let GatewayFrame::Cancel { id } = porch.frame().await {
                    return id;
                }
            }
        };
        assert_eq!(soon("the camera need not go on", cancelled).await, id);
        (answer.0, answer.1)
    };
    let (head, get) = (asked(Method::HEAD).await, asked(Method::GET).await);
    assert_eq!(head, get);
    let (length, tag) = (HeaderValue::from_static("500000"), HeaderValue::from_static("\"tag-3\""));
    assert_eq!((head.0.as_u16(), &head.1["content-length"], &head.1["etag"]), (200, &length, &tag));
}

#[tokio::test]
async fn a_path_says_which_picture_is_meant() {
    let gateway = TestGateway::start().await;
    let mut porch = gateway.agent(&["porch"]).await;
    let exact = |n| (taken(n), ImageMatch::Exact, None);
    let (from, to) = (taken(5), oriel_proto::Timestamp::MAX);
    for (path, wanted) in [
        ("20231114221325.000", exact(5)),
        ("2023-11-14T22:13:25Z", exact(5)),
        ("2023-11-14T22%3A13%3A25Z", exact(5)),
        ("1700000005000", exact(5)),
        ("1700000005000?match=after", (taken(5), ImageMatch::After, None)),
        ("1700000005000?match=before", (taken(5), ImageMatch::Before, None)),
        ("latest?max_age=90s", (oriel_proto::Timestamp::default(), ImageMatch::Latest, Some(90_000))),
    ] {
        let path = format!("/v1/cameras/porch/images/{path}");
        let asking = get(&gateway, &path, &[]);
        let answering = async {
            let request = porch.request().await;
            porch.send(fail(request.id, FailureCode::NotFound, "there is none")).await;
            request.call
        };
        let (got, call) = tokio::join!(asking, answering);
        assert_eq!(got.status, 404, "{path}");
        let Call::Image(ImageCall { at, matching, max_age_ms, .. }) = call else { panic!("{call:?}") };
        assert_eq!((at, matching, max_age_ms), wanted, "{path}");
    }
    let asking = get(&gateway, "/v1/cameras/porch/images/-15m", &[]);
    let answering = async {
        let request = porch.request().await;
        porch.send(fail(request.id, FailureCode::NotFound, "there is none")).await;
        request.call
    };
    let (_, call) = tokio::join!(asking, answering);
    let Call::Image(ImageCall { at, matching, .. }) = call else { panic!("{call:?}") };
    assert_eq!(matching, ImageMatch::Before);
    assert!(at > from && at < to);
}

#[tokio::test]
async fn what_makes_no_sense_is_refused_and_says_why() {
    let gateway = TestGateway::start().await;
    let _porch = gateway.agent(&["porch"]).await;
    for (query, word) in [
        ("latest?match=before", "match"),
        ("now?max_age=1s", "max_age"),
        ("yesterday", "yesterday"),
        ("now?match=near", "near"),
        ("latest?class=huge", "huge"),
        ("latest?width=0", "width"),
        ("latest?width=5000", "width"),
        ("latest?widht=320", "width"),
    ] {
        let answer = gateway.get(&format!("/v1/cameras/porch/images/{query}")).await;
        let answer = answer.expect_problem(400, "bad_request");
        assert!(answer.detail().contains(word), "{query}: {}", answer.detail());
    }
}

#[tokio::test]
async fn making_the_camera_take_a_picture_needs_an_operator() {
    let gateway = TestGateway::start().await;
    let porch = gateway.agent(&["porch"]).await;
    porch.answering(|request| picture(request.id, 1, &jpeg_of(1_000)));
    let viewer = gateway.key_for_all(Role::Viewer).await;
    gateway.get_as(&viewer, &format!("{LATEST}?max_age=999ms")).await.expect_problem(403, "forbidden");
    let ask = |path: String| gateway.request(Method::GET, &path).bearer_auth(&viewer).send();
    assert_eq!(ask(format!("{LATEST}?max_age=1s")).await.unwrap().status(), 200);
    let operator = gateway.key_for_all(Role::Operator).await;
    for key in [(&viewer, 403), (&operator, 200)] {
        let snapshot = gateway.request(Method::POST, "/v1/cameras/porch/snapshot").bearer_auth(key.0);
        assert_eq!(snapshot.send().await.unwrap().status(), key.1);
    }
}

#[tokio::test]
async fn whoever_has_the_picture_is_told_so_and_the_camera_need_not_send_it() {
    let gateway = TestGateway::start().await;
    let mut porch = gateway.agent(&["porch"]).await;
    let asking = get(&gateway, LATEST, &[("if-none-match", "\"other\", \"tag-3\"")]);
    let answering = async {
        let id = porch.request().await.id;
        let mut bodies = pieces(3, &jpeg_of(500_000));
        bodies.truncate(2);
        porch.send_all(parts(id, 0, bodies)).await;
        loop {
            if let GatewayFrame::Cancel { id: cancelled } = porch.frame().await {
                break assert_eq!(cancelled, id);
            }
        }
    };
    let (got, ()) = tokio::join!(asking, answering);
    assert_eq!((got.status, got.header("etag")), (304, "\"tag-3\""));
    assert!(got.body.unwrap().is_empty());
}

#[tokio::test]
async fn what_is_no_picture_is_not_passed_on_as_one() {
    let gateway = TestGateway::start().await;
    let html = b"<html>".to_vec();
    let long = || vec![Body::Head(head(1, 1 << 30)), Body::Bytes(jpeg_of(100).into())];
    let short = || vec![Body::Head(head(1, 10)), Body::Bytes(jpeg_of(100).into())];
    let answers: Vec<Vec<Body>> = vec![
        vec![Body::Head(head(1, 6)), Body::Bytes(html.into())],
        vec![Body::Bytes(jpeg_of(100).into())],
        vec![Body::Head(head(1, 0))],
        long(),
        short(),
    ];
    let mut answers = answers.into_iter();
    gateway.agent(&["porch"]).await.answering(move |request| {
        let mut frames = parts(request.id, 0, answers.next().unwrap());
        frames.push(done(request.id));
        frames
    });
    for _ in 0..5 {
        gateway.get(LATEST).await.expect_problem(502, "camera_failed");
    }
}

#[tokio::test]
async fn a_picture_that_breaks_off_is_no_whole_answer() {
    let gateway = TestGateway::start().await;
    gateway.agent(&["porch"]).await.answering(|request| {
        let mut bodies = pieces(1, &jpeg_of(30_000));
        bodies.truncate(3);
        let mut frames = parts(request.id, 0, bodies);
        frames.push(done(request.id));
        frames
    });
    let got = get(&gateway, LATEST, &[]).await;
    assert_eq!(got.status, 200);
    assert!(got.body.is_err());
}

#[tokio::test]
async fn a_cameras_reasons_are_those_of_the_answer() {
    let gateway = TestGateway::start().await;
    let codes = [
        (FailureCode::NotFound, 404, "not_found"),
        (FailureCode::Unsupported, 501, "camera_unsupported"),
        (FailureCode::SourceFailed, 502, "camera_failed"),
        (FailureCode::Busy, 503, "camera_busy"),
        (FailureCode::Deadline, 504, "camera_timeout"),
    ];
    let mut answers = codes.clone().into_iter();
    let porch = gateway.agent(&["porch"]).await;
    porch.answering(move |request| vec![fail(request.id, answers.next().unwrap().0, "so it is")]);
    for (_, status, code) in codes {
        gateway.post("/v1/cameras/porch/snapshot", serde_json::json!({})).await.expect_problem(status, code);
    }
    gateway.get("/v1/cameras/attic/images/latest").await.expect_problem(404, "not_found");
}

#[tokio::test]
async fn a_width_makes_a_picture_smaller_and_another_one_than_the_whole() {
    let gateway = TestGateway::start().await;
    let (jpeg, broken) = (real::jpeg(64, 48, real::USUAL), jpeg_of(3_000));
    let mut answers = vec![jpeg.clone(), jpeg.clone(), jpeg.clone(), broken].into_iter();
    let porch = gateway.agent(&["porch"]).await;
    porch.answering(move |request| picture(request.id, 5, &answers.next().unwrap()));
    let small = get(&gateway, &format!("{LATEST}?width=16"), &[]).await;
    assert_eq!((small.status, small.header("etag")), (200, "\"tag-5-16\""));
    let place = "/v1/cameras/porch/images/20231114221325.000?class=preview&width=16";
    assert_eq!(small.header("content-location"), place);
    let body = small.body.unwrap();
    let facts = oriel_proto::jpeg::check(&body).unwrap();
    assert_eq!((facts.width, facts.height), (16, 12));
    let known = get(&gateway, &format!("{LATEST}?width=16"), &[("if-none-match", "\"tag-5-16\"")]).await;
    assert_eq!(known.status, 304);
    let whole = get(&gateway, &format!("{LATEST}?width=640"), &[("if-none-match", "\"tag-5-16\"")]).await;
    assert!(whole.body.unwrap() == jpeg, "it is never made larger");
    gateway.get(&format!("{LATEST}?width=16")).await.expect_problem(502, "camera_failed");
}
