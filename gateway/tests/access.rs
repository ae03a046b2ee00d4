//! Who may do what, over every route of the API document; a route without a case fails.
//!
//! The camera `porch` is "A" of the promise: a key limited to it must see nothing of the other one, whose id, name and tag
//! are words that occur nowhere else.

#![allow(clippy::unwrap_used, reason = "what these helpers cannot do fails the test")]

mod common;

use std::sync::atomic::{AtomicU32, Ordering};

use common::*;
use oriel_gateway::{
    openapi::document,
    routes::OPEN,
    store::{Role, Scope},
};
use oriel_proto::AgentId;
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

/// The other camera's id, name, tag, its agent's name, and words of its log.
const TRACES: [&str; 5] = ["zanzibar", "Quetzalcoatl", "xylophone", "wombat", "brontosaurus"];

/// A gateway with both cameras connected, and every kind of credential.
struct World {
    gateway: TestGateway,
    /// A device that has not said anything.
    agent: Enrolled,
    foreign: AgentId,
    limited: [(Role, String); 3],
    by_tag: String,
    everywhere: [(Role, String); 3],
}

impl World {
    async fn new() -> Self {
        let gateway = TestGateway::start().await;
        let porch = gateway.agent(&["porch"]).await;
        porch.answering(|request| vec![page(request.id, "a cat")]);
        let other =
            gateway.post("/v1/enrollments", json!({"cameras": ["zanzibar"]})).await.expect(201).json();
        let trade = json!({"code": other["code"], "name": "wombat"});
        let other = gateway.post("/v1/enroll", trade).await.expect(201).json();
        let foreign: AgentId = other["agent"].as_str().unwrap().parse().unwrap();
        let token = other["token"].as_str().unwrap().to_owned();
        let zanzibar = Enrolled { gateway: gateway.address, id: foreign, token }.serving(&["zanzibar"]).await;
        zanzibar.answering(|request| vec![page(request.id, "brontosaurus")]);
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
    fn narrow(&self) -> impl Iterator<Item = &String> {
        self.limited.iter().map(|(_, key)| key).chain([&self.by_tag])
    }

    /// A request as if from an address of its own, so that wrong credentials do not make each other wait.
    fn request(&self, method: &str, path: &str) -> RequestBuilder {
        static CALLERS: AtomicU32 = AtomicU32::new(0x0a00_0001);
        let caller = std::net::Ipv4Addr::from_bits(CALLERS.fetch_add(1, Ordering::Relaxed));
        let request = self.gateway.request(method.parse().unwrap(), path);
        request.header("x-forwarded-for", caller.to_string())
    }

    async fn ask(&self, method: &str, path: &str, key: &str, body: &Value) -> Answer {
        let request = self.request(method, path).bearer_auth(key);
        let request = if body.is_null() { request } else { request.json(body) };
        if path.starts_with("/v1/stream") { head(request).await } else { Answer::of(request).await }
    }
}

/// An answer whose body has no end: its body is left where it did well.
async fn head(request: RequestBuilder) -> Answer {
    let response = soon("an answer", request.send()).await.unwrap();
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let text = if status == 200 { String::new() } else { response.text().await.unwrap() };
    Answer { status, headers, text }
}

/// What one route does for whoever may use it.
struct Case {
    /// The path with its parameters filled in, about `porch`.
    path: &'static str,
    /// The same about `zanzibar`; empty where a path names no camera.
    foreign: &'static str,
    body: Value,
    /// The least role that may do it to a camera it sees; admin everywhere for what names no camera.
    needs: Needs,
    /// The status for whoever may.
    good: u16,
}

#[derive(Clone, Copy, PartialEq)]
enum Needs {
    Nothing,
    Sight(Role),
    AdminEverywhere,
    Device,
}

/// Some id that nothing has.
const NOBODY: &str = "01997a5c-5f60-7000-8000-0123456789ab";

/// The case of a route; panics where there is none.
fn case(method: &str, route: &str) -> Case {
    use Needs::{AdminEverywhere, Device, Nothing, Sight};
    let none = json!(null);
    let case = |path, foreign, body, needs, good| Case { path, foreign, body, needs, good };
    let sight = |role, path, foreign, body, good| case(path, foreign, body, Sight(role), good);
    let admin = |path, body, good| case(path, "", body, AdminEverywhere, good);
    let id = |prefix: &str, suffix: &str| -> &'static str { format!("{prefix}/{NOBODY}{suffix}").leak() };
    match (method, route) {
        ("GET", "/v1/cameras") => sight(Role::Viewer, "/v1/cameras", "", none, 200),
        ("GET", "/v1/stream") => sight(Role::Viewer, "/v1/stream", "", none, 200),
        ("GET", "/openapi.json") => sight(Role::Viewer, "/openapi.json", "", none, 200),
        ("GET", "/v1/cameras/{id}") => {
            sight(Role::Viewer, "/v1/cameras/porch", "/v1/cameras/zanzibar", none, 200)
        }
        ("GET", "/v1/cameras/{id}/events") => {
            let (mine, foreign) = ("/v1/cameras/porch/events", "/v1/cameras/zanzibar/events");
            sight(Role::Viewer, mine, foreign, none, 200)
        }
        ("PATCH", "/v1/cameras/{id}") => {
            let (mine, foreign) = ("/v1/cameras/porch", "/v1/cameras/zanzibar");
            sight(Role::Operator, mine, foreign, json!({"name": "Front porch"}), 200)
        }
        // Asked of a camera that the limited keys do not see either, so that `porch` stays.
        ("DELETE", "/v1/cameras/{id}") => {
            case("/v1/cameras/spare", "/v1/cameras/zanzibar", none, Sight(Role::Admin), 202)
        }
        ("POST", "/v1/cameras") => admin("/v1/cameras", json!({"id": "porch"}), 409),
        ("GET", "/v1/enrollments") => admin("/v1/enrollments", none, 200),
        ("POST", "/v1/enrollments") => admin("/v1/enrollments", json!({"cameras": ["zanzibar"]}), 409),
        ("GET" | "DELETE", "/v1/enrollments/{id}") => admin(id("/v1/enrollments", ""), none, 404),
        ("GET", "/v1/agents") => admin("/v1/agents", none, 200),
        ("GET" | "DELETE", "/v1/agents/{id}") => admin(id("/v1/agents", ""), none, 404),
        ("POST", "/v1/agents/{id}/rotate") => admin(id("/v1/agents", "/rotate"), none, 404),
        ("GET", "/v1/keys") => admin("/v1/keys", none, 200),
        ("POST", "/v1/keys") => admin("/v1/keys", json!({"name": "x", "role": "viewer", "all": true}), 201),
        ("GET" | "DELETE", "/v1/keys/{id}") => admin(id("/v1/keys", ""), none, 404),
        ("GET", "/metrics") => admin("/metrics", none, 200),
        ("GET", "/healthz") => case("/healthz", "", none, Nothing, 200),
        ("GET", "/readyz") => case("/readyz", "", none, Nothing, 200),
        ("POST", "/v1/enroll") => case("/v1/enroll", "", json!({"code": "x", "name": "x"}), Nothing, 401),
        ("GET", "/v1/agent/connect") => case("/v1/agent/connect", "", none, Device, 426),
        _ => panic!("{method} {route} has no case here: say who may use it"),
    }
}

/// Every route of the document with its case.
fn routes() -> Vec<(String, String, Case)> {
    let paths = document()["paths"].as_object().unwrap();
    let each = paths.iter().flat_map(|(path, methods)| {
        methods.as_object().unwrap().keys().map(move |method| (method.to_uppercase(), path.clone()))
    });
    each.map(|(method, path)| (method.clone(), path.clone(), case(&method, &path))).collect()
}

#[tokio::test]
async fn every_route_asks_for_its_credential() {
    let world = World::new().await;
    let (stranger, foreign_gateway) = (TestGateway::start().await, TestGateway::start().await);
    let unknown_token = foreign_gateway.enroll(&["porch"]).await.token;
    let mistyped = format!("{}!", &world.gateway.admin[..world.gateway.admin.len() - 1]);
    for (method, route, case) in routes() {
        if case.needs == Needs::Nothing {
            let request = world.request(&method, case.path);
            let request = if case.body.is_null() { request } else { request.json(&case.body) };
            Answer::of(request).await.expect(case.good);
            continue;
        }
        // What is of the wrong kind is as wrong as what is unknown.
        let of_other_kind = match case.needs {
            Needs::Device => &world.gateway.admin,
            _ => &world.agent.token,
        };
        let wrong: [&str; 6] = [of_other_kind, &stranger.admin, &unknown_token, &mistyped, "", "oak_"];
        for credential in wrong {
            let answer = world.ask(&method, case.path, credential, &case.body).await;
            let answer = answer.expect_problem(401, "unauthorized");
            assert!(credential.is_empty() || !answer.text.contains(credential), "{method} {route}");
        }
        for header in ["", "Bearer", "Basic dXNlcjpwYXNz", "bearer\toak_x", &world.gateway.admin] {
            let request = world.request(&method, case.path).header("authorization", header);
            Answer::of(request).await.expect_problem(401, "unauthorized");
        }
        Answer::of(world.request(&method, case.path)).await.expect_problem(401, "unauthorized");
    }
}

#[tokio::test]
async fn open_routes_are_exactly_those_that_the_list_names() {
    let mut open: Vec<_> = routes()
        .into_iter()
        .filter(|(.., case)| case.needs == Needs::Nothing)
        .map(|(_, path, _)| path)
        .collect();
    let mut listed = OPEN.to_vec();
    open.sort_unstable();
    listed.sort_unstable();
    assert_eq!(open, listed);
    let world = World::new().await;
    for unknown in ["/", "/v1", "/v1/nothing", "/index.html", "/v1/cameras/porch/nothing"] {
        Answer::of(world.request("GET", unknown)).await.expect_problem(401, "unauthorized");
    }
}

#[tokio::test]
async fn every_key_may_do_what_its_role_says_and_no_more() {
    let world = World::new().await;
    for (method, route, case) in routes() {
        let keys = world.limited.iter().map(|(role, key)| (*role, false, key));
        let keys = keys.chain([(Role::Viewer, false, &world.by_tag)]);
        let keys = keys.chain(world.everywhere.iter().map(|(role, key)| (*role, true, key)));
        for (role, everywhere, key) in keys {
            if case.path == "/v1/cameras/spare" {
                world.gateway.post("/v1/cameras", json!({"id": "spare"})).await;
            }
            let sees = everywhere || case.path != "/v1/cameras/spare";
            let expected = match case.needs {
                Needs::Nothing => case.good,
                Needs::Device => 401,
                Needs::Sight(_) if !sees => 404,
                Needs::Sight(needs) if role >= needs => case.good,
                Needs::AdminEverywhere if everywhere && role == Role::Admin => case.good,
                Needs::Sight(_) | Needs::AdminEverywhere => 403,
            };
            let answer = world.ask(&method, case.path, key, &case.body).await;
            assert_eq!(
                answer.status, expected,
                "{method} {route} as {role}, everywhere {everywhere}: {answer:?}"
            );
        }
    }
}

/// The problem without what differs from request to request.
fn anonymous(answer: &Answer) -> (u16, Value, Vec<(String, String)>) {
    let mut body = answer.json();
    body.as_object_mut().unwrap().remove("request_id").unwrap();
    let headers =
        answer.headers.iter().filter(|(name, _)| !["x-request-id", "date"].contains(&name.as_str()));
    let headers =
        headers.map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned())).collect();
    (answer.status, body, headers)
}

