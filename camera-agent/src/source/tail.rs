//! A log file that a program writes: each line becomes an event, once, through rotations and restarts.

mod error;
mod files;
mod line;
mod place;
mod reader;
#[cfg(test)]
mod tests;
mod watcher;

use std::{convert::Infallible, io, time::Duration};

use oriel_proto::frame::SourceState;
use tokio::time::{Instant, timeout};

pub(crate) use self::error::TailError;
use self::{
    line::Line,
    place::Place,
    reader::{Look, Reader},
    watcher::Watcher,
};
use super::{Source, SourceError, feed::Feed};
use crate::{config::TailConfig, disk::off_runtime, spool};

/// How often the log is looked at while the system tells of changes: what it left out is found so.
const SELDOM: Duration = Duration::from_secs(10);

/// How often the log is looked at where the system tells nothing.
const OFTEN: Duration = Duration::from_secs(1);

/// How often it is looked at while a rotated file may still grow, wherever that lies.
const ROTATING: Duration = Duration::from_millis(250);

/// A log file.
#[derive(Debug)]
pub(super) struct Tail {
    config: TailConfig,
    /// Whether it was said that the file is not there.
    is_missing: bool,
}

impl Tail {
    /// The log that the options name.
    pub(super) fn new(config: &TailConfig) -> Self {
        Self { config: config.clone(), is_missing: false }
    }

    async fn feed(&mut self, feed: &Feed) -> Result<Infallible, SourceError> {
        let mut reader = self.reader(feed).await?;
        let watcher = Watcher::new(files::folder(&self.config.path));
        // Before the first look, so that nothing happens between the two unseen.
        let mut most = self.watch(&watcher).await;
        loop {
            let looked = off_runtime(move || {
                let look = reader.look(Instant::now());
                (reader, look)
            });
            let (back, look) = looked.await.ok_or(TailError::Closing)?;
            reader = back;
            let look = look.map_err(|e| self.failed(e))?;
            let is_through = !matches!(look, Look::Lines(_) | Look::More);
            match look {
                Look::Lines(lines) => self.write(lines, reader.place(), feed).await?,
                Look::More => {}
                Look::End => self.works(feed),
                Look::Rotated => {
                    self.works(feed);
                    most = ROTATING;
                }
                Look::Missing => self.miss(feed),
            }
            if is_through {
                // Whether it was rung or time is over, the log is looked at.
                let _ = timeout(most, watcher.rung()).await;
                most = self.watch(&watcher).await;
            }
        }
    }

    /// A reader that goes on where the log's events end.
    async fn reader(&self, feed: &Feed) -> Result<Reader, SourceError> {
        let stored = feed.camera().spool.place_of(&self.name()).await?;
        let log = self.config.path.clone();
        match stored.map(|place| serde_json::from_str(&place)) {
            Some(Ok(place)) => return Ok(Reader::new(log, place)),
            Some(Err(e)) => tracing::error!(
                camera = %feed.camera().id(),
                "how far {} was read is not known any more, so it is begun as at the first start: {e}",
                log.display()
            ),
            None => {}
        }
        let (first, from_start) = (log.clone(), self.config.from_start);
        let place = off_runtime(move || Reader::first_place(&first, from_start)).await;
        let place = place.ok_or(TailError::Closing)?.map_err(|e| self.failed(e))?;
        // What is written from now on is not missed by a program that is killed before the first line.
        self.write(Vec::new(), &place, feed).await?;
        Ok(Reader::new(log, place))
    }

    async fn write(&self, lines: Vec<Line>, place: &Place, feed: &Feed) -> Result<(), SourceError> {
        let spool = &feed.camera().spool;
        let (zone, now) = (self.config.zone(), spool.time());
        let now = jiff::Timestamp::from_microsecond(now.as_micros()).unwrap_or_default();
        let drafts = lines.into_iter().map(|line| line.draft(&self.config.kind, &zone, now)).collect();
        let place = serde_json::to_string(place).map_err(|e| self.failed(e.into()))?;
        spool.append_with_place(drafts, spool::Place { source: self.name(), place }).await?;
        Ok(())
    }

    /// By what its place is found again.
    fn name(&self) -> String {
        format!("tail {}", self.config.path.display())
    }

    /// Watches the log's folder; gives how long to wait at most when nothing is told.
    async fn watch(&self, watcher: &Watcher) -> Duration {
        if watcher.watch().await { SELDOM } else { OFTEN }
    }

    fn works(&mut self, feed: &Feed) {
        if std::mem::take(&mut self.is_missing) {
            tracing::info!(camera = %feed.camera().id(), "{} is there", self.config.path.display());
        }
        feed.works();
    }

    fn miss(&mut self, feed: &Feed) {
        let why = format!("the file {} is not there", self.config.path.display());
        if !std::mem::replace(&mut self.is_missing, true) {
            tracing::warn!(camera = %feed.camera().id(), "{why}");
        }
        feed.camera().set_source(SourceState::Failing, Some(why));
    }

    fn failed(&self, source: io::Error) -> TailError {
        let path = self.config.path.clone();
        match source.kind() {
            io::ErrorKind::IsADirectory => TailError::NoFile(path),
            _ => TailError::Unreadable { path, source },
        }
    }
}

impl Source for Tail {
    async fn run(&mut self, feed: &Feed) -> SourceError {
        let Err(e) = self.feed(feed).await;
        e
    }
}
