//! The accept loop from outside: slow and surplus connections, TLS, proxies, metrics, and the end.

#![allow(clippy::unwrap_used, reason = "what these helpers cannot do fails the test")]

mod common;

use std::{sync::Arc, time::Duration};

use common::*;
use oriel_gateway::{
    config::{Config, Endpoint},
    store::Role,
};
use oriel_proto::InstanceId;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use reqwest::{Certificate, Method};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{Instant, interval, pause, timeout},
};
use tokio_rustls::{
    TlsConnector,
    client::TlsStream,
    rustls::{ClientConfig, RootCertStore},
};

/// A gateway whose metrics have a listener of their own.
async fn with_metrics(change: impl FnOnce(&mut Config)) -> TestGateway {
    TestGateway::with(|config| {
        config.metrics_listen = Endpoint::At(([127, 0, 0, 1], 0).into());
        change(config);
    })
    .await
}

/// How many connections the main listener serves.
async fn connections(gateway: &TestGateway) -> usize {
    let request = gateway.http.get(format!("http://{}/metrics", gateway.metrics.unwrap()));
    let text = Answer::of(request).await.expect(200).text;
    text.lines().find_map(|line| line.strip_prefix("oriel_http_connections ")).unwrap().parse().unwrap()
}

/// Writes `head`, then `drop` each second, and says when the other end closed.
async fn closed_after(mut tcp: TcpStream, head: &[u8], drip: &[u8]) -> Duration {
    let start = Instant::now();
    tcp.write_all(head).await.unwrap();
    let (mut from, mut to) = tcp.split();
    let dripping = async {
        let mut second = interval(Duration::from_secs(1));
        while !drip.is_empty() {
            second.tick().await;
            if to.write_all(drip).await.is_err() {
                break;
            }
        }
        std::future::pending::<()>().await;
    };
    let mut rest = Vec::new();
    tokio::select! {
        _ = timeout(Duration::from_secs(60), from.read_to_end(&mut rest)) => start.elapsed(),
        () = dripping => unreachable!(),
    }
}

#[tokio::test]
async fn slow_headers_are_cut_at_nine_seconds() {
    let gateway = TestGateway::start().await;
    let begin = b"GET /healthz HTTP/1.1\r\nHost: x\r\n".as_slice();
    // From here on time passes as soon as everybody waits.
    pause();
    for (what, head, drip) in [
        ("begun", begin, b"".as_slice()),
        ("a byte each second", begin, b"x"),
        ("a header each second", begin, b"X-Slow: yes\r\n"),
        ("silent", b"", b""),
        ("a byte each second from the start", b"", b"G"),
        ("the beginning of HTTP/2", b"PRI * HTTP/2.0\r\n", b""),
        ("HTTP/2 and nothing more", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b""),
    ] {
        let tcp = TcpStream::connect(gateway.address).await.unwrap();
        let took = closed_after(tcp, head, drip).await;
        assert!((Duration::from_secs(9)..Duration::from_secs(12)).contains(&took), "{what}: {took:?}");
    }
}

