//! Who may do what, over every route of the API document; a route without a case fails.

#![allow(clippy::unwrap_used, reason = "what these helpers cannot do fails the test")]

mod common;

use common::*;
use oriel_gateway::{
    routes::OPEN,
    store::{Role, Scope},
};
use serde_json::json;

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
