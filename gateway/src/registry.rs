//! Who is connected: which link serves which camera, and which link is an agent's present one.
//!
//! The maps are private and their methods return clones, so that no lock outlives a call. A link leaves by its guard, which
//! removes only what is still its own.

mod awaited;

use std::{
    collections::HashSet,
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use dashmap::{DashMap, Entry};
use oriel_proto::{
    AgentId, CameraId, SessionId, Timestamp,
    frame::{AgentHealth, Announce, CameraHealth, RefusalCode},
    limits::CAMERAS_PER_AGENT,
};
use tokio::sync::broadcast;

use self::awaited::Awaited;
use crate::link::{Close, Link};

/// How long an old link may finish its answers after a newer one took over.
const HANDOVER: Duration = Duration::from_secs(10);

/// Changes that a slow listener may fall behind before it must look at everything again.
const CHANGES: usize = 1_024;

/// Everybody who is connected; clones share it.
#[derive(Clone, Debug)]
pub struct Registry(Arc<Maps>);

#[derive(Debug)]
struct Maps {
    cameras: DashMap<CameraId, Presence>,
    agents: DashMap<AgentId, Connected>,
    /// Announced by somebody who may not serve them.
    refusals: DashMap<CameraId, Refusal>,
    awaited: Awaited,
    changes: broadcast::Sender<CameraId>,
}

/// A connected camera.
#[derive(Clone, Debug)]
pub struct Presence {
    /// The link that serves it.
    pub link: Link,
    /// When that link announced it first.
    pub since: Timestamp,
    /// What it is.
    pub facts: Arc<Announce>,
    /// How it is, as far as its agent said.
    pub health: Option<Arc<CameraHealth>>,
}

/// A connected agent.
#[derive(Clone, Debug)]
pub struct Connected {
    /// Its present link.
    pub link: Link,
    /// How it is, as far as it said.
    pub health: Option<AgentHealth>,
    /// Whether another device tried to use its token meanwhile.
    pub contested: bool,
}

/// A camera that an agent announced and may not serve.
#[derive(Clone, Debug)]
pub struct Refusal {
    /// Whose announcement it was.
    pub agent: AgentId,
    link: SessionId,
    /// Why it was refused.
    pub code: RefusalCode,
}

/// Why a link may not join.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JoinError {
    /// Another state folder uses the same token.
    #[error("two devices use one token")]
    OtherInstance,
    /// The present link has the same or a higher generation.
    #[error("a newer connection of this agent is open")]
    NotNewer,
}

impl Default for Registry {
    fn default() -> Self {
        let maps = Maps {
            cameras: DashMap::new(),
            agents: DashMap::new(),
            refusals: DashMap::new(),
            awaited: Awaited::default(),
            changes: broadcast::Sender::new(CHANGES),
        };
        Self(Arc::new(maps))
    }
}

impl Registry {
    /// Makes `link` its agent's present one. An older link goes on serving its cameras until the new one has announced them.
    pub fn join(&self, link: Link) -> Result<Joined, JoinError> {
        let facts = link.facts();
        let older = match self.0.agents.entry(facts.agent) {
            Entry::Vacant(entry) => {
                entry.insert(Connected { link: link.clone(), health: None, contested: false });
                None
            }
            Entry::Occupied(mut entry) => {
                let present = entry.get_mut();
                if present.link.facts().instance != facts.instance {
                    present.contested = true;
                    return Err(JoinError::OtherInstance);
                }
                if present.link.facts().generation >= facts.generation {
                    // One state folder never dials with an older number: this is a copy of it.
                    present.contested = true;
                    return Err(JoinError::NotNewer);
                }
                Some(std::mem::replace(&mut present.link, link.clone()))
            }
        };
        Ok(Joined { registry: self.clone(), link, older: Mutex::new(older), mine: Mutex::default() })
    }

