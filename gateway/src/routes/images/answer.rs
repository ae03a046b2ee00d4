//! One picture as an HTTP answer: its bytes pass through as they come from the camera, as quickly as they are taken.

use std::fmt::Write as _;

use bytes::Bytes;
use oriel_proto::{Timestamp, call::Head};
use warp::{
    Reply,
    http::{
        HeaderMap, HeaderName, HeaderValue, StatusCode,
        header::{
            CACHE_CONTROL, CONTENT_LENGTH, CONTENT_LOCATION, CONTENT_TYPE, ETAG, IF_NONE_MATCH, LINK, VARY,
            X_CONTENT_TYPE_OPTIONS,
        },
    },
    reply::Response,
};

use crate::{
    access::{AccessError, Viewer},
    clock,
    images::{Reading, Series, Taken, zip::ZipError},
    relay::RelayError,
    routes::{
        App,
        chunks::{self, Chunk, Chunks, Place},
    },
};

/// When a picture was taken, as RFC 3339 in UTC.
pub(super) const IMAGE_AT: &str = "x-image-at";

/// The longest tag that a camera may give its picture.
const LONGEST_TAG: usize = 64;

/// A picture never changes, but who asks again may be somebody else.
const FOR_EVER: &str = "private, max-age=31536000, immutable";

/// Another picture may be the right one the next time.
const ASK_AGAIN: &str = "private, no-cache";

/// Why a picture or a list of them breaks off.
#[derive(Debug, thiserror::Error)]
pub(super) enum BrokenOff {
    /// The camera does not go on.
    #[error(transparent)]
    Camera(#[from] RelayError),
    /// The caller's access has ended.
    #[error(transparent)]
    Access(#[from] AccessError),
    /// The camera was removed or moved, or is not the caller's to see any more.
    #[error("the camera is gone")]
    Gone,
    /// A line cannot be written.
    #[error("a line cannot be written: {0}")]
    Json(#[from] serde_json::Error),
    /// An archive cannot be written.
    #[error(transparent)]
    Zip(#[from] ZipError),
}

/// A camera whose pictures are on their way to somebody for long.
pub(super) struct Watched {
    pub(super) app: App,
    pub(super) viewer: Viewer,
    pub(super) series: Series,
}

impl Watched {
    /// Whether it is still the same camera, and still the caller's to see.
    pub(super) fn check(&self) -> Result<(), BrokenOff> {
        let record = self.app.cameras.get(&self.viewer, &self.series.camera);
        record.is_ok_and(|record| self.series.is_of(&record)).then_some(()).ok_or(BrokenOff::Gone)
    }
}

/// What an answer says of its picture beside the bytes.
#[derive(Debug)]
pub(super) struct Facts<'a> {
    /// Whose picture it is.
    pub(super) series: &'a Series,
    /// What its camera said of it.
    pub(super) head: &'a Head,
    /// The width that it was scaled to.
    pub(super) width: Option<u16>,
    /// Whether the URL names this picture for ever.
    pub(super) is_exact: bool,
}

impl Facts<'_> {
    /// Writes them into an answer.
    pub(super) fn write(&self, headers: &mut HeaderMap) {
        let Self { series, head, is_exact, .. } = self;
        let cached = if *is_exact { FOR_EVER } else { ASK_AGAIN };
        let fixed =
            [(CACHE_CONTROL, cached), (VARY, "authorization, cookie"), (X_CONTENT_TYPE_OPTIONS, "nosniff")];
        for (name, value) in fixed {
            headers.insert(name, HeaderValue::from_static(value));
        }
        let mut set = |name: HeaderName, value: Option<String>| {
            if let Some(value) = value.and_then(|value| HeaderValue::try_from(value).ok()) {
                headers.insert(name, value);
            }
        };
        set(ETAG, self.tag());
        set(CONTENT_LOCATION, Some(place(series, head.at, self.width)));
        set(HeaderName::from_static(IMAGE_AT), Some(clock::format(head.at)));
        set(LINK, self.neighbours());
    }

    /// Whether the caller has this picture already.
    pub(super) fn is_known(&self, headers: &HeaderMap) -> bool {
        let known = headers.get_all(IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
        let mut known =
            known.flat_map(|value| value.split(',')).map(|tag| tag.trim().trim_start_matches("W/"));
        self.tag().is_some_and(|tag| known.any(|known| known == tag || known == "*"))
    }

    /// What changes whenever the bytes do; none when the camera gives none that can be written.
    fn tag(&self) -> Option<String> {
        let tag = &self.head.etag;
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
        let is_sound = (1..=LONGEST_TAG).contains(&tag.len()) && tag.bytes().all(is_plain);
        let scaled = self.width.map(|width| format!("-{width}")).unwrap_or_default();
        is_sound.then(|| format!("\"{tag}{scaled}\""))
    }

    /// Where the pictures before and behind it are.
    fn neighbours(&self) -> Option<String> {
        let mut links = String::new();
        for (relation, at) in [("prev", self.head.prev), ("next", self.head.next)] {
            if let Some(at) = at {
                let comma = if links.is_empty() { "" } else { ", " };
                _ = write!(links, "{comma}<{}>; rel=\"{relation}\"", place(self.series, at, self.width));
            }
        }
        Some(links).filter(|links| !links.is_empty())
    }
}

/// Where a picture of this width is found for ever.
fn place(series: &Series, at: Timestamp, width: Option<u16>) -> String {
    let Series { camera, class, .. } = series;
    let width = width.map(|width| format!("&width={width}")).unwrap_or_default();
    format!("/v1/cameras/{camera}/images/{}?class={class}{width}", clock::compact(at))
}

/// The picture, or nothing for whoever has it already.
pub(super) fn respond(
    reading: Reading,
    series: &Series,
    is_exact: bool,
    asked: &HeaderMap,
    viewer: Viewer,
) -> Response {
    let head = reading.head().clone();
    let facts = Facts { series, head: &head, width: None, is_exact };
    if facts.is_known(asked) {
        return unchanged(&facts);
    }
    let mut response = chunks::response(Body(reading), viewer, "image/jpeg", series.camera.clone());
    response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(head.length));
    facts.write(response.headers_mut());
    response
}

/// A picture that is here, whole.
pub(super) fn respond_whole(jpeg: Bytes, facts: &Facts<'_>) -> Response {
    let mut response = Response::new(jpeg.into());
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("image/jpeg"));
    facts.write(response.headers_mut());
    response
}

/// 304.
pub(super) fn unchanged(facts: &Facts<'_>) -> Response {
    let mut response = StatusCode::NOT_MODIFIED.into_response();
    response.headers_mut().remove(CONTENT_TYPE);
    facts.write(response.headers_mut());
    response
}

/// Bytes that take room as long as they wait for their reader.
pub(super) struct Roomy {
    pub(super) bytes: Vec<u8>,
    pub(super) _room: Taken,
}

impl AsRef<[u8]> for Roomy {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// The body of a picture.
struct Body(Reading);

impl Chunks for Body {
    type Error = BrokenOff;

    async fn next(&mut self, place: &Place) -> Result<Chunk, BrokenOff> {
        Ok(match self.0.next().await? {
            Some(bytes) => Chunk::More(place.hold(bytes)),
            None => Chunk::Last(Bytes::new()),
        })
    }
}
