//! Promises of simulated pictures.

use oriel_proto::{jpeg, limits::IMAGE_BYTES};

use super::*;
use crate::{
    blocks::Blocks,
    story::{Entry, ZONES},
};

/// Noon of some day, in milliseconds.
const NOON_MS: i64 = 1_767_268_800_000;

const INTERVAL: Duration = Duration::from_secs(10);

fn studio(seed: u64) -> Studio {
    Studio::new(seed, "Front porch".into(), Story::new(seed, INTERVAL), 4)
}

/// What is seen `ms` after the beginning, when it is noon.
fn preview(studio: &mut Studio, ms: u64) -> Bytes {
    let at = Timestamp::from_millis(NOON_MS);
    studio.picture(&ImageClass::Preview, Duration::from_millis(ms), at).unwrap()
}

/// The blocks in which two pictures differ by more than noise, as column and row.
fn changed(one: &[u8], other: &[u8]) -> Vec<(usize, usize)> {
    let (one, other) = (Blocks::of(one).unwrap(), Blocks::of(other).unwrap());
    let pairs = one.light().iter().zip(other.light()).enumerate();
    let differing = pairs.filter(|(_, (one, other))| (*one - *other).abs() > 8.0);
    differing.map(|(n, _)| (n % one.columns(), n / one.columns())).collect()
}

#[test]
fn pictures_are_whole_jpegs_of_their_sizes() {
    let at = Timestamp::from_millis(NOON_MS);
    for (class, size) in [(ImageClass::Preview, PREVIEW), (ImageClass::Main, MAIN)] {
        let bytes = studio(1).picture(&class, Duration::ZERO, at).unwrap();
        let facts = jpeg::check(&bytes).unwrap();
        assert_eq!((facts.width, facts.height), size);
        assert!(bytes.len() < IMAGE_BYTES / 16, "{}", bytes.len());
    }
}

#[test]
fn one_seed_and_moment_give_one_picture_whatever_was_drawn_before() {
    let (mut one, mut other) = (studio(7), studio(7));
    preview(&mut one, 0);
    one.picture(&ImageClass::Main, Duration::ZERO, Timestamp::from_millis(0)).unwrap();
    assert_eq!(preview(&mut one, 12_345), preview(&mut other, 12_345));
    assert_ne!(preview(&mut one, 12_345), preview(&mut studio(8), 12_345));
}

#[test]
fn what_moves_is_seen_in_its_zone_alone_and_only_during_its_event() {
    let story = Story::new(3, INTERVAL);
    let mut seen = [0; ZONES.len()];
    for n in 1..40 {
        let mut studio = studio(3);
        let Entry::Motion { zone, .. } = story.entry(n) else { continue };
        let event = story.position(n).as_millis() as u64;
        // Between two entries nothing moves.
        let still = preview(&mut studio, event + 5_000);
        let area = studio.scene.zone(zone, &Canvas::new(PREVIEW.0, PREVIEW.1));
        for after in [0, 1_000, 2_000] {
            let blocks = changed(&still, &preview(&mut studio, event + after));
            assert!(blocks.len() >= 6, "entry {n}: {blocks:?}");
            for (column, row) in blocks {
                let (x, y) = (column as i32 * 16, row as i32 * 15);
                // A block may reach over the edge.
                let (left, top) = (area.top_left.x - 16, area.top_left.y - 15);
                let right = area.top_left.x + area.size.width as i32;
                let bottom = area.top_left.y + area.size.height as i32;
                assert!((left..right).contains(&x) && (top..bottom).contains(&y), "entry {n}: {x} {y}");
            }
        }
        assert_eq!(changed(&still, &preview(&mut studio, event + 6_000)), []);
        seen[zone] += 1;
    }
    assert!(seen.iter().all(|seen| *seen > 0), "{seen:?}");
}

#[test]
fn a_reset_is_black_and_a_brightness_changes_everything() {
    let story = Story::new(3, INTERVAL);
    let light = |bytes: &[u8]| {
        let blocks = Blocks::of(bytes).unwrap();
        // Without the caption.
        let rows = &blocks.light()[blocks.columns() * 2..];
        rows.iter().sum::<f32>() / rows.len() as f32
    };
    let reset = (1..).find(|n| matches!(story.entry(*n), Entry::Reset { .. })).unwrap();
    assert!(light(&preview(&mut studio(3), story.position(reset).as_millis() as u64)) < 1.0);
    let mut steps =
        (1..200).filter_map(|n| match (story.entry(n), story.sight(story.position(n - 1)).level) {
            (Entry::Brightness { level }, before) if level.abs_diff(before) > 30 => Some((n, level > before)),
            _ => None,
        });
    let (n, brighter) = steps.next().unwrap();
    let at = story.position(n).as_millis() as u64;
    let (before, after) = (preview(&mut studio(3), at - 2_000), preview(&mut studio(3), at + 5_000));
    assert_eq!(light(&after) > light(&before) + 10.0, brighter);
    assert_eq!(light(&before) > light(&after) + 10.0, !brighter);
}

#[test]
fn name_and_time_stand_in_the_picture() {
    let mut porch = studio(1);
    let mut yard = Studio::new(1, "Back yard of many words".into(), Story::new(1, INTERVAL), 4);
    let named = changed(&preview(&mut porch, 5_000), &preview(&mut yard, 5_000));
    assert!(!named.is_empty() && named.iter().all(|(column, row)| *column < 20 && *row < 2), "{named:?}");
    let dark = |at_ms| {
        let mut canvas = Canvas::new(PREVIEW.0, PREVIEW.1);
        caption::draw(&mut canvas, "", Timestamp::from_millis(at_ms));
        canvas.luma
    };
    assert_ne!(dark(NOON_MS), dark(NOON_MS + 1_000));
    assert_eq!(dark(NOON_MS), dark(NOON_MS + 999));
    // No calendar has these.
    assert_eq!(dark(i64::MAX), dark(i64::MIN));
}
