//! The cameras that this gateway knows: records from the store, held in memory, beside who is connected now.
//!
//! Everything that hands out a camera asks the viewer first, so that a foreign camera and a missing one look the same.

use std::{
    collections::{BTreeMap, HashSet},
    sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
};

use oriel_proto::{
    AgentId, CameraId, Epoch, Timestamp,
    event::LossReason,
    frame::{Acked, Announce, RefusalCode, SourceState, SpoolState, Upload},
};
use tokio::sync::broadcast;

use crate::{
    access::Viewer,
    clock,
    link::Close,
    registry::{Presence, Registry},
    store::{BindOutcome, CameraChange, CameraPatch, CameraRecord, NewCamera, Role, Store, StoreError},
};

/// All known cameras; clones share them.
#[derive(Clone, Debug)]
pub struct Cameras(Arc<Directory>);

#[derive(Debug)]
struct Directory {
    store: Store,
    registry: Registry,
    /// As the store has them; changed by [`Directory::follow`] alone, but for when they were last seen.
    records: RwLock<BTreeMap<CameraId, Arc<CameraRecord>>>,
    /// Served since this was last written down.
    seen: Mutex<HashSet<CameraId>>,
}

/// Why something could not be done with a camera.
#[derive(Debug, thiserror::Error)]
pub enum CameraError {
    /// No such camera, or not the caller's to see.
    #[error("no such camera")]
    NotFound,
    /// The caller sees the camera, but may not do this with it.
    #[error("{0}")]
    Forbidden(&'static str),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// How a camera is, in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Status {
    /// Its agent serves it.
    Online,
    /// Its agent is there, its source fails.
    Degraded,
    /// Its agent is not connected.
    Offline,
    /// No agent has ever served it.
    NeverSeen,
    /// An agent announced it that may not serve it.
    Refused,
}

impl Status {
    /// All of them with their words.
    pub const WORDS: [(&'static str, Self); 5] = [
        ("online", Self::Online),
        ("degraded", Self::Degraded),
        ("offline", Self::Offline),
        ("never_seen", Self::NeverSeen),
        ("refused", Self::Refused),
    ];

    /// The word for programs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Online => "online",
            Self::Degraded => "degraded",
            Self::Offline => "offline",
            Self::NeverSeen => "never_seen",
            Self::Refused => "refused",
        }
    }
}

/// A camera's present state.
#[derive(Debug)]
pub struct State {
    /// In one word.
    pub status: Status,
    /// Since when, as far as is known.
    pub since: Option<Timestamp>,
    /// The reason, where there is one to give.
    pub why: Option<String>,
    /// Its connection.
    pub presence: Option<Presence>,
}

/// What became of an agent's announcement.
#[derive(Debug)]
pub enum Claim {
    /// The agent may serve it.
    Bound,
    /// It may not, for this reason.
    Refused(RefusalCode, String),
}

impl Cameras {
    /// Reads all records, and follows each change of them from then on.
    pub async fn load(store: Store, registry: Registry) -> Result<Self, StoreError> {
        let records = store.cameras().await?;
        let records = records.into_iter().map(|record| (record.id.clone(), Arc::new(record))).collect();
        let cameras = Self(Arc::new(Directory {
            store,
            registry,
            records: RwLock::new(records),
            seen: Mutex::default(),
        }));
        let directory = Arc::downgrade(&cameras.0);
        cameras.0.store.watch_cameras(move |change| {
            if let Some(directory) = directory.upgrade() {
                directory.follow(change);
            }
        });
        Ok(cameras)
    }

    /// A camera that the viewer may see.
    pub fn get(&self, viewer: &Viewer, id: &CameraId) -> Result<Arc<CameraRecord>, CameraError> {
        self.record(id).filter(|record| viewer.may_see(record)).ok_or(CameraError::NotFound)
    }

    /// All cameras that the viewer may see, by id.
    pub fn visible(&self, viewer: &Viewer) -> Vec<Arc<CameraRecord>> {
        self.0.read().values().filter(|record| viewer.may_see(record)).cloned().collect()
    }

    /// The cameras bound to an agent.
    pub fn of_agent(&self, agent: AgentId) -> Vec<CameraId> {
        self.0
            .read()
            .values()
            .filter(|record| record.agent == Some(agent))
            .map(|record| record.id.clone())
            .collect()
    }

