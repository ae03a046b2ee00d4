//! Somebody who was let in, and what they may see.

use std::{sync::Arc, time::Duration};

use oriel_proto::Timestamp;
use tokio_util::sync::CancellationToken;

use super::{AccessError, Clock};
use crate::store::{CameraRecord, KeyId, KeyRecord, Role};

/// How long the end of a key is slept towards before the clock is asked again: it may be set meanwhile.
const LOOK_AGAIN: Duration = Duration::from_secs(30);

/// A program with a good key; clones are cheap and end together.
#[derive(Clone, Debug)]
pub struct Viewer(Arc<Facts>);

#[derive(Debug)]
struct Facts {
    key: KeyRecord,
    clock: Clock,
    revoked: CancellationToken,
}

impl Viewer {
    /// Whoever holds `key`.
    pub(super) fn new(mut key: KeyRecord, clock: Clock) -> Self {
        key.scope.cameras.sort_unstable();
        key.scope.tags.sort_unstable();
        Self(Arc::new(Facts { key, clock, revoked: CancellationToken::new() }))
    }

    /// The key's id.
    pub fn key_id(&self) -> KeyId {
        self.0.key.id
    }

    /// Who it is, for logs.
    pub fn label(&self) -> String {
        format!("key:{}", self.0.key.id)
    }

    /// What they may do where they may see.
    pub fn role(&self) -> Role {
        self.0.key.role
    }

    /// When the key stops being good, if ever.
    pub fn expires_at(&self) -> Option<Timestamp> {
        self.0.key.expires_at
    }

    /// Whether they may know that this camera exists; whoever may not gets "not found".
    pub fn may_see(&self, camera: &CameraRecord) -> bool {
        let scope = &self.0.key.scope;
        scope.all
            || scope.cameras.binary_search(&camera.id).is_ok()
            || camera.tags.iter().any(|tag| scope.tags.binary_search(tag).is_ok())
    }

    /// Whether they may do with this camera what needs `role`.
    pub fn may(&self, role: Role, camera: &CameraRecord) -> bool {
        self.0.key.role >= role && self.may_see(camera)
    }

    /// Whether they may do what needs `role` for all cameras.
    pub fn is_everywhere(&self, role: Role) -> bool {
        self.0.key.role >= role && self.0.key.scope.all
    }

    /// Fails with `NotFound` when they may not see this camera, with `Forbidden` when they may, but have not the role.
    pub fn require(&self, role: Role, camera: &CameraRecord) -> Result<(), AccessError> {
        match (self.may_see(camera), self.0.key.role >= role) {
            (true, true) => Ok(()),
            (true, false) => Err(AccessError::Forbidden { needs: role, everywhere: false }),
            (false, _) => Err(AccessError::NotFound),
        }
    }

    /// Fails with `Forbidden` when they have not the role for all cameras.
    pub fn require_everywhere(&self, role: Role) -> Result<(), AccessError> {
        let refused = AccessError::Forbidden { needs: role, everywhere: true };
        if self.is_everywhere(role) { Ok(()) } else { Err(refused) }
    }

    /// Fails once the key was revoked or has expired.
    pub fn check(&self) -> Result<(), AccessError> {
        if self.0.revoked.is_cancelled() {
            return Err(AccessError::Revoked);
        }
        if self.0.key.expires_at.is_some_and(|end| end <= self.0.clock.now()) {
            return Err(AccessError::Expired);
        }
        Ok(())
    }

    /// Waits until the key is revoked or expires, and says which: whatever streams to this viewer must stop then.
    pub async fn ended(&self) -> AccessError {
        loop {
            if let Err(error) = self.check() {
                return error;
            }
            let left = self.0.key.expires_at.map_or(LOOK_AGAIN, |end| end.since(self.0.clock.now()));
            tokio::select! {
                () = self.0.revoked.cancelled() => {}
                () = tokio::time::sleep(left.min(LOOK_AGAIN)) => {}
            }
        }
    }

    /// Ends all clones.
    pub(super) fn revoke(&self) {
        self.0.revoked.cancel();
    }
}
