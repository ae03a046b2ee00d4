//! What can go wrong with the database.

use std::{io, path::PathBuf, sync::Arc};

use oriel_proto::{AgentId, CameraId};
use rusqlite::ffi::SQLITE_IOERR_SHMSIZE;

/// Why the store did not do it.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// The data folder or the file cannot be made or read.
    #[error("cannot use {path:?}: {source}")]
    Folder {
        /// The folder or file.
        path: PathBuf,
        /// What the system said.
        source: Arc<io::Error>,
    },
    /// Another gateway runs on this data folder.
    #[error("another gateway uses {0:?}")]
    InUse(PathBuf),
    /// A gateway runs on this data folder that knows less than this program, and would be ended by what this one makes of it.
    #[error("an older gateway uses {0:?}: stop it, or start it anew in the version of this program, first")]
    OlderInUse(PathBuf),
    /// The database was written by a newer program.
    #[error("the database has version {found}, this program knows up to {known}: use a newer oriel")]
    Newer {
        /// The database's version.
        found: i64,
        /// The newest version that this program knows.
        known: i64,
    },
    /// SQLite failed.
    #[error("database: {0}")]
    Sqlite(Arc<rusqlite::Error>),
    /// SQLite cannot make its index, as when a gateway starts on a full disk; SQLite itself says no more than "disk I/O error".
    #[error("database: the disk is full: there is no room for its index")]
    NoRoom,
    /// SQLite ended the transaction that this was part of, as it does when its disk is full.
    #[error("database: the transaction was ended by another part of it that failed")]
    Ended,
    /// The writer's thread cannot be started.
    #[error("cannot start the database's thread: {0}")]
    Thread(Arc<io::Error>),
    /// A camera of this id exists.
    #[error("camera {0} exists already")]
    Exists(CameraId),
    /// A camera that a new code names belongs to an agent.
    #[error("camera {0} belongs to an agent already")]
    Bound(CameraId),
    /// A camera that a new code names is reserved for another open code.
    #[error("camera {0} is named in another open enrollment")]
    Reserved(CameraId),
    /// No such agent, or it was revoked.
    #[error("there is no agent {0}")]
    NoAgent(AgentId),
    /// An agent has as many cameras as one may have.
    #[error("agent {0} has as many cameras as an agent may have")]
    TooManyCameras(AgentId),
    /// A value is out of bounds; says which.
    #[error("{0}")]
    Invalid(String),
    /// Too many others wait already; trying again later may help.
    #[error("the database is overloaded")]
    Overloaded,
    /// The store was closed.
    #[error("the database is closed")]
    Closed,
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        let code = error.sqlite_error().map(|error| error.extended_code);
        if code == Some(SQLITE_IOERR_SHMSIZE) { Self::NoRoom } else { Self::Sqlite(Arc::new(error)) }
    }
}
