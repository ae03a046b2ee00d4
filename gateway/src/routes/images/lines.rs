//! A list of pictures line by line, each piece made when the one before has been taken. A list that breaks off has no last line.

use oriel_proto::{CameraId, Timestamp, call::ImagesCall};
use serde_json::json;
use warp::reply::Response;

use super::{Cursors, Query, answer::BrokenOff, next, view::Image};
use crate::{
    access::Viewer,
    images::ImageStream,
    routes::chunks::{self, Chunk, Chunks, Place},
};

/// A list on its way to its caller.
pub(super) struct Lines {
    cursors: Cursors,
    camera: CameraId,
    query: Query,
    call: ImagesCall,
    stream: ImageStream,
    last: Option<Timestamp>,
}

impl Lines {
    /// The list that was asked for.
    pub(super) const fn of(
        cursors: Cursors,
        camera: CameraId,
        query: Query,
        call: ImagesCall,
        stream: ImageStream,
    ) -> Self {
        Self { cursors, camera, query, call, stream, last: None }
    }

    /// The answer, whose body is made as it is taken.
    pub(super) fn into_response(self, viewer: Viewer) -> Response {
        let camera = self.camera.clone();
        chunks::response(self, viewer, "application/x-ndjson", camera)
    }
}

impl Chunks for Lines {
    type Error = BrokenOff;

    async fn next(&mut self, place: &Place) -> Result<Chunk, BrokenOff> {
        let Some(images) = self.stream.next().await? else {
            let more = self.stream.more;
            let last = self.last.filter(|_| more);
            let next = last.and_then(|last| next(&self.cursors, &self.query, &self.camera, &self.call, last));
            let end = json!({"end": {"more": more, "next": next}});
            return Ok(Chunk::Last(format!("{end}\n").into()));
        };
        self.last = images.last().map(|image| image.at).or(self.last);
        let lines = place.take(|chunk| {
            for image in &images {
                serde_json::to_writer(&mut *chunk, &Image::of(&self.camera, image))?;
                chunk.push(b'\n');
            }
            Ok::<_, serde_json::Error>(())
        })?;
        Ok(Chunk::More(lines))
    }
}
