//! How long a request lets a camera take, to connect and to begin its answer, and what the answer says that it took.

use std::{fmt, time::Duration};

use oriel_proto::CameraId;
use warp::http::HeaderValue;

use super::{App, query::Query};
use crate::{access::Viewer, problem::Problem};

/// How long the first byte of an answer may take, unless the request says otherwise.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The longest that a request may let a camera take.
const LONGEST: Duration = Duration::from_secs(60);

/// What the parameter `timeout` means in the API document.
pub(super) const ABOUT_TIMEOUT: &str =
    "How long the camera may take to begin its answer: 100ms to 60s, 10s by default";

/// What the parameter `wait_online` means in the API document.
pub(super) const ABOUT_WAIT_ONLINE: &str =
    "How long to wait for an offline camera before asking it: 0s to 60s, 0s by default";

/// How long the first byte of an answer may take, as the parameter `timeout` says.
pub(super) fn timeout(query: &Query) -> Result<Duration, Problem> {
    Ok(query.span("timeout", Duration::from_millis(100)..=LONGEST)?.unwrap_or(TIMEOUT))
}

/// How long an offline camera is waited for, as the parameter `wait_online` says.
pub(super) fn wait_online(query: &Query) -> Result<Option<Duration>, Problem> {
    query.span("wait_online", Duration::ZERO..=LONGEST)
}

/// Waits for the camera, where the caller wants that, and gives the time that it took; what the caller may see can have changed meanwhile.
pub(super) async fn wait(
    app: &App,
    viewer: &Viewer,
    camera: &CameraId,
    within: Option<Duration>,
) -> Result<Option<Duration>, Problem> {
    let Some(within) = within else { return Ok(None) };
    let waited = tokio::select! {
        waited = app.images.wait_online(camera, within) => waited,
        ended = viewer.ended() => return Err(ended.into()),
    };
    app.cameras.get(viewer, camera)?;
    Ok(Some(waited))
}

/// What `Server-Timing` says: who took how long; none when there is nothing to say.
pub(super) fn server_timing<const N: usize>(parts: [(&str, Option<Duration>); N]) -> Option<HeaderValue> {
    let parts = parts.into_iter().filter_map(|(name, took)| Some(format!("{name};dur={}", Millis(took?))));
    let text = parts.collect::<Vec<_>>().join(", ");
    HeaderValue::try_from(text).ok().filter(|text| !text.is_empty())
}

/// A time in milliseconds with three decimals.
struct Millis(Duration);

impl fmt::Display for Millis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let micros = self.0.as_micros();
        write!(f, "{}.{:03}", micros / 1_000, micros % 1_000)
    }
}