    /// The link that serves a camera now.
    pub fn find(&self, camera: &CameraId) -> Option<Link> {
        self.0.cameras.get(camera).map(|presence| presence.link.clone())
    }

    /// The link that serves a camera, waited for when there is none but `dead`, which has ended.
    pub async fn wait_for(&self, camera: &CameraId, dead: Option<SessionId>) -> Link {
        loop {
            let waiting = self.0.awaited.wait(camera);
            let mut news = pin!(waiting.news());
            // Listening before looking, so that no coming falls between the two.
            news.as_mut().enable();
            if let Some(link) = self.find(camera).filter(|link| dead != Some(link.id()) && !link.is_closed())
            {
                return link;
            }
            news.await;
        }
    }

    /// How many cameras somebody waits for.
    pub fn awaited(&self) -> usize {
        self.0.awaited.len()
    }

    /// A connected camera.
    pub fn presence(&self, camera: &CameraId) -> Option<Presence> {
        self.0.cameras.get(camera).map(|presence| presence.clone())
    }

    /// A camera's refused announcement.
    pub fn refusal(&self, camera: &CameraId) -> Option<Refusal> {
        self.0.refusals.get(camera).map(|refusal| refusal.clone())
    }

    /// A connected agent.
    pub fn agent(&self, agent: AgentId) -> Option<Connected> {
        self.0.agents.get(&agent).map(|connected| connected.clone())
    }

    /// How many agents are connected.
    pub fn agents(&self) -> usize {
        self.0.agents.len()
    }

    /// Every agent's present link.
    pub fn links(&self) -> Vec<Link> {
        self.0.agents.iter().map(|connected| connected.link.clone()).collect()
    }

    /// Ends an agent's present link.
    pub fn cut(&self, agent: AgentId, why: Close) {
        if let Some(connected) = self.agent(agent) {
            connected.link.close(why);
        }
    }

    /// Takes a camera from whoever serves it and tells that agent why.
    pub fn evict(&self, camera: &CameraId, code: RefusalCode, message: &str) {
        self.0.refusals.remove(camera);
        if let Some((_, presence)) = self.0.cameras.remove(camera) {
            presence.link.refused(camera.clone(), code, message.to_owned());
        }
        self.changed(camera);
    }

    /// Cameras that came, went or changed, as it happens. A listener that falls behind is told how far.
    pub fn changes(&self) -> broadcast::Receiver<CameraId> {
        self.0.changes.subscribe()
    }

    /// Says that something about a camera changed.
    pub fn changed(&self, camera: &CameraId) {
        // Nobody listening is no failure.
        _ = self.0.changes.send(camera.clone());
    }
}

/// A joined link's place in the registry; it leaves with [`Joined::leave`], at the latest when this is dropped.
#[derive(Debug)]
pub struct Joined {
    registry: Registry,
    link: Link,
    /// The link that this one replaces, until it has announced its cameras.
    older: Mutex<Option<Link>>,
    /// Always locked before the registry's maps.
    mine: Mutex<Mine>,
}

/// What a link has in the registry.
#[derive(Debug, Default)]
struct Mine {
    cameras: HashSet<CameraId>,
    left: bool,
}

impl Joined {
    /// Serves a camera from now on, or changes its facts. An older link of the same agent loses it; a newer one keeps it, and
    /// so does everybody once this link has left.
    pub fn bind(&self, facts: Announce, now: Timestamp) {
        let mut mine = self.lock();
        if mine.left {
            return;
        }
        let camera = facts.camera.clone();
        let facts = Arc::new(facts);
        let mut presence = Presence { link: self.link.clone(), since: now, facts, health: None };
        match self.registry.0.cameras.entry(camera.clone()) {
            Entry::Occupied(entry) if is_newer(&entry.get().link, &self.link) => return,
            Entry::Occupied(mut entry) => {
                if entry.get().link.id() == self.link.id() {
                    presence.since = entry.get().since;
                    presence.health = entry.get().health.clone();
                }
                entry.insert(presence);
            }
            Entry::Vacant(entry) => {
                entry.insert(presence);
            }
        }
        self.registry.0.refusals.remove(&camera);
        mine.cameras.insert(camera.clone());
        drop(mine);
        self.registry.0.awaited.came(&camera);
        self.registry.changed(&camera);
    }

