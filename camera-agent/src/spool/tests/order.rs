//! Promises about epochs, numbers, times, and what a gateway holds.

use oriel_proto::{
    EventId,
    codec::digest,
    event::LossReason,
    frame::{Acked, Digest},
};

use super::{super::Next, *};

fn acked(id: EventId, hash: Option<Digest>) -> Vec<Acked> {
    vec![Acked { epoch: id.epoch, seq: id.seq, hash }]
}

#[tokio::test]
async fn time_never_goes_back_inside_an_epoch() {
    let (dir, clock) = (tempfile::tempdir().unwrap(), TestClock::new());
    let spool = open(dir.path(), bounds(), &clock).await;
    let mut epochs = std::collections::HashSet::new();
    for ms in [5_000, 4_000, 3_001, 9_000] {
        clock.set(ms);
        epochs.insert(spool.append(vec![draft("x")]).await.unwrap()[0].epoch);
    }
    let list = all(&spool).await.0;
    assert_eq!(epochs.len(), 1);
    assert!(list.windows(2).all(|pair| pair[0].event.at <= pair[1].event.at));
}

#[tokio::test]
async fn a_clock_that_jumps_back_begins_an_epoch() {
    let (dir, clock) = (tempfile::tempdir().unwrap(), TestClock::new());
    let spool = open(dir.path(), bounds(), &clock).await;
    clock.set(10_000);
    let first = spool.append(vec![draft("later")]).await.unwrap()[0];
    clock.set(1_000);
    let second = spool.append(vec![draft("earlier")]).await.unwrap()[0];
    assert!(first.epoch != second.epoch && second.seq == 1);
    let list = all(&spool).await.0;
    assert_eq!(list[0].event.description, "earlier");
    assert_eq!(spool.states(&oriel_proto::frame::Upload::Live).len(), 2);
}

#[tokio::test]
async fn what_comes_after_as_of_is_later_than_it() {
    let (dir, clock) = (tempfile::tempdir().unwrap(), TestClock::new());
    let spool = open(dir.path(), bounds(), &clock).await;
    let said = spool.now().unwrap();
    let id = spool.append(vec![draft("x")]).await.unwrap()[0];
    assert_eq!(id.seq, said.next);
    assert!(all(&spool).await.0[0].event.at > said.as_of);
}

#[tokio::test]
async fn a_restored_card_sends_again_under_a_new_epoch_what_was_not_acknowledged() {
    let (dir, clock) = (tempfile::tempdir().unwrap(), TestClock::new());
    let spool = open(dir.path(), bounds(), &clock).await;
    let ids = spool.append((0..5).map(|i| draft(&i.to_string())).collect()).await.unwrap();
    spool.acknowledge(ids[0].epoch, 2).await.unwrap();
    // The gateway has seen more of this epoch than this copy of the card ever wrote.
    assert!(spool.reconcile(acked(EventId { seq: 9, ..ids[0] }, None)).await.unwrap());
    let list = all(&spool).await.0;
    assert_eq!(
        list.iter().map(|e| e.event.description.as_str()).collect::<Vec<_>>(),
        ["0", "1", "2", "3", "4"]
    );
    assert_eq!(list[1].epoch, ids[0].epoch);
    let moved = &list[2..];
    assert!(moved.iter().zip(1..).all(|(e, seq)| e.epoch != ids[0].epoch && e.seq == seq));
    assert_eq!(
        moved.iter().map(|e| e.event.was).collect::<Vec<_>>(),
        [Some(ids[2]), Some(ids[3]), Some(ids[4])]
    );
    // Being told again changes nothing.
    assert!(!spool.reconcile(acked(EventId { seq: 9, ..ids[0] }, None)).await.unwrap());
    assert_eq!(spool.append(vec![draft("new")]).await.unwrap()[0].seq, 4);
    assert_eq!(spool.place().unwrap().0, open_again(dir, spool, &clock).await);
}

/// The present epoch after the file is opened anew.
async fn open_again(dir: tempfile::TempDir, spool: Spool, clock: &TestClock) -> oriel_proto::Epoch {
    std::mem::forget(spool);
    open(dir.path(), bounds(), clock).await.place().unwrap().0
}

#[tokio::test]
async fn another_event_under_the_same_identity_begins_an_epoch_and_the_same_does_not() {
    let (dir, clock) = (tempfile::tempdir().unwrap(), TestClock::new());
    let spool = open(dir.path(), bounds(), &clock).await;
    let id = spool.append(vec![draft("mine")]).await.unwrap()[0];
    let own = digest(&all(&spool).await.0[0].event);
    assert!(!spool.reconcile(acked(id, Some(own))).await.unwrap());
    assert!(spool.reconcile(acked(id, Some(Digest::from_bytes([0; 16])))).await.unwrap());
    assert_ne!(spool.place().unwrap().0, id.epoch);
}

#[tokio::test]
async fn an_acknowledgement_never_falls() {
    let (dir, clock) = (tempfile::tempdir().unwrap(), TestClock::new());
    let spool = open(dir.path(), bounds(), &clock).await;
    let id = spool.append(vec![draft("a"), draft("b")]).await.unwrap()[1];
    spool.acknowledge(id.epoch, 2).await.unwrap();
    spool.reconcile(acked(EventId { seq: 1, ..id }, None)).await.unwrap();
    spool.supersede(id.epoch).await.unwrap();
    // Both were acknowledged: nothing is sent again.
    assert_eq!(spool.place().unwrap().1, 1);
}

#[tokio::test]
async fn what_was_committed_is_never_reported_as_failed() {
    let (dir, clock) = (tempfile::tempdir().unwrap(), TestClock::new());
    let spool = open(dir.path(), Bounds { bytes: 1, ..bounds() }, &clock).await;
    let other = rusqlite::Connection::open(dir.path().join("porch.db")).unwrap();
    let refuse = "CREATE TRIGGER refuse BEFORE DELETE ON event BEGIN SELECT RAISE(ABORT, 'no'); END";
    other.execute_batch(refuse).unwrap();
    let ids = spool.append(vec![draft("a"), draft("b")]).await.unwrap();
    assert_eq!(spool.place(), Some((ids[1].epoch, 3)));
}

#[tokio::test]
async fn an_upload_brings_what_was_lost_before_what_is_kept() {
    let (dir, clock) = (tempfile::tempdir().unwrap(), TestClock::new());
    let spool = open(dir.path(), Bounds { bytes: 96 << 10, ..bounds() }, &clock).await;
    for _ in 0..20 {
        spool.append((0..50).map(|_| draft(&"x".repeat(200))).collect()).await.unwrap();
    }
    let epoch = spool.place().unwrap().0;
    let Some(Next::Lost(lost)) = spool.next_upload(vec![(epoch, 10)], 8_000).await.unwrap() else {
        panic!("what was dropped comes first")
    };
    assert_eq!((lost.first, lost.why), (11, LossReason::Dropped));
    let Some(Next::Events { first, events, next, .. }) =
        spool.next_upload(vec![(epoch, lost.last)], 8_000).await.unwrap()
    else {
        panic!("then the rest")
    };
    assert_eq!((first, next), (lost.last + 1, 1_001));
    assert!(!events.is_empty() && events.len() < 60);
    assert_eq!(spool.next_upload(vec![(epoch, 1_000)], 8_000).await.unwrap(), None);
}
