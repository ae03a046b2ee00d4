//! How an agent's socket opens, who is refused, and which of two sockets stays.

#![allow(clippy::unwrap_used, reason = "what these helpers cannot do fails the test")]

mod common;

use std::time::Duration;

use common::*;
use futures_util::{SinkExt, StreamExt};
use oriel_gateway::{access::AccessError, link::handshake};
use oriel_proto::{
    AgentFrame, GatewayFrame, InstanceId, PROTOCOL_VERSION, encode,
    frame::{Feature, RefusalCode},
    limits::FRAME_BYTES,
};
use reqwest::Method;
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::Instant,
};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{Message, protocol::Role as Side},
};

const PORCH: &str = "/v1/cameras/porch/events?source=camera";

/// The headers of an honest upgrade, one of them changed; an empty value leaves it out.
async fn upgrade(gateway: &TestGateway, token: &str, change: (&'static str, &str)) -> Answer {
    let mut headers = vec![
        ("authorization", format!("Bearer {token}")),
        ("connection", "Upgrade".into()),
        ("upgrade", "websocket".into()),
        ("sec-websocket-version", "13".into()),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==".into()),
        ("sec-websocket-protocol", "oriel.v1".into()),
    ];
    headers.retain(|(name, _)| *name != change.0);
    headers.push((change.0, change.1.into()));
    let mut request = gateway.request(Method::GET, "/v1/agent/connect");
    for (name, value) in headers.iter().filter(|(_, value)| !value.is_empty()) {
        request = request.header(*name, value);
    }
    Answer::of(request).await
}

#[tokio::test]
async fn an_upgrade_that_is_not_ours_is_refused_before_it_happens() {
    let gateway = TestGateway::start().await;
    let token = gateway.enroll(&["porch"]).await.token;
    for (name, value, status, code) in [
        ("connection", "keep-alive", 426, "upgrade_required"),
        ("upgrade", "", 426, "upgrade_required"),
        ("upgrade", "h2c", 426, "upgrade_required"),
        ("sec-websocket-version", "", 426, "upgrade_required"),
        ("sec-websocket-version", "8", 426, "upgrade_required"),
        ("sec-websocket-protocol", "", 426, "upgrade_required"),
        ("sec-websocket-protocol", "oriel.v2, chat", 426, "upgrade_required"),
        ("sec-websocket-key", "", 400, "bad_request"),
        ("sec-websocket-key", "short", 400, "bad_request"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZSBpcyB0b28gbG9uZw==", 400, "bad_request"),
        ("origin", "https://example.org", 403, "forbidden"),
        ("origin", "null", 403, "forbidden"),
    ] {
        let answer = upgrade(&gateway, &token, (name, value)).await;
        let answer = answer.expect_problem(status, code);
        assert_eq!(answer.header("upgrade"), if status == 426 { "websocket" } else { "" });
        assert_eq!(answer.header("sec-websocket-protocol"), if status == 426 { "oriel.v1" } else { "" });
    }
    assert_eq!(upgrade(&gateway, &token, ("sec-websocket-protocol", "oriel.v2, oriel.v1")).await.status, 101);
}

#[tokio::test]
async fn an_upgrade_is_answered_as_rfc_6455_says() {
    let gateway = TestGateway::start().await;
    let token = gateway.enroll(&["porch"]).await.token;
    let answer = upgrade(&gateway, &token, ("x-nothing", "")).await.expect(101);
    assert_eq!(answer.header("sec-websocket-accept"), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    assert_eq!(answer.header("sec-websocket-protocol"), "oriel.v1");
}

#[tokio::test]
async fn a_token_that_is_not_good_is_refused() {
    let gateway = TestGateway::start().await;
    let enrolled = gateway.enroll(&["porch"]).await;
    let foreign = TestGateway::start().await.enroll(&["porch"]).await.token;
    let mistyped = format!("{}!", &enrolled.token[..enrolled.token.len() - 1]);
    let viewer = gateway.admin.clone();
    for wrong in ["", "x", "oat_", &mistyped, &viewer, &foreign] {
        let answer = upgrade(&gateway, wrong, ("x-nothing", "")).await.expect_problem(401, "unauthorized");
        assert_eq!(answer.header("www-authenticate"), "Bearer error=\"invalid_token\"");
    }
    let answer = upgrade(&gateway, "", ("authorization", "")).await.expect_problem(401, "unauthorized");
    assert_eq!(answer.header("www-authenticate"), "Bearer");
    gateway.delete(&format!("/v1/agents/{}", enrolled.id)).await.expect(204);
    upgrade(&gateway, &enrolled.token, ("x-nothing", "")).await.expect_problem(403, "forbidden");
}

#[tokio::test]
async fn whoever_guesses_tokens_must_wait_while_a_right_one_still_passes() {
    let gateway = TestGateway::start().await;
    let enrolled = gateway.enroll(&["porch"]).await;
    let foreign = TestGateway::start().await.enroll(&["porch"]).await.token;
    for _ in 0..30 {
        upgrade(&gateway, &foreign, ("x-nothing", "")).await.expect_problem(401, "unauthorized");
    }
    let answer =
        upgrade(&gateway, &foreign, ("x-nothing", "")).await.expect_problem(429, "too_many_requests");
    assert!(answer.header("retry-after").parse::<u64>().unwrap() >= 1);
    enrolled.serving(&["porch"]).await;
}

#[tokio::test]
async fn one_agent_too_many_is_told_so_and_may_come_when_there_is_room() {
    let gateway = TestGateway::with(|config| config.limits.agents = 1).await;
    let (one, two) = (gateway.enroll(&["porch"]).await, gateway.enroll(&["yard"]).await);
    let first = one.serving(&["porch"]).await;
    let answer = upgrade(&gateway, &two.token, ("x-nothing", "")).await.expect_problem(503, "overloaded");
    assert_eq!(answer.header("retry-after"), "1");
    drop(first);
    until("there is room again", async || two.try_connect().await.is_ok()).await;
}

#[tokio::test]
async fn a_gateway_that_stops_takes_no_more_agents() {
    let gateway = TestGateway::start().await;
    let token = gateway.enroll(&["porch"]).await.token;
    let mut tcp = TcpStream::connect(gateway.address).await.unwrap();
    // Begun before the stop, so that the connection is not simply closed as idle.
    tcp.write_all(b"GET /v1/agent/connect HTTP/1.1\r\nHost: x\r\n").await.unwrap();
    gateway.metric_reaches("oriel_http_connections", 2.0).await;
    gateway.get("/healthz").await.expect(200);
    gateway.stop.cancel();
    tokio::task::yield_now().await;
    let rest = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: oriel.v1\r\n";
    tcp.write_all(format!("{rest}Authorization: Bearer {token}\r\n\r\n").as_bytes()).await.unwrap();
    let mut answer = String::new();
    _ = soon("an answer", tcp.read_to_string(&mut answer)).await;
    assert!(answer.starts_with("HTTP/1.1 503 ") && answer.contains("\"draining\""), "{answer}");
    assert!(answer.to_lowercase().contains("retry-after: "), "{answer}");
}

#[tokio::test]
async fn nothing_but_a_valid_hello_makes_a_link() {
    let gateway = TestGateway::start().await;
    let enrolled = gateway.enroll(&["porch"]).await;
    let newer = {
        let AgentFrame::Hello(mut hello) = hello(InstanceId::new(), 1) else { unreachable!() };
        hello.protocol = PROTOCOL_VERSION + 1;
        AgentFrame::Hello(hello)
    };
    let valid = encode(&hello(InstanceId::new(), 1)).unwrap();
    for (what, message, code) in [
        ("another frame", Message::Binary(encode(&AgentFrame::Ready {}).unwrap().into()), 1002),
        ("another version", Message::Binary(encode(&newer).unwrap().into()), 1002),
        ("an unknown frame", Message::Binary(vec![0x81, 0xa1, b'x', 0x80].into()), 1002),
        ("no frame", Message::Binary(vec![0xc0].into()), 1002),
        ("no MessagePack", Message::Binary(vec![0xc1].into()), 1007),
        ("a Hello and more", Message::Binary([valid.clone(), vec![0xc0]].concat().into()), 1007),
        ("half a Hello", Message::Binary(valid[..valid.len() / 2].to_vec().into()), 1007),
        (
            "a Hello without fields",
            Message::Binary(vec![0x81, 0xa5, b'H', b'e', b'l', b'l', b'o', 0x80].into()),
            1007,
        ),
        ("a text", Message::text("Hello"), 1003),
        ("too much", Message::Binary(vec![0xc0; FRAME_BYTES + 1].into()), 1009),
    ] {
        let mut agent = enrolled.connect().await;
        agent.send_message(message).await;
        assert_eq!(agent.close_code().await, Some(code), "{what}");
    }
    assert_eq!(gateway.registry.agents(), 0);
    gateway.metric_reaches("oriel_frames_broken_total", 5.0).await;
}

/// Both ends of a socket in memory, the gateway's first.
async fn in_memory() -> (impl handshake::Socket, WebSocketStream<tokio::io::DuplexStream>) {
    let (ours, theirs) = tokio::io::duplex(64 << 10);
    let gateway = handshake::server_side(ours, &bytes::Bytes::new());
    (gateway, WebSocketStream::from_raw_socket(theirs, Side::Client, None).await)
}

#[tokio::test(start_paused = true)]
async fn whoever_says_no_hello_is_cut_after_nine_seconds() {
    let (mut gateway, mut agent) = in_memory().await;
    // Pings are heard and answered, but they are no Hello.
    agent.send(Message::Ping(Vec::new().into())).await.unwrap();
    let start = Instant::now();
    let error = handshake::hello(&mut gateway).await.unwrap_err();
    assert_eq!(start.elapsed(), Duration::from_secs(9));
    tokio::join!(handshake::refuse(&mut gateway, error.close()), async {
        while !matches!(agent.next().await.unwrap().unwrap(), Message::Close(Some(close)) if close.code == 4008.into())
        {
        }
    });
}

#[tokio::test]
async fn an_agent_is_told_what_to_keep_to() {
    let gateway = TestGateway::with(|config| config.heartbeat = Duration::from_secs(7)).await;
    let mut agent = gateway.enroll(&["porch"]).await.connect().await;
    let welcome = agent.hello(InstanceId::new(), 1).await;
    assert_eq!(welcome.heartbeat_ms, 7_000);
    assert_eq!(welcome.limits.frame as usize, FRAME_BYTES);
    assert_eq!(welcome.features, [Feature::Ingest]);
}

#[tokio::test]
async fn a_second_device_with_the_same_token_is_refused_and_shown() {
    let gateway = TestGateway::start().await;
    let enrolled = gateway.enroll(&["porch"]).await;
    let first = enrolled.serving(&["porch"]).await;
    let path = format!("/v1/agents/{}", enrolled.id);
    assert_eq!(gateway.get(&path).await.json()["warning"], json!(null));
    let mut second = enrolled.connect().await;
    second.send(hello(InstanceId::new(), 2)).await;
    assert_eq!(second.close_code().await, Some(4409));
    let warning = json!("two devices use one token");
    assert_eq!(gateway.get(&path).await.json()["warning"], warning);
    assert_eq!(gateway.get("/v1/agents").await.json()["agents"][0]["warning"], warning);
    first.answering(|request| vec![page(request.id, "")]);
    gateway.get(PORCH).await.expect(200);
}

#[tokio::test]
async fn a_dial_that_is_not_newer_is_refused() {
    let gateway = TestGateway::start().await;
    let (enrolled, instance) = (gateway.enroll(&["porch"]).await, InstanceId::new());
    let mut first = enrolled.welcomed(instance, 5).await;
    first.serve(&["porch"]).await;
    for generation in [5, 4, 0] {
        let mut second = enrolled.connect().await;
        second.send(hello(instance, generation)).await;
        assert_eq!(second.close_code().await, Some(4409), "{generation}");
    }
    first.answering(|request| vec![page(request.id, "")]);
    gateway.get(PORCH).await.expect(200);
    assert_eq!(
        gateway.get("/v1/agents").await.json()["agents"][0]["warning"],
        json!("two devices use one token")
    );
}

#[tokio::test]
async fn a_newer_dial_takes_over_and_the_older_finishes_what_it_has() {
    let gateway = TestGateway::start().await;
    let (enrolled, instance) = (gateway.enroll(&["porch"]).await, InstanceId::new());
    let mut older = enrolled.welcomed(instance, 1).await;
    older.serve(&["porch"]).await;
    // Different questions: equal ones would share one answer.
    let ask = |words: &str| {
        let path = format!("{PORCH}&q={words}");
        tokio::spawn(Answer::of(gateway.request(Method::GET, &path).bearer_auth(&gateway.admin)))
    };
    let before = ask("before");
    let open = older.request().await.id;
    let mut newer = enrolled.welcomed(instance, 2).await;
    let meanwhile = ask("meanwhile");
    let also_open = older.request().await.id;
    newer.serve(&["porch"]).await;
    let after = ask("after");
    let id = newer.request().await.id;
    newer.send(page(id, "newer")).await;
    assert!(after.await.unwrap().expect(200).text.contains("newer"));
    older.send(page(open, "older")).await;
    older.send(page(also_open, "also older")).await;
    assert!(before.await.unwrap().expect(200).text.contains("older"));
    assert!(meanwhile.await.unwrap().expect(200).text.contains("also older"));
    assert_eq!(older.close_code().await, Some(4001));
    let agent = &gateway.get("/v1/agents").await.json()["agents"][0];
    assert_eq!((&agent["connected"], &agent["warning"]), (&json!(true), &json!(null)));
    newer.answering(|request| vec![page(request.id, "")]);
    gateway.get(PORCH).await.expect(200);
}

#[tokio::test]
async fn an_older_link_that_ends_takes_nothing_from_the_newer() {
    let gateway = TestGateway::start().await;
    let (enrolled, instance) = (gateway.enroll(&["porch"]).await, InstanceId::new());
    let mut older = enrolled.welcomed(instance, 1).await;
    older.serve(&["porch"]).await;
    let mut newer = enrolled.welcomed(instance, 2).await;
    newer.announce("porch").await.unwrap();
    drop(older);
    newer.answering(|request| vec![page(request.id, "")]);
    gateway.metric_reaches("oriel_agents", 1.0).await;
    until("only the newer is left", async || gateway.metric("oriel_agents").await < 2.0).await;
    gateway.get(PORCH).await.expect(200);
}

#[tokio::test]
async fn a_camera_is_refused_for_the_right_reason() {
    let gateway = TestGateway::start().await;
    let mut one = gateway.agent(&["porch"]).await;
    let mut two = gateway.enroll_by(json!({"cameras": ["yard"], "new_cameras": "site7-*"})).await;
    let mut agent = two.serving(&["yard", "site7-gate"]).await;
    assert_eq!(agent.announce("porch").await, Err(RefusalCode::NotYours));
    assert_eq!(agent.announce("attic").await, Err(RefusalCode::Unknown));
    assert_eq!(one.announce("site7-gate").await, Err(RefusalCode::NotYours));
    gateway.delete("/v1/cameras/site7-gate").await.expect(202);
    let told = loop {
        if let GatewayFrame::Refused { camera, code, .. } = agent.frame().await {
            break (camera.to_string(), code);
        }
    };
    assert_eq!(told, ("site7-gate".into(), RefusalCode::Removed), "also later, unasked");
    assert_eq!(agent.announce("site7-gate").await, Err(RefusalCode::Removed));
    gateway.get("/v1/cameras/site7-gate").await.expect(404);
    drop(agent);
    two.gateway = gateway.address;
    until("it can come back", async || gateway.registry.agents() == 1).await;
    let mut again = two.serving(&["yard"]).await;
    assert_eq!(again.announce("site7-gate").await, Err(RefusalCode::Removed), "for good");
    one.answering(|request| vec![page(request.id, "")]);
    gateway.get(PORCH).await.expect(200);
}

/// The token that comes down the socket.
async fn told_token(agent: &mut RawAgent) -> Enrolled {
    loop {
        if let GatewayFrame::Token { token } = agent.frame().await {
            return Enrolled { token: token.expose().to_owned(), ..agent.enrolled.clone() };
        }
    }
}

#[tokio::test]
async fn a_rotated_token_ends_the_old_one_once_it_was_used() {
    let gateway = TestGateway::start().await;
    let (old, instance) = (gateway.enroll(&["porch"]).await, InstanceId::new());
    let mut agent = old.welcomed(instance, 1).await;
    agent.serve(&["porch"]).await;
    let answer = gateway.post(&format!("/v1/agents/{}/rotate", old.id), json!({})).await.expect(202);
    assert_eq!(answer.json()["agent"]["id"], json!(old.id));
    let new = told_token(&mut agent).await;
    assert_ne!(new.token, old.token);
    drop(agent);
    let mut again = old.welcomed(instance, 2).await;
    let newer = told_token(&mut again).await;
    assert_ne!(newer.token, new.token, "each link with the old token gets its own new one");
    newer.welcomed(instance, 3).await;
    assert_eq!(old.try_connect().await.err(), Some(401), "the old one is over");
    assert!(gateway.access.agent(&newer.token, [127, 0, 0, 1].into()).await.is_ok());
    let unknown = gateway.access.agent(&old.token, [127, 0, 0, 1].into()).await;
    assert!(matches!(unknown, Err(AccessError::Unknown)));
}

#[tokio::test]
async fn a_rotation_waits_for_an_agent_that_is_away() {
    let gateway = TestGateway::start().await;
    let old = gateway.enroll(&["porch"]).await;
    gateway.post(&format!("/v1/agents/{}/rotate", old.id), json!({})).await.expect(202);
    let mut agent = old.welcomed(InstanceId::new(), 1).await;
    let new = told_token(&mut agent).await;
    assert!(gateway.access.agent(&new.token, [127, 0, 0, 1].into()).await.is_ok());
}
