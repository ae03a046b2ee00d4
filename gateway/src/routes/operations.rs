//! `GET /healthz`, `/readyz`, `/metrics`, `/openapi.json`, and what no other route takes.

use serde_json::json;
use warp::{http::Method, reply::Response};

use super::{
    App,
    guard::{Admin, Open},
    inbound::Inbound,
    reply,
};
use crate::{access::Viewer, link::Link, openapi, problem::Problem};

/// Whether the process lives.
#[utoipa::path(get, path = "/healthz", tag = "operations", operation_id = "get_health", security(()),
    responses((status = 200, description = "The process lives", body = serde_json::Value, example = json!({"status": "ok"}))))]
pub async fn healthz(_: Inbound<Open>) -> Result<Response, Problem> {
    reply::json(&json!({"status": "ok"}))
}

/// Whether new work is welcome. Questions to cameras work also while nothing can be stored.
#[utoipa::path(get, path = "/readyz", tag = "operations", operation_id = "get_readiness", security(()),
    responses((status = 200, description = "New work is welcome; `store` says why while events cannot be stored", body = serde_json::Value, example = json!({"status": "ready"}))))]
pub async fn readyz(inbound: Inbound<Open>) -> Result<Response, Problem> {
    if inbound.app.stopping.is_cancelled() {
        return Err(Problem::draining());
    }
    match inbound.app.ingest.trouble() {
        None => reply::json(&json!({"status": "ready"})),
        Some(why) => reply::json(&json!({"status": "ready", "store": why})),
    }
}

/// Counters in the text format of Prometheus.
#[utoipa::path(get, path = "/metrics", tag = "operations", operation_id = "get_metrics", security(("key" = ["admin"])),
    responses((status = 200, description = "All metrics", body = String, content_type = "application/openmetrics-text", example = "oriel_agents 9\n# EOF\n")))]
pub async fn metrics(inbound: Inbound<Admin>) -> Result<Response, Problem> {
    metrics_text(&inbound.app)
}

/// The counters as they stand.
pub(super) fn metrics_text(app: &App) -> Result<Response, Problem> {
    let open: usize = app.registry.links().iter().map(Link::open_calls).sum();
    app.metrics.calls_open.set(i64::try_from(open).unwrap_or(i64::MAX));
    app.metrics.cameras_awaited.set(i64::try_from(app.registry.awaited()).unwrap_or(i64::MAX));
    let text = app.metrics.encode().map_err(|_| Problem::internal())?;
    Ok(reply::body(crate::metrics::MEDIA_TYPE, text))
}

/// This document.
#[utoipa::path(get, path = "/openapi.json", tag = "operations", operation_id = "get_openapi",
    responses((status = 200, description = "The API as an OpenAPI 3.1 document", body = serde_json::Value, example = json!({"openapi": "3.1.0"}))))]
pub async fn openapi(inbound: Inbound<Viewer>) -> Result<Response, Problem> {
    inbound.query(&[])?;
    reply::json(&openapi::document())
}

/// The refusal of a request that no route takes: 405 where its path takes other methods, else 404.
pub fn fallback(paths: &[(&'static str, String)], path: &str, method: &Method) -> Problem {
    let matching = paths.iter().filter(|(_, template)| matches(template, path));
    let allowed: Vec<&str> = matching.map(|(method, _)| *method).collect();
    if allowed.is_empty() || allowed.contains(&method.as_str()) {
        Problem::not_found()
    } else {
        Problem::method_not_allowed(allowed.join(", "))
    }
}

fn matches(template: &str, path: &str) -> bool {
    let path = path.strip_suffix('/').unwrap_or(path);
    let mut segments = path.split('/');
    let all = template
        .split('/')
        .all(|part| segments.next().is_some_and(|segment| part == "{id}" || part == segment));
    all && segments.next().is_none()
}
