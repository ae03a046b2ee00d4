//! Promises of the simulated source.

use std::{collections::HashSet, sync::Arc};

use oriel_picture::blocks::Blocks;
use oriel_proto::{
    Event,
    call::{EventsCall, ImageMatch, Order},
    frame::SourceState,
};
use tokio::sync::watch;

use super::*;
use crate::{
    camera::Camera,
    config::SourceConfig,
    ring::{Row, Span},
    source,
    spool::{Clock, system_clock},
    state::State,
};

/// Longer than anything here takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// A camera whose agent runs nothing else.
struct Stand {
    camera: Camera,
    _dir: tempfile::TempDir,
}

impl Stand {
    async fn new(simulator: SimulatorConfig, clock: Clock) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let state = State::open(dir.path()).await.unwrap();
        let source = SourceConfig::Simulator(simulator);
        let config = CameraConfig { source, ..CameraConfig::simulated("porch".parse().unwrap()) };
        let camera = Camera::open(config, &state, clock, watch::Sender::new(())).await.unwrap();
        Self { camera, _dir: dir }
    }

    async fn events(&self) -> Vec<Event> {
        let mut query = self.camera.spool.query(EventsCall::all(Order::Asc)).await.unwrap();
        let mut events = Vec::new();
        loop {
            let (page, ended) = query.page().await.unwrap();
            events.extend(page.into_iter().map(|logged| logged.event));
            if ended {
                return events;
            }
        }
    }

    async fn rows(&self, class: ImageClass) -> Vec<Row> {
        let all = Span::new(None, None, &Order::Asc);
        self.camera.pictures.ring(&class).unwrap().page(&all, 1_000).await.unwrap()
    }
}

fn at_noon() -> Clock {
    Arc::new(|| Timestamp::from_millis(1_767_268_800_000))
}

#[test]
fn the_words_are_those_of_the_field() {
    let words = ["detected motion", "user started viewing live video", "brightness adjusted", "camera reset"];
    let story = Story::new(1, Duration::from_secs(10));
    let told: HashSet<_> = (0..50).map(|n| draft(&story.entry(n), None, None).description).collect();
    assert_eq!(told.len(), 4);
    assert!(words.iter().all(|word| told.contains(*word)));
}

#[tokio::test]
async fn events_of_the_past_are_one_interval_apart() {
    let simulator = SimulatorConfig { interval_ms: 500, backfill: 2_500, ..SimulatorConfig::default() };
    let stand = Stand::new(simulator, at_noon()).await;
    source::prepare(&stand.camera).await.unwrap();
    let times: Vec<_> = stand.events().await.into_iter().map(|event| event.at).collect();
    assert_eq!(times.len(), 2_500);
    assert!(times.windows(2).all(|pair| pair[1] == pair[0].after(Duration::from_millis(500))));
}

#[tokio::test]
async fn the_last_minute_of_the_past_has_pictures_and_its_events_name_theirs() {
    let stand = Stand::new(SimulatorConfig { backfill: 20, ..SimulatorConfig::default() }, at_noon()).await;
    source::prepare(&stand.camera).await.unwrap();
    let previews = stand.rows(ImageClass::Preview).await;
    assert_eq!(previews.len(), 30);
    assert_eq!(stand.rows(ImageClass::Main).await.len(), 1);
    let events = stand.events().await;
    let (old, new) = events.split_at(14);
    assert!(old.iter().all(|event| event.image_at.is_none()));
    for event in new {
        let named = (event.kind != Kind::ViewStarted).then_some(event.at);
        assert_eq!(event.image_at, named, "{event:?}");
        assert!(previews.iter().any(|row| row.at() == event.at));
    }
}

#[tokio::test]
async fn a_past_of_any_pace_has_at_most_sixty_pictures() {
    for (interval_ms, preview_ms) in [(1, 40), (700, 1_500), (1_000, 1_000), (3_600_000, 40), (7_000, 0)] {
        let config =
            SimulatorConfig { interval_ms, preview_ms, backfill: 1_000, ..SimulatorConfig::default() };
        let camera = CameraConfig::simulated("porch".parse().unwrap());
        let moments = Simulator::new(&config, &camera).moments();
        assert!((1..=60).contains(&moments.len()), "{interval_ms}: {moments:?}");
        assert!(moments.iter().all(|ago| (1..=60_000).contains(ago)), "{interval_ms}: {moments:?}");
    }
}

#[tokio::test]
async fn a_running_camera_begins_with_an_event_and_a_picture_that_shows_it() {
    let config = SimulatorConfig { seed: Some(3), interval_ms: 3_600_000, ..SimulatorConfig::default() };
    let first = Story::new(3, Duration::from_secs(3_600)).entry(0);
    assert!(matches!(first, Entry::Motion { .. }), "{first:?}");
    let stand = Stand::new(config, system_clock()).await;
    let stop = tokio_util::sync::CancellationToken::new();
    let running = tokio::spawn(source::run(stand.camera.clone(), stop.clone()));
    let asked = tokio::time::timeout(PATIENCE, async {
        // The first picture and its event are written before anybody is answered.
        let taken = stand.camera.pictures.take(&ImageClass::Main).done().await.unwrap();
        stand.camera.pictures.take(&ImageClass::Preview).done().await.unwrap();
        taken
    });
    let taken = asked.await.unwrap();
    assert_eq!(stand.camera.source().state, SourceState::Ok);
    let events = stand.events().await;
    let ring = stand.camera.pictures.ring(&ImageClass::Preview).unwrap();
    let row = ring.find(&ImageMatch::Exact, events[0].image_at.unwrap()).await.unwrap().unwrap();
    Blocks::of(&ring.read(row).await.unwrap().unwrap()).unwrap();
    assert!(stand.rows(ImageClass::Main).await.iter().any(|row| row.at() == taken.at));
    stop.cancel();
    running.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn as_many_pictures_are_shown_as_are_wanted_and_only_those_due_are_kept() {
    let config = SimulatorConfig { interval_ms: 3_600_000, main_ms: 0, ..SimulatorConfig::default() };
    let stand = Stand::new(config, at_noon()).await;
    let stop = tokio_util::sync::CancellationToken::new();
    let running = tokio::spawn(source::run(stand.camera.clone(), stop.clone()));
    let began = Instant::now();
    let mut viewer = stand.camera.pictures.watch(&ImageClass::Preview, 10.0).unwrap();
    for _ in 0..50 {
        viewer.wait().await;
        viewer.newest().unwrap();
    }
    let took = began.elapsed();
    assert!((Duration::from_millis(4_000)..Duration::from_millis(6_000)).contains(&took), "{took:?}");
    drop(viewer);
    stop.cancel();
    running.await.unwrap();
    let kept = stand.rows(ImageClass::Preview).await.len();
    assert!((4..=8).contains(&kept), "{kept}");
}

#[tokio::test(start_paused = true)]
async fn a_camera_without_pictures_draws_none() {
    let config = SimulatorConfig {
        interval_ms: 1_000,
        preview_ms: 0,
        main_ms: 0,
        backfill: 100,
        ..SimulatorConfig::default()
    };
    let stand = Stand::new(config, at_noon()).await;
    source::prepare(&stand.camera).await.unwrap();
    assert_eq!(stand.camera.offers.classes, []);
    assert!(stand.events().await.iter().all(|event| event.image_at.is_none()));
    assert_eq!(stand.camera.pictures.bytes(), 0);
}
