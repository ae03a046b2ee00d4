//! Logs: what cameras wrote down, how far each epoch of it is held, and what of it will never come.
//!
//! A log belongs to a camera until that is removed; what is left of it then goes step by step ([`Store::expire`]).

mod arrival;
mod count;
mod epoch;
mod posted;
mod presence;
mod read;
mod retention;
mod write;

use std::{fmt, sync::Arc, thread};

use oriel_proto::{
    AgentId, CameraId, Epoch, Event, Seq, Timestamp,
    codec::digest,
    event::{LossReason, LostRange},
    frame::{Acked, Digest, SpoolState},
};
use rusqlite::{Connection, OptionalExtension, params};
use serde::{
    Deserialize, Deserializer,
    de::{SeqAccess, Visitor},
};

pub(super) use self::arrival::newest as newest_arrival;
pub use self::{
    arrival::{Arrival, Arrivals, Arrived, HistoryStart},
    count::Counted,
    posted::{Posted, PostedEntry},
    presence::Presence,
    read::{Extent, Held, KeptEvent, Read},
    retention::{Expired, Retention},
};
use super::{Store, StoreError};

/// Something that came up about one camera's log, to be kept for good.
#[derive(Debug)]
pub struct Delivery {
    /// Whose log it is.
    pub camera: CameraId,
    /// Who brought it; none when the gateway itself speaks for the camera.
    pub agent: Option<AgentId>,
    /// What it is.
    pub content: Content,
}

/// What a delivery brings.
#[derive(Debug)]
pub enum Content {
    /// Events of one epoch without a gap.
    Events(Batch),
    /// Events that will never come.
    Lost(LostRange),
    /// The camera came or went.
    Presence(Presence),
}

impl Content {
    /// How many events it brings.
    pub const fn events(&self) -> usize {
        match self {
            Self::Events(batch) => batch.events.count(),
            Self::Lost(_) | Self::Presence(_) => 1,
        }
    }
}

/// Events of one epoch without a gap.
#[derive(Debug)]
pub struct Batch {
    /// Their epoch.
    pub epoch: Epoch,
    /// The number of the first one, from 1.
    pub first: Seq,
    /// They themselves.
    pub events: NewEvents,
    /// The number of the next event to be written.
    pub next: Seq,
    /// Everything written up to this time is below `next`.
    pub as_of: Timestamp,
    /// Whether they are sent only because somebody follows, of a log that is left on its device: then nothing is said of what lies
    /// before them, and they may be held without it.
    pub ahead: bool,
}

/// An event with what is written down beside it.
#[derive(Debug)]
struct NewEvent {
    event: Event,
    hash: Digest,
    data: Option<String>,
}

impl NewEvent {
    /// Makes an event ready to be written, away from the thread that writes.
    fn of(event: Event) -> Self {
        let data = if event.data.is_empty() { None } else { serde_json::to_string(&event.data).ok() };
        Self { hash: digest(&event), data, event }
    }
}

/// Events as they are read from a frame, each made ready to be written at once.
#[derive(Debug)]
pub struct NewEvents(Vec<NewEvent>);

impl NewEvents {
    /// How many there are.
    pub const fn count(&self) -> usize {
        self.0.len()
    }

    /// Whether each is within the protocol's limits.
    pub fn are_within_limits(&self) -> bool {
        self.0.iter().all(|new| new.event.is_within_limits())
    }
}

#[cfg(test)]
impl From<Vec<Event>> for NewEvents {
    fn from(events: Vec<Event>) -> Self {
        Self(events.into_iter().map(NewEvent::of).collect())
    }
}

impl<'de> Deserialize<'de> for NewEvents {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct List;
        impl<'de> Visitor<'de> for List {
            type Value = NewEvents;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of events")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<NewEvents, A::Error> {
                let mut events = Vec::new();
                while let Some(event) = list.next_element()? {
                    give_way(events.len());
                    events.push(NewEvent::of(event));
                }
                Ok(NewEvents(events))
            }
        }
        deserializer.deserialize_seq(List)
    }
}

