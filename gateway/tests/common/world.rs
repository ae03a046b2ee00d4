//! Two cameras and every kind of credential, to see who sees what.
//!
//! The camera `porch` is the one that limited keys may see; the words of the other one occur nowhere else.

use std::sync::atomic::{AtomicU32, Ordering};

use oriel_gateway::store::{Role, Scope};
use oriel_proto::AgentId;
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use super::{Answer, Enrolled, TestGateway, by_all, soon};

/// The other camera's id, name, tag, its agent's name, and words of its log.
pub(crate) const TRACES: [&str; 5] = ["zanzibar", "Quetzalcoatl", "xylophone", "wombat", "brontosaurus"];

/// A gateway with both cameras connected, and every kind of credential.
pub(crate) struct World {
    pub(crate) gateway: TestGateway,
    /// A device that has not said anything.
    pub(crate) agent: Enrolled,
    pub(crate) foreign: AgentId,
    pub(crate) limited: [(Role, String); 3],
    pub(crate) by_tag: String,
    pub(crate) everywhere: [(Role, String); 3],
}

impl World {
    pub(crate) async fn new() -> Self {
        let gateway = TestGateway::start().await;
        let porch = gateway.agent(&["porch"]).await;
        porch.answering(|request| by_all(request, "a cat"));
        let other =
            gateway.post("/v1/enrollments", json!({"cameras": ["zanzibar"]})).await.expect(201).json();
        let trade = json!({"code": other["code"], "name": "wombat"});
        let other = gateway.post("/v1/enroll", trade).await.expect(201).json();
        let foreign: AgentId = other["agent"].as_str().unwrap().parse().unwrap();
        let token = other["token"].as_str().unwrap().to_owned();
        let zanzibar = Enrolled { gateway: gateway.address, id: foreign, token }.serving(&["zanzibar"]).await;
        zanzibar.answering(|request| by_all(request, "brontosaurus"));
        let change = |camera, change| gateway.send(Method::PATCH, camera, change);
        change("/v1/cameras/porch", json!({"name": "Front porch", "tags": ["site:7"]})).await.expect(200);
        let tags = json!({"name": "Quetzalcoatl", "tags": ["xylophone"]});
        change("/v1/cameras/zanzibar", tags).await.expect(200);
        let (mut limited, mut everywhere) = (Vec::new(), Vec::new());
        for role in Role::ALL {
            limited.push((role, gateway.key_for(role, &["porch"]).await));
            everywhere.push((role, gateway.key_for_all(role).await));
        }
        let by_tag =
            gateway.key(Role::Viewer, Scope { tags: vec!["site:7".into()], ..Scope::default() }).await;
        let agent = gateway.enroll(&["attic"]).await;
        let (limited, everywhere) = (limited.try_into().unwrap(), everywhere.try_into().unwrap());
        Self { gateway, agent, foreign, limited, by_tag, everywhere }
    }

    /// The keys that see `porch` alone.
    pub(crate) fn narrow(&self) -> impl Iterator<Item = &String> {
        self.limited.iter().map(|(_, key)| key).chain([&self.by_tag])
    }

    /// A request as if from an address of its own, so that wrong credentials do not make each other wait.
    pub(crate) fn request(&self, method: &str, path: &str) -> RequestBuilder {
        static CALLERS: AtomicU32 = AtomicU32::new(0x0a00_0001);
        let caller = std::net::Ipv4Addr::from_bits(CALLERS.fetch_add(1, Ordering::Relaxed));
        let request = self.gateway.request(method.parse().unwrap(), path);
        request.header("x-forwarded-for", caller.to_string())
    }

    pub(crate) async fn ask(&self, method: &str, path: &str, key: &str, body: &Value) -> Answer {
        let request = self.request(method, path).bearer_auth(key);
        let request = if body.is_null() { request } else { request.json(body) };
        if path.starts_with("/v1/stream") || path.contains("/live") {
            head(request).await
        } else {
            Answer::of(request).await
        }
    }
}

/// An answer whose body has no end: its body is left where it did well.
async fn head(request: RequestBuilder) -> Answer {
    let response = soon("an answer", request.send()).await.unwrap();
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let text = if status == 200 { String::new() } else { response.text().await.unwrap() };
    Answer { status, headers, text }
}
