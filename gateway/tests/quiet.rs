//! The log tells no secret, however much of it is asked for.

#![allow(clippy::unwrap_used, reason = "what these helpers cannot do fails the test")]

mod common;

use std::{
    io::{self, Write},
    sync::{Arc, Mutex},
};

use common::*;
use oriel_gateway::config::log_filter;
use oriel_proto::{GatewayFrame, InstanceId};
use serde_json::json;
use tracing_subscriber::{Layer, fmt, layer::SubscriberExt, registry, util::SubscriberInitExt};

/// What was logged.
#[derive(Clone, Debug, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap()).into_owned()
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn no_filter_makes_libraries_tell_frames_and_headers() {
    let log = Log::default();
    let filter = log_filter("trace,tungstenite::protocol=trace,hyper::proto=trace,h2::codec=trace").unwrap();
    let writer = log.clone();
    let lines = fmt::layer().with_ansi(false).with_writer(move || writer.clone());
    registry().with(lines.with_filter(filter)).init();
    let gateway = TestGateway::start().await;
    let enrolled = gateway.enroll(&["porch"]).await;
    let mut agent = enrolled.welcomed(InstanceId::new(), 1).await;
    gateway.post(&format!("/v1/agents/{}/rotate", enrolled.id), json!({})).await.expect(202);
    let rotated = loop {
        if let GatewayFrame::Token { token } = agent.frame().await {
            break token;
        }
    };
    let text = log.text();
    assert!(
        text.contains("DEBUG") && text.contains("oriel_gateway"),
        "what it was asked for is there: {text}"
    );
    for secret in [gateway.admin.as_str(), enrolled.token.as_str(), rotated.expose()] {
        let listed = format!("{:?}", secret.as_bytes());
        let hex: String = secret.bytes().map(|byte| format!("{byte:02x}")).collect();
        let forms = [secret, listed.trim_matches(['[', ']']), &hex];
        let said = text.lines().find(|line| forms.iter().any(|form| line.contains(form)));
        assert_eq!(said, None);
    }
}