    /// How a camera is now.
    pub fn state(&self, record: &CameraRecord) -> State {
        if let Some(presence) = self.0.registry.presence(&record.id) {
            let health = presence.health.as_ref();
            let failing = health.filter(|health| health.source == SourceState::Failing);
            let status = if failing.is_some() { Status::Degraded } else { Status::Online };
            let why = failing.map(|health| health.why.clone().unwrap_or_else(|| "its source fails".into()));
            return State { status, since: Some(presence.since), why, presence: Some(presence) };
        }
        if let Some(refusal) = self.0.registry.refusal(&record.id) {
            let why = format!("agent {} announced it: {}", refusal.agent, refusal.code);
            return State { status: Status::Refused, since: None, why: Some(why), presence: None };
        }
        let why =
            record.agent.and_then(|agent| self.0.registry.agent(agent)).map(|_| "not_announced".to_owned());
        let status = if record.last_seen_at.is_some() { Status::Offline } else { Status::NeverSeen };
        State { status, since: record.last_seen_at, why, presence: None }
    }

    /// Creates a camera ahead of its agent.
    pub async fn create(
        &self,
        id: CameraId,
        name: Option<String>,
        tags: Vec<String>,
    ) -> Result<Arc<CameraRecord>, CameraError> {
        let record = self.0.store.create_camera(NewCamera { id, name, tags }, clock::now()).await?;
        Ok(Arc::new(record))
    }

    /// Changes a camera that the viewer sees; another agent is an admin's choice, the rest an operator's.
    pub async fn change(
        &self,
        viewer: &Viewer,
        id: &CameraId,
        patch: CameraPatch,
    ) -> Result<Arc<CameraRecord>, CameraError> {
        let before = self.get(viewer, id)?;
        if !viewer.may(Role::Operator, &before) {
            return Err(CameraError::Forbidden("changing a camera needs the role operator"));
        }
        if patch.agent.is_some() && !viewer.is_everywhere(Role::Admin) {
            return Err(CameraError::Forbidden("moving a camera to another agent needs the role admin"));
        }
        let record = self.0.store.update_camera(id.clone(), patch).await?;
        record.map(Arc::new).ok_or(CameraError::NotFound)
    }

    /// Removes a camera and refuses it to its agent from now on.
    pub async fn remove(&self, viewer: &Viewer, id: &CameraId) -> Result<(), CameraError> {
        let record = self.get(viewer, id)?;
        if !viewer.may(Role::Admin, &record) {
            return Err(CameraError::Forbidden("removing a camera needs the role admin"));
        }
        self.0.store.remove_camera(id.clone()).await?;
        Ok(())
    }

    /// Whether an agent may serve a camera, if that can be said without the store.
    pub fn claim_known(&self, agent: AgentId, id: &CameraId) -> Option<Claim> {
        let record = self.record(id)?;
        match record.agent {
            Some(owner) if owner != agent => Some(not_yours()),
            // The first time is written down before the agent hears of it.
            Some(_) if record.last_seen_at.is_some() => Some(Claim::Bound),
            Some(_) | None => None,
        }
    }

    /// Whether an agent may serve a camera; one that it may bring is created.
    pub async fn claim(&self, agent: AgentId, announce: &Announce) -> Result<Claim, StoreError> {
        let (id, name) = (announce.camera.clone(), Some(announce.name.clone()));
        let camera = NewCamera { id, name, tags: announce.tags.clone() };
        Ok(match self.0.store.bind_camera(agent, camera, clock::now()).await? {
            BindOutcome::Bound(_) => Claim::Bound,
            BindOutcome::NotYours => not_yours(),
            BindOutcome::Unknown => {
                let why = "this agent was not enrolled for it: enrol it for this camera, or for new ones that match";
                Claim::Refused(RefusalCode::Unknown, why.into())
            }
            BindOutcome::Removed => Claim::Refused(RefusalCode::Removed, "the camera was removed".into()),
        })
    }

