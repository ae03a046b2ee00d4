//! API keys: hashes with a role and the cameras it is good for.

use std::{fmt, str::FromStr};

use oriel_proto::{CameraId, Timestamp};
use rusqlite::{Connection, OptionalExtension, Row, params};
use serde::{Deserialize, Serialize};

use super::{KeyId, Store, StoreError, TokenHash, row};

/// What somebody may do; each role may do what those before it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Look: pictures, live, the log.
    Viewer,
    /// Also ask cameras for work: snapshots, exports, tags.
    Operator,
    /// Everything.
    Admin,
}

impl Role {
    /// All roles, the least first.
    pub const ALL: [Self; 3] = [Self::Viewer, Self::Operator, Self::Admin];

    /// The role as a word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Admin => "admin",
        }
    }
}

/// Why a text is no role.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a role: viewer, operator or admin")]
pub struct RoleError(String);

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Role {
    type Err = RoleError;

    fn from_str(word: &str) -> Result<Self, RoleError> {
        let wrong = || RoleError(word.chars().take(80).collect());
        Self::ALL.into_iter().find(|role| role.as_str() == word).ok_or_else(wrong)
    }
}

/// Which cameras a role is good for: those listed, those that carry one of the tags, or all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scope {
    /// All cameras, also those to come.
    pub all: bool,
    /// These cameras.
    pub cameras: Vec<CameraId>,
    /// Cameras that carry one of these tags.
    pub tags: Vec<String>,
}

/// An API key without the key itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRecord {
    /// Its id.
    pub id: KeyId,
    /// What it is for, in its maker's words; 1 to 200 bytes.
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// Where it may do it.
    pub scope: Scope,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it stops being good, if ever.
    pub expires_at: Option<Timestamp>,
}

impl Store {
    /// All keys and their hashes, oldest first, the expired ones too.
    pub async fn keys(&self) -> Result<Vec<(KeyRecord, TokenHash)>, StoreError> {
        self.readers.run(all_keys).await
    }

    /// One key.
    pub async fn key(&self, id: KeyId) -> Result<Option<KeyRecord>, StoreError> {
        let find = move |db: &Connection| {
            let mut statement = db.prepare_cached("SELECT * FROM keys WHERE id = ?1")?;
            Ok(statement.query_row([id.as_uuid().as_bytes()], read).optional()?)
        };
        self.readers.run(find).await
    }

    /// The key of this hash.
    pub async fn key_by_hash(&self, hash: TokenHash) -> Result<Option<KeyRecord>, StoreError> {
        let find = move |db: &Connection| {
            let mut statement = db.prepare_cached("SELECT * FROM keys WHERE hash = ?1")?;
            Ok(statement.query_row([hash.as_bytes()], read).optional()?)
        };
        self.readers.run(find).await
    }

    /// Adds a key.
    pub async fn add_key(&self, key: KeyRecord, hash: TokenHash) -> Result<KeyRecord, StoreError> {
        let write = move |db: &Connection| insert(db, &key, hash).map(|()| key);
        self.writer.run(write, |_| ()).await
    }

    /// Removes a key and, once that is on disk, calls `after`, even when the caller has gone; false when there is no
    /// such key.
    pub async fn delete_key(
        &self,
        id: KeyId,
        after: impl FnOnce() + Send + 'static,
    ) -> Result<bool, StoreError> {
        let write = move |db: &Connection| {
            Ok(db.prepare_cached("DELETE FROM keys WHERE id = ?1")?.execute([id.as_uuid().as_bytes()])? > 0)
        };
        self.writer
            .run(write, |deleted: &bool| {
                if *deleted {
                    after()
                }
            })
            .await
    }
}

fn all_keys(db: &Connection) -> Result<Vec<(KeyRecord, TokenHash)>, StoreError> {
    let mut statement = db.prepare_cached("SELECT * FROM keys ORDER BY created_at, id")?;
    let pair = |row: &Row<'_>| Ok((read(row)?, row::hash(row, "hash")?));
    let keys = statement.query_map((), pair)?.collect::<Result<_, _>>()?;
    Ok(keys)
}

fn insert(db: &Connection, key: &KeyRecord, hash: TokenHash) -> Result<(), StoreError> {
    db.prepare_cached(
        "INSERT INTO keys (id, name, hash, role, everything, cameras, tags, created_at, expires_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
    )?
    .execute(params![
        key.id.as_uuid().as_bytes(),
        key.name,
        hash.as_bytes(),
        key.role.as_str(),
        key.scope.all,
        row::json(&key.scope.cameras)?,
        row::json(&key.scope.tags)?,
        key.created_at.as_micros(),
        key.expires_at.map(Timestamp::as_micros)
    ])?;
    Ok(())
}

fn read(row: &Row<'_>) -> rusqlite::Result<KeyRecord> {
    Ok(KeyRecord {
        id: row::id(row, "id")?,
        name: row.get("name")?,
        role: row::parsed(row, "role")?,
        scope: Scope {
            all: row.get("everything")?,
            cameras: row::list(row, "cameras")?,
            tags: row::list(row, "tags")?,
        },
        created_at: row::time(row, "created_at")?,
        expires_at: row::opt_time(row, "expires_at")?,
    })
}