/// What became of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// Everything of the epoch up to `acked` is on disk or known lost.
    UpTo {
        /// The epoch.
        epoch: Epoch,
        /// The last number of that, 0 for none; of a batch that is held ahead of what lies before it, its own last number.
        acked: Seq,
        /// Events that are new.
        stored: u64,
        /// Events that were held already.
        doubled: u64,
    },
    /// Another event of one of these names is held; nothing of the delivery was taken.
    Conflict {
        /// The epoch.
        epoch: Epoch,
    },
    /// Something before it is missing, as it is behind a conflict; nothing was taken.
    Gap {
        /// The epoch.
        epoch: Epoch,
    },
    /// The camera is not this agent's, or was removed; nothing was taken.
    NotYours,
}

impl Store {
    /// Keeps what came, all of it in one transaction, and tells what became of each; durable when this returns.
    pub async fn keep(
        &self,
        deliveries: Arc<Vec<Delivery>>,
        now: Timestamp,
    ) -> Result<Vec<Kept>, StoreError> {
        let write =
            move |db: &Connection| deliveries.iter().map(|delivery| write::keep(db, delivery, now)).collect();
        self.writer.run(write, |_| ()).await
    }

    /// How far the epochs of a camera's log are held, those that it announces before others, as many as fit a frame. What it
    /// announces no longer and had not sent whole is lost from now on, and `why`, unless it has more epochs than it can name.
    pub async fn acked(
        &self,
        camera: CameraId,
        spools: Vec<SpoolState>,
        why: LossReason,
        now: Timestamp,
    ) -> Result<Vec<Acked>, StoreError> {
        let (id, names) = (camera.clone(), spools.clone());
        let (acked, vanished) = self.readers.run(move |db| epoch::acked(db, &id, &names)).await?;
        if vanished && spools.len() < epoch::ANNOUNCED {
            let write = move |db: &Connection| epoch::give_up_vanished(db, &camera, &spools, &why, now);
            self.writer.run(write, |_| ()).await?;
        }
        Ok(acked)
    }

    /// The announced epochs of a camera's log whose numbers are taken already beyond what it says that it has written.
    pub async fn overtaken(
        &self,
        camera: CameraId,
        spools: Vec<SpoolState>,
    ) -> Result<Vec<Epoch>, StoreError> {
        self.readers.run(move |db| epoch::overtaken(db, &camera, &spools)).await
    }
}

/// Lets other threads have the processor before every eighth event: where processors are few, the system would let whoever asks a
/// camera wait for milliseconds behind uploads.
fn give_way(n: usize) {
    if n.is_multiple_of(8) {
        thread::yield_now();
    }
}

/// The number of the log of `camera`, made if there is none; nothing when the camera is not this agent's.
fn log_of(db: &Connection, camera: &CameraId, agent: Option<AgentId>) -> Result<Option<i64>, StoreError> {
    let sql = "SELECT 1 FROM cameras WHERE id = ?1 AND agent IS ?2";
    let agent = agent.map(|agent| *agent.as_uuid().as_bytes());
    if !db.prepare_cached(sql)?.exists(params![camera.as_str(), agent])? {
        return Ok(None);
    }
    if let Some(log) = find(db, camera)? {
        return Ok(Some(log));
    }
    db.prepare_cached("INSERT INTO logs (camera) VALUES (?1)")?.execute([camera.as_str()])?;
    Ok(Some(db.last_insert_rowid()))
}

/// The number of the log of `camera`.
fn find(db: &Connection, camera: &CameraId) -> Result<Option<i64>, StoreError> {
    let mut statement = db.prepare_cached("SELECT n FROM logs WHERE camera = ?1")?;
    Ok(statement.query_row([camera.as_str()], |row| row.get(0)).optional()?)
}

/// Takes the log from a camera that is removed: one of the same name begins anew.
pub(super) fn abandon(db: &Connection, camera: &CameraId) -> Result<(), StoreError> {
    db.prepare_cached("UPDATE logs SET camera = NULL WHERE camera = ?1")?.execute([camera.as_str()])?;
    Ok(())
}

/// A number of the protocol as SQLite keeps it; who lets it in has checked that it fits.
fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A number that [`signed`] wrote.
fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}
