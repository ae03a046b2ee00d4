//! Who is asking, and what may they see: API keys, enrollment codes and agent tokens.
//!
//! Secrets are made and hashed here and kept only as hashes, but for the key that the gateway itself signs with. Keys and
//! agents' tokens are held in memory, so that telling who asks costs a hash and a look-up; everything else asks the
//! [`Store`]. A revocation takes effect the moment it is on disk: the [`Viewer`]s and [`AgentGrant`]s that are in use end.

mod agent;
mod clock;
mod enrollment;
mod error;
mod key;
mod legacy;
mod mask;
mod ring;
mod signing;
#[cfg(test)]
mod tests;
mod throttle;
mod token;
mod token_cache;
mod viewer;

use std::{
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

pub use self::{
    agent::AgentGrant,
    clock::Clock,
    enrollment::{Enrolled, NewEnrollment},
    error::AccessError,
    key::NewKey,
    mask::masked,
    token::{TokenError, TokenKind},
    viewer::Viewer,
};
use self::{agent::Sessions, ring::Ring, throttle::Throttle, token_cache::TokenCache};
use crate::store::Store;

/// Tells who asks; clones share one memory.
#[derive(Clone, Debug)]
pub struct Access {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    store: Store,
    clock: Clock,
    ring: Arc<Ring>,
    sessions: Arc<Sessions>,
    tokens: Arc<TokenCache>,
    throttle: Throttle,
    /// Whether the keys on disk may differ from those in memory.
    stale: AtomicBool,
}

impl Access {
    /// Reads the keys into memory.
    pub async fn open(store: Store) -> Result<Self, AccessError> {
        Self::open_with_clock(store, Clock::system()).await
    }

    /// Does the same with another clock than the system's, for tests.
    pub async fn open_with_clock(store: Store, clock: Clock) -> Result<Self, AccessError> {
        let ring = Ring::default();
        for (key, hash) in store.keys().await? {
            ring.remember(hash, Viewer::new(key, clock.clone()));
        }
        Ok(Self {
            inner: Arc::new(Inner {
                store,
                clock,
                ring: Arc::new(ring),
                sessions: Arc::default(),
                tokens: Arc::default(),
                throttle: Throttle::new(),
                stale: AtomicBool::new(false),
            }),
        })
    }

    /// What should be done about once a second: takes over what another process changed about the keys and tokens, writes
    /// down when agents were last seen, forgets addresses that have calmed down.
    pub async fn tick(&self) -> Result<(), AccessError> {
        self.inner.throttle.forget_calm();
        if self.inner.store.changed_elsewhere().await? {
            self.inner.tokens.forget_all();
            self.inner.stale.store(true, Ordering::Relaxed);
        }
        if self.inner.stale.swap(false, Ordering::Relaxed)
            && let Err(error) = self.reload_keys().await
        {
            // A change is told only once, so what failed must be remembered.
            self.inner.stale.store(true, Ordering::Relaxed);
            return Err(error);
        }
        self.write_seen().await
    }

    /// Counts a failure of this address, and gives back the error that it should see.
    fn failed(&self, peer: IpAddr, error: AccessError) -> AccessError {
        self.inner.throttle.fail(peer).err().unwrap_or(error)
    }
}
