//! Promises about files that cannot be trusted, and about time across restarts.

use super::{super::Next, *};
use crate::spool::{SpoolError, db};

fn beside(dir: &Path) -> rusqlite::Connection {
    rusqlite::Connection::open(dir.join("porch.db")).unwrap()
}

#[tokio::test]
async fn what_was_said_to_be_complete_stays_so_after_a_restart() {
    let (dir, clock) = (tempfile::tempdir().unwrap(), TestClock::new());
    let spool = open(dir.path(), bounds(), &clock).await;
    let id = spool.append(vec![draft("x")]).await.unwrap()[0];
    clock.set(600_000);
    let said = all(&spool).await.1.as_of;
    std::mem::forget(spool);
    clock.set(599_000);
    let spool = open(dir.path(), bounds(), &clock).await;
    let held = spool.append(vec![draft("held")]).await.unwrap()[0];
    assert_eq!(held.epoch, id.epoch);
    assert!(all(&spool).await.0[1].event.at > said);
    std::mem::forget(spool);
    clock.set(300_000);
    let spool = open(dir.path(), bounds(), &clock).await;
    assert_ne!(spool.append(vec![draft("back")]).await.unwrap()[0].epoch, id.epoch);
}

/// Everything that says up to when the log is complete; the latest of it.
async fn say(spool: &Spool, epoch: oriel_proto::Epoch) -> Timestamp {
    let mut said = vec![spool.now().unwrap().as_of, all(spool).await.1.as_of];
    said.extend(spool.states(&oriel_proto::frame::Upload::Live).iter().map(|state| state.as_of));
    if let Some(Next::Events { as_of, .. }) = spool.next_upload(vec![(epoch, 0)], 8_000).await.unwrap() {
        said.push(as_of);
    }
    said.into_iter().max().unwrap()
}

#[tokio::test]
async fn what_was_said_to_be_complete_stays_so_after_a_kill_and_a_clock_set_back() {
    for (minutes, quiet, back) in [(0, 400, 300), (0, 30_000, 20_000), (1, 59_000, 58_000), (3, 61_000, 1)] {
        let (dir, clock) = (tempfile::tempdir().unwrap(), TestClock::new());
        let spool = open(dir.path(), bounds(), &clock).await;
        let id = spool.append(vec![draft("x")]).await.unwrap()[0];
        let mut said = say(&spool, id.epoch).await;
        for minute in 1..=minutes {
            clock.set(minute * 60_000);
            spool.tidy().await.unwrap();
            said = said.max(say(&spool, id.epoch).await);
        }
        for step in 1..=10 {
            clock.set(minutes * 60_000 + quiet * step / 10);
            said = said.max(say(&spool, id.epoch).await);
        }
        // A killed program writes nothing more.
        std::mem::forget(spool);
        clock.set(minutes * 60_000 + quiet - back);
        let spool = open(dir.path(), bounds(), &clock).await;
        assert!(spool.now().unwrap().as_of <= clock.clock()());
        let next = spool.append(vec![draft("after")]).await.unwrap()[0];
        let list = all(&spool).await.0;
        let event = list.iter().find(|event| event.id() == next).unwrap();
        let why = format!("{minutes} min and {quiet} ms, {back} ms back: {event:?} though {said:?} was said");
        assert!(next.epoch != id.epoch || event.event.at > said, "{why}");
    }
}

#[tokio::test]
async fn an_answer_says_that_it_is_complete_up_to_a_second_ago() {
    let (dir, clock) = (tempfile::tempdir().unwrap(), TestClock::new());
    let spool = open(dir.path(), bounds(), &clock).await;
    spool.append(vec![draft("x")]).await.unwrap();
    for ms in (0..10_000).step_by(700) {
        clock.set(ms);
        let as_of = all(&spool).await.1.as_of;
        assert!(clock.clock()().since(as_of) < Duration::from_secs(1), "{as_of:?} at {ms}");
    }
}

#[tokio::test]
async fn what_was_said_to_be_complete_stays_so_when_the_file_is_opened_anew() {
    let (dir, clock) = (tempfile::tempdir().unwrap(), TestClock::new());
    let spool = open(dir.path(), bounds(), &clock).await;
    spool.tidy().await.unwrap();
    let said = spool.now().unwrap().as_of;
    assert_eq!(said, Timestamp::from_millis(START));
    spool.with(|_| Err::<(), _>(SpoolError::Sqlite(db::broken()))).await.unwrap_err();
    spool.append(vec![draft("x")]).await.unwrap();
    assert!(all(&spool).await.0[0].event.at > said);
}

#[tokio::test]
async fn a_file_that_cannot_be_opened_anew_is_tried_again() {
    let (dir, clock) = (tempfile::tempdir().unwrap(), TestClock::new());
    let (here, away) = (dir.path().join("here"), dir.path().join("away"));
    std::fs::create_dir(&here).unwrap();
    let spool = open(&here, bounds(), &clock).await;
    spool.append(vec![draft("x")]).await.unwrap();
    std::fs::rename(&here, &away).unwrap();
    spool.with(|_| Err::<(), _>(SpoolError::Sqlite(db::broken()))).await.unwrap_err();
    assert!(matches!(spool.append(vec![draft("y")]).await, Err(SpoolError::Open { .. })));
    std::fs::rename(&away, &here).unwrap();
    spool.append(vec![draft("z")]).await.unwrap();
    assert_eq!(all(&spool).await.0.len(), 2);
}

