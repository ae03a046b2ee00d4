//! A camera's log as far as it is kept here.

use std::time::Duration;

use oriel_proto::{
    CameraId, Timestamp,
    call::{EventsCall, Order},
    event::{LostRange, Position},
    frame::SpoolState,
};

use super::coverage::{Beyond, Coverage, CoveredBy, End, of_kept};
use crate::{
    registry::ToldLog,
    store::{Counted, Extent, Held, KeptEvent, Read, Store, StoreError},
};

/// The most events that are read at once.
const PAGE: u64 = 1_000;

/// A stored log on its way.
#[derive(Clone, Debug)]
pub struct StoredLog {
    store: Store,
    camera: CameraId,
    call: EventsCall,
    /// Whether the camera was connected when the answer began.
    online: bool,
    /// Whether it uploads its events as they are written.
    live: bool,
    /// What it had said then of its epochs, the present one last.
    told: Vec<SpoolState>,
    /// The place of the last event given.
    pub last: Option<Position>,
    /// Events given so far.
    count: u64,
    /// How far the log reached when the answer began: what came later may lie on a page that was given already.
    extent: Option<Extent>,
    /// How the last reading ended.
    end: End,
}

/// How a log ends.
#[derive(Debug, Default)]
pub struct Finish {
    /// Whether more events lie in the range.
    pub more: bool,
    /// What the answer says something about, and what it cannot.
    pub coverage: Vec<Coverage>,
}

impl StoredLog {
    /// What is kept of the log of `camera`, as `call` asks for it; `told` is what the camera says of that if it is connected.
    pub(super) fn new(store: Store, camera: CameraId, call: EventsCall, told: Option<ToldLog>) -> Self {
        let online = told.is_some();
        let ToldLog { live, epochs: told } = told.unwrap_or_default();
        let end = End::default();
        Self { store, camera, call, online, live, told, last: None, count: 0, extent: None, end }
    }

    /// Whose it is.
    pub(super) const fn camera(&self) -> &CameraId {
        &self.camera
    }

    /// What is asked.
    pub(super) const fn call(&self) -> &EventsCall {
        &self.call
    }

    /// The same log, of which nothing has been given yet.
    pub(super) fn anew(&self) -> Self {
        Self { last: None, count: 0, end: End::default(), ..self.clone() }
    }

    /// Whether everything is here that the camera has written.
    pub(super) async fn is_whole(&self) -> Result<bool, StoreError> {
        self.store.is_whole(self.camera.clone(), self.told.clone()).await
    }

    /// Gives the next events to `each`, at most so many; then the end, if there is nothing more to give.
    pub async fn read<T: Send + 'static>(
        &mut self,
        most: u64,
        into: T,
        each: fn(&mut T, &KeptEvent<'_>),
    ) -> Result<(T, Option<Finish>), StoreError> {
        let left = self.call.limit.map_or(u64::MAX, |limit| limit - self.count);
        let counted = (into, 0);
        let read = self.look(left.min(most), None, counted, move |counted, kept| {
            counted.1 += 1;
            each(&mut counted.0, kept);
        });
        let Read { into: (into, given), last, more, gave_up, extent } = read.await?;
        self.count += given;
        self.last = last.or(self.last);
        self.learn(extent);
        let is_over = !more || gave_up.is_some() || self.call.limit == Some(self.count);
        self.end = End { at: gave_up.or(self.last).filter(|_| more), gave_up: gave_up.is_some() };
        let finish = is_over.then(|| Finish { more, coverage: self.coverage(self.beyond()) });
        Ok((into, finish))
    }

    /// Reads at most so many events behind the last one, not much further than `until`, without going on to them.
    pub(super) async fn look<T: Send + 'static>(
        &self,
        most: u64,
        until: Option<Position>,
        into: T,
        each: impl FnMut(&mut T, &KeptEvent<'_>) + Send + 'static,
    ) -> Result<Read<T>, StoreError> {
        let mut call = EventsCall { limit: Some(most.min(PAGE)), ..self.call.clone() };
        call.after = self.last.or(call.after);
        match until {
            Some(until) if call.order == Order::Desc => call.from = call.from.max(Some(until.at)),
            Some(until) => {
                let end = until.at.after(Duration::from_micros(1));
                call.to = Some(call.to.map_or(end, |to| to.min(end)));
            }
            None => {}
        }
        self.store.read_log(self.camera.clone(), call, self.told.clone(), into, each).await
    }