#[tokio::test]
async fn a_foreign_camera_is_the_same_404_as_a_missing_one() {
    let world = World::new().await;
    let mut compared = 0;
    for (method, route, case) in routes() {
        if case.foreign.is_empty() {
            continue;
        }
        let missing = case.foreign.replace("zanzibar", "nowhere1");
        for key in world.narrow() {
            for body in [case.body.clone(), json!({"nonsense": 1}), json!({"agent": world.foreign})] {
                let body = if method == "GET" { json!(null) } else { body };
                for query in ["", "?nonsense=1", "?limit=0", "?cursor=x"] {
                    let ask = |path: &str| {
                        let path = format!("{path}{query}");
                        let (world, method, body) = (&world, &method, &body);
                        async move { world.ask(method, &path, key, body).await }
                    };
                    let (foreign, missing) = (ask(case.foreign).await, ask(&missing).await);
                    // A query that a route takes nothing of is refused before anything is looked up.
                    assert!([400, 404].contains(&foreign.status), "{method} {route}{query}: {foreign:?}");
                    assert!(!query.is_empty() || foreign.status == 404, "{method} {route}: {foreign:?}");
                    assert_eq!(anonymous(&foreign), anonymous(&missing), "{method} {route}{query}");
                    assert_eq!(foreign.text.len(), missing.text.len());
                    compared += 1;
                }
            }
        }
    }
    assert!(compared > 100);
}

