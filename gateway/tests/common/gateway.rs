//! A gateway on a free port of 127.0.0.1 that stops when the test lets go of it.

use std::net::SocketAddr;

use oriel_gateway::{
    Gateway,
    access::{Access, NewKey},
    config::{Config, Endpoint},
    registry::Registry,
    store::{KeyId, Role, Scope},
};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_util::sync::CancellationToken;

use super::{Answer, Enrolled, RawAgent, soon, until};

/// A running gateway.
#[derive(Debug)]
pub(crate) struct TestGateway {
    pub(crate) address: SocketAddr,
    pub(crate) metrics: Option<SocketAddr>,
    pub(crate) legacy: Option<SocketAddr>,
    pub(crate) registry: Registry,
    pub(crate) access: Access,
    /// A key that may do everything.
    pub(crate) admin: String,
    /// Stops it.
    pub(crate) stop: CancellationToken,
    pub(crate) http: reqwest::Client,
    served: Option<JoinHandle<()>>,
    _folder: tempfile::TempDir,
}

impl TestGateway {
    /// With defaults.
    pub(crate) async fn start() -> Self {
        Self::with(|_| {}).await
    }

    /// With other options. Every address of 127.0.0.0/8 is a proxy that may say for whom it asks.
    pub(crate) async fn with(change: impl FnOnce(&mut Config)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut config = Config {
            data: folder.path().join("data"),
            listen: ([127, 0, 0, 1], 0).into(),
            metrics_listen: Endpoint::Off,
            behind_proxy: vec!["127.0.0.0/8".parse().unwrap()],
            ..Config::default()
        };
        change(&mut config);
        let gateway = Gateway::start(config).await.unwrap();
        let listeners = gateway.listen().unwrap();
        let address = listeners.main.local_addr().unwrap();
        let port =
            |listener: &Option<TcpListener>| listener.as_ref().map(|listener| listener.local_addr().unwrap());
        let (metrics, legacy) = (port(&listeners.metrics), port(&listeners.legacy));
        let (access, registry) = (gateway.access().clone(), gateway.registry().clone());
        let stop = CancellationToken::new();
        let served = tokio::spawn(gateway.serve(listeners, stop.clone()));
        let admin = make_key(&access, Role::Admin, everywhere()).await.1;
        let http = super::http::client(&[]);
        let served = Some(served);
        Self { address, metrics, legacy, registry, access, admin, stop, http, served, _folder: folder }
    }

    /// Makes a key.
    pub(crate) async fn key(&self, role: Role, scope: Scope) -> String {
        make_key(&self.access, role, scope).await.1
    }

    /// Makes a key and says its id too.
    pub(crate) async fn key_with_id(&self, role: Role, scope: Scope) -> (KeyId, String) {
        make_key(&self.access, role, scope).await
    }

    /// A key for all cameras.
    pub(crate) async fn key_for_all(&self, role: Role) -> String {
        self.key(role, everywhere()).await
    }

    /// A key for some cameras.
    pub(crate) async fn key_for(&self, role: Role, cameras: &[&str]) -> String {
        let cameras = cameras.iter().map(|camera| camera.parse().unwrap()).collect();
        self.key(role, Scope { cameras, ..Scope::default() }).await
    }

    /// A request without a credential.
    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("http://{}{path}", self.address))
    }

    /// Asks with a key.
    pub(crate) async fn get_as(&self, key: &str, path: &str) -> Answer {
        Answer::of(self.request(Method::GET, path).bearer_auth(key)).await
    }

    /// Asks as an administrator.
    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.get_as(&self.admin, path).await
    }

    /// Sends JSON as an administrator.
    pub(crate) async fn send(&self, method: Method, path: &str, body: Value) -> Answer {
        Answer::of(self.request(method, path).bearer_auth(&self.admin).json(&body)).await
    }

    /// Posts JSON as an administrator.
    pub(crate) async fn post(&self, path: &str, body: Value) -> Answer {
        self.send(Method::POST, path, body).await
    }

    /// Deletes as an administrator.
    pub(crate) async fn delete(&self, path: &str) -> Answer {
        Answer::of(self.request(Method::DELETE, path).bearer_auth(&self.admin)).await
    }

    /// Enrols an agent for these cameras.
    pub(crate) async fn enroll(&self, cameras: &[&str]) -> Enrolled {
        self.enroll_by(json!({"cameras": cameras})).await
    }

    /// Enrols an agent by a code that is made like this.
    pub(crate) async fn enroll_by(&self, enrollment: Value) -> Enrolled {
        let made = self.post("/v1/enrollments", enrollment).await.expect(201).json();
        let trade = json!({"code": made["code"], "name": "raw agent"});
        let traded = self.post("/v1/enroll", trade).await.expect(201).json();
        let token = traded["token"].as_str().unwrap().to_owned();
        Enrolled { gateway: self.address, id: traded["agent"].as_str().unwrap().parse().unwrap(), token }
    }

    /// An agent that serves these cameras.
    pub(crate) async fn agent(&self, cameras: &[&str]) -> RawAgent {
        self.enroll(cameras).await.serving(cameras).await
    }

    /// The value of a metric, 0 when it has none yet.
    pub(crate) async fn metric(&self, name: &str) -> f64 {
        let text = self.get("/metrics").await.expect(200).text;
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.map_or(0.0, |value| value.parse().unwrap())
    }

    /// Waits until a metric has at least this value.
    pub(crate) async fn metric_reaches(&self, name: &str, value: f64) {
        until(&format!("{name} reaches {value}"), async || self.metric(name).await >= value).await;
    }

    /// Stops it and waits for its end.
    pub(crate) async fn stopped(mut self) {
        self.stop.cancel();
        soon("the gateway stops", self.served.take().unwrap()).await.unwrap();
    }

    /// Waits for its end.
    pub(crate) async fn ended(&mut self) {
        self.served.take().unwrap().await.unwrap();
    }
}

impl Drop for TestGateway {
    fn drop(&mut self) {
        self.stop.cancel();
        if let Some(served) = self.served.take() {
            served.abort();
        }
    }
}

fn everywhere() -> Scope {
    Scope { all: true, ..Scope::default() }
}

async fn make_key(access: &Access, role: Role, scope: Scope) -> (KeyId, String) {
    let new = NewKey { name: format!("a {role}"), role, scope, expires_at: None };
    let (record, secret) = access.add_key(new).await.unwrap();
    (record.id, secret.expose().to_owned())
}
