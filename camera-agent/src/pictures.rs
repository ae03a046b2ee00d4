//! A camera's pictures between its source and whoever asks: those it keeps, those that pass by live, and those taken when asked.

mod live;
mod news;
mod taking;
#[cfg(test)]
pub(crate) mod tests;
mod uplink;

use std::{path::Path, sync::Arc};

use bytes::Bytes;
use oriel_proto::{CameraId, ImageClass, Timestamp};
use tokio::sync::{Semaphore, watch};

use self::{live::Stage, news::News, taking::Takings, uplink::Uplink};
pub(crate) use self::{
    live::Viewer,
    news::{Mailbox, Subscription},
    taking::{Asked, Taking},
};
use crate::{
    config::CameraConfig,
    ring::{Bounds, Ring, RingError},
    spool::Clock,
};

/// KiB of a camera's pictures that answers may hold in memory, so that one that is asked without end leaves room for others: two of
/// the largest.
pub(crate) const SHARE_KIB: usize = 32 << 10;

/// A picture.
#[derive(Clone, Debug)]
pub(crate) struct Picture {
    /// Its series.
    pub(crate) class: ImageClass,
    /// When it was taken; its identity once it is kept.
    pub(crate) at: Timestamp,
    /// The whole file.
    pub(crate) jpeg: Bytes,
}

/// The pictures of one camera; clones share them.
#[derive(Clone, Debug)]
pub(crate) struct Pictures {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    camera: CameraId,
    preview: Series,
    main: Series,
    takings: Takings,
    uplink: Uplink,
    share: Semaphore,
    clock: Clocked,
}

/// A clock that shows nothing of itself.
struct Clocked(Clock);

impl std::fmt::Debug for Clocked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Clock")
    }
}

/// The pictures of one class.
#[derive(Debug)]
struct Series {
    ring: Ring,
    stage: Stage,
    news: News,
}

impl Series {
    fn new(folder: &Path, bounds: Bounds, clock: &Clock) -> Self {
        let ring = Ring::new(folder, bounds, clock.clone());
        Self { ring, stage: Stage::default(), news: News::default() }
    }
}

impl Pictures {
    /// The pictures that `config` speaks of, kept in `folder`; looks at no disk yet.
    pub(crate) fn new(config: &CameraConfig, folder: &Path, clock: Clock) -> Self {
        let series = |class: ImageClass, bytes| {
            let bounds = Bounds { bytes, retention: config.images_retention };
            Series::new(&folder.join(class.as_str()), bounds, &clock)
        };
        let preview = series(ImageClass::Preview, config.preview_bytes);
        let main = series(ImageClass::Main, config.main_bytes);
        let shared = Shared {
            camera: config.id.clone(),
            preview,
            main,
            takings: Takings::default(),
            uplink: Uplink::new(config.uplink),
            share: Semaphore::new(SHARE_KIB),
            clock: Clocked(clock),
        };
        Self { shared: Arc::new(shared) }
    }

    /// Looks what is on the disk; what cannot be read is tried again at each use.
    pub(crate) async fn open(&self) -> Result<(), RingError> {
        self.shared.preview.ring.open().await?;
        self.shared.main.ring.open().await
    }

    /// Keeps a picture in the ring (its time moved on where it is taken), shows it to whoever watches live, and tells of it; gives
    /// the time it is known by. One that cannot be kept is shown all the same; one that the ring drops at once is not, and has none.
    pub(crate) async fn keep(&self, picture: Picture) -> Result<Option<Timestamp>, RingError> {
        let Some(series) = self.series(&picture.class) else { return Err(RingError::Class(picture.class)) };
        match series.ring.keep(picture.at, picture.jpeg.clone()).await {
            // What is older than all that is kept is no news.
            Ok(None) => Ok(None),
            Ok(Some(at)) => {
                series.news.tell(&self.shared.camera, &picture.class, at);
                series.stage.show(Picture { at, ..picture });
                Ok(Some(at))
            }
            Err(e) => {
                series.stage.show(picture);
                Err(e)
            }
        }
    }

    /// Shows a picture to whoever watches live, without keeping it. Its time has whole milliseconds as well.
    pub(crate) fn show(&self, picture: Picture) {
        if let Some(series) = self.series(&picture.class) {
            let at = Timestamp::from_millis(picture.at.as_micros().div_euclid(1_000));
            series.stage.show(Picture { at, ..picture });
        }
    }

    /// The most pictures a second that somebody watches live in this class; 0 while nobody does. Changes are seen through the
    /// receiver.
    pub(crate) fn wanted(&self, class: &ImageClass) -> watch::Receiver<f32> {
        self.series(class).map_or_else(|| watch::channel(0.0).1, |series| series.stage.wanted())
    }

    /// The next time that somebody asks for a picture taken now; the source answers it.
    pub(crate) async fn asked(&self) -> Asked {
        self.shared.takings.next().await
    }

    /// Asks the source for a picture taken now; those who ask at the same time share one.
    pub(crate) fn take(&self, class: &ImageClass) -> Arc<Taking> {
        self.shared.takings.ask(class)
    }

    /// Watches a class live, at most so many pictures a second.
    pub(crate) fn watch(&self, class: &ImageClass, fps: f32) -> Option<Viewer<'_>> {
        Some(self.series(class)?.stage.watch(fps))
    }

    /// Has what is kept from now on in a class told to a mailbox, as long as the subscription lives.
    pub(crate) fn subscribe(&self, class: &ImageClass, mailbox: &Arc<Mailbox>) -> Option<Subscription> {
        Some(self.series(class)?.news.subscribe(mailbox))
    }

    /// The ring of a class.
    pub(crate) fn ring(&self, class: &ImageClass) -> Option<&Ring> {
        self.series(class).map(|series| &series.ring)
    }

    /// What its pictures may take of the connection.
    pub(crate) fn uplink(&self) -> &Uplink {
        &self.shared.uplink
    }

    /// What answers may hold of its pictures in memory, in KiB.
    pub(crate) fn share(&self) -> &Semaphore {
        &self.shared.share
    }

    /// Drops what is past its time.
    pub(crate) async fn tidy(&self) -> Result<(), RingError> {
        let preview = self.shared.preview.ring.tidy().await;
        // It is done whatever became of the other.
        let main = self.shared.main.ring.tidy().await;
        preview.and(main)
    }

    /// Bytes of all kept pictures on disk.
    pub(crate) fn bytes(&self) -> u64 {
        self.shared.preview.ring.bytes() + self.shared.main.ring.bytes()
    }

    /// The clock.
    pub(crate) fn time(&self) -> Timestamp {
        (self.shared.clock.0)()
    }

    fn series(&self, class: &ImageClass) -> Option<&Series> {
        match class {
            ImageClass::Preview => Some(&self.shared.preview),
            ImageClass::Main => Some(&self.shared.main),
            _ => None,
        }
    }
}
