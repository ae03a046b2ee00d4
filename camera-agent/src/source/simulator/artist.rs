//! Who draws a simulated camera's pictures, off the runtime and not too many at once.

use std::{sync::LazyLock, thread, time::Duration};

use bytes::Bytes;
use oriel_picture::{story::Story, studio::Studio};
use oriel_proto::{ImageClass, Timestamp};
use tokio::sync::Semaphore;

use crate::{disk::off_runtime, source::SourceError};

/// Pictures that are drawn at one time by all simulated cameras together: one for each core.
static DRAWING: LazyLock<Semaphore> =
    LazyLock::new(|| Semaphore::new(thread::available_parallelism().map_or(1, usize::from)));

/// What a studio is made of, and the studio itself while it does not draw.
#[derive(Debug)]
pub(super) struct Artist {
    seed: u64,
    name: String,
    story: Story,
    noise: u8,
    studio: Option<Studio>,
}

impl Artist {
    /// Draws what [`Studio`] does.
    pub(super) const fn new(seed: u64, name: String, story: Story, noise: u8) -> Self {
        Self { seed, name, story, noise, studio: None }
    }

    /// The picture of a moment.
    pub(super) async fn draw(
        &mut self,
        class: &ImageClass,
        position: Duration,
        at: Timestamp,
    ) -> Result<Bytes, SourceError> {
        let failed = |why: &dyn std::fmt::Display| SourceError::Draw(why.to_string());
        let _turn = DRAWING.acquire().await.map_err(|e| failed(&e))?;
        let (class, studio) = (class.clone(), self.studio.take());
        let mut studio = studio
            .unwrap_or_else(|| Studio::new(self.seed, self.name.clone(), self.story.clone(), self.noise));
        let drawn = off_runtime(move || {
            let picture = studio.picture(&class, position, at);
            (studio, picture)
        });
        let (studio, picture) = drawn.await.ok_or_else(|| failed(&"the program is stopping"))?;
        self.studio = Some(studio);
        picture.map_err(|e| failed(&e))
    }
}
