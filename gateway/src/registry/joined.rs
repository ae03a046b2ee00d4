//! A link's own place in the registry: what it serves there, and how it takes all of it out again.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use dashmap::Entry;
use oriel_proto::{
    CameraId, Epoch, ImageClass, Seq, Timestamp,
    frame::{AgentHealth, CameraHealth, RefusalCode, SpoolState},
    limits::CAMERAS_PER_AGENT,
};

use super::{Presence, Refusal, Registry};
use crate::link::{Close, Link};

/// How long an old link may finish its answers after a newer one took over.
const HANDOVER: Duration = Duration::from_secs(10);

/// A joined link's place in the registry; it leaves with [`Joined::leave`], at the latest when this is dropped.
#[derive(Debug)]
pub struct Joined {
    registry: Registry,
    link: Link,
    /// Always locked before the registry's maps.
    mine: Mutex<Mine>,
}

/// Epochs of a camera that are known; of an agent that begins one after the other no more are remembered.
const EPOCHS: usize = 192;

/// What a camera offers.
#[derive(Debug, Default)]
pub struct Offer {
    /// Its series of pictures.
    pub classes: Box<[ImageClass]>,
    /// Whether its events are uploaded as they are written.
    pub live: bool,
    /// The epochs of its log, the present one last.
    pub epochs: Vec<SpoolState>,
}

/// What a link has in the registry.
#[derive(Debug)]
struct Mine {
    /// In their order. Mostly it is one, for which a set takes six times the room.
    cameras: Vec<CameraId>,
    /// The link that this one replaces, until it has announced its cameras.
    older: Option<Link>,
    left: bool,
}

impl Mine {
    fn has(&self, camera: &CameraId) -> bool {
        self.cameras.binary_search(camera).is_ok()
    }

    fn add(&mut self, camera: CameraId) {
        if let Err(place) = self.cameras.binary_search(&camera) {
            self.cameras.reserve_exact(usize::from(self.cameras.is_empty()));
            self.cameras.insert(place, camera);
        }
    }

    fn remove(&mut self, camera: &CameraId) -> bool {
        self.cameras.binary_search(camera).map(|place| self.cameras.remove(place)).is_ok()
    }
}

impl Joined {
    /// The place of a link that has just joined in the place of an `older` one.
    pub(super) fn new(registry: Registry, link: Link, older: Option<Link>) -> Self {
        let mine = Mine { cameras: Vec::new(), older, left: false };
        Self { registry, link, mine: Mutex::new(mine) }
    }

    /// The link.
    pub const fn link(&self) -> &Link {
        &self.link
    }

    /// Serves a camera from now on, or changes what it offers. An older link of the same agent loses it; a newer one keeps it, and
    /// so does everybody once this link has left.
    pub fn bind(&self, camera: CameraId, offer: Offer, now: Timestamp) {
        let mut mine = self.lock();
        if mine.left {
            return;
        }
        let Offer { classes, live, epochs } = offer;
        let link = self.link.clone();
        let mut presence = Presence { link, since: now, classes, health: None, live, epochs };
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
        mine.add(camera.clone());
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
        mine.add(camera.clone());
        drop(mine);
        self.registry.changed(camera);
    }

    /// Serves a camera no longer.
    pub fn unbind(&self, camera: &CameraId) {
        if self.lock().remove(camera) {
            self.let_go(camera);
        }
    }

    /// All cameras are announced: the link before this one has nothing left to do but its open answers.
    pub fn ready(&self) {
        let older = self.lock().older.take();
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

    /// Notes how far a camera has written an epoch of its log; one that is not known is the present one from now on.
    pub fn told(&self, camera: &CameraId, epoch: Epoch, next: Seq, as_of: Timestamp) {
        let Some(mut presence) = self.registry.0.cameras.get_mut(camera) else { return };
        let Presence { link, epochs, .. } = &mut *presence;
        if link.id() != self.link.id() || epochs.is_empty() {
            return;
        }
        if let Some(known) = epochs.iter_mut().find(|known| known.epoch == epoch) {
            (known.next, known.as_of) = (known.next.max(next), known.as_of.max(as_of));
        } else {
            if epochs.len() >= EPOCHS {
                epochs.remove(0);
            }
            epochs.push(SpoolState { epoch, first: 1, next, as_of });
        }
    }

    /// Notes that every camera has written nothing up to `as_of` beyond what it told.
    pub fn as_of(&self, as_of: Timestamp) {
        for camera in self.served() {
            if let Some(mut presence) = self.registry.0.cameras.get_mut(&camera)
                && let Some(present) = presence.epochs.last_mut()
            {
                present.as_of = present.as_of.max(as_of);
            }
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
        mine.cameras.len() < CAMERAS_PER_AGENT || mine.has(camera)
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
        self.registry.0.links.remove(&id);
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
