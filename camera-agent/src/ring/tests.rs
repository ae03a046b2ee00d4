//! Promises of a ring, most of them against a plain model of it.

mod model;

use std::{
    fs,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
};

use tempfile::TempDir;

use super::{index::BLOCK, *};
use crate::pictures::tests::{LEAST, picture};

/// 2026-11-22, two minutes before midnight.
const START_MS: i64 = 1_795_391_880_000;

const HOUR: Duration = Duration::from_secs(3_600);

/// A ring whose clock is set by hand.
struct Bench {
    dir: TempDir,
    now_ms: Arc<AtomicI64>,
    bounds: Bounds,
    ring: Ring,
}

impl Bench {
    /// A ring with room for so many blocks.
    fn new(blocks: u64) -> Self {
        let (dir, now_ms) = (tempfile::tempdir().unwrap(), Arc::new(AtomicI64::new(START_MS)));
        let bounds = Bounds { bytes: blocks * BLOCK, retention: HOUR };
        let ring = Self::open(&dir, bounds, &now_ms);
        Self { dir, now_ms, bounds, ring }
    }

    fn open(dir: &TempDir, bounds: Bounds, now_ms: &Arc<AtomicI64>) -> Ring {
        let now_ms = now_ms.clone();
        let clock: Clock = Arc::new(move || Timestamp::from_millis(now_ms.load(Ordering::Relaxed)));
        Ring::new(&dir.path().join("preview"), bounds, clock)
    }

    fn reopen(&mut self) {
        self.ring = Self::open(&self.dir, self.bounds, &self.now_ms);
    }

    fn go(&self, ms: i64) {
        self.now_ms.fetch_add(ms, Ordering::Relaxed);
    }

    fn folder(&self) -> PathBuf {
        self.dir.path().join("preview")
    }

    async fn keep(&self, at_ms: i64) -> Result<Option<i64>, RingError> {
        let kept = self.ring.keep(Timestamp::from_millis(at_ms), picture(1_000, 1)).await;
        kept.map(|at| at.map(|at| at.as_micros() / 1_000))
    }

    async fn list(&self) -> Vec<i64> {
        let rows = self.ring.page(&Span::new(None, None, &Order::Asc), usize::MAX).await.unwrap();
        rows.into_iter().map(|row| row.at_ms).collect()
    }

    async fn latest(&self) -> Option<i64> {
        let latest = self.ring.find(&ImageMatch::Latest, Timestamp::MIN).await.unwrap();
        latest.map(|row| row.at_ms)
    }
}

#[tokio::test]
async fn a_picture_lies_where_its_time_says() {
    let bench = Bench::new(10);
    bench.keep(START_MS + 123).await.unwrap();
    let file = bench.folder().join("20261122/235800.123.jpg");
    assert_eq!(fs::read(file).unwrap(), picture(1_000, 1));
    let row = Row { at_ms: START_MS + 123, bytes: 1_000 };
    assert_eq!(bench.ring.read(row).await.unwrap().unwrap(), picture(1_000, 1));
}

#[tokio::test]
async fn two_pictures_of_one_time_are_a_millisecond_apart() {
    let bench = Bench::new(10);
    for n in 0..3 {
        assert_eq!(bench.keep(START_MS).await.unwrap(), Some(START_MS + n));
    }
    let at = Timestamp::from_micros(START_MS * 1_000 + 2_999);
    let kept = bench.ring.keep(at, picture(LEAST, 0)).await.unwrap();
    assert_eq!(kept, Some(Timestamp::from_millis(START_MS + 3)), "times are whole milliseconds");
}

