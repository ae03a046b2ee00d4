//! Promises of motion detection, on pictures of which is known what moves in them.

use std::time::Duration;

use bytes::Bytes;
use oriel_picture::{
    story::{Entry, Story},
    studio::Studio,
};
use oriel_proto::{ImageClass, Timestamp};

use super::*;

/// Noon of some day, in milliseconds.
const NOON_MS: u64 = 1_767_268_800_000;

/// Half an hour before the sun has half risen: the light changes fastest then.
const DAWN_MS: u64 = NOON_MS - 6 * 3_600_000 - 300_000;

/// A camera and what is seen of it.
struct Watched {
    studio: Studio,
    detector: Detector,
    began_ms: u64,
}

impl Watched {
    fn new(seed: u64, interval: Duration, began_ms: u64) -> Self {
        let studio = Studio::new(seed, "Front porch".into(), Story::new(seed, interval), 12);
        Self { studio, detector: Detector::default(), began_ms }
    }

    fn picture(&mut self, ms: u64) -> (Timestamp, Bytes) {
        let at = Timestamp::from_millis((self.began_ms + ms).cast_signed());
        let jpeg = self.studio.picture(&ImageClass::Preview, Duration::from_millis(ms), at).unwrap();
        (at, jpeg)
    }

    /// What is told between two moments, with a picture each second.
    fn told(&mut self, from_ms: u64, to_ms: u64) -> Vec<(u64, Told)> {
        let mut told = Vec::new();
        for ms in (from_ms..to_ms).step_by(1_000) {
            let (at, jpeg) = self.picture(ms);
            told.extend(self.detector.look(at, Blocks::of(&jpeg).unwrap()).map(|tell| (ms, tell)));
        }
        told
    }
}

#[test]
fn every_move_is_found_and_nothing_else() {
    let interval = Duration::from_secs(10);
    let story = Story::new(1, interval);
    let told = Watched::new(1, interval, NOON_MS).told(0, 600_000);
    let moves: Vec<u64> =
        (0..60).filter(|n| matches!(story.entry(*n), Entry::Motion { .. })).map(|n| n * 10_000).collect();
    assert!(moves.len() > 25, "{moves:?}");
    let begins: Vec<_> = told.iter().filter(|(_, told)| told.begins).collect();
    for ms in &moves {
        let during = |(at, _): &&&(u64, Told)| (ms.saturating_sub(700)..ms + 3_300).contains(at);
        assert_eq!(begins.iter().filter(during).count(), 1, "{ms} ms: {told:?}");
    }
    assert_eq!(begins.len(), moves.len(), "{told:?}");
    assert!(told.windows(2).all(|pair| pair[0].1.begins != pair[1].1.begins), "{told:?}");
}

#[test]
fn ten_minutes_of_dawn_with_noise_are_still() {
    // The next entry of the story is days away, and the first one is over.
    let mut watched = Watched::new(5, Duration::from_secs(1_000_000), DAWN_MS);
    assert_eq!(watched.told(10_000, 610_000), []);
}

#[test]
fn a_light_that_is_switched_and_a_camera_that_goes_dark_do_not_move() {
    let interval = Duration::from_secs(10);
    let story = Story::new(4, interval);
    let unmoved = |n: u64| (n - 1..=n + 1).all(|n| !matches!(story.entry(n), Entry::Motion { .. }));
    let light = |n: &u64| matches!(story.entry(*n), Entry::Brightness { .. } | Entry::Reset { .. });
    let changes: Vec<u64> = (1..3_000).filter(light).filter(|n| unmoved(*n)).take(20).collect();
    assert_eq!(changes.len(), 20);
    for n in changes {
        let ms = n * 10_000;
        let told = Watched::new(4, interval, NOON_MS).told(ms - 5_000, ms + 9_000);
        assert_eq!(told, [], "{:?}", story.entry(n));
    }
}

#[test]
fn an_older_picture_is_not_compared_and_another_size_begins_anew() {
    let mut watched = Watched::new(1, Duration::from_secs(1_000_000), NOON_MS);
    assert_eq!(watched.told(10_000, 20_000), []);
    let (at, dark) = {
        let mut other = Watched::new(9, Duration::from_secs(1_000_000), NOON_MS);
        other.picture(15_000)
    };
    assert_eq!(watched.detector.look(at, Blocks::of(&dark).unwrap()), None);
    assert_eq!(watched.told(20_000, 30_000), []);
    let main_at = Timestamp::from_millis(NOON_MS.cast_signed() + 30_000);
    let main = watched.studio.picture(&ImageClass::Main, Duration::from_secs(30), main_at).unwrap();
    assert_eq!(watched.detector.look(main_at, Blocks::of(&main).unwrap()), None);
    assert_eq!(watched.told(31_000, 40_000), []);
}

#[test]
fn a_clock_that_is_set_back_ends_a_movement_and_the_next_one_is_found() {
    let interval = Duration::from_secs(10);
    let story = Story::new(1, interval);
    let mut moves =
        (1..).filter(|n| matches!(story.entry(*n), Entry::Motion { .. })).map(|n: u64| n * 10_000);
    let (first, second) = (moves.next().unwrap(), moves.next().unwrap());
    let mut watched = Watched::new(1, interval, NOON_MS);
    let told = watched.told(first - 2_000, first + 2_000);
    assert!(matches!(told[..], [(_, Told { begins: true, .. })]), "{told:?}");
    watched.began_ms -= 3_600_000;
    let told = watched.told(first + 2_000, second + 3_300);
    assert!(told[0].0 == first + 2_000 && !told[0].1.begins, "{told:?}");
    assert!(told.iter().any(|(ms, told)| told.begins && *ms + 700 >= second), "{told:?}");
}

#[test]
fn a_movement_ends_when_no_picture_comes_any_more() {
    let interval = Duration::from_secs(10);
    let story = Story::new(1, interval);
    let n = (1..).find(|n| matches!(story.entry(*n), Entry::Motion { .. })).unwrap();
    let mut watched = Watched::new(1, interval, NOON_MS);
    let told = watched.told(n * 10_000 - 2_000, n * 10_000 + 2_000);
    assert!(matches!(told[..], [(_, Told { begins: true, .. })]), "{told:?}");
    let ended = watched.detector.give_up().unwrap();
    assert!(!ended.begins && ended.size.area >= told[0].1.size.area);
    assert_eq!(watched.detector.give_up(), None);
}

#[tokio::test]
async fn a_picture_that_finds_all_decoders_busy_is_left_out_and_does_not_wait() {
    static TWO: Semaphore = Semaphore::const_new(2);
    let at = Timestamp::from_millis(NOON_MS.cast_signed());
    let picture = Picture { class: ImageClass::Preview, at, jpeg: crate::pictures::tests::picture(2_000, 1) };
    let busy = TWO.try_acquire_many(2).unwrap();
    assert!(blocks(picture.clone(), &TWO).await.is_none());
    drop(busy);
    for _ in 0..3 {
        assert!(blocks(picture.clone(), &TWO).await.unwrap().is_ok());
    }
    assert_eq!(TWO.available_permits(), 2);
}
