//! API keys: making, listing, revoking, and telling who holds one.

use std::{collections::HashSet, net::IpAddr, sync::atomic::Ordering};

use oriel_proto::{
    Secret, Timestamp,
    limits::{NAME_BYTES, TAG_BYTES},
};

use super::{
    Access, AccessError, Viewer,
    token::{self, TokenKind},
};
use crate::store::{KeyId, KeyRecord, Role, Scope};

/// The most cameras, and the most tags, that a key may list.
const SCOPE_ENTRIES: usize = 1_024;

/// A key to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewKey {
    /// What it is for; 1 to 200 bytes.
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// Where it may do it; at most 1,024 cameras and 1,024 tags.
    pub scope: Scope,
    /// When it stops being good, if ever; in the future.
    pub expires_at: Option<Timestamp>,
}

impl Access {
    /// Who holds this key. From memory; a key that is not there may have been added by another process and is looked up
    /// once. Wrong keys are counted by address, right ones always pass.
    ///
    /// Fails with `Malformed`, `Unknown`, `Expired`, `Throttled` or `Store`.
    pub async fn viewer(&self, credential: &str, peer: IpAddr) -> Result<Viewer, AccessError> {
        let hash = match token::parse(TokenKind::Key, credential) {
            Ok(hash) => hash,
            Err(error) => return Err(self.failed(peer, error.into())),
        };
        let viewer = match self.inner.ring.find(&hash) {
            Some(viewer) => viewer,
            None => {
                // Counted before the disk is asked, so that whoever guesses does not keep it busy.
                self.inner.throttle.fail(peer)?;
                let key = self.inner.store.key_by_hash(hash).await?.ok_or(AccessError::Unknown)?;
                let viewer = Viewer::new(key, self.inner.clock.clone());
                let viewer = self.inner.ring.remember(hash, viewer).ok_or(AccessError::Unknown)?;
                // Another process may have removed it since it was read: the next tick looks again.
                self.inner.stale.store(true, Ordering::Relaxed);
                viewer
            }
        };
        viewer.check().map(|()| viewer)
    }

    /// Makes a key; the secret is shown this once.
    ///
    /// Fails with `Invalid` when the name is empty or too long, the scope is empty or too long, or the end is past.
    pub async fn add_key(&self, key: NewKey) -> Result<(KeyRecord, Secret), AccessError> {
        let now = self.inner.clock.now();
        check(&key, now)?;
        let NewKey { name, role, scope, expires_at } = key;
        let (secret, hash) = token::make(TokenKind::Key)?;
        let record = KeyRecord { id: KeyId::new(), name, role, scope, created_at: now, expires_at };
        let record = self.inner.store.add_key(record, hash).await?;
        self.inner.ring.remember(hash, Viewer::new(record.clone(), self.inner.clock.clone()));
        Ok((record, secret))
    }

    /// All keys, oldest first, the expired ones too.
    pub async fn keys(&self) -> Result<Vec<KeyRecord>, AccessError> {
        Ok(self.inner.store.keys().await?.into_iter().map(|(key, _)| key).collect())
    }

    /// One key; fails with `NotFound`.
    pub async fn key(&self, id: KeyId) -> Result<KeyRecord, AccessError> {
        self.inner.store.key(id).await?.ok_or(AccessError::NotFound)
    }

    /// Removes a key for good and ends everybody who uses it; fails with `NotFound`.
    pub async fn revoke_key(&self, id: KeyId) -> Result<(), AccessError> {
        let ring = self.inner.ring.clone();
        let revoked = self.inner.store.delete_key(id, move || ring.revoke(id)).await?;
        if revoked { Ok(()) } else { Err(AccessError::NotFound) }
    }

    /// Whether there is any key, good or expired: if not, nobody can ask for anything yet.
    pub fn has_any_key(&self) -> bool {
        !self.inner.ring.is_empty()
    }

    /// Takes over the keys that another process added, and ends those that it removed.
    pub(super) async fn reload_keys(&self) -> Result<(), AccessError> {
        // Only what was here before the disk is asked may be missing there because somebody removed it.
        let before = self.inner.ring.ids();
        let keys = self.inner.store.keys().await?;
        let present: HashSet<_> = keys.iter().map(|(key, _)| key.id).collect();
        before.difference(&present).for_each(|id| self.inner.ring.revoke(*id));
        for (key, hash) in keys {
            self.inner.ring.remember(hash, Viewer::new(key, self.inner.clock.clone()));
        }
        Ok(())
    }
}

fn check(key: &NewKey, now: Timestamp) -> Result<(), AccessError> {
    let Scope { all, cameras, tags } = &key.scope;
    let wrong = if key.name.trim().is_empty() || key.name.len() > NAME_BYTES {
        format!("a key's name has 1 to {NAME_BYTES} bytes")
    } else if !all && cameras.is_empty() && tags.is_empty() {
        "a key needs cameras, tags or all".into()
    } else if cameras.len() > SCOPE_ENTRIES || tags.len() > SCOPE_ENTRIES {
        format!("a key lists at most {SCOPE_ENTRIES} cameras and {SCOPE_ENTRIES} tags")
    } else if tags.iter().any(|tag| tag.trim().is_empty() || tag.len() > TAG_BYTES) {
        format!("a tag has 1 to {TAG_BYTES} bytes")
    } else if key.expires_at.is_some_and(|end| end <= now) {
        "a key's end is in the future".into()
    } else {
        return Ok(());
    };
    Err(AccessError::Invalid(wrong))
}
