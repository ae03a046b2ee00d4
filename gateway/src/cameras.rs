//! The cameras that this gateway knows: records from the store, held in memory, beside who is connected now.
//!
//! Everything that hands out a camera asks the viewer first, so that a foreign camera and a missing one look the same.

use std::{
    collections::BTreeMap,
    sync::{Arc, PoisonError, RwLock},
};

use oriel_proto::{
    AgentId, CameraId, Timestamp,
    frame::{Announce, RefusalCode, SourceState},
};
use tokio::sync::broadcast;

use crate::{
    access::Viewer,
    clock,
    registry::{Presence, Registry},
    store::{BindOutcome, CameraPatch, CameraRecord, NewCamera, Role, Store, StoreError},
};

/// All known cameras; clones share them.
#[derive(Clone, Debug)]
pub struct Cameras(Arc<Directory>);

#[derive(Debug)]
struct Directory {
    store: Store,
    registry: Registry,
    records: RwLock<BTreeMap<CameraId, Arc<CameraRecord>>>,
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
    /// Reads all records.
    pub async fn load(store: Store, registry: Registry) -> Result<Self, StoreError> {
        let records = store.cameras().await?;
        let records = records.into_iter().map(|record| (record.id.clone(), Arc::new(record))).collect();
        Ok(Self(Arc::new(Directory { store, registry, records: RwLock::new(records) })))
    }

    /// A camera that the viewer may see.
    pub fn get(&self, viewer: &Viewer, id: &CameraId) -> Result<Arc<CameraRecord>, CameraError> {
        self.record(id).filter(|record| viewer.may_see(record)).ok_or(CameraError::NotFound)
    }

    /// All cameras that the viewer may see, by id.
    pub fn visible(&self, viewer: &Viewer) -> Vec<Arc<CameraRecord>> {
        self.read().values().filter(|record| viewer.may_see(record)).cloned().collect()
    }

    /// The cameras bound to an agent.
    pub fn of_agent(&self, agent: AgentId) -> Vec<CameraId> {
        self.read()
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
        Ok(self.put(record))
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
        let moved = patch.agent.filter(|agent| before.agent != Some(*agent));
        let record = self.0.store.update_camera(id.clone(), patch).await?;
        let record = self.put(record.ok_or(CameraError::NotFound)?);
        if let Some(agent) = moved {
            self.0.registry.evict(id, RefusalCode::NotYours, "moved to another agent");
            // The new agent may have been refused this camera before: it announces again when it comes back.
            self.0.registry.cut(agent, crate::link::Close::Restart);
        }
        Ok(record)
    }

    /// Removes a camera and refuses it to its agent from now on.
    pub async fn remove(&self, viewer: &Viewer, id: &CameraId) -> Result<(), CameraError> {
        let record = self.get(viewer, id)?;
        if !viewer.may(Role::Admin, &record) {
            return Err(CameraError::Forbidden("removing a camera needs the role admin"));
        }
        self.0.store.remove_camera(id.clone()).await?;
        self.write().remove(id);
        self.0.registry.evict(id, RefusalCode::Removed, "the camera was removed");
        Ok(())
    }

    /// Whether an agent may serve a camera, if that can be said without the store.
    pub fn claim_known(&self, agent: AgentId, id: &CameraId) -> Option<Claim> {
        let record = self.record(id)?;
        match record.agent {
            Some(_) if is_blank(&record) => None,
            Some(owner) if owner == agent => Some(Claim::Bound),
            Some(_) => Some(not_yours()),
            None => None,
        }
    }

    /// Whether an agent may serve a camera; one that it may bring is created.
    pub async fn claim(&self, agent: AgentId, announce: &Announce) -> Result<Claim, StoreError> {
        let (id, name) = (announce.camera.clone(), Some(announce.name.clone()));
        let camera = NewCamera { id, name, tags: announce.tags.clone() };
        Ok(match self.0.store.bind_camera(agent, camera, clock::now()).await? {
            BindOutcome::Bound(record) => {
                self.adopt_facts(record, announce).await?;
                Claim::Bound
            }
            BindOutcome::NotYours => not_yours(),
            BindOutcome::Unknown => {
                let why = "this agent was not enrolled for it: enrol it for this camera, or for new ones that match";
                Claim::Refused(RefusalCode::Unknown, why.into())
            }
            BindOutcome::Removed => Claim::Refused(RefusalCode::Removed, "the camera was removed".into()),
        })
    }

    /// Takes over a bound camera. The first announcement names and tags one that nobody has named or tagged: an enrolment makes
    /// cameras by their ids alone.
    async fn adopt_facts(&self, mut record: CameraRecord, announce: &Announce) -> Result<(), StoreError> {
        if is_blank(&record) {
            let patch = CameraPatch {
                name: Some(announce.name.clone()),
                tags: Some(announce.tags.clone()),
                agent: None,
            };
            match self.0.store.update_camera(record.id.clone(), patch).await {
                Ok(Some(named)) => record = named,
                // What the device calls it is not usable as a name: it keeps its id.
                Ok(None) | Err(StoreError::Invalid(_)) => {}
                Err(error) => return Err(error),
            }
        }
        self.put(record);
        Ok(())
    }

    /// Takes over records that the store has changed.
    pub fn adopt(&self, records: Vec<CameraRecord>) {
        for record in records {
            self.put(record);
        }
    }

    /// Takes over that these cameras belong to nobody any more.
    pub fn unbind(&self, records: Vec<CameraRecord>) {
        self.adopt(records.into_iter().map(|record| CameraRecord { agent: None, ..record }).collect());
    }

    /// Notes that these cameras were served until now.
    pub async fn seen(&self, cameras: &[CameraId], at: Timestamp) -> Result<(), StoreError> {
        {
            let mut records = self.write();
            for id in cameras {
                if let Some(record) = records.get_mut(id) {
                    Arc::make_mut(record).last_seen_at = Some(at);
                }
            }
        }
        for id in cameras {
            self.0.registry.changed(id);
        }
        self.0.store.touch_cameras(cameras, at).await
    }

    /// Cameras that came, went or changed, as it happens.
    pub fn changes(&self) -> broadcast::Receiver<CameraId> {
        self.0.registry.changes()
    }

    /// A camera's record, whoever may see it.
    pub fn record(&self, id: &CameraId) -> Option<Arc<CameraRecord>> {
        self.read().get(id).cloned()
    }

    fn put(&self, record: CameraRecord) -> Arc<CameraRecord> {
        let record = Arc::new(record);
        self.write().insert(record.id.clone(), Arc::clone(&record));
        self.0.registry.changed(&record.id);
        record
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, BTreeMap<CameraId, Arc<CameraRecord>>> {
        self.0.records.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> std::sync::RwLockWriteGuard<'_, BTreeMap<CameraId, Arc<CameraRecord>>> {
        self.0.records.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether nobody has said anything about a camera but its id.
fn is_blank(record: &CameraRecord) -> bool {
    record.last_seen_at.is_none() && record.tags.is_empty() && record.name == record.id.as_str()
}

fn not_yours() -> Claim {
    Claim::Refused(RefusalCode::NotYours, "the camera belongs to another agent".into())
}
