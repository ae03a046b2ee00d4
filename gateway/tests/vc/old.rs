//! Cameras and clients as the older system has them.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use oriel_gateway::config::{Config, Endpoint};
use reqwest::{Client, Method};
use serde_json::{Value, json};
use tokio_util::task::AbortOnDropHandle;

use crate::common::{Answer, TestGateway, soon};

const LOGS: &str = "/verkada/api/v1.0/logs";

/// A gateway with the older system's listener.
pub(crate) async fn gateway() -> TestGateway {
    gateway_with(|_| {}).await
}

/// The same with other options.
pub(crate) async fn gateway_with(change: impl FnOnce(&mut Config)) -> TestGateway {
    TestGateway::with(|config| {
        config.legacy_listen = Endpoint::At(([127, 0, 0, 1], 0).into());
        change(config);
    })
    .await
}

/// A camera, or a client of one.
#[derive(Clone, Debug)]
pub(crate) struct Old {
    http: Client,
    address: SocketAddr,
    /// What stands behind a path: nothing, or the camera's id.
    suffix: String,
}

impl Old {
    /// One that names no camera.
    pub(crate) fn new(gateway: &TestGateway) -> Self {
        Self { http: gateway.http.clone(), address: gateway.legacy.unwrap(), suffix: String::new() }
    }

    /// One that names this camera.
    pub(crate) fn named(gateway: &TestGateway, id: &str) -> Self {
        Self { suffix: format!("/{id}"), ..Self::new(gateway) }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// The camera polls; without a time limit, since a poll may last.
    pub(crate) async fn poll(&self) -> u16 {
        let path = if self.suffix.is_empty() { "/" } else { &self.suffix };
        let response = self.http.get(self.url(path)).send().await.unwrap();
        let status = response.status().as_u16();
        let text = response.text().await.unwrap();
        assert_eq!(text == "pull request initiated", status == 200, "{text}");
        status
    }

    /// The camera polls in the background.
    pub(crate) fn polling(&self) -> AbortOnDropHandle<u16> {
        let camera = self.clone();
        AbortOnDropHandle::new(tokio::spawn(async move { camera.poll().await }))
    }

    /// The camera posts a body.
    pub(crate) async fn post_text(&self, body: String) -> Answer {
        let url = self.url(&format!("{LOGS}/post{}", self.suffix));
        Answer::of(self.http.request(Method::POST, url).body(body)).await
    }

    /// The camera posts a list, which is taken.
    pub(crate) async fn post(&self, list: &Value) {
        let answer = self.post_text(list.to_string()).await.expect(201);
        assert_eq!(answer.header("content-type"), "application/json");
        assert_eq!(answer.text, list.to_string());
    }

    /// The client asks.
    pub(crate) async fn ask_for(&self, query: &str) -> Answer {
        Answer::of(self.http.get(self.url(&format!("{LOGS}{}{query}", self.suffix)))).await
    }

    /// The client asks for the whole list.
    pub(crate) async fn ask(&self) -> Answer {
        self.ask_for("").await
    }

    /// The client asks in the background.
    pub(crate) fn asking(&self) -> AbortOnDropHandle<Answer> {
        let client = self.clone();
        AbortOnDropHandle::new(tokio::spawn(async move { client.ask().await }))
    }

    /// The camera does what it does all its life: each list that it begins to post says which one it is, from 1. Gives how many it
    /// has begun.
    pub(crate) fn living(&self) -> (Arc<AtomicU64>, AbortOnDropHandle<()>) {
        let (camera, begun) = (self.clone(), Arc::<AtomicU64>::default());
        let count = Arc::clone(&begun);
        let life = async move {
            loop {
                if camera.poll().await == 200 {
                    let number = count.fetch_add(1, Ordering::SeqCst) + 1;
                    camera.post(&list(&[&format!("list {number}")])).await;
                }
            }
        };
        (begun, AbortOnDropHandle::new(tokio::spawn(life)))
    }
}

/// A list of entries that say this, a second apart.
pub(crate) fn list(says: &[&str]) -> Value {
    let entry =
        |(n, description)| json!({"timestamp": 1_700_000_000.123 + n as f64, "description": description});
    json!({"events": says.iter().enumerate().map(entry).collect::<Vec<_>>()})
}

/// What the entries of a list say.
pub(crate) fn said(answer: &Answer) -> Vec<String> {
    let events = answer.json()["events"].as_array().unwrap().clone();
    events.iter().map(|event| event["description"].as_str().unwrap().to_owned()).collect()
}

/// Ends soon.
pub(crate) async fn ended<T>(what: &str, task: AbortOnDropHandle<T>) -> T {
    soon(what, task).await.unwrap()
}
