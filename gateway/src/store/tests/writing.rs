//! The writer's thread: groups, failures, closing.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use futures_util::future::join_all;

use super::*;
use crate::store::StoreError;

#[tokio::test]
async fn of_many_that_are_committed_together_only_the_failing_one_fails() {
    let (_folder, store) = opened();
    let ids = (0..200).map(|n| format!("camera{}", n % 100));
    let made = join_all(ids.map(|id| store.create_camera(new_camera(&id), NOW).into_future())).await;
    assert_eq!(made.iter().filter(|result| result.is_ok()).count(), 100);
    assert!(made.iter().flat_map(|result| result.as_ref().err()).all(|e| matches!(e, StoreError::Exists(_))));
    assert_eq!(store.cameras().await.unwrap().len(), 100);
}

#[tokio::test]
async fn a_failing_job_takes_back_all_of_its_own_changes() {
    let (_folder, store) = opened();
    let half = |db: &rusqlite::Connection| {
        db.execute("INSERT INTO cameras (id, name, tags, created_at) VALUES ('porch', 'x', '[]', 1)", ())?;
        Err::<(), _>(StoreError::Invalid("no".into()))
    };
    assert!(store.writer.run(half, |()| ()).await.is_err());
    assert_eq!(store.cameras().await.unwrap(), []);
}

#[tokio::test]
async fn closing_finishes_what_is_queued_and_refuses_what_comes_later() {
    let (folder, store) = opened();
    let writing = join_all((0..100).map(|n| {
        let store = store.clone();
        async move { store.create_camera(new_camera(&format!("c{n}")), NOW).await }
    }));
    let (written, ()) = tokio::join!(writing, store.close());
    assert!(written.iter().all(Result::is_ok));
    store.close().await;
    assert!(matches!(store.cameras().await, Err(StoreError::Closed)));
    assert!(matches!(store.create_camera(new_camera("late"), NOW).await, Err(StoreError::Closed)));
    assert_eq!(Store::open(folder.path()).unwrap().cameras().await.unwrap().len(), 100);
}

#[tokio::test]
async fn what_follows_a_commit_happens_though_the_caller_has_gone() {
    let (_folder, store) = opened();
    let id = agent(&store, &["porch"], None).await;
    let ended = Arc::new(AtomicBool::new(false));
    let flag = ended.clone();
    {
        let revoke = store.revoke_agent(id, NOW, move || flag.store(true, Ordering::SeqCst));
        // Polled once, which queues the job, and dropped.
        tokio::select! { biased; _ = revoke => {}, () = std::future::ready(()) => {} }
    }
    store.close().await;
    assert!(ended.load(Ordering::SeqCst));
}
