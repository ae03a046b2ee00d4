//! `/v1/enrollments`: one-time codes by which devices get their tokens.

use std::time::Duration;

use oriel_proto::CameraId;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tracing::Instrument;
use utoipa::ToSchema;
use warp::{
    http::{HeaderMap, header::HOST},
    reply::Response,
};

use super::{
    App, Peer,
    guard::Admin,
    idempotency::{Claim, Idempotency},
    inbound::Inbound,
    page, reply,
};
use crate::{
    access::NewEnrollment,
    clock,
    problem::Problem,
    store::{EnrollmentId, EnrollmentRecord},
};

/// How long a code is good unless the request says otherwise.
const VALID: u64 = 3_600;

/// A code that is wanted.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[schema(as = NewEnrollment)]
#[serde(deny_unknown_fields)]
pub struct Wanted {
    /// The cameras that the device will serve; those that do not exist are made.
    #[serde(default)]
    #[schema(value_type = Vec<String>, example = json!(["porch", "yard"]))]
    cameras: Vec<CameraId>,
    /// Which further cameras the device may bring: an id with `*` for any characters.
    #[serde(default)]
    #[schema(example = "site7-*", pattern = "^[a-z0-9_*-]{1,64}$")]
    new_cameras: Option<String>,
    /// How long the code is good, in seconds.
    #[serde(default = "valid")]
    #[schema(default = 3600, minimum = 60, maximum = 86400)]
    expires_in_s: u64,
}

const fn valid() -> u64 {
    VALID
}

/// An open code, without the code.
#[derive(Debug, Serialize, ToSchema)]
pub struct Enrollment {
    /// Its name.
    #[schema(value_type = String, format = Uuid)]
    id: EnrollmentId,
    /// The cameras that it binds.
    #[schema(value_type = Vec<String>)]
    cameras: Vec<CameraId>,
    /// Which further cameras its device may bring.
    new_cameras: Option<String>,
    /// When it was made.
    #[schema(format = DateTime)]
    created_at: String,
    /// Until when it can be used.
    #[schema(format = DateTime)]
    expires_at: String,
}

impl From<EnrollmentRecord> for Enrollment {
    fn from(record: EnrollmentRecord) -> Self {
        Self {
            id: record.id,
            cameras: record.cameras,
            new_cameras: record.new_cameras.map(|pattern| pattern.as_str().to_owned()),
            created_at: clock::format(record.created_at),
            expires_at: clock::format(record.expires_at),
        }
    }
}

/// A new code.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = MadeEnrollment)]
pub struct Made {
    /// What was made.
    enrollment: Enrollment,
    /// The code; said only this once.
    #[schema(example = "oen_1c9v4m8gkq2t5w7x3y6z0b8d4f1h5j9k-7m2n4p")]
    code: String,
    /// What to run on the device.
    command: String,
}

/// Open codes.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = EnrollmentList)]
pub struct List {
    /// The open ones.
    enrollments: Vec<Enrollment>,
    /// Give it as `cursor` for the next page; null on the last one.
    next: Option<String>,
}

/// Lists the open codes.
#[utoipa::path(get, path = "/v1/enrollments", tag = "agents", operation_id = "list_enrollments", security(("key" = ["admin"])),
    params(("limit" = Option<u64>, Query, description = "The most on one page; 100 by default", minimum = 1, maximum = 1000),
        ("cursor" = Option<String>, Query, description = "The `next` of the page before")),
    responses((status = 200, description = "The open codes, without the codes", body = List)))]
pub async fn list(inbound: Inbound<Admin>) -> Result<Response, Problem> {
    let query = inbound.query(&["limit", "cursor"])?;
    let mut records = inbound.app.access.enrollments().await?;
    let next = page::cut(&inbound.app.cursors, &mut records, &query, &"enrollments", |record| record.id)?;
    reply::json(&List { enrollments: records.into_iter().map(Enrollment::from).collect(), next })
}

