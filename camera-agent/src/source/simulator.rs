//! A camera that does not exist: events in the field's words and pictures that show them, the same story for the same seed.

mod artist;
mod past;

use std::time::Duration;

use oriel_picture::story::{Entry, Story, ZONES};
use oriel_proto::{CameraId, ImageClass, Kind, Severity, Timestamp, event::Data};
use tokio::time::Instant;

use self::artist::Artist;
use super::{
    Source, SourceError,
    beat::{Beat, until},
    demand::Demand,
    feed::Feed,
};
use crate::{
    config::{CameraConfig, SimulatorConfig},
    pictures::{Asked, Picture},
    spool::Draft,
};

/// A simulated source.
#[derive(Debug)]
pub(super) struct Simulator {
    config: SimulatorConfig,
    story: Story,
    artist: Artist,
}

/// What is due, and when.
struct Due {
    start: Instant,
    entries: Beat,
    previews: Beat,
    mains: Beat,
    demand: Demand,
}

impl Simulator {
    /// Tells and shows the story of its seed, or that of the camera's id.
    pub(super) fn new(config: &SimulatorConfig, camera: &CameraConfig) -> Self {
        let seed = config.seed.unwrap_or_else(|| seed_of(&camera.id));
        let story = Story::new(seed, Duration::from_millis(config.interval_ms));
        let name = camera.name.clone().unwrap_or_else(|| camera.id.to_string());
        let artist = Artist::new(seed, name, story.clone(), config.noise);
        Self { config: config.clone(), story, artist }
    }

    /// Where in the story it is after running for so long; before it started there were the events of the past.
    fn position(&self, running: Duration) -> Duration {
        self.story.position(self.config.backfill).saturating_add(running)
    }

    /// Makes and keeps or shows what is due by now.
    async fn act(&mut self, due: &mut Due, feed: &Feed) -> Result<(), SourceError> {
        let now = Instant::now();
        let position = self.position(now - due.start);
        let entry = due.entries.take(now).map(|n| self.story.entry(self.config.backfill.saturating_add(n)));
        let (preview, main) = (due.previews.take(now).is_some(), due.mains.take(now).is_some());
        let watched = due.demand.take(now);
        let is_seen = entry.as_ref().is_some_and(Entry::is_seen);
        let image_at = if preview || (is_seen && self.keeps_its_moment()) {
            self.keep(ImageClass::Preview, position, feed).await?
        } else {
            self.show(ImageClass::Preview, position, &watched, feed).await?
        };
        if let Some(entry) = entry {
            let image_at = image_at.filter(|_| is_seen);
            feed.camera().spool.append(vec![draft(&entry, None, image_at)]).await?;
        }
        if main {
            self.keep(ImageClass::Main, position, feed).await?;
        } else {
            self.show(ImageClass::Main, position, &watched, feed).await?;
        }
        feed.works();
        Ok(())
    }

    /// Keeps a picture; gives the time it is known by, none when it is not kept.
    async fn keep(
        &mut self,
        class: ImageClass,
        position: Duration,
        feed: &Feed,
    ) -> Result<Option<Timestamp>, SourceError> {
        let picture = self.picture(&class, position, feed).await?;
        Ok(feed.keep(picture).await.ok().flatten())
    }

    /// Shows a picture that is not kept, when somebody wants it.
    async fn show(
        &mut self,
        class: ImageClass,
        position: Duration,
        watched: &[ImageClass],
        feed: &Feed,
    ) -> Result<Option<Timestamp>, SourceError> {
        if watched.contains(&class) {
            feed.show(self.picture(&class, position, feed).await?);
        }
        Ok(None)
    }

    /// Whether an event that is seen has a picture of its own; those that come faster than pictures share them.
    const fn keeps_its_moment(&self) -> bool {
        self.config.preview_ms > 0 && self.config.interval_ms >= self.config.preview_ms
    }

    /// Takes a picture for somebody who asked for one.
    async fn answer(&mut self, asked: Asked, start: Instant, feed: &Feed) -> Result<(), SourceError> {
        let position = self.position(start.elapsed());
        let picture = self.picture(&asked.class, position, feed).await?;
        match feed.keep(picture.clone()).await {
            Ok(at) => asked.answer(Ok(Picture { at: at.unwrap_or(picture.at), ..picture })),
            Err(e) => asked.answer(Err(e.to_string())),
        }
        Ok(())
    }

    async fn picture(
        &mut self,
        class: &ImageClass,
        position: Duration,
        feed: &Feed,
    ) -> Result<Picture, SourceError> {
        let at = feed.camera().pictures.time();
        let jpeg = self.artist.draw(class, position, at).await?;
        Ok(Picture { class: class.clone(), at, jpeg })
    }
}

impl Source for Simulator {
    async fn prepare(&mut self, feed: &Feed) -> Result<(), SourceError> {
        if self.config.backfill == 0 || !feed.camera().spool.is_new() {
            return Ok(());
        }
        self.tell_the_past(feed).await
    }

    async fn run(&mut self, feed: &Feed) -> SourceError {
        let start = Instant::now();
        let beat = |ms| Beat::new(start, Duration::from_millis(ms));
        let mut due = Due {
            start,
            entries: beat(self.config.interval_ms),
            previews: beat(self.config.preview_ms),
            mains: beat(self.config.main_ms),
            demand: Demand::of(feed.camera()),
        };
        loop {
            let next = due.next();
            let done = tokio::select! {
                asked = feed.camera().pictures.asked() => self.answer(asked, start, feed).await,
                () = due.demand.changed() => Ok(()),
                () = until(next) => self.act(&mut due, feed).await,
            };
            if let Err(e) = done {
                return e;
            }
        }
    }
}

impl Due {
    /// When something is due next; none when nothing is.
    fn next(&self) -> Option<Instant> {
        let beats = [&self.entries, &self.previews, &self.mains];
        beats.into_iter().filter_map(Beat::at).chain(self.demand.at()).min()
    }
}

/// An entry of the story as an event, which the picture of `image_at` shows.
fn draft(entry: &Entry, at: Option<Timestamp>, image_at: Option<Timestamp>) -> Draft {
    let mut data = Data::new();
    let (kind, severity, description) = match *entry {
        Entry::Motion { zone, score, .. } => {
            data.insert("zone".into(), ZONES[zone].into());
            data.insert("score".into(), score.into());
            (Kind::Motion, Severity::Notice, "detected motion")
        }
        Entry::View { viewer } => {
            data.insert("viewer".into(), viewer.into());
            (Kind::ViewStarted, Severity::Info, "user started viewing live video")
        }
        Entry::Brightness { level } => {
            data.insert("level".into(), level.into());
            (Kind::Brightness, Severity::Info, "brightness adjusted")
        }
        Entry::Reset { cause } => {
            data.insert("cause".into(), cause.into());
            (Kind::Reset, Severity::Warning, "camera reset")
        }
    };
    Draft { at, kind, severity, description: description.into(), data, image_at }
}

/// A number made from an id, the same on every machine (FNV-1a).
fn seed_of(camera: &CameraId) -> u64 {
    camera.as_str().bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests;
