//! A log as lines of JSON or as rows of CSV, each sent as its caller takes it: an event a line, and behind them what the answer covers.
//!
//! An answer that breaks off has no last line, and its body ends as broken: it cannot be taken for a whole one.

use std::mem;

use oriel_proto::{CameraId, call::EventsCall, event::Position};
use serde::Serialize;
use warp::{
    http::{HeaderValue, header::CONTENT_DISPOSITION},
    reply::Response,
};

use super::{Cursors, Query, Stretch, Viewer, view};
use crate::{
    access::AccessError,
    clock,
    events::{
        Coverage, EventStream, Finish, MergedLog, StoredLog, is_complete, table,
        text::{Form, Writer},
    },
    relay::RelayError,
    routes::chunks::{self, Chunk, Chunks, Place},
    store::StoreError,
};

/// Events of one chunk: one may have a few kilobytes, and a chunk waits for its reader.
const CHUNK: u64 = 64;

/// A log on its way to its caller.
pub(super) struct Lines {
    asked: Asked,
    log: Log,
    form: Form,
    writer: Writer,
    /// Whether the first chunk has been made.
    has_begun: bool,
}

/// What was asked of a camera.
pub(super) struct Asked {
    pub(super) cursors: Cursors,
    pub(super) camera: CameraId,
    pub(super) query: Query,
    pub(super) call: EventsCall,
    /// Where to follow from.
    pub(super) follow: Option<String>,
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

/// What the last row says.
#[derive(Serialize)]
struct Complete<'a> {
    complete: bool,
    follow: Option<&'a str>,
}

/// What the last line says.
#[derive(Serialize)]
struct End<'a> {
    complete: bool,
    coverage: Vec<Stretch<'a>>,
    next: Option<String>,
    follow: Option<&'a str>,
}

impl Lines {
    /// All of `log`, which is what was asked.
    pub(super) fn of(asked: Asked, log: Log, form: Form) -> Self {
        let writer = Writer::of(&asked.camera, form);
        Self { asked, log, form, writer, has_begun: false }
    }

    /// The answer, whose body is made as it is taken.
    pub(super) fn into_response(self, viewer: Viewer) -> Response {
        let (camera, form) = (self.asked.camera.clone(), self.form);
        let mut response = chunks::response(self, viewer, form.media_type(), camera.clone());
        form.name(&mut response, &format!("{camera}-events"));
        response
    }
}

impl Chunks for Lines {
    type Error = BrokenOff;

    async fn next(&mut self, place: &Place) -> Result<Chunk, BrokenOff> {
        let Self { asked, log, form, writer, has_begun } = self;
        let is_first = !mem::replace(has_begun, true);
        let begin = |chunk: &mut Vec<u8>| {
            if is_first {
                form.begin(chunk)
            }
        };
        let end = |chunk: &mut Vec<u8>, finish: Option<Finish>, last| match finish {
            Some(finish) => asked.write_end(*form, chunk, &finish, last),
            None => Ok(()),
        };
        let mut is_last = false;
        let chunk = match log {
            Log::Camera(stream) => {
                let piece = stream.next().await?;
                place.take(|chunk| {
                    begin(chunk);
                    let trailer = stream.read(&piece, |event| {
                        writer.write(chunk, event);
                        chunk.push(b'\n');
                    })?;
                    is_last = trailer.is_some();
                    let finish =
                        trailer.map(|end| Finish { more: end.more, coverage: stream.coverage(&end) });
                    end(chunk, finish, stream.last)
                })?
            }
            Log::Store(stored) => {
                let lines = (writer.clone(), Vec::new());
                let ((kept, lines), finish) = stored
                    .read(CHUNK, lines, |(writer, lines), kept| {
                        writer.write_kept(lines, kept);
                        lines.push(b'\n');
                    })
                    .await?;
                *writer = kept;
                is_last = finish.is_some();
                place.take(|chunk| {
                    begin(chunk);
                    chunk.extend_from_slice(&lines);
                    end(chunk, finish, stored.last)
                })?
            }
            Log::All(log) => {
                let (lines, finish) = log.read(CHUNK).await?;
                is_last = finish.is_some();
                place.take(|chunk| {
                    begin(chunk);
                    if lines.count() > 0 {
                        chunk.extend_from_slice(&lines.into_bytes());
                        chunk.push(b'\n');
                    }
                    end(chunk, finish, log.last)
                })?
            }
        };
        Ok(if is_last { Chunk::Last(chunk) } else { Chunk::More(chunk) })
    }
}

impl Asked {
    /// Writes what stands behind the last event.
    fn write_end(
        &self,
        form: Form,
        chunk: &mut Vec<u8>,
        finish: &Finish,
        last: Option<Position>,
    ) -> Result<(), BrokenOff> {
        let Self { cursors, camera, query, call, follow } = self;
        let follow = follow.as_deref();
        let Finish { more, coverage } = finish;
        let next = last.filter(|_| *more).and_then(|last| super::next(cursors, query, camera, call, last));
        let complete = is_complete(coverage);
        if form == Form::Csv {
            write_behind(chunk, camera, coverage, next.as_deref());
            table::write_end(chunk, complete, &Complete { complete, follow });
            return Ok(());
        }
        let end = End { complete, coverage: Stretch::all(camera, coverage), next, follow };
        serde_json::to_writer(&mut *chunk, &Last { end })?;
        chunk.push(b'\n');
        Ok(())
    }
}

/// Writes the rows behind the last event of a camera: what is missing, and where to go on.
pub(super) fn write_behind(
    chunk: &mut Vec<u8>,
    camera: &CameraId,
    coverage: &[Coverage],
    next: Option<&str>,
) {
    for stretch in coverage {
        if let Err(why) = view::words(stretch.by) {
            let (from, to) = (stretch.from.map(clock::format), clock::format(stretch.to));
            table::write_missing(chunk, camera.as_str(), from.as_deref(), &to, why);
        }
    }
    if let Some(next) = next {
        table::write_more(chunk, camera.as_str(), next);
    }
}

impl Form {
    /// What `Content-Type` says.
    pub(super) const fn media_type(self) -> &'static str {
        match self {
            Self::Json => "application/x-ndjson",
            Self::Csv => "text/csv; charset=utf-8",
        }
    }

    /// Writes what stands before the first event.
    pub(super) fn begin(self, chunk: &mut Vec<u8>) {
        if self == Self::Csv {
            table::write_head(chunk);
        }
    }

    /// Has browsers keep a table as a file of this name.
    pub(super) fn name(self, response: &mut Response, name: &str) {
        let name = HeaderValue::try_from(format!("attachment; filename=\"{name}.csv\""));
        if let (Self::Csv, Ok(name)) = (self, name) {
            response.headers_mut().insert(CONTENT_DISPOSITION, name);
        }
    }
}
