//! A connection on which nothing more comes is closed, whatever came before.

#![allow(clippy::unwrap_used, reason = "what these helpers cannot do fails the test")]

mod common;

use std::{ops::Range, time::Duration};

use common::*;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{Instant, pause, timeout},
};

/// What a time limit of nine seconds may take in a clock that is moved.
const NINE_SECONDS: Range<Duration> = Duration::from_secs(9)..Duration::from_secs(12);

#[tokio::test]
async fn an_idle_http_1_connection_is_closed() {
    let gateway = TestGateway::start().await;
    let mut tcp = TcpStream::connect(gateway.address).await.unwrap();
    tcp.write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    let mut answer = vec![0; 12];
    soon("an answer", tcp.read_exact(&mut answer)).await.unwrap();
    assert_eq!(answer, b"HTTP/1.1 200");
    pause();
    let start = Instant::now();
    _ = timeout(Duration::from_secs(60), tcp.read_to_end(&mut answer)).await.unwrap();
    assert!(NINE_SECONDS.contains(&start.elapsed()), "{:?}", start.elapsed());
}

#[tokio::test]
async fn an_http_2_connection_that_answers_no_ping_is_closed() {
    let gateway = TestGateway::start().await;
    let tcp = TcpStream::connect(gateway.address).await.unwrap();
    let (mut client, mut connection) = h2::client::handshake(tcp).await.unwrap();
    let request = http::Request::get("http://x/healthz").body(()).unwrap();
    let (answer, _) = client.send_request(request, true).unwrap();
    let answer = tokio::select! {
        answer = soon("an answer", answer) => answer.unwrap(),
        end = &mut connection => panic!("{end:?}"),
    };
    assert_eq!(answer.status(), 200);
    pause();
    // Nobody drives this end meanwhile, so that it answers nothing.
    _ = timeout(Duration::from_secs(60), std::future::pending::<()>()).await;
    let end = timeout(Duration::from_secs(1), connection).await;
    assert!(end.is_ok(), "it was still open");
    drop((client, answer));
}
