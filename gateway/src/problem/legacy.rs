//! Failures as clients and cameras of the older system know them: a status and `{"error": …}`, nothing more.

use warp::{
    http::{HeaderValue, StatusCode, header::CONTENT_TYPE},
    reply::Response,
};

use crate::store::StoreError;

/// A failure at the older system's listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LegacyProblem {
    /// What was sent is not what is wanted.
    BadRequest,
    /// The caller's network may not use the listener, or nobody may any more.
    Forbidden,
    /// No such path, or no such camera for this caller.
    NotFound,
    /// The list is larger than one may be.
    TooLarge,
    /// The camera gave no list in time, and none of it is kept.
    Offline,
    /// There are as many cameras as there may be.
    TooManyCameras,
    /// There is no room for another list or question.
    Busy,
    /// The gateway failed; its log says how.
    Failed,
}

impl LegacyProblem {
    /// The answer.
    pub fn into_response(self) -> Response {
        let (status, error) = match self {
            Self::BadRequest => (StatusCode::BAD_REQUEST, "Bad request"),
            Self::Forbidden => (StatusCode::FORBIDDEN, "Forbidden"),
            Self::NotFound => (StatusCode::NOT_FOUND, "Not found"),
            Self::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "Too large"),
            Self::Offline => (StatusCode::SERVICE_UNAVAILABLE, "Camera offline"),
            Self::TooManyCameras => (StatusCode::SERVICE_UNAVAILABLE, "Too many cameras"),
            Self::Busy => (StatusCode::SERVICE_UNAVAILABLE, "Busy"),
            Self::Failed => (StatusCode::INTERNAL_SERVER_ERROR, "Failed"),
        };
        let mut response = Response::new(format!("{{\"error\":\"{error}\"}}").into());
        *response.status_mut() = status;
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        response
    }
}

impl From<StoreError> for LegacyProblem {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Overloaded | StoreError::Closed => Self::Busy,
            error => {
                tracing::error!(%error, "store");
                Self::Failed
            }
        }
    }
}
