//! Following: events in the order in which they come, so that what comes late is told too, and nothing twice.

use std::{fmt, pin::Pin, sync::Arc};

use oriel_proto::{CameraId, Timestamp, event::EventFilter};
use serde::{Deserialize, Serialize};
use tokio::sync::broadcast::{self, error::RecvError};
use tokio_util::sync::CancellationToken;

use super::{
    Events,
    tail::{Batch, Followed, read},
};
use crate::store::{Arrival, Arrivals, Arrived, Store, StoreError};

/// Events that are read at once by one who is behind, and wait until his reader takes them.
const PAGE: u64 = 256;

/// Cameras whose beginnings are looked up at once: others want to read too.
const LOOKED_UP: usize = 50;

/// How far somebody who follows has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bookmark {
    /// Everything up to here has been told.
    after: Arrival,
    /// What is still told of the time before following began: what happened from a time on, up to a place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    history: Option<(Timestamp, Arrival)>,
}

impl Bookmark {
    /// Where somebody is who has come so far, but was not told of the event at this place yet.
    #[must_use]
    pub fn before(self, event: Arrival) -> Self {
        Self { after: self.after.min(event.before()), ..self }
    }
}

/// Where following begins.
#[derive(Clone, Debug)]
pub enum Begin {
    /// With what comes from now on.
    Now,
    /// With what happened to these cameras from a time on.
    History(Vec<CameraId>, Timestamp),
    /// Where somebody had come who followed before.
    At(Bookmark),
}

/// Why following cannot begin.
#[derive(Debug, thiserror::Error)]
pub enum FollowError {
    /// The bookmark is none of this store: it lies in the future.
    #[error("nothing has come so far yet")]
    NotYet,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A look at what is kept.
type Reading = Pin<Box<dyn Future<Output = Result<Arrived<Vec<Arc<Followed>>>, StoreError>> + Send + Sync>>;

/// Somebody who follows.
pub struct Following {
    store: Store,
    feed: broadcast::Receiver<Arc<Batch>>,
    place: Bookmark,
    /// The only camera that is followed; none when it is more than one.
    camera: Option<CameraId>,
    filter: EventFilter,
    /// Whether something of the history is known to be gone.
    purged: bool,
    /// A look that was not waited for to its end: to begin it anew each time would never get on.
    reading: Option<Reading>,
    /// Whether little of what came last was this camera's.
    is_sparse: bool,
    /// Whether there is something that the feed will not bring.
    is_behind: bool,
}

/// What came.
#[derive(Debug)]
pub struct Came {
    /// The events, in the order in which they came.
    pub events: Vec<Arc<Followed>>,
    /// Where they begin.
    pub begin: Bookmark,
    /// Whether retention had removed events before they could be told.
    pub purged: bool,
}

impl Came {
    /// Where somebody is who has been told everything up to this one of the events.
    pub fn behind(&self, event: &Followed) -> Bookmark {
        Bookmark { after: event.arrival, ..self.begin }
    }
}

impl Events {
    /// Where somebody begins to follow who has seen everything that came up to now.
    pub fn bookmark(&self) -> Bookmark {
        Bookmark { after: self.store.arrived(), history: None }
    }

    /// Follows what `filter` lets through, of one camera or of all; the caller's access must be checked for each event.
    pub async fn follow(
        &self,
        camera: Option<CameraId>,
        filter: EventFilter,
        begin: Begin,
    ) -> Result<Following, FollowError> {
        let feed = self.tail.listen();
        // In this order, so that what comes in between is not missed.
        let now = self.bookmark();
        let mut purged = false;
        let place = match begin {
            Begin::Now => now,
            Begin::At(place) if place.after > now.after => return Err(FollowError::NotYet),
            Begin::At(place) => place,
            Begin::History(cameras, from) => {
                let mut after: Option<Arrival> = None;
                for some in cameras.chunks(LOOKED_UP) {
                    let start = self.store.history_start(some.to_vec(), from).await?;
                    purged |= start.purged;
                    after = [after, start.after].into_iter().flatten().min();
                }
                let history = after.map(|_| (from, now.after));
                Bookmark { after: after.unwrap_or(now.after), history }
            }
        };
        let store = self.store.clone();
        let (reading, is_sparse, is_behind) = (None, false, true);
        Ok(Following { store, feed, place, camera, filter, purged, reading, is_sparse, is_behind })
    }

    /// Reads what comes for all who follow, until nobody may any more.
    pub async fn read_ahead(self, stopping: CancellationToken) {
        stopping.run_until_cancelled(self.tail.run()).await;
    }
}

impl fmt::Debug for Following {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Following")
            .field("place", &self.place)
            .field("camera", &self.camera)
            .finish_non_exhaustive()
    }
}

impl Following {
    /// How far it has come.
    pub const fn place(&self) -> Bookmark {
        self.place
    }

    /// What comes next, which may be nothing that is wanted. May be given up at any time, and asked again.
    pub async fn next(&mut self) -> Result<Came, StoreError> {
        loop {
            if self.is_behind || self.purged {
                let newest = self.store.arrived();
                if self.place.after < newest || self.purged {
                    return self.catch_up(newest).await;
                }
                self.is_behind = false;
            }
            match self.feed.recv().await {
                Ok(batch) if batch.up_to <= self.place.after => {}
                Ok(batch) if batch.after <= self.place.after && self.place.history.is_none() => {
                    let events = batch.events.iter().filter(|event| event.arrival > self.place.after);
                    let events = events.filter(|event| self.wants(event)).cloned().collect();
                    let begin = self.place;
                    self.place.after = batch.up_to;
                    return Ok(Came { events, begin, purged: false });
                }
                Ok(_) | Err(RecvError::Lagged(_)) => self.is_behind = true,
                Err(RecvError::Closed) => return Err(StoreError::Closed),
            }
        }
    }

    /// Reads on behind its place.
    async fn catch_up(&mut self, newest: Arrival) -> Result<Came, StoreError> {
        let (from, up_to) = match self.place.history {
            Some((from, end)) => (Some(from), end.min(newest)),
            None => (None, newest),
        };
        let (after, camera, is_sparse) = (self.place.after, self.camera.clone(), self.is_sparse);
        let wanted = Arrivals { after, up_to, camera, from, is_sparse };
        let reading = self.reading.get_or_insert_with(|| Box::pin(read(self.store.clone(), wanted, PAGE)));
        let arrived = reading.as_mut().await;
        self.reading = None;
        let mut arrived = arrived?;
        self.is_sparse = arrived.is_sparse;
        arrived.into.retain(|event| self.wants(event));
        let begin = self.place;
        self.place.after = arrived.up_to;
        self.place.history = self.place.history.filter(|(_, end)| arrived.up_to < *end);
        let purged = std::mem::take(&mut self.purged) || arrived.purged;
        Ok(Came { events: arrived.into, begin, purged })
    }

    fn wants(&self, event: &Followed) -> bool {
        self.camera.as_ref().is_none_or(|camera| *camera == event.camera)
            && self.filter.wants(&event.kind, &event.severity, &event.description)
    }
}
