//! A log as lines of JSON, each sent as its caller takes it: an event a line, and a last one that says what the answer covers.
//!
//! An answer that breaks off has no last line, and its body ends as broken: it cannot be taken for a whole one.

use oriel_proto::{CameraId, call::EventsCall, event::Position};
use serde::Serialize;
use warp::reply::Response;

use super::{Cursors, Query, Stretch, Viewer};
use crate::{
    access::AccessError,
    events::{EventStream, Finish, MergedLog, StoredLog, is_complete, text::Writer},
    relay::RelayError,
    routes::chunks::{self, Chunk, Chunks, Place},
    store::StoreError,
};

/// One JSON value a line.
pub(super) const MEDIA_TYPE: &str = "application/x-ndjson";

/// Events of one chunk: one may have a few kilobytes, and a chunk waits for its reader.
const CHUNK: u64 = 64;

/// A log on its way to its caller.
pub(super) struct Lines {
    pub(super) cursors: Cursors,
    pub(super) camera: CameraId,
    pub(super) query: Query,
    pub(super) call: EventsCall,
    pub(super) log: Log,
    pub(super) writer: Writer,
}

/// Where the lines come from.
pub(super) enum Log {
    /// The camera itself.
    Camera(EventStream),
    /// What is kept here.
    Store(StoredLog),
    /// Both.
    All(Box<MergedLog>),
}

/// Why lines break off.
#[derive(Debug, thiserror::Error)]
pub(super) enum BrokenOff {
    #[error(transparent)]
    Camera(#[from] RelayError),
    #[error(transparent)]
    Store(#[from] StoreError),
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
    pub(super) fn into_response(self, viewer: Viewer) -> Response {
        let whose = self.camera.clone();
        chunks::response(self, viewer, MEDIA_TYPE, whose)
    }
}

impl Chunks for Lines {
    type Error = BrokenOff;

    async fn next(&mut self, place: &Place) -> Result<Chunk, BrokenOff> {
        let Self { cursors, camera, query, call, log, writer } = self;
        let mut is_last = false;
        let chunk = match log {
            Log::Camera(stream) => {
                let piece = stream.next().await?;
                place.take(|chunk| {
                    let end = stream.read(&piece, |event| {
                        writer.write(chunk, event);
                        chunk.push(b'\n');
                    })?;
                    is_last = end.is_some();
                    let end = end.map(|end| Finish { more: end.more, coverage: stream.coverage(&end) });
                    let last = stream.last;
                    end.map_or(Ok(()), |end| write_last(chunk, end, last, (cursors, query, camera, call)))
                })?
            }
            Log::Store(stored) => {
                let lines = (writer.clone(), Vec::new());
                let ((kept, lines), end) = stored
                    .read(CHUNK, lines, |(writer, lines), kept| {
                        writer.write_kept(lines, kept);
                        lines.push(b'\n');
                    })
                    .await?;
                *writer = kept;
                is_last = end.is_some();
                let last = stored.last;
                place.take(|chunk| {
                    chunk.extend_from_slice(&lines);
                    end.map_or(Ok(()), |end| write_last(chunk, end, last, (cursors, query, camera, call)))
                })?
            }
            Log::All(log) => {
                let (lines, end) = log.read(CHUNK).await?;
                is_last = end.is_some();
                let last = log.last;
                place.take(|chunk| {
                    if lines.count() > 0 {
                        chunk.extend_from_slice(&lines.into_json());
                        chunk.push(b'\n');
                    }
                    end.map_or(Ok(()), |end| write_last(chunk, end, last, (cursors, query, camera, call)))
                })?
            }
        };
        Ok(if is_last { Chunk::Last(chunk) } else { Chunk::More(chunk) })
    }
}

fn write_last(
    chunk: &mut Vec<u8>,
    end: Finish,
    last: Option<Position>,
    (cursors, query, camera, call): (&Cursors, &Query, &CameraId, &EventsCall),
) -> Result<(), BrokenOff> {
    let next = last.filter(|_| end.more);
    let end = End {
        complete: is_complete(&end.coverage),
        coverage: Stretch::all(camera, &end.coverage),
        next: next.and_then(|last| super::next(cursors, query, camera, call, last)),
    };
    serde_json::to_writer(&mut *chunk, &Last { end })?;
    chunk.push(b'\n');
    Ok(())
}
