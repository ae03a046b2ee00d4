//! What a camera shows while its agent lives: its own log, asked for again and again.
//!
//! The question goes to the agent, past everything that is uploaded and stored, and the agent answers from its disk.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use oriel_gateway::clock;
use oriel_proto::{CameraId, EventId, Timestamp};
use tokio::{task::JoinHandle, time::sleep};
use tokio_util::sync::CancellationToken;

use super::row::{self, Row};
use crate::{failure::Result, http::Caller};

/// Between two questions: an event that is younger at its agent's death may have been seen by nobody.
const PAUSE: Duration = Duration::from_millis(10);

/// Somebody who watches one camera.
#[derive(Debug)]
pub(super) struct Witness {
    count: Arc<AtomicUsize>,
    stop: CancellationToken,
    watching: JoinHandle<Seen>,
}

/// What was seen.
#[derive(Debug, Default)]
pub(super) struct Seen {
    events: BTreeMap<EventId, Sight>,
    /// Events that were shown otherwise another time.
    pub(super) changed: u64,
    /// The time of the newest one.
    newest: Option<Timestamp>,
}

impl Witness {
    /// Watches a camera from now on.
    pub(super) fn start(caller: Caller, camera: CameraId) -> Self {
        let (count, stop) = (Arc::<AtomicUsize>::default(), CancellationToken::new());
        let watching = tokio::spawn(watch(caller, camera, Arc::clone(&count), stop.clone()));
        Self { count, stop, watching }
    }

    /// How many events were seen so far.
    pub(super) fn count(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }

    /// Watches no longer, and gives what was seen.
    pub(super) async fn finish(self) -> Result<Seen> {
        self.stop.cancel();
        Ok(self.watching.await?)
    }
}

/// An event as it was seen first.
#[derive(Debug)]
struct Sight {
    row: Row,
    /// When that was.
    when: Timestamp,
}

async fn watch(
    mut caller: Caller,
    camera: CameraId,
    count: Arc<AtomicUsize>,
    stop: CancellationToken,
) -> Seen {
    let mut seen = Seen::default();
    loop {
        let mut question = "source=camera&order=asc&limit=1000&timeout=1s".to_owned();
        if let Some(newest) = seen.newest {
            question += &format!("&from={}", clock::format(newest));
        }
        tokio::select! {
            () = stop.cancelled() => return seen,
            page = row::page(&mut caller, &camera, &question) => {
                // While the agent is dead there is no answer.
                page.ok().flatten().unwrap_or_default().into_iter().for_each(|row| seen.note(row));
            }
        }
        count.store(seen.events.len(), Ordering::Relaxed);
        sleep(PAUSE).await;
    }
}

impl Seen {
    /// Notes an event that the camera showed.
    pub(super) fn note(&mut self, row: Row) {
        self.newest = self.newest.max(Some(row.at));
        match self.events.entry(row.id) {
            Entry::Vacant(new) => _ = new.insert(Sight { row, when: clock::now() }),
            Entry::Occupied(known) => self.changed += u64::from(known.get().row != row),
        }
    }

    /// All events.
    pub(super) fn rows(&self) -> Vec<Row> {
        self.events.values().map(|sight| sight.row.clone()).collect()
    }

    /// How many were seen before the life ended in which they were written; `lives` are the times at which each began.
    pub(super) fn in_time(&self, lives: &[Timestamp]) -> u64 {
        let in_time = |sight: &&Sight| {
            let ended = lives.iter().find(|start| **start > sight.row.at);
            ended.is_none_or(|ended| sight.when < *ended)
        };
        self.events.values().filter(in_time).count() as u64
    }
}
