//! Every failure as an HTTP answer: status, stable code, and an RFC 9457 body. The only file with failure status codes.

mod legacy;

use std::time::Duration;

use oriel_proto::{CameraId, FailureCode, SUBPROTOCOL};
use serde::Serialize;
use warp::{
    http::{HeaderValue, StatusCode, header},
    reply::Response,
};

pub use self::legacy::LegacyProblem;
use crate::{
    access::{self, AccessError},
    cameras::CameraError,
    clock::TimeError,
    images::scale::ScaleError,
    relay::RelayError,
    store::StoreError,
};

/// When asking an offline camera again may help: an agent's usual backoff.
const OFFLINE_RETRY: Duration = Duration::from_secs(5);

/// What the log says of a request whose caller left before the answer.
pub const CALLER_LEFT: u16 = 499;

/// A failure on its way to the caller.
#[derive(Clone, Debug)]
pub struct Problem {
    status: StatusCode,
    code: &'static str,
    title: &'static str,
    detail: String,
    camera: Option<CameraId>,
    retry_after: Option<Duration>,
    allow: Option<String>,
    /// Of a 401: whether a credential came, and was wrong.
    is_wrong: bool,
}

/// The body of a failure.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = Problem)]
pub struct ProblemBody {
    /// Names the kind of problem; stable.
    #[serde(rename = "type")]
    #[schema(example = "urn:oriel:problem:camera_offline")]
    kind: String,
    /// The kind of problem for people.
    #[schema(example = "The camera is not connected")]
    title: String,
    /// The HTTP status.
    #[schema(example = 503)]
    status: u16,
    /// The kind of problem for programs; stable.
    #[schema(example = "camera_offline")]
    code: String,
    /// What was wrong this time.
    detail: String,
    /// The camera that was meant.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "porch")]
    camera: Option<String>,
    /// When asking again may help, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after_ms: Option<u64>,
    /// Names this request in the gateway's log.
    request_id: String,
}

impl Problem {
    fn new(status: StatusCode, code: &'static str, title: &'static str, detail: impl Into<String>) -> Self {
        let detail = detail.into();
        let (camera, retry_after, allow) = (None, None, None);
        Self { status, code, title, detail, camera, retry_after, allow, is_wrong: true }
    }

