//! The keys in memory.

use std::{
    collections::{HashMap, HashSet},
    sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
};

use super::Viewer;
use crate::store::{KeyId, TokenHash};

/// Good keys by hash. What was revoked here never comes back, whatever an older look at the disk says.
#[derive(Debug, Default)]
pub(super) struct Ring(RwLock<Keys>);

#[derive(Debug, Default)]
struct Keys {
    good: HashMap<TokenHash, Viewer>,
    revoked: HashSet<KeyId>,
}

impl Ring {
    /// Whoever has the key of this hash.
    pub(super) fn find(&self, hash: &TokenHash) -> Option<Viewer> {
        self.read().good.get(hash).cloned()
    }

    /// Takes in a key that was read from disk and gives back the one viewer of it; none when it was revoked meanwhile.
    pub(super) fn remember(&self, hash: TokenHash, viewer: Viewer) -> Option<Viewer> {
        let mut keys = self.write();
        if keys.revoked.contains(&viewer.key_id()) {
            return None;
        }
        Some(keys.good.entry(hash).or_insert(viewer).clone())
    }

    /// Ends a key and everybody who uses it.
    pub(super) fn revoke(&self, id: KeyId) {
        let mut keys = self.write();
        keys.revoked.insert(id);
        keys.good.retain(|_, viewer| {
            let other = viewer.key_id() != id;
            if !other {
                viewer.revoke();
            }
            other
        });
    }

    /// The ids of all keys.
    pub(super) fn ids(&self) -> HashSet<KeyId> {
        self.read().good.values().map(Viewer::key_id).collect()
    }

    /// Whether there is no key.
    pub(super) fn is_empty(&self) -> bool {
        self.read().good.is_empty()
    }

    fn read(&self) -> RwLockReadGuard<'_, Keys> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Keys> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}