#[tokio::test]
async fn nothing_of_a_foreign_camera_is_in_any_answer() {
    let world = World::new().await;
    let foreign = world.foreign.to_string();
    let clean = |what: &str, text: &str| {
        for trace in TRACES.iter().copied().chain([foreign.as_str()]) {
            assert!(!text.contains(trace), "{what}: {trace} in {text}");
        }
    };
    for key in world.narrow() {
        for (method, route, case) in routes() {
            let (mine, body) = (case.path.replace("spare", "porch/"), &case.body);
            if case.path != "/v1/cameras/spare" {
                let answer = world.ask(&method, &mine, key, body).await;
                clean(&format!("{method} {route}"), &format!("{} {:?}", answer.text, answer.headers));
            }
            if !case.foreign.is_empty() {
                // What was asked may be said again; nothing else may.
                let answer = world.ask(&method, case.foreign, key, body).await;
                clean(&format!("{method} {route}"), &answer.text);
            }
        }
        for query in [
            "?q=zanz",
            "?q=quetz",
            "?tag=xylophone",
            "?status=online",
            "?sample=1000",
            "?limit=1",
            "?sort=name",
            "?sort=name&limit=1",
            "?status=online&tag=xylophone&tag=site:7",
        ] {
            let answer =
                world.ask("GET", &format!("/v1/cameras{query}"), key, &json!(null)).await.expect(200);
            clean(query, &answer.text);
            assert!(answer.json()["cameras"].as_array().unwrap().len() <= 1, "{query}");
            assert_eq!(answer.json()["next"], json!(null), "{query}: that there is more would be a count");
        }
    }
}