    /// Learns how far the log reaches, before anything is read.
    pub(super) async fn learn_extent(&mut self) -> Result<(), StoreError> {
        let read = self.look(0, None, (), |(), _| ()).await?;
        self.learn(read.extent);
        Ok(())
    }

    /// How far the log reaches. Whoever leaves its log on its device is asked about all of it: it may have lost an epoch that nobody ever
    /// heard of.
    fn learn(&mut self, extent: Extent) {
        let horizon = extent.horizon.filter(|_| !self.is_on_demand());
        self.extent.get_or_insert(Extent { horizon, ..extent });
    }

    /// The time before which everything is here that can be told of what is asked; none when that lies before all of it.
    pub(super) fn whole_until(&self) -> Option<Timestamp> {
        let horizon = self.extent.as_ref()?.horizon?;
        let until = self.call.to.map_or(horizon, |to| to.min(horizon));
        Some(until).filter(|until| self.call.from < Some(*until))
    }

    /// Gives time and kind of events before `until` to `each`, oldest first, behind the last one given, of at most so many rows.
    pub(super) async fn count<T: Send + 'static>(
        &self,
        until: Timestamp,
        rows: u64,
        into: T,
        each: impl FnMut(&mut T, Timestamp, &str) + Send + 'static,
    ) -> Result<Counted<T>, StoreError> {
        let call = EventsCall {
            to: Some(until),
            after: self.last.or(self.call.after),
            limit: Some(rows),
            ..self.call.clone()
        };
        self.store.count_log(self.camera.clone(), call, into, each).await
    }

    /// Whether its camera is connected and uploads nothing.
    pub(super) const fn is_on_demand(&self) -> bool {
        self.online && !self.live
    }

    /// Whether something is here of the time asked for that the camera itself wrote.
    pub(super) async fn has_written(&self) -> Result<bool, StoreError> {
        self.store.has_written(self.camera.clone(), self.call.from, self.call.to).await
    }

    /// What the camera has to be asked for beside what is kept: nothing when it is not connected, when what was read ends before that
    /// begins, or when everything is here that it has told of and that is what is asked.
    pub(super) fn gap(&self) -> Option<EventsCall> {
        let extent = self.extent.as_ref()?;
        let is_live = self.live && !self.told.is_empty();
        let is_all_here = is_live && !extent.has_holes && self.call.to.is_none();
        let from = self.call.from.max(extent.horizon);
        let is_before = |at| Some(at) < from;
        let is_past = self.call.to.is_some_and(|to| Some(to) <= from);
        let ends_before = match self.call.order {
            Order::Desc => self.call.after.is_some_and(|after| is_before(after.at)),
            _ => self.end.at.is_some_and(|end| is_before(end.at)),
        };
        let is_needed = self.online && !is_all_here && !is_past && !ends_before;
        is_needed.then(|| EventsCall {
            from,
            have: extent.held.iter().map(Held::have).collect(),
            ..self.call.clone()
        })
    }

    /// What the log covers where it ends like this, with what is `lost` beside what is known to be, and who answers `beyond` it.
    pub(super) fn covered(&self, end: End, lost: &[LostRange], beyond: Beyond) -> Vec<Coverage> {
        let mut extent = self.extent.clone().unwrap_or_default();
        let held = |lost: &LostRange| extent.held.iter().find(|held| held.epoch == lost.epoch);
        let fresh = lost.iter().filter_map(|lost| match held(lost) {
            // A camera tells also of what it has lost since it was acknowledged.
            Some(held) if lost.last <= held.acked => None,
            Some(held) if lost.first <= held.acked => {
                let from = lost.from.max(held.acked_at);
                Some(LostRange { first: held.acked + 1, from, ..lost.clone() })
            }
            _ => Some(lost.clone()),
        });
        let fresh: Vec<_> = fresh.collect();
        extent.lost.extend(fresh);
        of_kept(&self.call, end, &extent, beyond)
    }

    /// What was read of the log covers, and who answers `beyond` it.
    pub(super) fn coverage(&self, beyond: Beyond) -> Vec<Coverage> {
        self.covered(self.end, &[], beyond)
    }

    /// Nobody answers beyond what is kept, unless the camera is asked.
    pub(super) const fn beyond(&self) -> Beyond {
        let why = if self.online { CoveredBy::NotUploaded } else { CoveredBy::CameraOffline };
        Beyond::Nobody(why)
    }
}
