//! What comes in, read once for all who follow.
//!
//! This only saves them the reading: whoever falls behind, or joins in between, finds out by the places that the batches have in the
//! order of arrival, and reads from the store what it lacks.

use std::sync::Arc;

use oriel_proto::{CameraId, Timestamp};
use tokio::sync::broadcast;

use super::text::{Form, Writer};
use crate::store::{Arrival, Arrivals, Arrived, KeptEvent, Store, StoreError};

/// Events of one batch.
const BATCH: u64 = 256;

/// Batches that wait for those who follow: what is not taken by then is read again.
const WAITING: usize = 16;

/// An event in the order of arrival.
#[derive(Debug)]
pub struct Followed {
    /// Its place.
    pub arrival: Arrival,
    /// Whose log it is in.
    pub camera: CameraId,
    /// When it happened.
    pub at: Timestamp,
    /// What happened.
    pub kind: Box<str>,
    /// How much it matters.
    pub severity: Box<str>,
    /// One line for people.
    pub description: Box<str>,
    /// It as a list shows it.
    pub json: Box<[u8]>,
}

/// All events between two places.
#[derive(Debug)]
pub(super) struct Batch {
    /// They begin behind this one,
    pub(super) after: Arrival,
    /// and end at this one.
    pub(super) up_to: Arrival,
    pub(super) events: Vec<Arc<Followed>>,
}

/// The feed; clones share it.
#[derive(Clone, Debug)]
pub(super) struct Tail {
    store: Store,
    feed_tx: broadcast::Sender<Arc<Batch>>,
}

impl Tail {
    pub(super) fn new(store: Store) -> Self {
        Self { store, feed_tx: broadcast::Sender::new(WAITING) }
    }

    /// What comes from now on. Whoever asks the store afterwards how far it is misses nothing between the two.
    pub(super) fn listen(&self) -> broadcast::Receiver<Arc<Batch>> {
        self.feed_tx.subscribe()
    }

    /// Reads what comes while anybody listens; ends with the store.
    pub(super) async fn run(self) {
        let mut arrivals = self.store.arrivals();
        let mut last = *arrivals.borrow_and_update();
        while arrivals.changed().await.is_ok() {
            let newest = *arrivals.borrow_and_update();
            while last < newest {
                if self.feed_tx.receiver_count() == 0 {
                    last = newest;
                    continue;
                }
                let batch = self.batch(last, newest).await.unwrap_or_else(|error| {
                    tracing::warn!(%error, "what came was not read for those who follow: each reads it himself");
                    // They see that something lies before it.
                    Batch { after: newest, up_to: newest, events: Vec::new() }
                });
                last = batch.up_to;
                // They may all have left meanwhile.
                _ = self.feed_tx.send(Arc::new(batch));
            }
        }
    }

    async fn batch(&self, after: Arrival, up_to: Arrival) -> Result<Batch, StoreError> {
        let wanted = Arrivals { after, up_to, camera: None, from: None, is_sparse: false };
        let Arrived { into: events, up_to, .. } = read(self.store.clone(), wanted, BATCH).await?;
        Ok(Batch { after, up_to, events })
    }
}

/// The events that are wanted, at most so many.
pub(super) async fn read(
    store: Store,
    wanted: Arrivals,
    most: u64,
) -> Result<Arrived<Vec<Arc<Followed>>>, StoreError> {
    let mut writer: Option<(CameraId, Writer)> = None;
    let push = move |into: &mut Vec<_>, arrival, camera: &CameraId, kept: &KeptEvent<'_>| {
        let (_, writer) = match &mut writer {
            Some(writer) if writer.0 == *camera => writer,
            other => other.insert((camera.clone(), Writer::of(camera, Form::Json))),
        };
        into.push(Arc::new(Followed::of(arrival, camera, kept, writer)));
    };
    store.read_arrivals(wanted, most, Vec::new(), push).await
}

impl Followed {
    fn of(arrival: Arrival, camera: &CameraId, kept: &KeptEvent<'_>, writer: &mut Writer) -> Self {
        let event = &kept.event;
        let mut json = Vec::new();
        writer.write_kept(&mut json, kept);
        Self {
            arrival,
            camera: camera.clone(),
            at: event.at,
            kind: event.kind.into(),
            severity: event.severity.into(),
            description: event.description.into(),
            json: json.into(),
        }
    }
}