    /// A parameter or body is wrong.
    pub fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad_request", "The request is wrong", detail)
    }

    /// A cursor is not one of this list.
    pub fn bad_cursor() -> Self {
        let detail = "the cursor does not belong to this list with these parameters: begin again without it";
        Self::new(StatusCode::BAD_REQUEST, "bad_cursor", "The cursor is wrong", detail)
    }

    /// No valid credential.
    pub fn unauthorized(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "unauthorized", "A valid credential is needed", detail)
    }

    /// No credential came at all, be it that a proxy took it away.
    pub fn no_credential() -> Self {
        let detail =
            "no Authorization header came: give Authorization: Bearer <key>, which a proxy must pass on";
        Self { is_wrong: false, ..Self::unauthorized(detail) }
    }

    /// The credential may not do this.
    pub fn forbidden(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "forbidden", "The credential may not do this", detail)
    }

    /// No such thing, or not the caller's to see.
    pub fn not_found() -> Self {
        let detail = "there is no such thing here, or it is not yours to see";
        Self::new(StatusCode::NOT_FOUND, "not_found", "Not found", detail)
    }

    /// The path exists, but not for this method.
    pub fn method_not_allowed(allow: String) -> Self {
        let detail = format!("this path takes {allow}");
        let mut problem =
            Self::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "The method is wrong", detail);
        problem.allow = Some(allow);
        problem
    }

    /// It exists already, or changed meanwhile.
    pub fn conflict(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, "conflict", "Conflict", detail)
    }

    /// The body is larger than this route takes.
    pub fn too_large(limit: usize) -> Self {
        let detail = format!("the body may have at most {limit} bytes");
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", "The body is too large", detail)
    }

    /// The body's media type is not taken.
    pub fn unsupported_media_type() -> Self {
        let detail = "the body must be application/json";
        Self::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "unsupported_media_type",
            "The media type is wrong",
            detail,
        )
    }

    /// The body did not come in time.
    pub fn slow_body() -> Self {
        Self::new(
            StatusCode::REQUEST_TIMEOUT,
            "slow_body",
            "The body came too slowly",
            "the body was not complete in time",
        )
    }

    /// Only a WebSocket upgrade with the right sub-protocol is served here.
    pub fn upgrade_required(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UPGRADE_REQUIRED, "upgrade_required", "An upgrade is needed", detail)
    }

    /// Too many wrong tries or requests.
    pub fn too_many_requests(retry_after: Duration) -> Self {
        Self::new(
            StatusCode::TOO_MANY_REQUESTS,
            "too_many_requests",
            "Too many requests",
            "wait before trying again",
        )
        .after(retry_after)
    }

    /// The gateway has no room.
    pub fn overloaded(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "overloaded", "The gateway has no room", detail)
            .after(Duration::from_secs(1))
    }

    /// The gateway is about to stop.
    pub fn draining() -> Self {
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "draining",
            "The gateway is stopping",
            "try again in a moment",
        )
        .after(Duration::from_secs(2))
    }

    /// The gateway failed; the cause is in its log under the request's id.
    pub fn internal() -> Self {
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal",
            "The gateway failed",
            "the gateway's log tells more under the request id",
        )
    }

    /// A question to a camera got no answer.
    pub fn relay(error: RelayError, camera: &CameraId) -> Self {
        let mut problem = match error {
            RelayError::Offline => Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "camera_offline",
                "The camera is not connected",
                format!("camera {camera} is not connected"),
            )
            .after(OFFLINE_RETRY),
            RelayError::Busy => Self::camera_busy("too many questions are open on its connection", None),
            RelayError::Timeout => Self::camera_timeout(camera),
            RelayError::Interrupted => {
                Self::camera_failed("its connection ended in the middle of the answer")
            }
            RelayError::NoRoom => Self::overloaded("slow readers hold all the room there is for pictures"),
            RelayError::Failed(failure) => {
                let retry = failure.retry_after_ms.map(|ms| Duration::from_millis(ms.into()));
                match failure.code {
                    FailureCode::UnknownCamera | FailureCode::NotFound => Self::not_found(),
                    FailureCode::Unsupported => Self::new(
                        StatusCode::NOT_IMPLEMENTED,
                        "camera_unsupported",
                        "The camera cannot do that",
                        failure.message,
                    ),
                    FailureCode::Busy => Self::camera_busy(&failure.message, retry),
                    FailureCode::Deadline => Self::camera_timeout(camera),
                    code => Self::camera_failed(&format!("{code}: {}", failure.message)),
                }
            }
        };
        problem.camera = Some(camera.clone());
        problem
    }

    /// A camera's picture cannot be made smaller.
    pub fn scale(error: &ScaleError, camera: &CameraId) -> Self {
        Self { camera: Some(camera.clone()), ..Self::camera_failed(&error.to_string()) }
    }

    fn camera_busy(detail: &str, retry: Option<Duration>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "camera_busy", "The camera has too much to do", detail)
            .after(retry.unwrap_or(Duration::from_secs(1)))
    }

    fn camera_timeout(camera: &CameraId) -> Self {
        Self::new(
            StatusCode::GATEWAY_TIMEOUT,
            "camera_timeout",
            "The camera did not answer in time",
            format!("camera {camera} did not answer before the deadline"),
        )
    }

    fn camera_failed(detail: &str) -> Self {
        Self::new(StatusCode::BAD_GATEWAY, "camera_failed", "The camera answered with a failure", detail)
    }

    fn after(mut self, retry: Duration) -> Self {
        self.retry_after = Some(retry);
        self
    }

    /// What was wrong this time.
    pub fn detail(&self) -> &str {
        &self.detail
    }

    /// The stable code.
    pub const fn code(&self) -> &'static str {
        self.code
    }

    /// An answer that [`finish`] completes, once the request's id is known.
    pub fn into_response(self) -> Response {
        let mut response = Response::default();
        *response.status_mut() = self.status;
        response.extensions_mut().insert(self);
        response
    }

    fn body(&self, request_id: &str) -> ProblemBody {
        ProblemBody {
            kind: format!("urn:oriel:problem:{}", self.code),
            title: self.title.to_owned(),
            status: self.status.as_u16(),
            code: self.code.to_owned(),
            // It may repeat what the caller wrote, who may have put a secret where it does not belong.
            detail: access::masked(&self.detail).into_owned(),
            camera: self.camera.as_ref().map(ToString::to_string),
            retry_after_ms: self
                .retry_after
                .map(|retry| u64::try_from(retry.as_millis()).unwrap_or(u64::MAX)),
            request_id: request_id.to_owned(),
        }
    }
}

