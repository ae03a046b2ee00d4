//! What a simulated camera saw before its first start: events, and pictures of the last minute.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use oriel_proto::{ImageClass, Timestamp};

use super::{Simulator, draft};
use crate::{
    pictures::Picture,
    source::{SourceError, feed::Feed},
};

/// Events of the past written in one transaction.
const ROWS: u64 = 1_000;

/// How far back there are pictures.
const MINUTE_MS: u64 = 60_000;

/// The least time between two pictures that show no event: a demo of many cameras is to start soon.
const APART_MS: u64 = 2_000;

/// The most pictures that show events, and as many that show none.
const PICTURES: usize = 30;

impl Simulator {
    /// Writes the events of the past, each with its picture where there is one.
    pub(super) async fn tell_the_past(&mut self, feed: &Feed) -> Result<(), SourceError> {
        let now = feed.camera().spool.time();
        let total = self.config.backfill;
        let pictures = self.show_the_past(now, feed).await?;
        let mut told = 0;
        while told < total {
            let rows = told..total.min(told + ROWS);
            let drafts = rows.clone().map(|n| {
                let ago_ms = self.config.interval_ms.saturating_mul(total - n);
                let entry = self.story.entry(n);
                let image_at = pictures.get(&ago_ms).filter(|_| entry.is_seen());
                let at = now.before(Duration::from_millis(ago_ms));
                draft(&entry, Some(at), image_at.copied())
            });
            feed.camera().spool.append(drafts.collect()).await?;
            told = rows.end;
        }
        Ok(())
    }

    /// Keeps pictures of the last minute; gives the times of the small ones by how many milliseconds ago they were taken.
    async fn show_the_past(
        &mut self,
        now: Timestamp,
        feed: &Feed,
    ) -> Result<BTreeMap<u64, Timestamp>, SourceError> {
        let mut kept = BTreeMap::new();
        let moments = self.moments();
        if self.config.main_ms > 0
            && let Some(ago_ms) = moments.first()
        {
            self.keep_past(&ImageClass::Main, now, *ago_ms, feed).await?;
        }
        // Oldest first, as the ring likes them.
        let previews = if self.config.preview_ms > 0 { moments } else { BTreeSet::new() };
        for ago_ms in previews.into_iter().rev() {
            if let Some(at) = self.keep_past(&ImageClass::Preview, now, ago_ms, feed).await? {
                kept.insert(ago_ms, at);
            }
        }
        Ok(kept)
    }

    /// Keeps a picture of so many milliseconds ago; gives the time it is known by, none when it is not kept.
    async fn keep_past(
        &mut self,
        class: &ImageClass,
        now: Timestamp,
        ago_ms: u64,
        feed: &Feed,
    ) -> Result<Option<Timestamp>, SourceError> {
        let ago = Duration::from_millis(ago_ms);
        let (position, at) = (self.position(Duration::ZERO).saturating_sub(ago), now.before(ago));
        let jpeg = self.artist.draw(class, position, at).await?;
        Ok(feed.keep(Picture { class: class.clone(), at, jpeg }).await.ok().flatten())
    }

    /// How many milliseconds ago there were pictures: at each event that is seen, and in between.
    pub(super) fn moments(&self) -> BTreeSet<u64> {
        let (interval, total) = (self.config.interval_ms, self.config.backfill);
        let span = MINUTE_MS.min(interval.saturating_mul(total));
        let apart = self.config.preview_ms.max(APART_MS);
        let between = (1..=span / apart).map(|n| n * apart).take(PICTURES);
        let events = (1..=(span / interval).min(PICTURES as u64))
            .filter(|back| self.story.entry(total - back).is_seen())
            .map(|back| back * interval);
        between.chain(events).collect()
    }
}
