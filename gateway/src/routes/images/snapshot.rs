//! `POST /v1/cameras/{id}/snapshot`: a picture that is taken now.

use oriel_proto::CameraId;
use tokio::time::Instant;
use warp::{http::HeaderMap, reply::Response};

use super::{Inbound, Problem, Viewer, answer, class, parameters, patience};
use crate::{access::AccessError, images::Series, store::Role};

/// Takes a picture now. The camera keeps it.
#[utoipa::path(post, path = "/v1/cameras/{id}/snapshot", tag = "images", operation_id = "take_snapshot",
    params(("id" = String, Path, description = "The camera", example = "porch"),
        ("class" = Option<String>, Query, description = parameters::CLASS),
        ("timeout" = Option<String>, Query, description = patience::ABOUT_TIMEOUT),
        ("wait_online" = Option<String>, Query, description = patience::ABOUT_WAIT_ONLINE)),
    responses((status = 200, description = "The picture. X-Image-At says when it was taken, Content-Location where it is found for ever", body = Vec<u8>, content_type = "image/jpeg"),
        (status = 501, description = "The camera takes no pictures when it is asked", body = crate::problem::ProblemBody, content_type = "application/problem+json"),
        (status = 502, description = "The camera answered with a failure, or with something that is no picture", body = crate::problem::ProblemBody, content_type = "application/problem+json"),
        (status = 504, description = "The camera did not answer in time", body = crate::problem::ProblemBody, content_type = "application/problem+json")))]
pub async fn take(inbound: Inbound<Viewer>, id: CameraId) -> Result<Response, Problem> {
    let record = inbound.app.cameras.get(&inbound.who, &id)?;
    if !inbound.who.may(Role::Operator, &record) {
        return Err(AccessError::Forbidden { needs: Role::Operator, everywhere: false }.into());
    }
    let query = inbound.query(&["class", "timeout", "wait_online"])?;
    let series = Series::of(&record, class(&query)?);
    let timeout = patience::timeout(&query)?;
    let queued = patience::wait(&inbound.app, &inbound.who, &id, patience::wait_online(&query)?).await?;
    let reading = inbound.app.images.snapshot(&series, Instant::now() + timeout).await;
    let reading = reading.map_err(|error| Problem::relay(error, &id))?;
    let waited = reading.waited();
    let mut response = answer::respond(reading, &series, false, &HeaderMap::new(), inbound.who);
    if let Some(timing) = patience::server_timing([("camera", Some(waited)), ("queue", queued)]) {
        response.headers_mut().insert("server-timing", timing);
    }
    Ok(response)
}
