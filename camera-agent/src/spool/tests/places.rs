//! How far a source is with what it reads is written together with what it made of it, or not at all.

use std::{pin::pin, task::Poll};

use futures_util::poll;

use super::*;

async fn place_of(spool: &Spool) -> Option<String> {
    spool.place_of("a log").await.unwrap()
}

#[tokio::test]
async fn events_and_the_place_behind_them_are_there_after_a_kill() {
    let (dir, clock) = (tempfile::tempdir().unwrap(), TestClock::new());
    let spool = open(dir.path(), bounds(), &clock).await;
    assert_eq!(place_of(&spool).await, None);
    spool.append_with_place(vec![], place("0")).await.unwrap();
    spool.append_with_place(vec![draft("a"), draft("b")], place("2")).await.unwrap();
    spool.append(vec![draft("from elsewhere")]).await.unwrap();
    std::mem::forget(spool);
    let spool = open(dir.path(), bounds(), &clock).await;
    assert_eq!(place_of(&spool).await.as_deref(), Some("2"));
    assert_eq!(spool.place_of("another log").await.unwrap(), None);
    assert_eq!(all(&spool).await.0.len(), 3);
}

#[tokio::test]
async fn what_cannot_be_written_moves_no_place_and_a_place_that_cannot_writes_no_event() {
    for table in ["event", "place"] {
        let (dir, clock) = (tempfile::tempdir().unwrap(), TestClock::new());
        let spool = open(dir.path(), bounds(), &clock).await;
        spool.append_with_place(vec![draft("a")], place("1")).await.unwrap();
        let fail = format!("CREATE TRIGGER no BEFORE INSERT ON {table} BEGIN SELECT RAISE(ABORT, 'no'); END");
        spool.with(move |db| Ok(db.conn.execute_batch(&fail)?)).await.unwrap();
        spool.append_with_place(vec![draft("b")], place("2")).await.unwrap_err();
        assert_eq!((place_of(&spool).await.as_deref(), all(&spool).await.0.len()), (Some("1"), 1), "{table}");
        spool.with(|db| Ok(db.conn.execute_batch("DROP TRIGGER no")?)).await.unwrap();
        spool.append_with_place(vec![draft("b")], place("2")).await.unwrap();
        assert_eq!((place_of(&spool).await.as_deref(), all(&spool).await.0.len()), (Some("2"), 2), "{table}");
    }
}

/// Whether drafts and a place are written after the writer was polled so many times; then it leaves.
async fn is_written_within(polls: u64, spool: &Spool, drafts: Vec<Draft>, now: usize) -> bool {
    let mut writing = pin!(spool.append_with_place(drafts, place(&now.to_string())));
    for _ in 0..polls {
        if matches!(poll!(&mut writing), Poll::Ready(Ok(_))) {
            return true;
        }
        tokio::task::yield_now().await;
    }
    false
}

#[tokio::test]
async fn a_writer_that_leaves_has_written_all_or_nothing() {
    let (dir, clock) = (tempfile::tempdir().unwrap(), TestClock::new());
    let spool = open(dir.path(), bounds(), &clock).await;
    let mut left = 0;
    for round in 0..60 {
        // Others write at the same time, so that writers share transactions.
        let beside = tokio::spawn({
            let spool = spool.clone();
            async move { spool.append(vec![draft("beside")]).await.unwrap() }
        });
        let now: usize = place_of(&spool).await.map_or(0, |place| place.parse().unwrap());
        let drafts = vec![draft("of the log"), draft("of the log")];
        left += u64::from(!is_written_within(round % 6, &spool, drafts, now + 2).await);
        beside.await.unwrap();
    }
    assert!(left > 20, "{left}");
    let (list, _) = all(&spool).await;
    let written = list.iter().filter(|event| event.event.description == "of the log").count();
    assert_eq!(place_of(&spool).await.map_or(0, |place| place.parse().unwrap()), written);
    assert_eq!(list.len() - written, 60);
}

#[tokio::test]
async fn a_broken_file_takes_the_place_along() {
    let (dir, clock) = (tempfile::tempdir().unwrap(), TestClock::new());
    let spool = open(dir.path(), bounds(), &clock).await;
    spool.append_with_place(vec![draft("a")], place("1")).await.unwrap();
    drop(spool);
    std::fs::write(dir.path().join("porch.db"), [7; 9_000]).unwrap();
    let spool = open(dir.path(), bounds(), &clock).await;
    assert_eq!(place_of(&spool).await, None);
}