#[tokio::test]
async fn a_cursor_shows_no_more_than_its_bringer_may_see() {
    let world = World::new().await;
    for camera in ["zanzibar2", "aardvark"] {
        world.gateway.post("/v1/cameras", json!({"id": camera})).await.expect(201);
    }
    for sort in ["id", "name"] {
        let mut path = format!("/v1/cameras?limit=1&sort={sort}");
        // An administrator's cursors, each of which points at some camera.
        while let Some(next) = world.gateway.get(&path).await.expect(200).json()["next"].as_str() {
            path = format!("/v1/cameras?limit=1&sort={sort}&cursor={next}");
            for key in world.narrow() {
                let answer = world.ask("GET", &path, key, &json!(null)).await.expect(200);
                let ids: Vec<_> = answer.json()["cameras"].as_array().unwrap().clone();
                assert!(ids.iter().all(|camera| camera["id"] == "porch"), "{ids:?}");
                assert_eq!(answer.json()["next"], json!(null));
                assert!(TRACES.iter().all(|trace| !answer.text.contains(trace)));
            }
        }
    }
    let log = world.gateway.get("/v1/cameras/zanzibar/events?limit=1").await.expect(200);
    assert!(log.text.contains("brontosaurus"), "an administrator sees it");
}

#[tokio::test]
async fn a_stream_tells_nothing_of_a_foreign_camera() {
    let world = World::new().await;
    let narrow: Vec<_> = world.narrow().cloned().collect();
    let mut streams = Vec::new();
    for key in &narrow {
        for query in ["", "?camera=zanzibar", "?camera=zanzibar&camera=porch", "?tag=xylophone&tag=site:7"] {
            let mut stream = Sse::open(&world.gateway, key, query).await;
            stream.next_of("hello").await;
            streams.push((query, stream));
        }
    }
    let mut everything = Sse::open(&world.gateway, &world.gateway.admin, "").await;
    everything.next_of("hello").await;
    let rename = |camera: &'static str, name: &'static str| {
        world.gateway.send(Method::PATCH, camera, json!({"name": name}))
    };
    rename("/v1/cameras/zanzibar", "Quetzalcoatl again").await.expect(200);
    world.gateway.delete(&format!("/v1/agents/{}", world.foreign)).await.expect(204);
    while everything.next_of("status").await.data["status"] != "offline" {}
    world.gateway.delete("/v1/cameras/zanzibar").await.expect(202);
    assert_eq!(everything.next_of("gone").await.data["camera"], "zanzibar");
    // What happened before this would have come before it.
    rename("/v1/cameras/porch", "The end").await.expect(200);
    for (query, mut stream) in streams {
        if query != "?camera=zanzibar" {
            while stream.next_of("status").await.data["name"] != "The end" {}
        }
        for trace in TRACES.iter().copied().chain([world.foreign.to_string().as_str()]) {
            assert!(!stream.whole.contains(trace), "{query}: {trace} in {}", stream.whole);
        }
    }
}