#[tokio::test]
async fn what_is_no_picture_is_refused_and_leaves_nothing_behind() {
    let bench = Bench::new(10);
    let whole = picture(1_000, 0);
    let mut bomb = whole.to_vec();
    let frame = bomb.windows(2).position(|pair| pair == [0xff, 0xc0]).unwrap();
    bomb[frame + 5..frame + 9].fill(0xff);
    let at = Timestamp::from_millis(START_MS);
    for (bytes, why) in [
        (whole.slice(..999), "cut off"),
        (Bytes::from_static(b"GIF89a"), "does not begin as a JPEG"),
        (bomb.into(), "4294836225 pixels"),
        (picture(10 * BLOCK as usize + 1, 0), "no room among 40960"),
    ] {
        let refused = bench.ring.keep(at, bytes).await.unwrap_err().to_string();
        assert!(refused.contains(why), "{refused}");
    }
    for time in [-1, 253_402_300_800_000] {
        let refused = bench.ring.keep(Timestamp::from_millis(time), whole.clone()).await;
        assert!(matches!(refused, Err(RingError::Time(_))));
    }
    assert!(!bench.folder().exists() && bench.ring.bytes() == 0);
}

#[tokio::test]
async fn a_cut_or_vanished_file_is_found_out_when_it_is_read() {
    let bench = Bench::new(10);
    for n in 0..4 {
        bench.keep(START_MS + n).await.unwrap();
    }
    let day = bench.folder().join("20261122");
    fs::remove_file(day.join("235800.000.jpg")).unwrap();
    fs::write(day.join("235800.001.jpg"), &picture(1_000, 1)[..500]).unwrap();
    fs::write(day.join("235800.002.jpg"), [0; 1_000]).unwrap();
    assert_eq!(bench.ring.bytes(), 4 * BLOCK);
    for n in 0..3 {
        assert!(bench.ring.read(Row { at_ms: START_MS + n, bytes: 1_000 }).await.unwrap().is_none());
    }
    assert_eq!((bench.list().await, bench.ring.bytes()), (vec![START_MS + 3], BLOCK));
    assert_eq!(fs::read_dir(day).unwrap().count(), 1, "what is left of a picture is no use to anybody");
}

#[tokio::test]
async fn a_ring_without_its_folder_says_so_and_goes_on_once_it_is_there() {
    let mut bench = Bench::new(10);
    fs::write(bench.folder(), "in the way").unwrap();
    assert!(matches!(bench.ring.open().await, Err(RingError::Read { .. })));
    let refused = bench.keep(START_MS).await.unwrap_err().to_string();
    assert!(refused.contains("cannot be read"), "{refused}");
    fs::remove_file(bench.folder()).unwrap();
    bench.keep(START_MS).await.unwrap();
    // A day that cannot be made.
    bench.go(24 * 3_600_000);
    fs::write(bench.folder().join("20261123"), "in the way").unwrap();
    let refused = bench.keep(START_MS + 24 * 3_600_000).await.unwrap_err().to_string();
    assert!(refused.contains("20261123/235800.000.jpg cannot be written"), "{refused}");
    fs::remove_file(bench.folder().join("20261123")).unwrap();
    bench.keep(START_MS + 24 * 3_600_000).await.unwrap();
    bench.reopen();
    assert_eq!(bench.list().await, [START_MS + 24 * 3_600_000]);
}

#[tokio::test]
async fn a_clock_set_back_breaks_no_order_and_keeps_nothing_out_for_ever() {
    let bench = Bench::new(10);
    let ahead = START_MS + 365 * 86_400_000;
    bench.go(365 * 86_400_000);
    for n in 0..10 {
        bench.keep(ahead + n).await.unwrap();
    }
    bench.now_ms.store(START_MS, Ordering::Relaxed);
    assert_eq!(bench.latest().await, Some(ahead + 9), "the newest there is");
    for n in 0..20 {
        bench.keep(START_MS + n).await.unwrap();
        assert_eq!(bench.latest().await, Some(START_MS + n));
        assert_eq!(bench.ring.bytes(), 10 * BLOCK);
    }
    let list = bench.list().await;
    assert!(list.is_sorted());
    assert_eq!(list.iter().filter(|at_ms| **at_ms < ahead).count(), 5, "{list:?}");
}

#[tokio::test]
async fn a_picture_older_than_all_of_a_full_ring_is_dropped_at_once() {
    let bench = Bench::new(2);
    bench.keep(START_MS).await.unwrap();
    bench.keep(START_MS + 1).await.unwrap();
    for ago_ms in [1_000, 3_600_001] {
        assert_eq!(bench.keep(START_MS - ago_ms).await.unwrap(), None, "{ago_ms} ms ago");
    }
    assert_eq!(bench.list().await, [START_MS, START_MS + 1]);
}

