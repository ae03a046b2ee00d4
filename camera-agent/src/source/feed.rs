//! Where a source puts what it makes: pictures into the camera's rings and before whoever watches, and those to be compared.

use std::sync::atomic::{AtomicBool, Ordering};

use oriel_proto::{ImageClass, Timestamp, frame::SourceState};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::{camera::Camera, pictures::Picture, ring::RingError};

/// A camera as its source sees it.
#[derive(Debug)]
pub(super) struct Feed {
    camera: Camera,
    /// The series whose pictures are compared, and where they go.
    compared: Option<(ImageClass, mpsc::Sender<Picture>)>,
    /// Whether the last picture could not be kept.
    failed: AtomicBool,
    /// Whether a picture came since somebody asked.
    gave: AtomicBool,
    stop: CancellationToken,
}

impl Feed {
    /// A feed for `camera`; of the pictures that are kept, those that may show motion go to `compared` while there is room.
    pub(super) fn new(camera: Camera, compared: Option<mpsc::Sender<Picture>>) -> Self {
        // The small ones come first.
        let compared = compared.and_then(|to| Some((camera.offers.classes.first()?.clone(), to)));
        let (failed, gave) = (AtomicBool::new(false), AtomicBool::new(false));
        Self { camera, compared, failed, gave, stop: CancellationToken::new() }
    }

    /// The same feed, wanted until `stop`.
    pub(super) fn until(self, stop: CancellationToken) -> Self {
        Self { stop, ..self }
    }

    /// Waits until the feed is wanted no more, because the program stops.
    pub(super) async fn stopped(&self) {
        self.stop.cancelled().await;
    }

    /// The camera.
    pub(super) const fn camera(&self) -> &Camera {
        &self.camera
    }

    /// Whether it is wanted no more.
    pub(super) fn is_stopped(&self) -> bool {
        self.stop.is_cancelled()
    }

    /// Keeps a picture and gives the time it is known by, none when the ring dropped it at once; tells when it cannot be kept.
    pub(super) async fn keep(&self, picture: Picture) -> Result<Option<Timestamp>, RingError> {
        let kept = self.camera.pictures.keep(picture.clone()).await;
        let failed_before = self.failed.swap(kept.is_err(), Ordering::Relaxed);
        match kept {
            Ok(at) => {
                self.gave.store(true, Ordering::Relaxed);
                let compared = self.compared.as_ref().filter(|(class, _)| *class == picture.class);
                if let (Some((_, to)), Some(at)) = (compared, at) {
                    // Who cannot keep up compares the next one.
                    let _ = to.try_send(Picture { at, ..picture });
                }
                Ok(at)
            }
            Err(e) => {
                if !failed_before {
                    tracing::warn!(camera = %self.camera.id(), "{e}");
                }
                self.camera.set_source(SourceState::Failing, Some(e.to_string()));
                Err(e)
            }
        }
    }

    /// Shows a picture to whoever watches, without keeping it.
    pub(super) fn show(&self, picture: Picture) {
        self.gave.store(true, Ordering::Relaxed);
        self.camera.pictures.show(picture);
    }

    /// The source works, unless its pictures cannot be kept.
    pub(super) fn works(&self) {
        if !self.failed.load(Ordering::Relaxed) {
            self.camera.set_source(SourceState::Ok, None);
        }
    }

    /// The source works, but not all that there is becomes pictures.
    pub(super) fn works_in_part(&self, why: String) {
        if !self.failed.load(Ordering::Relaxed) {
            self.camera.set_source(SourceState::Failing, Some(why));
        }
    }

    /// Whether the source gave a picture since this was last asked.
    pub(super) fn has_given(&self) -> bool {
        self.gave.swap(false, Ordering::Relaxed)
    }
}
