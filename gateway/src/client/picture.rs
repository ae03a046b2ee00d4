//! Pictures as a gateway gives them: each has the time it was taken, which is its identity.

use std::{fmt, str::FromStr, time::Duration};

use bytes::Bytes;
use jiff::{Timestamp, tz::TimeZone};
use oriel_proto::{CameraId, jpeg, limits::IMAGE_BYTES};
use reqwest::{Method, RequestBuilder, header};
use serde_json::Value;

use super::{Client, ClientError};

/// The longest that one picture may take on its way: the largest one over 32 KiB a second.
const PICTURE_WITHIN: Duration = Duration::from_secs(600);

/// When a picture was taken, in whole milliseconds of the years 0 to 9999.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct TakenAt(Timestamp);

/// A picture.
#[derive(Clone, Debug)]
pub(crate) struct Picture {
    /// When it was taken.
    pub(crate) at: TakenAt,
    /// What it is made of.
    pub(crate) jpeg: Bytes,
}

/// A picture of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Listed {
    /// When it was taken.
    pub(crate) at: TakenAt,
    /// Its size in bytes.
    pub(crate) bytes: u64,
}

impl FromStr for TakenAt {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let time: Timestamp = text.parse().map_err(drop)?;
        let is_whole = time.subsec_nanosecond() % 1_000_000 == 0;
        let year = time.to_zoned(TimeZone::UTC).year();
        if is_whole && (0..=9999).contains(&year) { Ok(Self(time)) } else { Err(()) }
    }
}

impl fmt::Display for TakenAt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.strftime("%Y-%m-%dT%H:%M:%S.%3fZ"))
    }
}

impl TakenAt {
    /// The time in a file name: `YYYYMMDDhhmmss.xxx`, UTC.
    pub(crate) fn stamp(self) -> String {
        self.0.strftime("%Y%m%d%H%M%S.%3f").to_string()
    }
}

impl Client {
    /// The pictures of a camera that a question is about, at most `count`.
    pub(crate) async fn pictures(
        &self,
        camera: &CameraId,
        query: &[(&str, String)],
        count: usize,
    ) -> Result<Vec<Listed>, ClientError> {
        let list = self.list(&["cameras", camera.as_str(), "images"], query, "images", count).await?;
        let items = list["images"].as_array().map(Vec::as_slice).unwrap_or_default();
        let listed = items.iter().take(count).map(listed).collect::<Option<_>>();
        listed.ok_or_else(|| ClientError::answer(&self.base, "its pictures have no time or no size"))
    }

    /// The picture that was taken at this very time.
    pub(crate) async fn picture(
        &self,
        camera: &CameraId,
        at: TakenAt,
        query: &[(&str, String)],
    ) -> Result<Picture, ClientError> {
        let path = ["cameras", camera.as_str(), "images", &at.to_string()];
        let picture = self.carried(self.request(Method::GET, &path)?.query(query)).await?;
        if picture.at == at { Ok(picture) } else { Err(ClientError::broken("a picture of another time")) }
    }

    /// A picture that the camera takes now.
    pub(crate) async fn snapshot(
        &self,
        camera: &CameraId,
        query: &[(&str, String)],
    ) -> Result<Picture, ClientError> {
        let path = ["cameras", camera.as_str(), "snapshot"];
        self.carried(self.request(Method::POST, &path)?.query(query)).await
    }

    /// The picture that is the answer to a request, whole.
    async fn carried(&self, request: RequestBuilder) -> Result<Picture, ClientError> {
        let answer = self.open(request.timeout(PICTURE_WITHIN)).await?;
        let field = |name: &str| answer.headers().get(name).and_then(|value| value.to_str().ok());
        if field(header::CONTENT_TYPE.as_str()) != Some("image/jpeg") {
            return Err(ClientError::answer(&self.base, "it sends no picture"));
        }
        let at = field("x-image-at").and_then(|at| at.parse().ok());
        let at = at.ok_or_else(|| ClientError::answer(&self.base, "its picture has no time"))?;
        let length = answer.content_length().and_then(|length| usize::try_from(length).ok());
        let length = length.ok_or_else(|| ClientError::broken("a picture without a length"))?;
        if length > IMAGE_BYTES {
            return Err(ClientError::answer(&self.base, "larger than a picture may be"));
        }
        let jpeg = self.body(answer, length).await.map_err(ClientError::broke_off)?;
        if jpeg.len() != length {
            return Err(ClientError::broken("a picture of another length than was said"));
        }
        jpeg::check(&jpeg).map_err(|why| ClientError::broken(&why.to_string()))?;
        Ok(Picture { at, jpeg: jpeg.into() })
    }
}

fn listed(item: &Value) -> Option<Listed> {
    Some(Listed { at: item["at"].as_str()?.parse().ok()?, bytes: item["bytes"].as_u64()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_written_with_three_digits_of_milliseconds_in_utc() {
        for (text, stamp, path) in [
            ("2026-11-22T08:15:30.123Z", "20261122081530.123", "2026-11-22T08:15:30.123Z"),
            ("2026-11-22T08:15:30.100000Z", "20261122081530.100", "2026-11-22T08:15:30.100Z"),
            ("2026-11-22T03:15:30-05:00", "20261122081530.000", "2026-11-22T08:15:30.000Z"),
            ("0001-01-01T00:00:00.007Z", "00010101000000.007", "0001-01-01T00:00:00.007Z"),
        ] {
            let at: TakenAt = text.parse().unwrap();
            assert_eq!((at.stamp().as_str(), at.to_string().as_str()), (stamp, path), "{text}");
            assert_eq!(path.parse(), Ok(at));
        }
        for text in ["2026-11-22T08:15:30.1234Z", "-000001-01-01T00:00:00Z", "../../x", "latest", ""] {
            assert_eq!(text.parse::<TakenAt>(), Err(()), "{text}");
        }
    }
}
