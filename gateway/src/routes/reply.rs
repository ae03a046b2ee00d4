//! Successful answers: JSON with a status, or nothing.

use serde::Serialize;
use warp::{
    http::{HeaderValue, StatusCode, header::CONTENT_TYPE},
    reply::Response,
};

use crate::problem::Problem;

/// 200 with a JSON body.
pub(super) fn json(body: &impl Serialize) -> Result<Response, Problem> {
    with_status(StatusCode::OK, body)
}

/// 201 with a JSON body.
pub(super) fn created(body: &impl Serialize) -> Result<Response, Problem> {
    with_status(StatusCode::CREATED, body)
}

/// 202 with a JSON body.
pub(super) fn accepted(body: &impl Serialize) -> Result<Response, Problem> {
    with_status(StatusCode::ACCEPTED, body)
}

/// 204.
pub(super) fn no_content() -> Response {
    let mut response = Response::default();
    *response.status_mut() = StatusCode::NO_CONTENT;
    response
}

/// 200 with a body of another media type.
pub(super) fn body(media_type: &'static str, body: impl Into<Vec<u8>>) -> Response {
    let mut response = Response::new(body.into().into());
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    response
}

/// The same answer, which proxies such as nginx are asked to pass on as it comes, not when it has filled their buffers.
pub(super) fn as_it_comes(mut response: Response) -> Response {
    response.headers_mut().insert("x-accel-buffering", HeaderValue::from_static("no"));
    response
}

/// 200 with a body that was written as JSON.
pub(super) fn written(json: serde_json::Result<Vec<u8>>) -> Result<Response, Problem> {
    let json = json.map_err(|error| {
        tracing::error!(%error, "answer not written");
        Problem::internal()
    })?;
    Ok(body("application/json", json))
}

fn with_status(status: StatusCode, value: &impl Serialize) -> Result<Response, Problem> {
    let mut response = written(serde_json::to_vec(value))?;
    *response.status_mut() = status;
    Ok(response)
}
