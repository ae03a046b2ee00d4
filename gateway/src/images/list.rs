//! Lists of pictures, and their numbers, as cameras tell them.

use std::{sync::Arc, time::Duration};

use oriel_proto::{
    Body, Call, CameraId, Items, Trailer,
    call::ImagesCall,
    image::{ImageCount, ImageInfo},
};

use crate::relay::{
    Answering, Relay, RelayError,
    bodies::{Bodies, Next},
    gather::whole,
    shared::Patience,
};

/// Pieces that one page may come in: far more than any honest agent needs for the largest page.
const PIECES: usize = 1_024;

/// Numbers that one answer may have: far more steps than anybody may ask for.
const COUNTS: usize = 10_000;

/// A page of a list.
#[derive(Debug)]
pub struct ImageList {
    /// Its pictures, in the order asked for.
    pub images: Vec<ImageInfo>,
    /// Whether more lie in the range.
    pub more: bool,
    /// From the question to the camera's first word.
    pub waited: Duration,
}

/// A page, as everybody who waits for it gets it.
pub(super) type ListAnswer = Result<Arc<ImageList>, RelayError>;

/// Asks for a page on behalf of all who want it.
pub(super) async fn gather(
    relay: Relay,
    camera: CameraId,
    call: ImagesCall,
    patience: Arc<Patience>,
) -> ListAnswer {
    let count = call.count;
    let asked = Call::Images(call);
    whole(&relay, &camera, &asked, &patience, |answer| collect(ImageStream::of(answer, count)))
        .await
        .map(Arc::new)
}

async fn collect(mut stream: ImageStream) -> Result<ImageList, RelayError> {
    let mut images = Vec::new();
    for _ in 0..PIECES {
        match stream.next().await? {
            Some(more) => images.extend(more),
            None => return Ok(ImageList { images, more: stream.more, waited: stream.waited() }),
        }
    }
    Err(RelayError::other_content())
}

/// What a camera counted.
pub(super) async fn counts(answer: Answering) -> Result<Vec<ImageCount>, RelayError> {
    let (mut bodies, mut counts) = (Bodies::of(answer), Vec::new());
    for _ in 0..PIECES {
        match bodies.next().await? {
            Next::Body(Body::Items(Items::ImageCounts(more))) if counts.len() < COUNTS => counts.extend(more),
            Next::End(Trailer::Images { .. }) => return Ok(counts),
            _ => break,
        }
    }
    Err(RelayError::other_content())
}

/// A list on its way.
#[derive(Debug)]
pub struct ImageStream {
    bodies: Bodies,
    /// The most pictures that may still come; none means any number.
    left: Option<u64>,
    /// Whether more lie in the range; known at the end.
    pub more: bool,
}

impl ImageStream {
    /// The answer to a question for at most `count` pictures.
    pub(super) const fn of(answer: Answering, count: Option<u64>) -> Self {
        Self { bodies: Bodies::of(answer), left: count, more: false }
    }

    /// From the question to the camera's first word.
    pub const fn waited(&self) -> Duration {
        self.bodies.waited()
    }

    /// The next pictures in the order asked for; none at the end. Safe to drop and call again.
    pub async fn next(&mut self) -> Result<Option<Vec<ImageInfo>>, RelayError> {
        match self.bodies.next().await? {
            Next::Body(Body::Items(Items::Images(images))) => {
                if let Some(left) = &mut self.left {
                    let less = left.checked_sub(images.len() as u64);
                    *left = less.ok_or_else(RelayError::other_content)?;
                }
                Ok(Some(images))
            }
            Next::End(Trailer::Images { more }) => {
                self.more = more;
                Ok(None)
            }
            _ => Err(RelayError::other_content()),
        }
    }
}
