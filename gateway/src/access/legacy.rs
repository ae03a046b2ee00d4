//! The older system's listener: the agent whose cameras it brings, and what its clients may see of the others.

use oriel_proto::AgentId;

use super::{
    Access, AccessError, Viewer,
    token::{self, TokenKind},
};
use crate::store::{KeyId, KeyRecord, Role, Scope};

impl Access {
    /// The agent that the listener's cameras are bound to, made when there is none. It has a token, as every agent has, which
    /// nobody is told.
    pub async fn legacy_agent(&self) -> Result<AgentId, AccessError> {
        let (_, token) = token::make(TokenKind::Agent)?;
        Ok(self.inner.store.legacy_agent(token, self.inner.clock.now()).await?)
    }

    /// Everybody who asks the listener: it tells nobody from anybody, and none of them has a key.
    pub fn legacy_viewer(&self, scope: Scope) -> Viewer {
        let clock = self.inner.clock.clone();
        let (id, name, created_at) = (KeyId::new(), "legacy".to_owned(), clock.now());
        let key = KeyRecord { id, name, role: Role::Viewer, scope, created_at, expires_at: None };
        Viewer::new(key, clock)
    }
}
