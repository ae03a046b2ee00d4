//! Promises of the spool.

mod broken;
mod order;
mod places;
mod truth;

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use oriel_proto::{
    Kind, LoggedEvent, Severity, Timestamp,
    call::{EventsCall, EventsTrailer, Order},
    event::{Data, LossReason},
    frame::Upload,
};
use tokio::sync::watch;

use super::{Bounds, Clock, Draft, Place, Spool};

/// 2026-01-01, in milliseconds.
const START: i64 = 1_767_225_600_000;

/// A clock that the test moves.
#[derive(Clone)]
struct TestClock(Arc<AtomicI64>);

impl TestClock {
    fn new() -> Self {
        Self(Arc::new(AtomicI64::new(START)))
    }

    fn set(&self, ms: i64) {
        self.0.store(START + ms, Ordering::Relaxed);
    }

    fn clock(&self) -> Clock {
        let this = self.clone();
        Arc::new(move || Timestamp::from_millis(this.0.load(Ordering::Relaxed)))
    }
}

impl Spool {
    /// How many epochs have an acknowledgement noted.
    pub(crate) async fn acked_epochs(&self) -> u32 {
        let sql = "SELECT count(*) FROM acked WHERE seq > 0";
        self.with(|db| Ok(db.conn.query_row(sql, (), |row| row.get(0))?)).await.unwrap()
    }

    /// Lets every note of an acknowledgement fail from now on, or no more.
    pub(crate) async fn fail_acks(&self, fail: bool) {
        let sql = match fail {
            true => "CREATE TRIGGER no_acks BEFORE INSERT ON acked BEGIN SELECT RAISE(ABORT, 'no acks'); END",
            false => "DROP TRIGGER no_acks",
        };
        self.with(move |db| Ok(db.conn.execute_batch(sql)?)).await.unwrap();
    }
}

fn bounds() -> Bounds {
    Bounds { bytes: 256 << 20, retention: Duration::from_secs(86_400), upload: Upload::Live }
}

async fn open(dir: &Path, bounds: Bounds, clock: &TestClock) -> Spool {
    Spool::open(&dir.join("porch.db"), bounds, clock.clock(), watch::Sender::new(())).await.unwrap()
}

fn draft(text: &str) -> Draft {
    Draft {
        at: None,
        kind: Kind::Motion,
        severity: Severity::Info,
        description: text.into(),
        data: Data::new(),
        image_at: None,
    }
}

fn place(at: &str) -> Place {
    Place { source: "a log".into(), place: at.into() }
}

async fn ask(spool: &Spool, call: EventsCall) -> (Vec<LoggedEvent>, EventsTrailer) {
    let mut query = spool.query(call).await.unwrap();
    let mut list = Vec::new();
    loop {
        let (page, ended) = query.page().await.unwrap();
        list.extend(page);
        if ended {
            return (list, query.trailer().await.unwrap());
        }
    }
}

async fn all(spool: &Spool) -> (Vec<LoggedEvent>, EventsTrailer) {
    ask(spool, EventsCall::all(Order::Asc)).await
}

#[tokio::test]
async fn what_was_written_is_there_after_a_kill() {
    let (dir, clock) = (tempfile::tempdir().unwrap(), TestClock::new());
    let spool = open(dir.path(), bounds(), &clock).await;
    let mut rich = draft("rich");
    rich.data.insert("score".into(), 0.1.into());
    rich.image_at = Some(Timestamp::from_millis(7));
    let ids = spool.append(vec![draft("plain"), rich]).await.unwrap();
    let written = all(&spool).await.0;
    // A killed program closes nothing.
    std::mem::forget(spool);
    let again = open(dir.path(), bounds(), &clock).await;
    assert_eq!(all(&again).await.0, written);
    assert_eq!(written.iter().map(LoggedEvent::id).collect::<Vec<_>>(), ids);
    let next = again.append(vec![draft("next")]).await.unwrap();
    assert_eq!((next[0].epoch, next[0].seq), (ids[0].epoch, 3));
}