/// Sets a broken file in the place of the spool, and opens that.
async fn open_broken(dir: &Path, bytes: &[u8], bounds: Bounds, clock: &TestClock) -> Spool {
    std::fs::write(dir.join("porch.db"), bytes).unwrap();
    open(dir, bounds, clock).await
}

#[tokio::test]
async fn what_was_set_aside_counts_in_the_bound_and_goes_before_any_event() {
    let (dir, clock) = (tempfile::tempdir().unwrap(), TestClock::new());
    let bounds = Bounds { bytes: 192 << 10, ..bounds() };
    let spool = open_broken(dir.path(), &[7; 96 << 10], bounds.clone(), &clock).await;
    let aside = dir.path().join("porch.broken");
    let on_disk = || std::fs::metadata(&aside).map_or(0, |file| file.len());
    assert_eq!(on_disk(), 96 << 10);
    let (mut kept_with_it, mut written) = (0, 0);
    while on_disk() > 0 {
        let bytes = spool.now().unwrap().bytes;
        assert!(bytes > on_disk() && bytes <= bounds.bytes, "{bytes}");
        assert!(written < 2_000, "it never goes");
        kept_with_it = written;
        spool.append((0..10).map(|_| draft(&"x".repeat(200))).collect()).await.unwrap();
        written += 10;
    }
    assert!(kept_with_it > 50, "it is kept as long as there is room");
    assert_eq!(all(&spool).await.0.len(), written, "no event had to go for it");
    assert!(spool.now().unwrap().bytes <= bounds.bytes);
    for _ in 0..20 {
        spool.append((0..50).map(|_| draft(&"x".repeat(200))).collect()).await.unwrap();
        assert!(spool.now().unwrap().bytes <= bounds.bytes);
    }
}

#[tokio::test]
async fn the_newest_broken_file_is_the_one_that_is_kept() {
    let (dir, clock) = (tempfile::tempdir().unwrap(), TestClock::new());
    for n in 1..=3 {
        drop(open_broken(dir.path(), &[n; 9_000], bounds(), &clock).await);
        for rest in ["porch.db-wal", "porch.db-shm"] {
            _ = std::fs::remove_file(dir.path().join(rest));
        }
    }
    let names =
        std::fs::read_dir(dir.path()).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap());
    let aside: Vec<_> = names.filter(|name| name.contains("broken")).collect();
    assert_eq!(aside, ["porch.broken"]);
    assert_eq!(std::fs::read(dir.path().join("porch.broken")).unwrap(), [3; 9_000]);
}

#[tokio::test]
async fn one_senseless_row_is_lost_and_the_others_are_not() {
    let (dir, clock) = (tempfile::tempdir().unwrap(), TestClock::new());
    let spool = open(dir.path(), bounds(), &clock).await;
    let epoch = spool.append((0..4).map(|i| draft(&i.to_string())).collect()).await.unwrap()[0].epoch;
    beside(dir.path()).execute("UPDATE event SET data = '{' WHERE seq IN (2, 3)", []).unwrap();
    for order in [Order::Asc, Order::Desc] {
        let (mut list, end) = ask(&spool, EventsCall::all(order)).await;
        list.sort_by_key(|event| event.seq);
        assert_eq!(list.iter().map(|event| event.seq).collect::<Vec<_>>(), [1, 4]);
        assert_eq!(
            end.scanned.iter().map(|part| (part.first, part.last)).collect::<Vec<_>>(),
            [(1, 1), (4, 4)]
        );
        assert_eq!((end.lost[0].first, end.lost[0].last), (2, 3));
        assert_eq!(end.lost[0].why, LossReason::Unreadable);
    }
    let Some(Next::Events { events, .. }) = spool.next_upload(vec![], 8_000).await.unwrap() else {
        panic!("what comes before it goes up")
    };
    assert_eq!(events.len(), 1);
    let Some(Next::Lost(lost)) = spool.next_upload(vec![(epoch, 1)], 8_000).await.unwrap() else {
        panic!("then the gap")
    };
    assert_eq!((lost.first, lost.last, lost.why), (2, 3, LossReason::Unreadable));
    let rest = spool.next_upload(vec![(epoch, 3)], 8_000).await.unwrap();
    assert!(matches!(rest, Some(Next::Events { first: 4, .. })), "{rest:?}");
}

#[tokio::test]
async fn a_file_of_a_newer_version_is_refused() {
    let (dir, clock) = (tempfile::tempdir().unwrap(), TestClock::new());
    drop(open(dir.path(), bounds(), &clock).await);
    beside(dir.path()).pragma_update(None, "user_version", 99).unwrap();
    let path = dir.path().join("porch.db");
    let opened = Spool::open(&path, bounds(), clock.clock(), watch::Sender::new(())).await;
    let why = opened.unwrap_err().to_string();
    assert!(why.contains("newer version") && path.exists(), "{why}");
}

#[tokio::test]
async fn a_file_of_an_older_version_is_read_on() {
    let second = "DROP TABLE place; PRAGMA user_version = 2;";
    let first = "DROP TABLE place; ALTER TABLE epoch DROP COLUMN said; PRAGMA user_version = 1;";
    for older in [second, first] {
        let (dir, clock) = (tempfile::tempdir().unwrap(), TestClock::new());
        let spool = open(dir.path(), bounds(), &clock).await;
        spool.append(vec![draft("old")]).await.unwrap();
        drop(spool);
        beside(dir.path()).execute_batch(older).unwrap();
        let spool = open(dir.path(), bounds(), &clock).await;
        spool.append_with_place(vec![draft("new")], place("7")).await.unwrap();
        assert_eq!(all(&spool).await.0.len(), 2);
    }
}