#[tokio::test]
async fn a_slow_body_is_refused() {
    let gateway = TestGateway::start().await;
    let key = &gateway.admin;
    let head = format!(
        "POST /v1/keys HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\nContent-Length: 100\r\n\r\n{{"
    );
    pause();
    let answer = raw(gateway.address, head.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 408 ") && answer.contains("slow_body"), "{answer}");
}

#[tokio::test]
async fn a_connection_too_many_is_told_so() {
    let gateway = with_metrics(|config| config.limits.connections = 2).await;
    let one = TcpStream::connect(gateway.address).await.unwrap();
    let two = TcpStream::connect(gateway.address).await.unwrap();
    until("both are counted", async || connections(&gateway).await == 2).await;
    let answer = gateway.get("/v1/cameras").await.expect_problem(503, "overloaded");
    assert_eq!(answer.header("retry-after"), "1");
    drop((one, two));
    until("there is room again", async || gateway.get("/v1/cameras").await.status == 200).await;
}

#[tokio::test]
async fn one_address_cannot_take_every_connection() {
    let gateway = with_metrics(|config| {
        config.limits.connections_per_address = 1;
        config.behind_proxy = Vec::new();
    })
    .await;
    let one = TcpStream::connect(gateway.address).await.unwrap();
    until("it is counted", async || connections(&gateway).await == 1).await;
    gateway.get("/v1/cameras").await.expect_problem(503, "overloaded");
    drop(one);
    until("there is room again", async || gateway.get("/v1/cameras").await.status == 200).await;
}

#[tokio::test]
async fn agents_do_not_use_up_connections() {
    let gateway = with_metrics(|config| config.limits.connections = 2).await;
    let mut agents = Vec::new();
    for n in 0..4 {
        let camera = format!("camera-{n}");
        agents.push(gateway.agent(&[&camera]).await);
    }
    assert_eq!(gateway.registry.agents(), 4);
    gateway.get("/v1/cameras").await.expect(200);
    until("only HTTP counts", async || connections(&gateway).await <= 1).await;
}

#[tokio::test]
async fn metrics_are_open_on_their_own_listener_alone() {
    let gateway = with_metrics(|_| {}).await;
    let other = |path: &str| {
        let url = format!("http://{}{path}", gateway.metrics.unwrap());
        Answer::of(gateway.http.get(url))
    };
    let answer = other("/metrics").await.expect(200);
    assert!(answer.header("content-type").starts_with("application/openmetrics-text"));
    assert!(answer.text.contains("oriel_agents 0") && answer.text.ends_with("# EOF\n"));
    other("/v1/cameras").await.expect_problem(404, "not_found");
    Answer::of(gateway.request(Method::GET, "/metrics")).await.expect_problem(401, "unauthorized");
    let operator = gateway.key_for_all(Role::Operator).await;
    gateway.get_as(&operator, "/metrics").await.expect_problem(403, "forbidden");
    gateway.get("/metrics").await.expect(200);
}

#[tokio::test]
async fn who_asks_through_a_proxy_is_believed_of_trusted_ones_alone() {
    for (proxies, believed) in [(vec!["127.0.0.0/8".parse().unwrap()], true), (Vec::new(), false)] {
        let gateway = TestGateway::with(|config| config.behind_proxy = proxies).await;
        let ask = |n: usize| {
            let request = gateway.request(Method::GET, "/v1/cameras").bearer_auth("oak_wrong");
            Answer::of(request.header("x-forwarded-for", format!("198.51.100.{n}")))
        };
        for n in 0..30 {
            ask(n).await.expect(401);
        }
        ask(31).await.expect(if believed { 401 } else { 429 });
        let enrollment = gateway.request(Method::POST, "/v1/enrollments").bearer_auth(&gateway.admin);
        let enrollment = enrollment.header("x-forwarded-proto", "https").json(&json!({"cameras": ["porch"]}));
        let command = Answer::of(enrollment).await.expect(201).json()["command"].to_string();
        assert_eq!(command.contains("--gateway https://"), believed, "{command}");
    }
}

/// A gateway with TLS, and what trusts it.
struct Secure {
    gateway: TestGateway,
    authority: Certificate,
    roots: RootCertStore,
    _files: tempfile::TempDir,
}

impl Secure {
    async fn start() -> Self {
        Self::with(|_| {}).await
    }

    async fn with(change: impl FnOnce(&mut Config)) -> Self {
        let mut params = CertificateParams::new([]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let params = CertificateParams::new(["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap();
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &issuer).unwrap();
        let files = tempfile::tempdir().unwrap();
        let path = |name| files.path().join(name);
        std::fs::write(path("chain.pem"), certificate.pem()).unwrap();
        std::fs::write(path("key.pem"), key.serialize_pem()).unwrap();
        let gateway = TestGateway::with(|config| {
            config.tls_cert = Some(path("chain.pem"));
            config.tls_key = Some(path("key.pem"));
            change(config);
        })
        .await;
        let mut roots = RootCertStore::empty();
        roots.add(issuer.der().clone()).unwrap();
        let authority = Certificate::from_pem(issuer.pem().as_bytes()).unwrap();
        Self { gateway, authority, roots, _files: files }
    }

    /// A connection that speaks this protocol.
    async fn connect(&self, protocol: &str) -> TlsStream<TcpStream> {
        let mut config =
            ClientConfig::builder().with_root_certificates(self.roots.clone()).with_no_client_auth();
        config.alpn_protocols = vec![protocol.as_bytes().to_vec()];
        let tcp = TcpStream::connect(self.gateway.address).await.unwrap();
        let name = "localhost".try_into().unwrap();
        let stream = TlsConnector::from(Arc::new(config)).connect(name, tcp).await.unwrap();
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(protocol.as_bytes()));
        stream
    }

    /// Asks over HTTP/2; gives the status and the body.
    async fn ask_h2(&self, path: &str) -> (u16, String) {
        let (mut client, connection) = h2::client::handshake(self.connect("h2").await).await.unwrap();
        let driving = tokio::spawn(connection);
        let request = http::Request::get(format!("https://localhost{path}"))
            .header("authorization", format!("Bearer {}", self.gateway.admin));
        let (answer, _) = client.send_request(request.body(()).unwrap(), true).unwrap();
        let answer = soon("an answer", answer).await.unwrap();
        let (status, mut body, mut text) = (answer.status().as_u16(), answer.into_body(), Vec::new());
        while let Some(chunk) = body.data().await {
            text.extend_from_slice(&chunk.unwrap());
        }
        driving.abort();
        (status, String::from_utf8(text).unwrap())
    }
}

#[tokio::test]
async fn tls_serves_both_versions_of_http() {
    let secure = Secure::start().await;
    let client = common::client(std::slice::from_ref(&secure.authority));
    let url = format!("https://localhost:{}/v1/cameras", secure.gateway.address.port());
    let answer = Answer::of(client.get(&url).bearer_auth(&secure.gateway.admin)).await.expect(200);
    assert_eq!(answer.json(), json!({"cameras": [], "next": null}));
    let (status, text) = secure.ask_h2("/v1/cameras").await;
    assert_eq!((status, text), (200, answer.text));
    let stranger = common::client(&[]).get(&url).send().await;
    assert!(stranger.is_err(), "nobody is trusted who was not named");
}

#[tokio::test]
async fn agents_come_by_tls_over_http_1_alone() {
    let secure = Secure::start().await;
    let (status, text) = secure.ask_h2("/v1/agent/connect").await;
    // The credential is looked at first: a key is none for this route.
    assert_eq!(status, 401, "{text}");
    let gateway = &secure.gateway;
    let key = gateway.access.create_enrollment(oriel_gateway::access::NewEnrollment {
        cameras: vec!["porch".parse().unwrap()],
        new_cameras: None,
        valid_for: Duration::from_secs(60),
    });
    let (_, code) = key.await.unwrap();
    let enrolled = gateway.access.enroll(code.expose(), "raw agent", [127, 0, 0, 1].into()).await.unwrap();
    let token = enrolled.token.expose();
    let (mut client, connection) = h2::client::handshake(secure.connect("h2").await).await.unwrap();
    tokio::spawn(connection);
    let request = http::Request::get("https://localhost/v1/agent/connect")
        .header("authorization", format!("Bearer {token}"))
        .header("sec-websocket-protocol", "oriel.v1");
    let (answer, _) = client.send_request(request.body(()).unwrap(), true).unwrap();
    assert_eq!(soon("an answer", answer).await.unwrap().status(), 426);
    let stream = secure.connect("http/1.1").await;
    let enrolled = Enrolled { gateway: gateway.address, id: enrolled.agent.id, token: token.to_owned() };
    let mut agent = enrolled.over(stream).await.unwrap();
    agent.hello(InstanceId::new(), 1).await;
    assert_eq!(gateway.registry.agents(), 1);
}

#[tokio::test]
async fn a_connection_too_many_is_told_so_in_its_version_of_http() {
    let secure = Secure::with(|config| config.limits.connections = 1).await;
    let _place = secure.connect("http/1.1").await;
    let (status, text) = secure.ask_h2("/v1/cameras").await;
    assert_eq!(status, 503);
    assert!(text.contains("\"overloaded\""), "{text}");
    let client = common::client(std::slice::from_ref(&secure.authority));
    let url = format!("https://localhost:{}/v1/cameras", secure.gateway.address.port());
    Answer::of(client.get(&url)).await.expect_problem(503, "overloaded");
}

#[tokio::test]
async fn a_connection_without_its_tls_handshake_is_cut_too() {
    let secure = Secure::start().await;
    pause();
    for head in [b"".as_slice(), b"\x16\x03\x01\x02\x00"] {
        let tcp = TcpStream::connect(secure.gateway.address).await.unwrap();
        let took = closed_after(tcp, head, b"").await;
        assert!((Duration::from_secs(9)..Duration::from_secs(12)).contains(&took), "{took:?}");
    }
}

#[tokio::test]
async fn a_stop_lets_answers_finish_and_ends_everything_else() {
    let mut gateway = TestGateway::start().await;
    let mut agent = gateway.agent(&["porch"]).await;
    let mut stream = Sse::open(&gateway, &gateway.admin, "").await;
    stream.next_of("hello").await;
    let request = gateway.request(Method::GET, "/v1/cameras/porch/events").bearer_auth(&gateway.admin);
    let asking = tokio::spawn(Answer::of(request));
    let id = agent.request().await.id;
    gateway.stop.cancel();
    stream.next_of("restart").await;
    assert!(stream.next().await.is_none());
    until("nobody is let in", async || TcpStream::connect(gateway.address).await.is_err()).await;
    agent.send(page(id, "still in time")).await;
    assert!(asking.await.unwrap().expect(200).text.contains("still in time"));
    assert_eq!(agent.close_code().await, Some(1012));
    soon("the gateway ends", gateway.ended()).await;
}

#[tokio::test]
async fn a_stop_waits_for_nobody_for_ever() {
    let mut gateway = TestGateway::start().await;
    let mut agent = gateway.agent(&["porch"]).await;
    let request =
        gateway.request(Method::GET, "/v1/cameras/porch/events?timeout=60s").bearer_auth(&gateway.admin);
    let asking = tokio::spawn(request.send());
    agent.request().await;
    let start = Instant::now();
    pause();
    gateway.stop.cancel();
    assert_eq!(agent.close_code().await, Some(1012));
    assert!(
        (Duration::from_secs(8)..Duration::from_secs(9)).contains(&start.elapsed()),
        "{:?}",
        start.elapsed()
    );
    gateway.ended().await;
    asking.abort();
}