    /// Remembers that a camera was announced and may not be served.
    pub fn refuse(&self, camera: &CameraId, code: RefusalCode) {
        let mut mine = self.lock();
        if mine.left {
            return;
        }
        let refusal = Refusal { agent: self.link.facts().agent, link: self.link.id(), code };
        self.registry.0.refusals.insert(camera.clone(), refusal);
        mine.cameras.insert(camera.clone());
        drop(mine);
        self.registry.changed(camera);
    }

    /// Serves a camera no longer.
    pub fn unbind(&self, camera: &CameraId) {
        if self.lock().cameras.remove(camera) {
            self.let_go(camera);
        }
    }

    /// All cameras are announced: the link before this one has nothing left to do but its open answers.
    pub fn ready(&self) {
        let older = self.older.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(older) = older {
            older.retire(HANDOVER, Close::Superseded);
        }
    }

    /// Notes how the agent is.
    pub fn agent_health(&self, health: AgentHealth) {
        if let Some(mut connected) = self.registry.0.agents.get_mut(&self.link.facts().agent)
            && connected.link.id() == self.link.id()
        {
            connected.health = Some(health);
        }
    }

    /// Notes how a camera is.
    pub fn camera_health(&self, health: CameraHealth) {
        let camera = health.camera.clone();
        let changed = match self.registry.0.cameras.get_mut(&camera) {
            Some(mut presence) if presence.link.id() == self.link.id() => {
                let before = presence.health.replace(Arc::new(health));
                let after = presence.health.as_ref();
                before.as_ref().map(|b| (&b.source, &b.why)) != after.map(|a| (&a.source, &a.why))
            }
            _ => false,
        };
        if changed {
            self.registry.changed(&camera);
        }
    }

    /// Whether this link may announce that camera: one that it has, or one more.
    pub fn has_room_for(&self, camera: &CameraId) -> bool {
        let mine = self.lock();
        mine.cameras.len() < CAMERAS_PER_AGENT || mine.cameras.contains(camera)
    }

    /// The cameras that this link serves now.
    pub fn served(&self) -> Vec<CameraId> {
        let mine = self.lock();
        mine.cameras.iter().filter(|camera| self.serves(camera)).cloned().collect()
    }

    /// Takes everything of this link out of the registry; from now on nothing of it gets in.
    pub fn leave(&self) {
        let cameras = {
            let mut mine = self.lock();
            mine.left = true;
            std::mem::take(&mut mine.cameras)
        };
        for camera in cameras {
            self.let_go(&camera);
        }
        let id = self.link.id();
        self.registry.0.agents.remove_if(&self.link.facts().agent, |_, connected| connected.link.id() == id);
        // A newer link that never became ready must not leave the older one without an end.
        self.ready();
    }

    fn serves(&self, camera: &CameraId) -> bool {
        self.registry.find(camera).is_some_and(|link| link.id() == self.link.id())
    }

    fn let_go(&self, camera: &CameraId) {
        let id = self.link.id();
        self.registry.0.cameras.remove_if(camera, |_, presence| presence.link.id() == id);
        self.registry.0.refusals.remove_if(camera, |_, refusal| refusal.link == id);
        self.registry.changed(camera);
    }

    fn lock(&self) -> MutexGuard<'_, Mine> {
        self.mine.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Joined {
    fn drop(&mut self) {
        self.leave();
    }
}

/// Whether `other` is a later dial of the same agent than `link`.
fn is_newer(other: &Link, link: &Link) -> bool {
    let (other, link) = (other.facts(), link.facts());
    other.agent == link.agent && other.instance == link.instance && other.generation > link.generation
}
