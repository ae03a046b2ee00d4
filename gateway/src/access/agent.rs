//! Agents: telling who holds a token, rotating it, revoking it.

use std::{
    collections::{HashMap, HashSet},
    net::IpAddr,
    sync::{Mutex, MutexGuard, PoisonError},
};

use oriel_proto::{AgentId, Secret, Timestamp};

use super::{
    Access, AccessError,
    token::{self, TokenKind},
};
use crate::store::{AgentMatch, AgentRecord, CameraRecord, TokenHash, UsedToken};

/// How often a token is looked up again when another link of the same agent changed it meanwhile.
const TRIES: usize = 4;

/// An agent that was let in.
#[derive(Clone, Debug)]
pub struct AgentGrant {
    /// The agent.
    pub id: AgentId,
    /// A new token that the agent must be told: it came with the old one while a rotation is wanted.
    pub rotate: Option<Secret>,
}

/// What is remembered of agents while the program runs.
#[derive(Debug, Default)]
pub(super) struct Sessions(Mutex<Memory>);

#[derive(Debug, Default)]
struct Memory {
    /// Kept for ever, so that a link that is being opened with an older look at the disk finds it.
    revoked: HashSet<AgentId>,
    seen: HashMap<AgentId, Timestamp>,
}

impl Sessions {
    /// When each agent came or left, since this was last asked.
    fn take_seen(&self) -> Vec<(AgentId, Timestamp)> {
        std::mem::take(&mut self.lock().seen).into_iter().collect()
    }

    fn came(&self, id: AgentId, at: Timestamp) {
        self.lock().seen.insert(id, at);
    }

    fn revoke(&self, id: AgentId) {
        self.lock().revoked.insert(id);
    }

    fn is_revoked(&self, id: AgentId) -> bool {
        self.lock().revoked.contains(&id)
    }

    fn lock(&self) -> MutexGuard<'_, Memory> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Access {
    /// Which agent holds this token: from memory, or from disk for one that is not there. Using a rotated token for the
    /// first time ends the old one; coming with the old one while a rotation is wanted makes a new token, to be delivered.
    ///
    /// Fails with `Malformed`, `Unknown`, `Revoked`, `Throttled` or `Store`.
    pub async fn agent(&self, credential: &str, peer: IpAddr) -> Result<AgentGrant, AccessError> {
        let hash = match token::parse(TokenKind::Agent, credential) {
            Ok(hash) => hash,
            Err(error) => return Err(self.failed(peer, error.into())),
        };
        if let Some(id) = self.inner.tokens.find(&hash) {
            return self.grant(id, None);
        }
        for _ in 0..TRIES {
            let asked = self.inner.tokens.edition();
            let Some(found) = self.inner.store.agent_by_token(hash).await? else { break };
            if found.revoked {
                return Err(AccessError::Revoked);
            }
            if let Some(rotate) = self.go_on_rotating(&found, hash).await? {
                if found.used == UsedToken::Current {
                    self.inner.tokens.remember(asked, [(hash, found.id)]);
                }
                return self.grant(found.id, rotate);
            }
        }
        Err(self.failed(peer, AccessError::Unknown))
    }

    /// Reads the tokens of all agents into memory, so that a fleet that comes back all at once asks nothing of the disk.
    pub async fn load_tokens(&self) -> Result<(), AccessError> {
        let asked = self.inner.tokens.edition();
        self.inner.tokens.remember(asked, self.inner.store.agent_tokens().await?);
        Ok(())
    }

    /// Takes the next step of a rotation, if there is one, and gives the token to deliver; `None` when another link of
    /// this agent took a step meanwhile and the token must be looked up again.
    async fn go_on_rotating(
        &self,
        found: &AgentMatch,
        hash: TokenHash,
    ) -> Result<Option<Option<Secret>>, AccessError> {
        let id = found.id;
        Ok(match found.used {
            UsedToken::Current => Some(None),
            UsedToken::New => self.inner.store.adopt_token(id, hash).await?.then_some(None),
            UsedToken::Old => {
                let (secret, new) = token::make(TokenKind::Agent)?;
                self.inner.store.renew_token(id, hash, new).await?.then_some(Some(secret))
            }
        })
    }

    fn grant(&self, id: AgentId, rotate: Option<Secret>) -> Result<AgentGrant, AccessError> {
        if self.is_revoked(id) {
            return Err(AccessError::Revoked);
        }
        self.agent_seen(id);
        Ok(AgentGrant { id, rotate })
    }

    /// Whether an agent was revoked while this program runs. Whoever lets a link in asks once more when it can be found by who ends
    /// the links of a revoked agent.
    pub fn is_revoked(&self, id: AgentId) -> bool {
        self.inner.sessions.is_revoked(id)
    }

    /// Notes that an agent was connected until now; written down by the next [`Access::write_seen`].
    pub fn agent_seen(&self, id: AgentId) {
        self.inner.sessions.came(id, self.inner.clock.now());
    }

    /// Writes down when agents were last connected. To be done every second or so.
    pub async fn write_seen(&self) -> Result<(), AccessError> {
        let seen = self.inner.sessions.take_seen();
        if seen.is_empty() {
            return Ok(());
        }
        Ok(self.inner.store.touch_agents(seen).await?)
    }

    /// All agents that are not revoked, oldest first.
    pub async fn agents(&self) -> Result<Vec<AgentRecord>, AccessError> {
        Ok(self.inner.store.agents().await?)
    }

    /// One agent that is not revoked; fails with `NotFound`.
    pub async fn agent_record(&self, id: AgentId) -> Result<AgentRecord, AccessError> {
        self.inner.store.agent(id).await?.ok_or(AccessError::NotFound)
    }

    /// Begins a rotation and gives the new token, to be sent down the agent's link. Without a link it may be dropped: the
    /// next one gets another. The old token works until a new one has been used once. Fails with `NotFound`.
    pub async fn rotate_agent(&self, id: AgentId) -> Result<Secret, AccessError> {
        let (secret, new) = token::make(TokenKind::Agent)?;
        let tokens = self.inner.tokens.clone();
        let begun = self.inner.store.rotate_token(id, new, move |old| tokens.forget(&old)).await?;
        if begun { Ok(secret) } else { Err(AccessError::NotFound) }
    }

    /// Takes back an agent's tokens for good and unbinds its cameras, which it gives back. Once that is on disk, `end_links` is
    /// called, even when the caller has gone. Fails with `NotFound`.
    pub async fn revoke_agent(
        &self,
        id: AgentId,
        end_links: impl FnOnce() + Send + 'static,
    ) -> Result<Vec<CameraRecord>, AccessError> {
        let sessions = self.inner.sessions.clone();
        let after = move || {
            sessions.revoke(id);
            end_links();
        };
        let cameras = self.inner.store.revoke_agent(id, self.inner.clock.now(), after).await?;
        cameras.ok_or(AccessError::NotFound)
    }
}
