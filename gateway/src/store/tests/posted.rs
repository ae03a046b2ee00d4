//! What cameras of the older system post is kept once, and what is remembered of it goes when it can.

use std::time::Duration;

use oriel_proto::{
    Kind,
    call::{EventsCall, Order},
    frame::Digest,
};

use super::*;
use crate::store::{BindOutcome, Posted, PostedEntry, Retention};

const WEEK: Duration = Duration::from_secs(604_800);

/// The entry of this number, a second after the one before it.
fn entry(n: u8) -> PostedEntry {
    let description = format!("entry {n}").into();
    PostedEntry { name: Digest::from_bytes([n; 16]), timestamp: 1_700_000_000.0 + f64::from(n), description }
}

/// A store with the camera `porch`, which posts lists.
struct Posting {
    _folder: TempDir,
    store: Store,
    agent: AgentId,
}

impl Posting {
    async fn new() -> Self {
        let (folder, store) = opened();
        let agent = store.legacy_agent(some_hash(), NOW).await.unwrap();
        let bound = store.bind_camera(agent, new_camera("porch"), NOW).await.unwrap();
        assert!(matches!(bound, BindOutcome::Bound(_)), "{bound:?}");
        Self { _folder: folder, store, agent }
    }

    async fn post_at(&self, entries: impl IntoIterator<Item = u8>, now: Timestamp) -> Option<Posted> {
        let entries = entries.into_iter().map(entry).collect();
        self.store.keep_posted(camera("porch"), self.agent, entries, now, now).await.unwrap()
    }

    async fn post(&self, entries: impl IntoIterator<Item = u8>) -> Posted {
        self.post_at(entries, NOW).await.unwrap()
    }

    async fn all(&self) -> Vec<String> {
        let (into, call) = (Vec::new(), EventsCall::all(Order::Asc));
        let read = self.store.read_log(camera("porch"), call, Vec::new(), into, |into: &mut Vec<_>, kept| {
            into.push(kept.event.description.to_owned());
        });
        read.await.unwrap().into
    }

    /// How many names are remembered.
    async fn names(&self) -> i64 {
        let count = |db: &rusqlite::Connection| {
            Ok(db.query_row("SELECT count(*) FROM posted", (), |row| row.get(0))?)
        };
        self.store.readers.run(count).await.unwrap()
    }
}

fn numbers(posted: &Posted) -> Vec<u64> {
    posted.places.iter().map(|(seq, _)| *seq).collect()
}

#[tokio::test]
async fn each_entry_gets_one_number_in_whichever_list_it_comes() {
    let log = Posting::new().await;
    let first = log.post([1, 2]).await;
    assert_eq!((numbers(&first), first.stored, first.spool.next), (vec![1, 2], 2, 3));
    let second = log.post([3, 2, 1, 4]).await;
    assert_eq!((numbers(&second), second.stored, second.spool.next), (vec![3, 2, 1, 4], 2, 5));
    assert_eq!(second.spool.epoch, first.spool.epoch);
    assert_eq!(log.all().await, ["entry 1", "entry 2", "entry 3", "entry 4"]);
}

#[tokio::test]
async fn a_list_longer_than_one_step_is_kept_whole() {
    let log = Posting::new().await;
    let entries: Vec<_> = (0..2_500_u16)
        .map(|n| {
            let mut name = [0; 16];
            name[..2].copy_from_slice(&n.to_be_bytes());
            PostedEntry { name: Digest::from_bytes(name), ..entry(1) }
        })
        .collect();
    let keep = log.store.keep_posted(camera("porch"), log.agent, entries, NOW, NOW);
    let posted = keep.await.unwrap().unwrap();
    assert_eq!((posted.stored, posted.spool.next), (2_500, 2_501));
    assert!(numbers(&posted).into_iter().eq(1..=2_500));
}

#[tokio::test]
async fn two_who_post_at_once_keep_each_entry_once() {
    let log = Posting::new().await;
    let (one, two) = tokio::join!(log.post([1, 2, 3]), log.post([1, 2, 3]));
    assert_eq!((one.stored + two.stored, numbers(&one)), (3, numbers(&two)));
}

#[tokio::test]
async fn a_list_says_that_everything_before_it_is_held() {
    let log = Posting::new().await;
    assert_eq!(log.store.posted_spool(camera("porch")).await.unwrap(), None);
    let later = NOW.after(WEEK);
    let spool = log.post_at([], later).await.unwrap().spool;
    assert_eq!((spool.next, spool.as_of), (1, later));
    assert_eq!(log.store.posted_spool(camera("porch")).await.unwrap(), Some(spool));
    assert!(log.store.has_log(camera("porch")).await.unwrap());
}

#[tokio::test]
async fn a_camera_of_another_agent_keeps_nothing() {
    let log = Posting::new().await;
    let other = agent(&log.store, &["yard"], None).await;
    let keep = |camera, agent| log.store.keep_posted(camera, agent, vec![entry(1)], NOW, NOW);
    assert_eq!(keep(camera("yard"), log.agent).await.unwrap(), None);
    assert_eq!(keep(camera("porch"), other).await.unwrap(), None);
    assert!(keep(camera("porch"), log.agent).await.unwrap().is_some());
}

#[tokio::test]
async fn what_is_past_its_time_does_not_come_back_and_is_forgotten_with_its_list() {
    let log = Posting::new().await;
    log.post([1, 2, 3]).await;
    let retention = Retention { age: WEEK, events: 1_000 };
    let later = NOW.after(WEEK).after(WEEK);
    log.store.expire(retention, later).await.unwrap();
    assert_eq!(log.all().await, [] as [String; 0]);
    // The camera has it in its list still.
    let again = log.post_at([1, 2, 3, 4], later).await.unwrap();
    assert_eq!((numbers(&again), again.stored), (vec![1, 2, 3, 4], 1));
    assert_eq!((log.all().await, log.names().await), (vec!["entry 4".to_owned()], 4));
    // Then it has dropped the oldest.
    log.post_at([3, 4], later).await.unwrap();
    assert_eq!(log.names().await, 2);
    assert_eq!(log.post_at([3, 4], later).await.unwrap().stored, 0);
}

#[tokio::test]
async fn a_removed_camera_leaves_no_names() {
    let log = Posting::new().await;
    log.post([1, 2, 3]).await;
    log.store.remove_camera(camera("porch")).await.unwrap();
    assert_eq!(log.post_at([1], NOW).await, None);
    let retention = Retention { age: WEEK, events: 1_000 };
    while log.store.expire(retention, NOW).await.unwrap().more {}
    assert_eq!(log.names().await, 0);
}

#[tokio::test]
async fn the_kind_is_told_by_the_words_and_the_time_stays_as_it_was_written() {
    let said = PostedEntry { description: "Detected MOTION at the door".into(), ..entry(1) };
    let event = said.event(NOW);
    assert_eq!((event.at, event.kind), (NOW, Kind::Motion));
    assert_eq!(event.data["timestamp"], 1_700_000_001.0);
    assert_eq!(said.at(), Timestamp::from_millis(1_700_000_001_000));
}

#[tokio::test]
async fn there_is_one_such_agent_until_it_is_revoked() {
    let log = Posting::new().await;
    assert_eq!(log.store.legacy_agent(some_hash(), NOW).await.unwrap(), log.agent);
    log.store.revoke_agent(log.agent, NOW, || ()).await.unwrap().unwrap();
    let next = log.store.legacy_agent(some_hash(), NOW).await.unwrap();
    assert_ne!(next, log.agent);
    assert_eq!(log.store.legacy_agent(some_hash(), NOW).await.unwrap(), next);
}