#[tokio::test]
async fn many_small_pictures_count_with_the_whole_blocks_that_they_take() {
    let mut bench = Bench::new(3);
    let at = |n| Timestamp::from_millis(START_MS + n);
    for (n, bytes) in [(0, 1_000), (1, 4_096), (2, 1_000), (3, 4_097)] {
        bench.ring.keep(at(n), picture(bytes, 1)).await.unwrap();
    }
    for _ in 0..2 {
        assert_eq!(bench.list().await, [START_MS + 2, START_MS + 3]);
        assert_eq!(bench.ring.bytes(), 3 * BLOCK);
        bench.reopen();
    }
}

#[tokio::test]
async fn what_is_past_its_time_goes_and_an_empty_day_with_it() {
    let bench = Bench::new(10);
    bench.keep(START_MS).await.unwrap();
    bench.keep(START_MS + 3_000_000).await.unwrap();
    fs::write(bench.folder().join("20261122/notes.txt"), "foreign").unwrap();
    bench.go(3_600_001);
    bench.ring.tidy().await.unwrap();
    assert_eq!(bench.list().await, [START_MS + 3_000_000]);
    bench.go(3_600_000);
    bench.ring.tidy().await.unwrap();
    assert_eq!(bench.ring.bytes(), 0);
    assert!(!bench.folder().join("20261123").exists());
    assert!(bench.folder().join("20261122/notes.txt").exists(), "what is foreign is left alone");
}

#[tokio::test]
async fn a_file_that_cannot_be_removed_keeps_no_picture_out() {
    let mut bench = Bench::new(2);
    let clock: Clock = Arc::new(|| Timestamp::from_millis(START_MS));
    let stuck = |_: &Path| Err(io::Error::from(io::ErrorKind::ResourceBusy));
    let disk = Disk { discard: stuck, ..Disk::new(&bench.folder(), bench.bounds, clock) };
    bench.ring = Ring { disk: Arc::new(disk), writer: Arc::default() };
    for n in 0..4 {
        assert_eq!(bench.keep(START_MS + n).await.unwrap(), Some(START_MS + n));
    }
    assert_eq!(bench.list().await, [START_MS + 2, START_MS + 3]);
    assert_eq!(fs::read_dir(bench.folder().join("20261122")).unwrap().count(), 4);
    assert_eq!(
        bench.keep(START_MS + 1).await.unwrap(),
        Some(START_MS + 4),
        "the name of what is left there is taken"
    );
    // It is tried again after a start.
    bench.reopen();
    assert_eq!(bench.list().await, [START_MS + 3, START_MS + 4]);
    assert_eq!(fs::read_dir(bench.folder().join("20261122")).unwrap().count(), 2);
}

#[tokio::test]
async fn pictures_from_before_the_clock_was_set_go_only_when_room_is_needed() {
    let mut bench = Bench::new(3);
    bench.now_ms.store(60_000, Ordering::Relaxed);
    bench.keep(1_000).await.unwrap();
    bench.keep(2_000).await.unwrap();
    bench.now_ms.store(START_MS, Ordering::Relaxed);
    bench.ring.tidy().await.unwrap();
    bench.keep(START_MS).await.unwrap();
    // It was on its way when the clock was set.
    bench.keep(3_000).await.unwrap();
    assert_eq!(bench.list().await, [2_000, 3_000, START_MS]);
    // What was taken since has an age.
    bench.go(3_600_001);
    bench.ring.tidy().await.unwrap();
    bench.reopen();
    assert_eq!(bench.list().await, [2_000, 3_000]);
    for n in 0..3 {
        bench.keep(START_MS + 3_600_001 + n).await.unwrap();
    }
    assert_eq!(bench.list().await, [0, 1, 2].map(|n| START_MS + 3_600_001 + n));
}

#[test]
fn a_day_of_previews_takes_little_memory() {
    assert_eq!(size_of::<Row>(), 16);
}