    /// How far the announced epochs of a camera's log are held here.
    pub async fn acked(
        &self,
        id: &CameraId,
        spools: &[SpoolState],
        upload: &Upload,
    ) -> Result<Vec<Acked>, StoreError> {
        if spools.is_empty() {
            return Ok(Vec::new());
        }
        // What leaves a spool that uploads nothing by itself leaves it by its retention.
        let why = match upload {
            Upload::OnDemand => LossReason::PastRetention,
            _ => LossReason::Unreadable,
        };
        self.0.store.acked(id.clone(), spools.to_vec(), why, clock::now()).await
    }

    /// The announced epochs of a camera's log that it goes on with from an older copy. Of one that is uploaded it sees that for itself.
    pub async fn overtaken(
        &self,
        id: &CameraId,
        spools: &[SpoolState],
        upload: &Upload,
    ) -> Result<Vec<Epoch>, StoreError> {
        if *upload == Upload::Live || spools.is_empty() {
            return Ok(Vec::new());
        }
        self.0.store.overtaken(id.clone(), spools.to_vec()).await
    }

    /// Whether a camera is this agent's now.
    pub fn belongs(&self, id: &CameraId, agent: AgentId) -> bool {
        self.record(id).is_some_and(|record| record.agent == Some(agent))
    }

    /// Notes that these cameras are served now; written down by the next [`Cameras::write_seen`].
    pub fn seen(&self, cameras: &[CameraId]) {
        let now = clock::now();
        {
            let mut records = self.0.write();
            for id in cameras {
                if let Some(record) = records.get_mut(id).map(Arc::make_mut) {
                    record.last_seen_at = record.last_seen_at.max(Some(now));
                }
            }
        }
        self.0.seen.lock().unwrap_or_else(PoisonError::into_inner).extend(cameras.iter().cloned());
    }

    /// Writes down when cameras were last served. To be done every second or so.
    pub async fn write_seen(&self) -> Result<(), StoreError> {
        let seen = std::mem::take(&mut *self.0.seen.lock().unwrap_or_else(PoisonError::into_inner));
        if seen.is_empty() {
            return Ok(());
        }
        let seen: Vec<CameraId> = seen.into_iter().collect();
        self.0.store.touch_cameras(&seen, clock::now()).await
    }

    /// Cameras that came, went or changed, as it happens.
    pub fn changes(&self) -> broadcast::Receiver<CameraId> {
        self.0.registry.changes()
    }

    /// A camera's record, whoever may see it.
    pub fn record(&self, id: &CameraId) -> Option<Arc<CameraRecord>> {
        self.0.read().get(id).cloned()
    }
}

impl Directory {
    /// Takes over what the store has changed, in its order, and ends what the change ends.
    fn follow(&self, change: CameraChange) {
        match change {
            CameraChange::Is(mut record) => {
                let id = record.id.clone();
                let mut records = self.write();
                let before = records.get(&id);
                let (from, to) = (before.and_then(|before| before.agent), record.agent);
                record.last_seen_at = record.last_seen_at.max(before.and_then(|before| before.last_seen_at));
                records.insert(id.clone(), Arc::new(record));
                drop(records);
                if from != to {
                    self.hand_over(&id, from, to);
                }
                self.registry.changed(&id);
            }
            CameraChange::Removed(id) => {
                self.write().remove(&id);
                self.registry.evict(&id, RefusalCode::Removed, "the camera was removed");
            }
        }
    }

    /// Takes a camera from the agent that serves it. A new owner that was refused it before comes back and announces again.
    fn hand_over(&self, id: &CameraId, from: Option<AgentId>, to: Option<AgentId>) {
        let refused = self.registry.refusal(id).map(|refusal| refusal.agent);
        if from.is_some() {
            self.registry.evict(id, RefusalCode::NotYours, "the camera belongs to another agent now");
        }
        if let Some(agent) = to.filter(|agent| refused == Some(*agent)) {
            self.registry.cut(agent, Close::Restart);
        }
    }

    fn read(&self) -> RwLockReadGuard<'_, BTreeMap<CameraId, Arc<CameraRecord>>> {
        self.records.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, BTreeMap<CameraId, Arc<CameraRecord>>> {
        self.records.write().unwrap_or_else(PoisonError::into_inner)
    }
}

fn not_yours() -> Claim {
    Claim::Refused(RefusalCode::NotYours, "the camera belongs to another agent".into())
}
