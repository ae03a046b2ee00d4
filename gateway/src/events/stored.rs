//! A camera's log as far as it is kept here.

use oriel_proto::{
    CameraId, Timestamp,
    call::{EventsCall, Order},
    event::Position,
    frame::SpoolState,
};

use super::{Coverage, CoveredBy, Finish};
use crate::{
    clock,
    store::{Extent, KeptEvent, Read, Store, StoreError},
};

/// The most events that are read at once.
const PAGE: u64 = 1_000;

/// A stored log on its way.
#[derive(Debug)]
pub struct StoredLog {
    store: Store,
    camera: CameraId,
    call: EventsCall,
    /// Whether the camera was connected when the answer began.
    online: bool,
    /// What it had said then of its present epoch.
    told: Option<SpoolState>,
    /// The place of the last event given.
    pub last: Option<Position>,
    /// Events given so far.
    count: u64,
    /// How far the log reached when the answer began: what came later may lie on a page that was given already.
    extent: Option<Extent>,
}

impl StoredLog {
    /// What is kept of the log of `camera`, as `call` asks for it; `spool` is what the camera says of its present epoch if it is
    /// connected and uploads it.
    pub(super) fn new(
        store: Store,
        camera: CameraId,
        call: EventsCall,
        spool: Option<Option<SpoolState>>,
    ) -> Self {
        let (online, told) = (spool.is_some(), spool.flatten());
        Self { store, camera, call, online, told, last: None, count: 0, extent: None }
    }

    /// Whose it is.
    pub(super) const fn camera(&self) -> &CameraId {
        &self.camera
    }

    /// Whether everything is here that the camera has written.
    pub(super) async fn is_whole(&self) -> Result<bool, StoreError> {
        self.store.is_whole(self.camera.clone(), self.told).await
    }

    /// Gives the next events to `each`, at most so many; then the end, if there is nothing more to give.
    pub async fn read<T: Send + 'static>(
        &mut self,
        most: u64,
        into: T,
        each: fn(&mut T, &KeptEvent<'_>),
    ) -> Result<(T, Option<Finish>), StoreError> {
        let left = self.call.limit.map_or(u64::MAX, |limit| limit - self.count);
        let mut call = EventsCall { limit: Some(left.min(most).min(PAGE)), ..self.call.clone() };
        call.after = self.last.or(call.after);
        let counted = (into, 0);
        let read = self
            .store
            .read_log(self.camera.clone(), call, self.told, counted, move |counted, kept| {
                counted.1 += 1;
                each(&mut counted.0, kept);
            })
            .await?;
        let Read { into: (into, given), last, more, gave_up, extent } = read;
        self.count += given;
        self.last = last.or(self.last);
        let extent = self.extent.get_or_insert(extent);
        let is_over = !more || gave_up.is_some() || self.call.limit == Some(self.count);
        let end = if more { gave_up.or(self.last) } else { None };
        let finish = is_over.then(|| Finish {
            more,
            coverage: coverage(&self.call, end, gave_up.is_some(), extent, self.online),
        });
        Ok((into, finish))
    }
}

/// What is kept covers the range asked for up to its horizon, and ends at the event `end` when there is more.
fn coverage(
    call: &EventsCall,
    end: Option<Position>,
    gave_up: bool,
    extent: &Extent,
    online: bool,
) -> Vec<Coverage> {
    let (mut from, mut to) = range(call, extent, online);
    let whole = (from, to);
    if let Some(end) = end {
        if call.order == Order::Desc { from = Some(end.at) } else { to = to.min(end.at) }
    }
    let mut stretches = Vec::new();
    let mut add = |from: Option<Timestamp>, to: Timestamp, by| {
        if from.is_none_or(|from| from < to) {
            stretches.push(Coverage { from, to, by });
        }
    };
    let purged = extent.purged.filter(|purged| from.is_none_or(|from| from < *purged));
    if let Some(purged) = purged {
        add(from, purged.min(to), CoveredBy::PastRetention);
    }
    let start = purged.or(from);
    let unknown = if online { CoveredBy::NotUploaded } else { CoveredBy::CameraOffline };
    match extent.horizon {
        Some(horizon) => {
            add(start, horizon.min(to), CoveredBy::Store);
            add(start.max(Some(horizon)), to, unknown);
        }
        None => add(start, to, unknown),
    }
    if gave_up {
        let (from, to) =
            if call.order == Order::Desc { (whole.0, from.unwrap_or(to)) } else { (Some(to), whole.1) };
        add(from, to, CoveredBy::SearchLimit);
    }
    let lost = extent.lost.iter().filter(|lost| lost.from < to && from.is_none_or(|from| lost.to >= from));
    stretches.extend(lost.map(Coverage::of_loss));
    stretches
}

/// The range that the answer speaks of, from its first row to its last one at most.
fn range(call: &EventsCall, extent: &Extent, online: bool) -> (Option<Timestamp>, Timestamp) {
    let now = clock::now();
    // Of a camera that is there, nothing is missing that it has not written yet.
    let latest = extent.as_of.filter(|_| online).unwrap_or(now);
    let (mut from, mut to) = (call.from, call.to.map_or(latest, |to| to.min(now.max(latest))));
    if let Some(after) = call.after {
        if call.order == Order::Desc { to = to.min(after.at) } else { from = Some(after.at) }
    }
    (from, from.map_or(to, |from| to.max(from)))
}
