//! Promises of the simulated source.

use std::{collections::HashSet, path::Path, sync::Arc};

use oriel_picture::blocks::Blocks;
use oriel_proto::{call::ImageMatch, frame::SourceState};

use super::*;
use crate::{
    config::SourceConfig,
    source::{
        self,
        tests::stand::{Stand, at_noon, soon},
    },
};

async fn stand(dir: &Path, simulator: SimulatorConfig) -> Stand {
    Stand::with_clock(dir, SourceConfig::Simulator(simulator), at_noon()).await
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
    let dir = tempfile::tempdir().unwrap();
    let simulator = SimulatorConfig { interval_ms: 500, backfill: 2_500, ..SimulatorConfig::default() };
    let stand = stand(dir.path(), simulator).await;
    source::prepare(&stand.camera).await.unwrap();
    let times: Vec<_> = stand.events().await.into_iter().map(|event| event.at).collect();
    assert_eq!(times.len(), 2_500);
    assert!(times.windows(2).all(|pair| pair[1] == pair[0].after(Duration::from_millis(500))));
}

#[tokio::test]
async fn the_last_minute_of_the_past_has_pictures_and_its_events_name_theirs() {
    let dir = tempfile::tempdir().unwrap();
    let stand = stand(dir.path(), SimulatorConfig { backfill: 20, ..SimulatorConfig::default() }).await;
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
async fn an_event_names_no_picture_that_was_dropped_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let source = SourceConfig::Simulator(SimulatorConfig { backfill: 20, ..SimulatorConfig::default() });
    let images_retention = Duration::from_secs(30);
    let config =
        CameraConfig { source, images_retention, ..CameraConfig::simulated("porch".parse().unwrap()) };
    let stand = Stand::of(dir.path(), config, at_noon()).await;
    source::prepare(&stand.camera).await.unwrap();
    let previews = stand.rows(ImageClass::Preview).await;
    let named: Vec<_> = stand.events().await.into_iter().filter_map(|event| event.image_at).collect();
    assert!(!named.is_empty());
    assert!(named.iter().all(|at| previews.iter().any(|row| row.at() == *at)), "{named:?}");
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
    let dir = tempfile::tempdir().unwrap();
    let config = SimulatorConfig { seed: Some(3), interval_ms: 3_600_000, ..SimulatorConfig::default() };
    let first = Story::new(3, Duration::from_secs(3_600)).entry(0);
    assert!(matches!(first, Entry::Motion { .. }), "{first:?}");
    let mut stand = stand(dir.path(), config).await;
    stand.start();
    let taken = soon(async {
        // The first picture and its event are written before anybody is answered.
        let taken = stand.camera.pictures.take(&ImageClass::Main).done().await.unwrap();
        stand.camera.pictures.take(&ImageClass::Preview).done().await.unwrap();
        taken
    });
    let taken = taken.await;
    assert_eq!(stand.camera.source().state, SourceState::Ok);
    let events = stand.events().await;
    let ring = stand.camera.pictures.ring(&ImageClass::Preview).unwrap();
    let row = ring.find(&ImageMatch::Exact, events[0].image_at.unwrap()).await.unwrap().unwrap();
    Blocks::of(&ring.read(row).await.unwrap().unwrap()).unwrap();
    assert!(stand.rows(ImageClass::Main).await.iter().any(|row| row.at() == taken.at));
    stand.stop().await;
}

#[tokio::test(start_paused = true)]
async fn as_many_pictures_are_shown_as_are_wanted_and_only_those_due_are_kept() {
    let dir = tempfile::tempdir().unwrap();
    let config = SimulatorConfig { interval_ms: 3_600_000, main_ms: 0, ..SimulatorConfig::default() };
    let mut stand = stand(dir.path(), config).await;
    stand.start();
    let began = Instant::now();
    let mut viewer = stand.camera.pictures.watch(&ImageClass::Preview, 10.0).unwrap();
    for _ in 0..50 {
        viewer.wait().await;
        viewer.newest().unwrap();
    }
    let took = began.elapsed();
    assert!((Duration::from_millis(4_000)..Duration::from_millis(6_000)).contains(&took), "{took:?}");
    drop(viewer);
    let kept = stand.rows(ImageClass::Preview).await.len();
    assert!((4..=8).contains(&kept), "{kept}");
    stand.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_camera_without_pictures_draws_none() {
    let dir = tempfile::tempdir().unwrap();
    let config = SimulatorConfig {
        interval_ms: 1_000,
        preview_ms: 0,
        main_ms: 0,
        backfill: 100,
        ..SimulatorConfig::default()
    };
    let stand = stand(dir.path(), config).await;
    source::prepare(&stand.camera).await.unwrap();
    assert_eq!(stand.camera.offers.classes, []);
    assert!(stand.events().await.iter().all(|event| event.image_at.is_none()));
    assert_eq!(stand.camera.pictures.bytes(), 0);
}

#[tokio::test(start_paused = true)]
async fn what_moves_in_kept_pictures_is_written_down_with_the_picture_that_shows_it() {
    let dir = tempfile::tempdir().unwrap();
    let simulator = SimulatorConfig { seed: Some(3), main_ms: 0, ..SimulatorConfig::default() };
    let source = SourceConfig::Simulator(simulator);
    let config = CameraConfig { source, motion: true, ..CameraConfig::simulated("porch".parse().unwrap()) };
    let began = Instant::now();
    let clock = Arc::new(move || at_noon()().after(began.elapsed()));
    let mut stand = Stand::of(dir.path(), config, clock).await;
    stand.start();
    let mut viewer = stand.camera.pictures.watch(&ImageClass::Preview, 0.001).unwrap();
    let events = loop {
        soon(viewer.wait()).await;
        drop(viewer.newest());
        let events = stand.events().await;
        if events.iter().any(|event| event.kind == Kind::MotionEnded) {
            break events;
        }
    };
    let found = |state: &str| events.iter().find(|event| event.data.get("state").is_some_and(|s| s == state));
    let (start, end) = (found("start").unwrap(), found("end").unwrap());
    assert_eq!((&start.kind, &end.kind), (&Kind::Motion, &Kind::MotionEnded));
    let ring = stand.camera.pictures.ring(&ImageClass::Preview).unwrap();
    for event in [start, end] {
        assert!(ring.find(&ImageMatch::Exact, event.image_at.unwrap()).await.unwrap().is_some());
        assert!(
            event.data["score"].as_u64() > Some(0) && event.data["area"].as_f64() > Some(0.0),
            "{event:?}"
        );
    }
    drop(viewer);
    stand.stop().await;
}
