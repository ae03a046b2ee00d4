//! Who is connected: which link serves which camera, and which link is an agent's present one.
//!
//! The maps are private and their methods return clones, so that no lock outlives a call. A link leaves by its guard, which
//! removes only what is still its own.

mod awaited;
mod joined;
mod watched;

use std::{pin::pin, sync::Arc};

use dashmap::{DashMap, Entry};
use oriel_proto::{
    AgentId, CameraId, ImageClass, SessionId, Timestamp,
    frame::{AgentHealth, CameraHealth, RefusalCode, SpoolState},
};
use tokio::sync::broadcast;

use self::{awaited::Awaited, watched::Watched};
pub use self::{
    joined::{Joined, Offer},
    watched::{Fresh, News, Watch, Wish},
};
use crate::{
    hash::Hashing,
    link::{Close, Link},
};

/// Changes that a slow listener may fall behind before it must look at everything again.
const CHANGES: usize = 1_024;

/// Everybody who is connected; clones share it.
#[derive(Clone, Debug)]
pub struct Registry(Arc<Maps>);

/// Whose names are its keys was let in before: hashing them need not withstand an enemy who chooses them freely.
type Map<K, V> = DashMap<K, V, Hashing>;

#[derive(Debug)]
struct Maps {
    cameras: Map<CameraId, Presence>,
    agents: Map<AgentId, Connected>,
    /// Every link that has joined and not left, also one that only finishes its answers.
    links: Map<SessionId, Link>,
    /// Announced by somebody who may not serve them.
    refusals: Map<CameraId, Refusal>,
    awaited: Awaited,
    watched: Watched,
    changes: broadcast::Sender<CameraId>,
}

/// A connected camera.
#[derive(Clone, Debug)]
pub struct Presence {
    /// The link that serves it.
    pub link: Link,
    /// When that link announced it first.
    pub since: Timestamp,
    /// The series of pictures it offers.
    pub classes: Box<[ImageClass]>,
    /// How it is, as far as its agent said.
    pub health: Option<Arc<CameraHealth>>,
    /// Whether its events are uploaded as they are written.
    pub live: bool,
    /// The epochs of its log as they were told last, the present one last.
    pub epochs: Vec<SpoolState>,
}

/// What a connected camera has said of its log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ToldLog {
    /// Whether its events are uploaded as they are written.
    pub live: bool,
    /// Its epochs, the present one last; none when it has not said anything.
    pub epochs: Vec<SpoolState>,
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
            cameras: Map::default(),
            agents: Map::default(),
            links: Map::default(),
            refusals: Map::default(),
            awaited: Awaited::default(),
            watched: Watched::default(),
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
        self.0.links.insert(link.id(), link.clone());
        Ok(Joined::new(self.clone(), link, older))
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

    /// What a camera said last of its log; none when it is not connected.
    pub fn told_log(&self, camera: &CameraId) -> Option<ToldLog> {
        let presence = self.0.cameras.get(camera)?;
        Some(ToldLog { live: presence.live, epochs: presence.epochs.clone() })
    }

    /// Whether a connected camera leaves its log on its device.
    pub fn is_on_demand(&self, camera: &CameraId) -> bool {
        self.0.cameras.get(camera).is_some_and(|presence| !presence.live)
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

    /// Ends all links of an agent. One that joins meanwhile must see for itself why.
    pub fn end_all_of(&self, agent: AgentId, why: Close) {
        self.0.links.iter().filter(|link| link.facts().agent == agent).for_each(|link| link.close(why));
    }

    /// Ends all links. One that joins meanwhile must see for itself why.
    pub fn end_all(&self, why: Close) {
        self.0.links.iter().for_each(|link| link.close(why));
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