#[tokio::test]
async fn a_camera_that_loses_its_tag_leaves_the_stream_of_a_key_by_tag() {
    let world = World::new().await;
    let mut stream = Sse::open(&world.gateway, &world.by_tag, "").await;
    assert_eq!(stream.next_of("status").await.data["id"], "porch");
    let tags = |tags: Value| world.gateway.send(Method::PATCH, "/v1/cameras/porch", json!({"tags": tags}));
    tags(json!(["site:8"])).await.expect(200);
    assert_eq!(stream.next_of("gone").await.data, json!({"camera": "porch"}));
    world.ask("GET", "/v1/cameras/porch", &world.by_tag, &json!(null)).await.expect_problem(404, "not_found");
    tags(json!(["site:7"])).await.expect(200);
    assert_eq!(stream.next_of("status").await.data["id"], "porch");
}

#[tokio::test]
async fn a_key_that_has_expired_is_no_longer_good() {
    let world = World::new().await;
    let end = std::time::SystemTime::now() + std::time::Duration::from_millis(800);
    let new = oriel_gateway::access::NewKey {
        name: "short".into(),
        role: Role::Viewer,
        scope: Scope { all: true, ..Scope::default() },
        expires_at: Some(end.into()),
    };
    let (_, key) = world.gateway.access.add_key(new).await.unwrap();
    let mut stream = Sse::open(&world.gateway, key.expose(), "").await;
    soon("the stream ends", async { while stream.next().await.is_some() {} }).await;
    let answer = world.ask("GET", "/v1/cameras", key.expose(), &json!(null)).await;
    answer.expect_problem(401, "unauthorized");
}
