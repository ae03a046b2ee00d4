//! Pictures for tests: real ones, of any size; and promises about a camera's pictures.

use std::{
    sync::atomic::{AtomicI64, Ordering},
    task::{Context, Poll, Waker},
    time::Duration,
};

use bytes::Bytes;
use tempfile::TempDir;

use super::*;

/// A gray picture of 8 by 8 pixels.
const GRAY: &[u8] = include_bytes!("../../tests/common/picture.jpg");

/// The bytes of the smallest one.
pub(crate) const LEAST: usize = GRAY.len() + 4;

/// A whole picture of exactly so many bytes, at least [`LEAST`], which `mark` makes unlike others.
pub(crate) fn picture(bytes: usize, mark: u8) -> Bytes {
    let (begin, rest) = GRAY.split_at(2);
    let mut jpeg = begin.to_vec();
    let mut left = bytes - GRAY.len();
    while left > 0 {
        // A comment; what is left must have room for the head of another one.
        let mut size = left.min(60_000);
        if (1..4).contains(&(left - size)) {
            size -= 4;
        }
        jpeg.extend([0xff, 0xfe]);
        jpeg.extend(u16::try_from(size - 2).unwrap().to_be_bytes());
        jpeg.resize(jpeg.len() + size - 4, mark);
        left -= size;
    }
    jpeg.extend(rest);
    jpeg.into()
}

/// 2026-11-22, in milliseconds.
const START_MS: i64 = 1_795_391_880_000;

/// The pictures of a camera whose clock is set by hand.
struct Kept {
    dir: TempDir,
    now_ms: Arc<AtomicI64>,
    pictures: Pictures,
}

impl Kept {
    fn new() -> Self {
        let (dir, now_ms) = (tempfile::tempdir().unwrap(), Arc::new(AtomicI64::new(START_MS)));
        let time = now_ms.clone();
        let clock: Clock = Arc::new(move || Timestamp::from_millis(time.load(Ordering::Relaxed)));
        let pictures = Pictures::new(&CameraConfig::simulated("porch".parse().unwrap()), dir.path(), clock);
        Self { dir, now_ms, pictures }
    }

    async fn keep(&self, class: ImageClass, at_ms: i64) -> Option<Timestamp> {
        let at = Timestamp::from_millis(at_ms);
        self.pictures.keep(Picture { class, at, jpeg: picture(LEAST, 0) }).await.unwrap()
    }
}

#[tokio::test]
async fn one_series_that_cannot_be_tidied_does_not_keep_the_other_from_it() {
    let kept = Kept::new();
    kept.keep(ImageClass::Main, START_MS).await;
    std::fs::write(kept.dir.path().join("preview"), "in the way").unwrap();
    let eight_days = Duration::from_secs(8 * 86_400).as_millis() as i64;
    kept.now_ms.fetch_add(eight_days, Ordering::Relaxed);
    assert!(kept.pictures.tidy().await.is_err());
    assert_eq!(kept.pictures.bytes(), 0);
}

#[tokio::test]
async fn a_picture_that_is_dropped_at_once_is_neither_told_nor_shown() {
    let kept = Kept::new();
    let mailbox = Arc::default();
    let _subscription = kept.pictures.subscribe(&ImageClass::Main, &mailbox).unwrap();
    let mut viewer = kept.pictures.watch(&ImageClass::Main, 1.0).unwrap();
    let mut cx = Context::from_waker(Waker::noop());
    assert_eq!(kept.keep(ImageClass::Main, START_MS - 8 * 86_400_000).await, None);
    assert!(viewer.newest().is_none() && mailbox.poll(&mut cx).is_pending());
    let at = kept.keep(ImageClass::Main, START_MS).await.unwrap();
    assert_eq!(viewer.newest().unwrap().at, at);
    assert_eq!(mailbox.poll(&mut cx), Poll::Ready(("porch".parse().unwrap(), ImageClass::Main, at)));
}

#[tokio::test]
async fn the_time_of_a_picture_that_is_only_shown_has_whole_milliseconds() {
    let kept = Kept::new();
    let mut viewer = kept.pictures.watch(&ImageClass::Preview, 1.0).unwrap();
    let (class, at) = (ImageClass::Preview, Timestamp::from_micros(START_MS * 1_000 + 999));
    kept.pictures.show(Picture { class, at, jpeg: picture(LEAST, 0) });
    assert_eq!(viewer.newest().unwrap().at, Timestamp::from_millis(START_MS));
}
