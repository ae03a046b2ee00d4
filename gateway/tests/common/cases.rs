//! What each route of the API document needs and does; a route that is not here fails the tests.

use oriel_gateway::{openapi::document, store::Role};
use serde_json::{Value, json};

/// What one route does for whoever may use it.
pub(crate) struct Case {
    /// The path with its parameters filled in, about `porch`.
    pub(crate) path: &'static str,
    /// The same about `zanzibar`; empty where a path names no camera.
    pub(crate) foreign: &'static str,
    pub(crate) body: Value,
    /// The least role that may do it to a camera it sees; admin everywhere for what names no camera.
    pub(crate) needs: Needs,
    /// The status for whoever may.
    pub(crate) good: u16,
}

#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Needs {
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
        ("GET", "/v1/events") => sight(Role::Viewer, "/v1/events", "", none, 200),
        ("GET", "/v1/stream") => sight(Role::Viewer, "/v1/stream", "", none, 200),
        ("GET", "/openapi.json") => sight(Role::Viewer, "/openapi.json", "", none, 200),
        ("GET", "/v1/cameras/{id}") => {
            sight(Role::Viewer, "/v1/cameras/porch", "/v1/cameras/zanzibar", none, 200)
        }
        ("GET", "/v1/cameras/{id}/events") => {
            let (mine, foreign) = ("/v1/cameras/porch/events", "/v1/cameras/zanzibar/events");
            sight(Role::Viewer, mine, foreign, none, 200)
        }
        ("GET", "/v1/cameras/{id}/timeline") => {
            let (mine, foreign) = ("/v1/cameras/porch/timeline", "/v1/cameras/zanzibar/timeline");
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
        _ => of_pictures(method, route),
    }
}

/// The case of a route for pictures.
fn of_pictures(method: &str, route: &str) -> Case {
    let sight = |role, path, foreign| {
        let needs = Needs::Sight(role);
        Case { path, foreign, body: json!(null), needs, good: 200 }
    };
    match (method, route) {
        ("GET", "/v1/cameras/{id}/images") => {
            let (mine, foreign) = ("/v1/cameras/porch/images", "/v1/cameras/zanzibar/images");
            sight(Role::Viewer, mine, foreign)
        }
        ("GET", "/v1/cameras/{id}/images/{time}") => {
            let (mine, foreign) = ("/v1/cameras/porch/images/latest", "/v1/cameras/zanzibar/images/latest");
            sight(Role::Viewer, mine, foreign)
        }
        ("GET", "/v1/cameras/{id}/images.zip") => {
            let (mine, foreign) = ("/v1/cameras/porch/images.zip", "/v1/cameras/zanzibar/images.zip");
            sight(Role::Operator, mine, foreign)
        }
        ("GET", "/v1/cameras/{id}/live") => {
            sight(Role::Viewer, "/v1/cameras/porch/live", "/v1/cameras/zanzibar/live")
        }
        ("POST", "/v1/cameras/{id}/snapshot") => {
            let (mine, foreign) = ("/v1/cameras/porch/snapshot", "/v1/cameras/zanzibar/snapshot");
            sight(Role::Operator, mine, foreign)
        }
        ("GET", "/v1/images/latest") => sight(Role::Viewer, "/v1/images/latest", ""),
        _ => panic!("{method} {route} has no case here: say who may use it"),
    }
}

/// Every route of the document with its case.
pub(crate) fn routes() -> Vec<(String, String, Case)> {
    let paths = document()["paths"].as_object().unwrap();
    let each = paths.iter().flat_map(|(path, methods)| {
        methods.as_object().unwrap().keys().map(move |method| (method.to_uppercase(), path.clone()))
    });
    each.map(|(method, path)| (method.clone(), path.clone(), case(&method, &path))).collect()
}
