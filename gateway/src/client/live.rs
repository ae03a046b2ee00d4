//! Pictures of a camera as they come, over one answer that does not end.

use std::time::Duration;

use oriel_proto::{CameraId, limits::IMAGE_BYTES};
use reqwest::{Method, Response, header};

use super::{
    Client, ClientError,
    multipart::{Came, Part, Parts},
    picture::Picture,
};

/// A camera from which no picture comes for this long is asked again: its connection may be dead.
pub(crate) const FRAME_WITHIN: Duration = Duration::from_secs(60);

/// Pictures as they come.
#[derive(Debug)]
pub(crate) struct Frames {
    answer: Response,
    parts: Parts,
}

impl Client {
    /// Begins to watch a camera.
    pub(crate) async fn live(
        &self,
        camera: &CameraId,
        query: &[(&str, String)],
    ) -> Result<Frames, ClientError> {
        let path = ["cameras", camera.as_str(), "live"];
        let request = self.request(Method::GET, &path)?.query(query).timeout(Duration::MAX);
        let answer = self.open(request).await?;
        let media = answer.headers().get(header::CONTENT_TYPE).and_then(|media| media.to_str().ok());
        let parts = Parts::of(media.unwrap_or_default(), IMAGE_BYTES)
            .map_err(|why| ClientError::answer(&self.base, &why.to_string()))?;
        Ok(Frames { answer, parts })
    }

    /// The next picture; none when the stream has ended, broke off or is silent.
    pub(crate) async fn next_frame(&self, frames: &mut Frames) -> Result<Option<Picture>, ClientError> {
        loop {
            let came =
                frames.parts.take().map_err(|why| ClientError::answer(&self.base, &why.to_string()))?;
            match came {
                Came::Part(part) => return self.frame(part).map(Some),
                Came::End => return Ok(None),
                Came::Little => {}
            }
            match tokio::time::timeout(FRAME_WITHIN, frames.answer.chunk()).await {
                Ok(Ok(Some(chunk))) => frames.parts.feed(&chunk),
                Ok(Ok(None) | Err(_)) | Err(_) => return Ok(None),
            }
        }
    }

    fn frame(&self, part: Part) -> Result<Picture, ClientError> {
        match part.at.parse() {
            Ok(at) if part.media == "image/jpeg" => Ok(Picture { at, jpeg: part.body }),
            Ok(_) => Err(ClientError::answer(&self.base, "a part is no picture")),
            Err(()) => Err(ClientError::answer(&self.base, "a picture has no time")),
        }
    }
}
