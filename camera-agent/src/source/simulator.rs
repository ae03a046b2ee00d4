//! A camera that does not exist: events in the field's words, the same story for the same seed.

mod beat;
mod canvas;
mod caption;
mod figure;
mod light;
mod scene;
mod story;
mod studio;

use std::time::Duration;

use oriel_proto::{CameraId, Kind, Severity, event::Data, frame::SourceState};
use rand::{RngExt as _, SeedableRng as _, rngs::SmallRng};
use tokio::time::{MissedTickBehavior, interval};

use super::{Source, SourceError};
use crate::{camera::Camera, config::SimulatorConfig, spool::Draft};

/// Events of the past written in one transaction.
const BACKFILL_ROWS: u64 = 1_000;

/// A simulated source.
#[derive(Debug)]
pub(super) struct Simulator {
    config: SimulatorConfig,
    chance: SmallRng,
}

impl Simulator {
    /// Tells the story of its seed, or that of the camera's id.
    pub(super) fn new(config: &SimulatorConfig, camera: &CameraId) -> Self {
        let seed = config.seed.unwrap_or_else(|| seed_of(camera));
        Self { config: config.clone(), chance: SmallRng::seed_from_u64(seed) }
    }

    /// The next event of the story.
    fn draft(&mut self) -> Draft {
        let mut data = Data::new();
        let (kind, severity, description) = match self.chance.random_range(0..10_u32) {
            0..=5 => {
                data.insert(
                    "zone".into(),
                    ["gate", "door", "yard", "street"][self.chance.random_range(0..4_usize)].into(),
                );
                data.insert("score".into(), self.chance.random_range(50..100_u32).into());
                (Kind::Motion, Severity::Notice, "detected motion")
            }
            6 | 7 => {
                data.insert("viewer".into(), self.chance.random_range(1..6_u32).into());
                (Kind::ViewStarted, Severity::Info, "user started viewing live video")
            }
            8 => {
                data.insert("level".into(), self.chance.random_range(0..=100_u32).into());
                (Kind::Brightness, Severity::Info, "brightness adjusted")
            }
            _ => {
                data.insert(
                    "cause".into(),
                    ["power", "watchdog", "user"][self.chance.random_range(0..3_usize)].into(),
                );
                (Kind::Reset, Severity::Warning, "camera reset")
            }
        };
        Draft { at: None, kind, severity, description: description.into(), data, image_at: None }
    }
}

impl Source for Simulator {
    async fn prepare(&mut self, camera: &Camera) -> Result<(), SourceError> {
        let total = self.config.backfill;
        if total == 0 || !camera.spool.is_new() {
            return Ok(());
        }
        let now = camera.spool.time();
        let mut left = total;
        while left > 0 {
            let count = left.min(BACKFILL_ROWS);
            let drafts = (0..count).map(|i| {
                let ago = self.config.interval_ms.saturating_mul(left - i);
                Draft { at: Some(now.before(Duration::from_millis(ago))), ..self.draft() }
            });
            camera.spool.append(drafts.collect()).await?;
            left -= count;
        }
        Ok(())
    }

    async fn run(&mut self, camera: &Camera) -> SourceError {
        let mut every = interval(Duration::from_millis(self.config.interval_ms));
        every.set_missed_tick_behavior(MissedTickBehavior::Skip);
        loop {
            every.tick().await;
            if let Err(e) = camera.spool.append(vec![self.draft()]).await {
                return e.into();
            }
            camera.set_source(SourceState::Ok, None);
        }
    }
}

/// A number made from an id, the same on every machine (FNV-1a).
fn seed_of(camera: &CameraId) -> u64 {
    camera.as_str().bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use oriel_proto::{
        Timestamp,
        call::{EventsCall, Order},
    };
    use tokio::sync::watch;

    use super::*;
    use crate::{
        config::{CameraConfig, SourceConfig},
        spool::Clock,
        state::State,
    };

    fn story(seed: u64) -> Vec<Draft> {
        let config = SimulatorConfig { seed: Some(seed), ..SimulatorConfig::default() };
        let mut simulator = Simulator::new(&config, &"porch".parse().unwrap());
        (0..50).map(|_| simulator.draft()).collect()
    }

    #[test]
    fn one_seed_tells_one_story() {
        assert_eq!(story(7), story(7));
        assert_ne!(story(7), story(8));
    }

    #[tokio::test]
    async fn events_of_the_past_are_one_interval_apart() {
        let dir = tempfile::tempdir().unwrap();
        let state = State::open(dir.path()).await.unwrap();
        let simulator = SimulatorConfig { interval_ms: 500, backfill: 2_500, ..SimulatorConfig::default() };
        let source = SourceConfig::Simulator(simulator.clone());
        let config = CameraConfig { source, ..CameraConfig::simulated("porch".parse().unwrap()) };
        let clock: Clock = Arc::new(|| Timestamp::from_millis(1_767_225_600_000));
        let camera = Camera::open(config, &state, clock, watch::Sender::new(())).await.unwrap();
        Simulator::new(&simulator, camera.id()).prepare(&camera).await.unwrap();
        let mut query = camera.spool.query(EventsCall::all(Order::Asc)).await.unwrap();
        let mut times = Vec::new();
        loop {
            let (page, ended) = query.page().await.unwrap();
            times.extend(page.into_iter().map(|event| event.event.at));
            if ended {
                break;
            }
        }
        assert_eq!(times.len(), 2_500);
        assert!(times.windows(2).all(|pair| pair[1] == pair[0].after(Duration::from_millis(500))));
    }

    #[test]
    fn the_words_are_those_of_the_field() {
        let words =
            ["detected motion", "user started viewing live video", "brightness adjusted", "camera reset"];
        let told: std::collections::HashSet<_> =
            story(1).into_iter().map(|draft| draft.description).collect();
        assert_eq!(told.len(), 4);
        assert!(words.iter().all(|word| told.contains(*word)));
    }
}
