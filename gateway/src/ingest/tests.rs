//! The promises of ingest that show in no answer.

use std::sync::atomic::{AtomicUsize, Ordering};

use tempfile::TempDir;
use tokio::{spawn, task::yield_now};

use super::*;

/// An upload with nothing in it, which counts that it was read.
struct Counted(Arc<AtomicUsize>);

impl Upload for Counted {
    fn read(self: Box<Self>) -> Option<Delivery> {
        self.0.fetch_add(1, Ordering::Relaxed);
        None
    }
}

fn ingest(budget: usize) -> (TempDir, Ingest) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    (folder, Ingest::new(store, Registry::default(), IngestMetrics::default(), budget))
}

#[tokio::test]
async fn other_tasks_have_their_turn_between_two_uploads() {
    let (_folder, ingest) = ingest(1_000);
    let running = spawn(ingest.clone().run());
    let read = Arc::new(AtomicUsize::new(0));
    for _ in 0..10 {
        ingest.take(Box::new(Counted(Arc::clone(&read))), 10).unwrap();
    }
    let mut most = 0;
    while read.load(Ordering::Relaxed) < 10 {
        let before = read.load(Ordering::Relaxed);
        yield_now().await;
        most = most.max(read.load(Ordering::Relaxed) - before);
    }
    assert_eq!(most, 1);
    ingest.close();
    running.await.unwrap();
}

#[tokio::test]
async fn what_was_read_makes_room() {
    let (_folder, ingest) = ingest(25);
    let read = Arc::new(AtomicUsize::new(0));
    let take = || ingest.take(Box::new(Counted(Arc::clone(&read))), 10);
    assert_eq!((take(), take(), take()), (Ok(()), Ok(()), Err(Full)));
    let running = spawn(ingest.clone().run());
    while read.load(Ordering::Relaxed) < 2 {
        yield_now().await;
    }
    assert_eq!((take(), take()), (Ok(()), Ok(())));
    ingest.close();
    running.await.unwrap();
    assert_eq!(read.load(Ordering::Relaxed), 4, "what was taken is read before the end");
}
