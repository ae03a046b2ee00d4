//! The API as an OpenAPI 3.1 document. A test holds it against the route table in both directions.

mod example;

use std::sync::LazyLock;

use serde_json::{Map, Value, json};
use utoipa::OpenApi;

use crate::{problem::ProblemBody, routes};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Oriel",
        description = "Push gateway for cameras behind NAT: ask any camera for its log over the socket that it keeps open.",
        license(name = "Apache-2.0", identifier = "Apache-2.0")
    ),
    paths(
        routes::agent::connect,
        routes::agents::list, routes::agents::show, routes::agents::revoke, routes::agents::rotate,
        routes::cameras::list, routes::cameras::create, routes::cameras::show, routes::cameras::change,
        routes::cameras::remove,
        routes::enroll::trade,
        routes::enrollments::list, routes::enrollments::create, routes::enrollments::show,
        routes::enrollments::remove,
        routes::events::list, routes::events::many::list, routes::events::timeline::show,
        routes::keys::list, routes::keys::create, routes::keys::show, routes::keys::revoke,
        routes::operations::healthz, routes::operations::readyz, routes::operations::metrics,
        routes::images::list,
        routes::images::one::show,
        routes::images::zip::download,
        routes::images::live::watch,
        routes::images::snapshot::take,
        routes::images::many::latest,
        routes::operations::openapi,
        routes::stream::follow,
    ),
    components(schemas(ProblemBody)),
    security(("key" = []))
)]
struct Document;

/// The whole document; made once.
pub fn document() -> &'static Value {
    static DOCUMENT: LazyLock<Value> = LazyLock::new(|| {
        let mut document = serde_json::to_value(Document::openapi()).unwrap_or_default();
        document["info"]["version"] = env!("CARGO_PKG_VERSION").into();
        document["components"]["securitySchemes"] = json!({
            "key": {"type": "http", "scheme": "bearer", "description": "An API key: oak_…"},
            "agent": {"type": "http", "scheme": "bearer", "description": "An agent's token: oat_…"},
        });
        complete(&mut document);
        example::add(&mut document);
        document
    });
    &DOCUMENT
}

/// Adds to every operation the failures that any may answer with.
fn complete(document: &mut Value) {
    let Some(paths) = document["paths"].as_object_mut() else { return };
    for (path, operations) in paths {
        for operation in operations.as_object_mut().into_iter().flat_map(Map::values_mut) {
            let takes_body = operation.get("requestBody").is_some();
            let open = operation["security"]
                .as_array()
                .is_some_and(|needs| needs.iter().all(|need| need == &json!({})));
            let Some(responses) = operation["responses"].as_object_mut() else { continue };
            let mut add = |status: &str, what: &str| {
                responses.entry(status).or_insert_with(|| failure(what));
            };
            add("400", "A parameter or the body is wrong");
            add("503", "The camera is not connected or busy, or the gateway has no room or stops");
            if !open || path == "/v1/enroll" {
                add("401", "No valid credential");
                add("403", "The credential may not do this");
                add("429", "Too many wrong credentials");
            }
            if path.contains("{id}") {
                add("404", "No such thing, or not yours to see");
            }
            if takes_body {
                add("408", "The body came too slowly");
                add("409", "It exists already, or something stands in the way");
                add("413", "The body is too large");
                add("415", "The body is not JSON");
            }
        }
    }
}

/// The media type of failures.
const PROBLEM: &str = "application/problem+json";

fn failure(what: &str) -> Value {
    json!({"description": what, "content": {PROBLEM: {"schema": {"$ref": "#/components/schemas/Problem"}}}})
}
