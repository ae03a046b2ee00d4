//! Agents' tokens in memory, so that letting an agent in asks nothing of the disk.

use std::{
    collections::HashMap,
    sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
};

use oriel_proto::AgentId;

use crate::store::TokenHash;

/// Whose each token is, of those that are good by themselves; one that takes part in a rotation is looked up on disk.
#[derive(Debug, Default)]
pub(super) struct TokenCache(RwLock<Held>);

#[derive(Debug, Default)]
struct Held {
    agents: HashMap<TokenHash, AgentId>,
    /// How often something was forgotten.
    edition: u64,
}

/// When the disk was asked: what it said is old once something was forgotten.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Edition(u64);

impl TokenCache {
    /// The agent of this token.
    pub(super) fn find(&self, hash: &TokenHash) -> Option<AgentId> {
        self.read().agents.get(hash).copied()
    }

    /// The edition that what is read from disk from now on belongs to.
    pub(super) fn edition(&self) -> Edition {
        Edition(self.read().edition)
    }

    /// Takes in what the disk said, unless something was forgotten since it was asked.
    pub(super) fn remember(&self, asked: Edition, tokens: impl IntoIterator<Item = (TokenHash, AgentId)>) {
        let mut held = self.write();
        if held.edition == asked.0 {
            held.agents.extend(tokens);
        }
    }

    /// Forgets a token: from now on the disk says what it is good for.
    pub(super) fn forget(&self, hash: &TokenHash) {
        let mut held = self.write();
        held.edition += 1;
        held.agents.remove(hash);
    }

    /// Forgets all.
    pub(super) fn forget_all(&self) {
        let mut held = self.write();
        held.edition += 1;
        held.agents = HashMap::new();
    }

    fn read(&self) -> RwLockReadGuard<'_, Held> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Held> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_read_before_something_was_forgotten_is_not_remembered() {
        let (tokens, agent) = (TokenCache::default(), AgentId::new());
        let [old, other] = [1, 2].map(|byte| TokenHash::from_bytes([byte; 32]));
        tokens.remember(tokens.edition(), [(old, agent)]);
        let asked = tokens.edition();
        tokens.forget(&old);
        tokens.remember(asked, [(old, agent), (other, agent)]);
        assert_eq!([old, other].map(|hash| tokens.find(&hash)), [None, None]);
        tokens.remember(tokens.edition(), [(other, agent)]);
        assert_eq!(tokens.find(&other), Some(agent));
        tokens.forget_all();
        assert_eq!(tokens.find(&other), None);
    }
}
