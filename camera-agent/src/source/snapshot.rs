//! Stills that a camera gives over HTTP, fetched again and again, or when somebody asks.

mod error;
mod fetcher;
mod login;
#[cfg(test)]
mod tests;

use std::{convert::Infallible, time::Duration};

use bytes::Bytes;
use oriel_proto::{ImageClass, Timestamp};
use tokio::time::Instant;

pub(crate) use self::error::SnapshotError;
use self::fetcher::Fetcher;
use super::{Source, SourceError, beat::Beat, beat::until, demand::Demand, feed::Feed, sorting::Sorting};
use crate::{
    config::SnapshotConfig,
    pictures::{Asked, Picture},
};

/// A camera that is asked for stills.
#[derive(Debug)]
pub(super) struct Snapshots {
    config: SnapshotConfig,
    sorting: Sorting,
}

impl Snapshots {
    /// The camera that the options name.
    pub(super) fn new(config: &SnapshotConfig) -> Self {
        Self { config: config.clone(), sorting: Sorting::new(config.class.clone()) }
    }

    async fn feed(&mut self, feed: &Feed) -> Result<Infallible, SourceError> {
        let mut fetcher = Fetcher::new(&self.config).await?;
        let mut beat = Beat::new(Instant::now(), Duration::from_millis(self.config.interval_ms));
        let mut demand = Demand::of(feed.camera());
        loop {
            let next = beat.at().into_iter().chain(demand.at()).min();
            tokio::select! {
                asked = feed.camera().pictures.asked() => self.answer(asked, &mut fetcher, feed).await?,
                () = demand.changed() => {}
                () = until(next) => {
                    let now = Instant::now();
                    let (is_due, watched) = (beat.take(now).is_some(), demand.take(now));
                    let (at, jpeg) = fetch(&mut fetcher, feed).await?;
                    self.give(at, &jpeg, is_due, &watched, feed).await;
                }
            }
        }
    }

    /// Keeps a picture that is due, and shows it to whoever wants it besides.
    async fn give(&mut self, at: Timestamp, jpeg: &Bytes, is_due: bool, watched: &[ImageClass], feed: &Feed) {
        let kept = if is_due { self.sorting.classes(at) } else { Vec::new() };
        for class in watched.iter().filter(|class| !kept.contains(class)) {
            feed.show(Picture { class: class.clone(), at, jpeg: jpeg.clone() });
        }
        for class in kept {
            // What goes wrong is said by the feed; the next picture may have room again.
            if feed.keep(Picture { class: class.clone(), at, jpeg: jpeg.clone() }).await.is_ok() {
                self.sorting.kept(&class, at);
            }
        }
        feed.works();
    }

    /// Fetches a picture for somebody who asked for one.
    async fn answer(&mut self, asked: Asked, fetcher: &mut Fetcher, feed: &Feed) -> Result<(), SourceError> {
        let (at, jpeg) = match fetch(fetcher, feed).await {
            Ok(fetched) => fetched,
            Err(e) => {
                asked.answer(Err(e.to_string()));
                return Err(e);
            }
        };
        let picture = Picture { class: asked.class.clone(), at, jpeg };
        match feed.keep(picture.clone()).await {
            Ok(at) => {
                let at = at.unwrap_or(picture.at);
                self.sorting.kept(&picture.class, at);
                asked.answer(Ok(Picture { at, ..picture }));
                feed.works();
            }
            Err(e) => asked.answer(Err(e.to_string())),
        }
        Ok(())
    }
}

async fn fetch(fetcher: &mut Fetcher, feed: &Feed) -> Result<(Timestamp, Bytes), SourceError> {
    let pictures = &feed.camera().pictures;
    Ok(fetcher.fetch(|| pictures.time()).await?)
}

impl Source for Snapshots {
    async fn run(&mut self, feed: &Feed) -> SourceError {
        let Err(e) = self.feed(feed).await;
        e
    }
}
