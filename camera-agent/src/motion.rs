//! What moves in a camera's pictures, as events: pictures are compared with the one before, wherever they come from.

mod change;
mod detector;
#[cfg(test)]
mod tests;

use std::{sync::LazyLock, thread, time::Duration};

use oriel_picture::blocks::{Blocks, BlocksError};
use oriel_proto::{Kind, Severity, event::Data};
use tokio::{
    sync::{Semaphore, mpsc},
    time::timeout,
};

use self::detector::{Detector, Told};
use crate::{camera::Camera, disk::off_runtime, pictures::Picture, spool::Draft};

/// How old a picture may be to be compared: what a folder held for longer tells of nothing that goes on now.
const OLD: Duration = Duration::from_secs(300);

/// How long after the last picture a movement is over, though no picture says so: the camera may be away.
const LOST: Duration = Duration::from_secs(150);

/// Pictures that are decoded at one time for all cameras together: half of the processors are left to everything else.
static DECODING: LazyLock<Semaphore> = LazyLock::new(|| {
    let processors = thread::available_parallelism().map_or(1, usize::from);
    Semaphore::new((processors / 2).max(1))
});

/// Writes an event whenever something begins or ends to move in the pictures that come; never ends.
pub(crate) async fn watch(camera: &Camera, mut pictures: mpsc::Receiver<Picture>) {
    let mut detector = Detector::default();
    let mut said = false;
    loop {
        let told = match timeout(LOST, pictures.recv()).await {
            Ok(Some(picture)) if is_old(&picture, camera) => None,
            Ok(Some(picture)) => match blocks(picture.clone(), &DECODING).await {
                Some(Ok(blocks)) => {
                    said = false;
                    detector.look(picture.at, blocks)
                }
                Some(Err(e)) => {
                    if !said {
                        tracing::warn!(camera = %camera.id(), "pictures are not compared: {e}");
                    }
                    said = true;
                    None
                }
                None => None,
            },
            // Nobody wants pictures to be compared.
            Ok(None) => return std::future::pending().await,
            Err(_) => detector.give_up(),
        };
        if let Some(told) = told
            && let Err(e) = camera.spool.append(vec![draft(&told)]).await
        {
            tracing::warn!(camera = %camera.id(), "motion cannot be written down: {e}");
        }
    }
}

/// Whether a picture is from a time that has passed.
fn is_old(picture: &Picture, camera: &Camera) -> bool {
    camera.pictures.time().since(picture.at) > OLD
}

/// Decodes a picture off the runtime; none when the program stops, or when so many others are being decoded that this one is
/// left out: the next is as good, and a queue would only grow.
async fn blocks(picture: Picture, decoding: &'static Semaphore) -> Option<Result<Blocks, BlocksError>> {
    let turn = decoding.try_acquire().ok()?;
    off_runtime(move || {
        // Also when nobody waits any more, it takes its processor until it is done.
        let _turn = turn;
        Blocks::of(&picture.jpeg)
    })
    .await
}

/// What was seen, as an event.
fn draft(told: &Told) -> Draft {
    let (kind, severity, description, state) = if told.begins {
        (Kind::Motion, Severity::Notice, "detected motion", "start")
    } else {
        (Kind::MotionEnded, Severity::Info, "motion ended", "end")
    };
    let mut data = Data::new();
    data.insert("state".into(), state.into());
    data.insert("score".into(), told.size.score.into());
    data.insert("area".into(), told.size.area_percent().into());
    Draft { at: None, kind, severity, description: description.into(), data, image_at: Some(told.image_at) }
}
