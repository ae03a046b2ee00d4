//! A log as lines of JSON, each sent as its caller takes it: an event a line, and a last one that says what the answer covers.
//!
//! An answer that breaks off has no last line, and its body ends as broken: it cannot be taken for a whole one.

use bytes::Bytes;
use futures_util::stream;
use oriel_proto::{CameraId, call::EventsCall, event::Position};
use serde::Serialize;
use tokio::task::yield_now;
use warp::{
    Reply,
    http::{HeaderValue, header::CONTENT_TYPE},
    reply::Response,
};

use super::{super::chunks::Place, Event, Query, Stretch, Viewer};
use crate::{
    access::AccessError,
    events::{EventStream, Part, is_complete},
    relay::RelayError,
};

/// One JSON value a line.
pub(super) const MEDIA_TYPE: &str = "application/x-ndjson";

/// A log on its way to its caller.
pub(super) struct Lines {
    pub(super) viewer: Viewer,
    pub(super) camera: CameraId,
    pub(super) query: Query,
    pub(super) call: EventsCall,
    pub(super) stream: EventStream,
}

/// Why lines break off.
#[derive(Debug, thiserror::Error)]
enum BrokenOff {
    #[error(transparent)]
    Camera(#[from] RelayError),
    #[error(transparent)]
    Access(#[from] AccessError),
    #[error("a line cannot be written: {0}")]
    Json(#[from] serde_json::Error),
}

#[derive(Serialize)]
struct Last<'a> {
    end: End<'a>,
}

/// What the last line says.
#[derive(Serialize)]
struct End<'a> {
    complete: bool,
    coverage: Vec<Stretch<'a>>,
    next: Option<String>,
}

impl Lines {
    /// The answer, whose body is made as it is taken.
    pub(super) fn into_response(self) -> Response {
        let chunks = stream::unfold(Some((self, None, Place::default())), |state| async {
            let (mut lines, mut last, place) = state?;
            match lines.chunk(&mut last, &place).await {
                Ok((chunk, true)) => Some((Ok(chunk), None)),
                Ok((chunk, false)) => Some((Ok(chunk), Some((lines, last, place)))),
                Err(error) => {
                    tracing::info!(camera = %lines.camera, %error, "lines broke off");
                    // The connection ends with the error; what came before it is sent first.
                    yield_now().await;
                    Some((Err(error), None))
                }
            }
        });
        let mut response = warp::reply::stream(chunks).into_response();
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
        response
    }

    /// The next lines, and whether they are the last; `last` is the place of the last event so far.
    async fn chunk(
        &mut self,
        last: &mut Option<Position>,
        place: &Place,
    ) -> Result<(Bytes, bool), BrokenOff> {
        let next = async {
            place.free().await;
            self.stream.next().await
        };
        let part = tokio::select! {
            biased;
            ended = self.viewer.ended() => return Err(ended.into()),
            part = next => part?,
        };
        match part {
            Part::Events(events) => {
                let mut lines = events.iter().map(|event| Event::of(&self.camera, event));
                let chunk = place.take(|chunk| lines.try_for_each(|line| write_line(chunk, &line)))?;
                *last = events.last().map(|event| event.position()).or(*last);
                Ok((chunk, false))
            }
            Part::End { more, coverage } => {
                let next = last.filter(|_| more);
                let end = End {
                    complete: is_complete(&coverage),
                    coverage: coverage.iter().map(|stretch| Stretch::of(&self.camera, stretch)).collect(),
                    next: next.and_then(|last| super::next(&self.query, &self.camera, &self.call, last)),
                };
                Ok((place.take(|chunk| write_line(chunk, &Last { end }))?, true))
            }
        }
    }
}

fn write_line(lines: &mut Vec<u8>, value: &impl Serialize) -> Result<(), serde_json::Error> {
    serde_json::to_writer(&mut *lines, value)?;
    lines.push(b'\n');
    Ok(())
}