/// Makes a code.
#[utoipa::path(post, path = "/v1/enrollments", tag = "agents", operation_id = "create_enrollment", security(("key" = ["admin"])), request_body = Wanted,
    params(("Idempotency-Key" = Option<String>, Header, description = "A repeated request with the same key gets the first answer again, for ten minutes; while the first is worked on, 409", max_length = 200, min_length = 1)),
    responses((status = 201, description = "The code and what to run on the device", body = Made),
        (status = 409, description = "A camera belongs to an agent or another open code already, or the Idempotency-Key is in use", body = crate::problem::ProblemBody, content_type = "application/problem+json")))]
pub async fn create(mut inbound: Inbound<Admin>) -> Result<Response, Problem> {
    inbound.query(&[])?;
    let wanted: Wanted = inbound.json().await?;
    let question = serde_json::to_value(&wanted).map_err(|_| Problem::internal())?;
    let name = Idempotency::name(inbound.who.0.label(), &inbound.headers)?;
    let claim = |name| inbound.app.idempotency.claim(name, question);
    let reserved = match name.map(claim).transpose()? {
        Some(Claim::Answered(answer)) => return reply::created(&answer),
        Some(Claim::Reserved(reserved)) => Some(reserved),
        None => None,
    };
    let Inbound { app, headers, peer, .. } = inbound;
    let tasks = app.tasks.clone();
    // Not in this request's own future: a caller that hangs up must find the answer when it asks again.
    let making = async move {
        let made = make(&app, &headers, peer, wanted).await?;
        if let Some(reserved) = reserved {
            reserved.keep(made.clone());
        }
        Ok::<_, Problem>(made)
    };
    let made = tasks.spawn(making.in_current_span()).await.map_err(|_| Problem::internal())??;
    reply::created(&made)
}

async fn make(app: &App, headers: &HeaderMap, peer: Peer, wanted: Wanted) -> Result<Value, Problem> {
    if !(60..=86_400).contains(&wanted.expires_in_s) {
        return Err(Problem::bad_request("expires_in_s: from 60 to 86400"));
    }
    let pattern = wanted.new_cameras.map(|pattern| pattern.parse()).transpose();
    let enrollment = NewEnrollment {
        cameras: wanted.cameras,
        new_cameras: pattern.map_err(|error| Problem::bad_request(format!("new_cameras: {error}")))?,
        valid_for: Duration::from_secs(wanted.expires_in_s),
    };
    let (record, code) = app.access.create_enrollment(enrollment).await?;
    let url = url(app, headers, peer);
    let command = format!("camera-agent enroll --gateway {url} --code {}", code.expose());
    let made = Made { enrollment: record.into(), code: code.expose().to_owned(), command };
    serde_json::to_value(&made).map_err(|_| Problem::internal())
}

/// Where devices reach this gateway: as configured, else as the caller did.
fn url(app: &App, headers: &HeaderMap, peer: Peer) -> String {
    if let Some(url) = &app.settings.public_url {
        return url.clone();
    }
    let host = headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or("<this gateway>");
    // The command is pasted into a shell: a host that could mean more there is not repeated.
    let harmless = host.bytes().all(|b| b.is_ascii_alphanumeric() || b".-:[]".contains(&b));
    let host = if harmless { host } else { "<this gateway>" };
    format!("{}://{host}", if peer.secure { "https" } else { "http" })
}

/// One open code.
#[utoipa::path(get, path = "/v1/enrollments/{id}", tag = "agents", operation_id = "get_enrollment", security(("key" = ["admin"])),
    params(("id" = String, Path, format = Uuid, description = "The enrolment")),
    responses((status = 200, description = "The code's facts, without the code", body = Enrollment)))]
pub async fn show(inbound: Inbound<Admin>, id: EnrollmentId) -> Result<Response, Problem> {
    inbound.query(&[])?;
    reply::json(&Enrollment::from(inbound.app.access.enrollment(id).await?))
}

/// Takes a code back.
#[utoipa::path(delete, path = "/v1/enrollments/{id}", tag = "agents", operation_id = "remove_enrollment", security(("key" = ["admin"])),
    params(("id" = String, Path, format = Uuid, description = "The enrolment")),
    responses((status = 204, description = "The code cannot be used any more")))]
pub async fn remove(inbound: Inbound<Admin>, id: EnrollmentId) -> Result<Response, Problem> {
    inbound.query(&[])?;
    inbound.app.access.delete_enrollment(id).await?;
    Ok(reply::no_content())
}
