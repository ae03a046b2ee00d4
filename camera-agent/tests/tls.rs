//! Whom the agent trusts, and the line it says when it does not.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failed step fails the test")]

mod common;

use std::{path::Path, sync::Arc};

use camera_agent::{
    config::{GatewayConfig, parse_gateway_url},
    enroll_at,
};
use common::soon;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, date_time_ymd};
use rustls::{ServerConfig, pki_types::PrivateKeyDer};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};
use tokio_rustls::TlsAcceptor;

const TOKEN: &str = r#"{"agent":"0191d0c0-0000-7000-8000-000000000001","token":"oat_x","cameras":[]}"#;

/// An authority, and what it says of one name.
struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    fn write(&self, path: &Path) {
        std::fs::write(path, self.0.pem()).unwrap();
    }

    fn server(&self, name: &str, until: i32) -> Arc<ServerConfig> {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.not_after = date_time_ymd(until, 1, 1);
        let certificate = params.signed_by(&key, &self.0).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![certificate.der().clone()],
                PrivateKeyDer::Pkcs8(key.serialize_der().into()),
            )
            .unwrap();
        Arc::new(config)
    }
}

/// Enrols at a server with `server`'s certificate, trusting `ca` alone.
async fn enrol(server: Arc<ServerConfig>, ca: &Authority) -> Result<(), String> {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("ca.pem");
    ca.write(&file);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://localhost:{}", listener.local_addr().unwrap().port());
    let serve = async {
        let (stream, _) = listener.accept().await.unwrap();
        let Ok(mut stream) = TlsAcceptor::from(server).accept(stream).await else { return };
        let mut asked = [0; 4_096];
        let _ = stream.read(&mut asked).await;
        let answer = format!("HTTP/1.1 201 Created\r\ncontent-length: {}\r\n\r\n{TOKEN}", TOKEN.len());
        stream.write_all(answer.as_bytes()).await.unwrap();
        let _ = stream.shutdown().await;
    };
    let with = GatewayConfig {
        ca: Some(file),
        code: Some("oen_once".into()),
        ..GatewayConfig::new(parse_gateway_url(&url).unwrap())
    };
    let (enrolled, ()) = soon(async { tokio::join!(enroll_at(&with, dir.path()), serve) }).await;
    enrolled.map(|_| ()).map_err(|e| e.to_string())
}

#[tokio::test]
async fn a_gateway_of_the_pinned_authority_is_trusted() {
    let authority = Authority::new();
    assert_eq!(enrol(authority.server("localhost", 2999), &authority).await, Ok(()));
}

#[tokio::test]
async fn another_authority_is_refused_in_one_line() {
    let why = enrol(Authority::new().server("localhost", 2999), &Authority::new()).await.unwrap_err();
    assert!(why.contains("is signed by an authority that is not trusted here"), "{why}");
}

#[tokio::test]
async fn another_name_is_refused_in_one_line() {
    let authority = Authority::new();
    let why = enrol(authority.server("elsewhere.example", 2999), &authority).await.unwrap_err();
    assert!(why.contains("is for another name"), "{why}");
}

#[tokio::test]
async fn an_expired_certificate_is_refused_in_one_line() {
    let authority = Authority::new();
    let why = enrol(authority.server("localhost", 2001), &authority).await.unwrap_err();
    assert!(why.contains("has expired"), "{why}");
}

#[tokio::test]
async fn frames_flow_through_tls() {
    let authority = Authority::new();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("ca.pem");
    authority.write(&file);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("wss://localhost:{}", listener.local_addr().unwrap().port());
    let with = GatewayConfig {
        ca: Some(file),
        token: Some("oat_x".into()),
        ..GatewayConfig::new(parse_gateway_url(&url).unwrap())
    };
    let state = dir.path().join("state");
    let config =
        camera_agent::Config { state, gateways: vec![with], cameras: vec![common::camera("porch", 0)] };
    let _agent = common::Agent::start(config);
    let (stream, _) = soon(listener.accept()).await.unwrap();
    let stream = soon(TlsAcceptor::from(authority.server("localhost", 2999)).accept(stream)).await.unwrap();
    assert_eq!(stream.get_ref().1.server_name(), Some("localhost"));
    let mut peer = common::Peer::accept(stream).await;
    assert!(matches!(peer.frame().await, oriel_proto::AgentFrame::Hello(_)));
}

#[tokio::test]
async fn a_token_is_not_sent_to_whom_nobody_vouches_for() {
    let (dir, authority) = (tempfile::tempdir().unwrap(), Authority::new());
    let file = dir.path().join("ca.pem");
    Authority::new().write(&file);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("wss://localhost:{}", listener.local_addr().unwrap().port());
    let with = GatewayConfig {
        ca: Some(file),
        token: Some("oat_x".into()),
        ..GatewayConfig::new(parse_gateway_url(&url).unwrap())
    };
    let state = dir.path().join("state");
    let config =
        camera_agent::Config { state, gateways: vec![with], cameras: vec![common::camera("porch", 0)] };
    let _agent = common::Agent::start(config);
    let (stream, _) = soon(listener.accept()).await.unwrap();
    assert!(soon(TlsAcceptor::from(authority.server("localhost", 2999)).accept(stream)).await.is_err());
}

#[tokio::test]
async fn a_gateway_without_tls_is_named_so() {
    let gateway = common::TestGateway::listen().await;
    let dir = tempfile::tempdir().unwrap();
    let url = parse_gateway_url(&gateway.url().replace("ws:", "https:")).unwrap();
    let with = GatewayConfig { code: Some("oen_once".into()), ..GatewayConfig::new(url) };
    let plain = async {
        let mut stream = gateway.connection().await;
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
        stream
    };
    let (enrolled, _stream) = soon(async { tokio::join!(enroll_at(&with, dir.path()), plain) }).await;
    let why = enrolled.unwrap_err().to_string();
    assert!(why.contains("does not speak TLS"), "{why}");
}