/// Writes the body and headers of a failure into the answer that carries it; other answers pass.
pub fn finish(response: &mut Response, request_id: &str) {
    let Some(problem) = response.extensions_mut().remove::<Problem>() else { return };
    let body = serde_json::to_vec(&problem.body(request_id)).unwrap_or_default();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    if let Some(retry) = problem.retry_after {
        // Whole seconds, rounded up: never invites a caller too early.
        headers.insert(header::RETRY_AFTER, HeaderValue::from(retry.as_millis().div_ceil(1_000) as u64));
    }
    if problem.status == StatusCode::UNAUTHORIZED {
        // As RFC 6750 says it: an agent reads from it whether its token came at all.
        let challenge = if problem.is_wrong { "Bearer error=\"invalid_token\"" } else { "Bearer" };
        headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
    }
    if problem.status == StatusCode::UPGRADE_REQUIRED {
        headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
        // Who speaks it too was not refused for its age.
        headers.insert(header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(SUBPROTOCOL));
    }
    if let Some(allow) = problem.allow.as_deref().and_then(|allow| HeaderValue::from_str(allow).ok()) {
        headers.insert(header::ALLOW, allow);
    }
    *response.body_mut() = body.into();
}

impl From<TimeError> for Problem {
    fn from(error: TimeError) -> Self {
        Self::bad_request(error.to_string())
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Exists(_) | StoreError::Bound(_) | StoreError::Reserved(_) => {
                Self::conflict(error.to_string())
            }
            StoreError::Invalid(_) | StoreError::NoAgent(_) | StoreError::TooManyCameras(_) => {
                Self::bad_request(error.to_string())
            }
            StoreError::Overloaded => Self::overloaded(error.to_string()),
            StoreError::Closed => Self::draining(),
            StoreError::Folder { .. }
            | StoreError::InUse(_)
            | StoreError::OlderInUse(_)
            | StoreError::Newer { .. }
            | StoreError::Sqlite(_)
            | StoreError::NoRoom
            | StoreError::Ended
            | StoreError::Thread(_) => {
                tracing::error!(%error, "store");
                Self::internal()
            }
        }
    }
}

impl From<CameraError> for Problem {
    fn from(error: CameraError) -> Self {
        match error {
            CameraError::NotFound => Self::not_found(),
            CameraError::Forbidden(why) => Self::forbidden(why),
            CameraError::Store(error) => error.into(),
        }
    }
}

impl From<AccessError> for Problem {
    fn from(error: AccessError) -> Self {
        match error {
            AccessError::Malformed(_) | AccessError::Unknown | AccessError::Expired => {
                Self::unauthorized(error.to_string())
            }
            AccessError::Revoked | AccessError::Forbidden { .. } => Self::forbidden(error.to_string()),
            AccessError::Throttled { retry_after } => Self::too_many_requests(retry_after),
            AccessError::NotFound => Self::not_found(),
            AccessError::Conflict(detail) => Self::conflict(detail),
            AccessError::Invalid(detail) => Self::bad_request(detail),
            AccessError::Random => Self::internal(),
            AccessError::Store(error) => error.into(),
        }
    }
}