#[tokio::test]
async fn writers_that_come_together_each_get_their_own_numbers() {
    let (dir, clock) = (tempfile::tempdir().unwrap(), TestClock::new());
    let spool = open(dir.path(), bounds(), &clock).await;
    let writers = (0..40).map(|i| {
        let spool = spool.clone();
        tokio::spawn(async move { (i, spool.append(vec![draft(&i.to_string())]).await.unwrap()[0].seq) })
    });
    let writers: Vec<_> = writers.collect();
    let mut numbers = Vec::new();
    for writer in writers {
        numbers.push(writer.await.unwrap());
    }
    let list = all(&spool).await.0;
    assert_eq!(list.len(), 40);
    for (i, seq) in numbers {
        assert_eq!(list[seq as usize - 1].event.description, i.to_string());
    }
}

#[tokio::test]
async fn a_full_spool_drops_the_oldest_and_says_so() {
    let (dir, clock) = (tempfile::tempdir().unwrap(), TestClock::new());
    let spool = open(dir.path(), Bounds { bytes: 96 << 10, ..bounds() }, &clock).await;
    for _ in 0..20 {
        spool.append((0..50).map(|_| draft(&"x".repeat(200))).collect()).await.unwrap();
    }
    assert!(spool.now().unwrap().bytes <= 96 << 10);
    let (list, end) = all(&spool).await;
    let first = list[0].seq;
    assert!(first > 1 && list.last().unwrap().seq == 1_000);
    assert_eq!(end.lost.len(), 1);
    assert_eq!(
        (end.lost[0].first, end.lost[0].last, end.lost[0].why.clone()),
        (1, first - 1, LossReason::Dropped)
    );
}

#[tokio::test]
async fn retention_waits_for_the_acknowledgement() {
    let (dir, clock) = (tempfile::tempdir().unwrap(), TestClock::new());
    let spool = open(dir.path(), bounds(), &clock).await;
    let ids = spool.append(vec![draft("a"), draft("b"), draft("c")]).await.unwrap();
    clock.set(3 * 86_400_000);
    spool.tidy().await.unwrap();
    assert_eq!(all(&spool).await.0.len(), 3);
    spool.acknowledge(ids[0].epoch, 2).await.unwrap();
    clock.set(4 * 86_400_000);
    spool.tidy().await.unwrap();
    let (list, end) = all(&spool).await;
    assert_eq!((list.len(), list[0].seq), (1, 3));
    assert_eq!(end.lost[0].why, LossReason::PastRetention);
}

#[tokio::test]
async fn on_demand_nothing_is_awaited() {
    let (dir, clock) = (tempfile::tempdir().unwrap(), TestClock::new());
    let spool = open(dir.path(), Bounds { upload: Upload::OnDemand, ..bounds() }, &clock).await;
    spool.append(vec![draft("a")]).await.unwrap();
    clock.set(2 * 86_400_000);
    spool.tidy().await.unwrap();
    let (list, end) = all(&spool).await;
    assert!(list.is_empty());
    assert_eq!((end.lost[0].last, end.lost[0].why.clone()), (1, LossReason::PastRetention));
}

#[tokio::test]
async fn a_broken_file_is_set_aside_and_reported() {
    let (dir, clock) = (tempfile::tempdir().unwrap(), TestClock::new());
    let spool = open(dir.path(), bounds(), &clock).await;
    spool.append((0..2_000).map(|i| draft(&format!("{i} {}", "x".repeat(300)))).collect()).await.unwrap();
    let old = spool.now().unwrap().epoch;
    drop(spool);
    let path = dir.path().join("porch.db");
    let mut bytes = std::fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle..middle + 60_000].fill(0xa5);
    std::fs::write(&path, bytes).unwrap();
    let spool = open(dir.path(), bounds(), &clock).await;
    assert_ne!(spool.now().unwrap().epoch, old);
    let (list, end) = all(&spool).await;
    assert!(list.is_empty() && dir.path().join("porch.broken").exists());
    let lost = &end.lost[0];
    assert_eq!(
        (lost.epoch, lost.first, lost.last, lost.why.clone()),
        (old, 1, 2_000, LossReason::Unreadable)
    );
}

#[tokio::test]
async fn a_file_that_is_no_database_does_not_stop_the_camera() {
    let (dir, clock) = (tempfile::tempdir().unwrap(), TestClock::new());
    std::fs::write(dir.path().join("porch.db"), vec![7; 9_000]).unwrap();
    let spool = open(dir.path(), bounds(), &clock).await;
    spool.append(vec![draft("a")]).await.unwrap();
    assert_eq!(all(&spool).await.0.len(), 1);
}
