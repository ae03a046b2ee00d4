//! What the gateway remembers: one SQLite file in the data folder, written by one thread and read by a few.
//!
//! Every change is one transaction, durable when its method returns. Another process (`oriel keys add --data`) may use
//! the same file meanwhile. This module knows one secret, the [`SigningKey`], else only [`TokenHash`]es, and decides
//! nothing about who may do what: that is [`access`](crate::access).

mod agent;
mod camera;
mod camera_claim;
mod copy;
mod enrollment;
mod error;
mod hash;
mod id;
mod key;
mod legacy;
mod lock;
mod log;
mod migrate;
mod open;
mod pattern;
mod readers;
mod row;
mod signing_key;
#[cfg(test)]
mod tests;
mod watch;
mod writer;

use std::{path::Path, sync::Arc};

pub(crate) use self::camera_claim::tidy_name;
pub use self::{
    agent::{AgentMatch, AgentRecord, UsedToken},
    camera::{CameraPatch, CameraRecord, NewCamera},
    camera_claim::BindOutcome,
    copy::{Copied, CopyError, Interrupt, Original},
    enrollment::{EnrollmentRecord, TradeOutcome},
    error::StoreError,
    hash::TokenHash,
    id::{EnrollmentId, KeyId},
    key::{KeyRecord, Role, RoleError, Scope},
    lock::FolderLock,
    log::{
        Arrival, Arrivals, Arrived, Batch, Content, Counted, Delivery, Expired, Extent, Held, HistoryStart,
        Kept, KeptEvent, NewEvents, Posted, PostedEntry, Presence, Read, Retention,
    },
    pattern::{CameraPattern, PatternError},
    signing_key::SigningKey,
    watch::CameraChange,
};
use self::{readers::Readers, watch::Watch, writer::Writer};

/// The database's name in the data folder.
pub const FILE_NAME: &str = "oriel.db";

/// A cheap handle to the database; clones share it.
#[derive(Clone, Debug)]
pub struct Store {
    writer: Writer,
    readers: Arc<Readers>,
    watch: Watch,
}

impl Store {
    /// Opens the database in `folder`, making both if need be (0700 and 0600), and brings it up to date.
    ///
    /// Blocks on the disk. Fails when the database is newer than this program, or cannot be opened or written.
    pub fn open(folder: &Path) -> Result<Self, StoreError> {
        let path = open::prepare(folder)?;
        let mut connection = open::connect(&path)?;
        migrate::migrate(&mut connection)?;
        open::use_wal(&connection)?;
        let writer = Writer::start(connection)?;
        Ok(Self { writer, readers: Arc::new(Readers::new(path)), watch: Watch::default() })
    }

    /// Opens the database in `folder` beside a gateway that may run on it: fails with `OlderInUse` when that one is older.
    ///
    /// Blocks on the disk.
    pub fn open_beside(folder: &Path) -> Result<Self, StoreError> {
        let is_behind = migrate::is_behind(&open::connect(&open::prepare(folder)?)?)?;
        let _lock = is_behind.then(|| FolderLock::take(folder)).transpose().map_err(|error| match error {
            StoreError::InUse(folder) => StoreError::OlderInUse(folder),
            other => other,
        })?;
        Self::open(folder)
    }

    /// Finishes what is queued, closes the file and refuses everything later; may be called again.
    pub async fn close(&self) {
        self.writer.close().await;
        self.readers.close().await;
    }

    /// Whether another process has changed the database since this was last asked.
    pub async fn changed_elsewhere(&self) -> Result<bool, StoreError> {
        self.writer.changed_elsewhere().await
    }
}
