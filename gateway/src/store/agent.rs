//! Agents: devices and the hashes of their tokens.

use oriel_proto::{AgentId, Timestamp, limits::CAMERAS_PER_AGENT};
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{CameraPattern, CameraRecord, Store, StoreError, TokenHash, camera, row};

/// One device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgentRecord {
    /// Its id.
    pub id: AgentId,
    /// What the device called itself when it was enrolled; at most 200 bytes.
    pub name: String,
    /// The cameras that it may bring by itself.
    pub new_cameras: Option<CameraPattern>,
    /// When it was enrolled.
    pub created_at: Timestamp,
    /// When a link of it last began or ended, as far as it was written down.
    pub last_seen_at: Option<Timestamp>,
}

/// Which of an agent's tokens somebody showed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UsedToken {
    /// The one in use, and no other is wanted.
    Current,
    /// The one in use, while a rotation waits to be delivered.
    Old,
    /// The one that a rotation made.
    New,
}

/// The agent that a token belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgentMatch {
    /// The agent.
    pub id: AgentId,
    /// Which of its tokens it was.
    pub used: UsedToken,
    /// Whether the agent may no longer come.
    pub revoked: bool,
}

impl Store {
    /// All agents that are not revoked, oldest first.
    pub async fn agents(&self) -> Result<Vec<AgentRecord>, StoreError> {
        let list = |db: &Connection| {
            let mut statement =
                db.prepare_cached("SELECT * FROM agents WHERE revoked_at IS NULL ORDER BY created_at, id")?;
            Ok(statement.query_map((), read)?.collect::<Result<_, _>>()?)
        };
        self.readers.run(list).await
    }

    /// One agent that is not revoked.
    pub async fn agent(&self, id: AgentId) -> Result<Option<AgentRecord>, StoreError> {
        let find = move |db: &Connection| {
            let mut statement =
                db.prepare_cached("SELECT * FROM agents WHERE id = ?1 AND revoked_at IS NULL")?;
            Ok(statement.query_row([id.as_uuid().as_bytes()], read).optional()?)
        };
        self.readers.run(find).await
    }

    /// The agent, revoked or not, that the token of this hash belongs to.
    pub async fn agent_by_token(&self, token: TokenHash) -> Result<Option<AgentMatch>, StoreError> {
        let find = move |db: &Connection| {
            let mut statement = db.prepare_cached(
                "SELECT id, revoked_at,
                     CASE WHEN pending = ?1 THEN 2 WHEN pending IS NOT NULL THEN 1 ELSE 0 END AS used
                 FROM agents WHERE token = ?1 OR pending = ?1",
            )?;
            Ok(statement.query_row([token.as_bytes()], read_match).optional()?)
        };
        self.readers.run(find).await
    }

    /// The tokens of all agents that are not revoked and not to get another one.
    pub async fn agent_tokens(&self) -> Result<Vec<(TokenHash, AgentId)>, StoreError> {
        let list = |db: &Connection| {
            let mut statement = db.prepare_cached(
                "SELECT token, id FROM agents WHERE revoked_at IS NULL AND pending IS NULL",
            )?;
            let tokens =
                statement.query_map((), |row| Ok((row::hash(row, "token")?, row::id(row, "id")?)))?;
            Ok(tokens.collect::<Result<_, _>>()?)
        };
        self.readers.run(list).await
    }

    /// Ends a rotation: the token of this hash is the only one from now on; false when it is not one that waits for that.
    pub async fn adopt_token(&self, id: AgentId, new: TokenHash) -> Result<bool, StoreError> {
        let write = move |db: &Connection| {
            let mut statement = db.prepare_cached(
                "UPDATE agents SET token = pending, pending = NULL
                 WHERE id = ?1 AND pending = ?2 AND revoked_at IS NULL",
            )?;
            Ok(statement.execute(params![id.as_uuid().as_bytes(), new.as_bytes()])? > 0)
        };
        self.writer.run(write, |_| ()).await
    }

    /// Begins a rotation, or begins it again: the token of hash `new` will replace the one in use once it is used; false
    /// when there is no such agent. Once that is on disk, `after` is called with the one in use, even when the caller has
    /// gone.
    pub async fn rotate_token(
        &self,
        id: AgentId,
        new: TokenHash,
        after: impl FnOnce(TokenHash) + Send + 'static,
    ) -> Result<bool, StoreError> {
        let write = move |db: &Connection| {
            let mut statement = db.prepare_cached(
                "UPDATE agents SET pending = ?2 WHERE id = ?1 AND revoked_at IS NULL RETURNING token",
            )?;
            let in_use = |row: &Row<'_>| row::hash(row, "token");
            Ok(statement.query_row(params![id.as_uuid().as_bytes(), new.as_bytes()], in_use).optional()?)
        };
        let tell = |in_use: &Option<TokenHash>| {
            if let Some(in_use) = in_use {
                after(*in_use);
            }
        };
        let in_use = self.writer.run(write, tell).await?;
        Ok(in_use.is_some())
    }

    /// Goes on with a rotation for an agent that came with the token of hash `old`; false when that is no longer in use
    /// or no rotation is wanted.
    pub async fn renew_token(&self, id: AgentId, old: TokenHash, new: TokenHash) -> Result<bool, StoreError> {
        let write = move |db: &Connection| {
            let mut statement = db.prepare_cached(
                "UPDATE agents SET pending = ?3
                 WHERE id = ?1 AND token = ?2 AND pending IS NOT NULL AND revoked_at IS NULL",
            )?;
            Ok(statement.execute(params![id.as_uuid().as_bytes(), old.as_bytes(), new.as_bytes()])? > 0)
        };
        self.writer.run(write, |_| ()).await
    }

    /// Revokes an agent, unbinds its cameras and gives back these; once that is on disk, `after` is called, even when
    /// the caller has gone. `None` when there is no such agent, or it was revoked before.
    pub async fn revoke_agent(
        &self,
        id: AgentId,
        now: Timestamp,
        after: impl FnOnce() + Send + 'static,
    ) -> Result<Option<Vec<CameraRecord>>, StoreError> {
        let write = move |db: &Connection| revoke(db, id, now);
        let watch = self.watch.clone();
        let tell = move |revoked: &Option<Vec<CameraRecord>>| {
            if let Some(cameras) = revoked {
                cameras.iter().for_each(|camera| watch.is(camera));
                after();
            }
        };
        self.writer.run(write, tell).await
    }

    /// Writes down when these agents' links last began or ended; unknown ones are skipped, and time never goes back.
    pub async fn touch_agents(&self, mut seen: Vec<(AgentId, Timestamp)>) -> Result<(), StoreError> {
        // In the order of the table, so that neighbours are on the same page.
        seen.sort_unstable();
        let write = move |db: &Connection| {
            let mut touch = db.prepare_cached(
                "UPDATE agents SET last_seen_at = max(?2, ifnull(last_seen_at, ?2)) WHERE id = ?1",
            )?;
            for (id, at) in seen {
                touch.execute(params![id.as_uuid().as_bytes(), at.as_micros()])?;
            }
            Ok(())
        };
        self.writer.run(write, |_| ()).await
    }
}

fn revoke(db: &Connection, id: AgentId, now: Timestamp) -> Result<Option<Vec<CameraRecord>>, StoreError> {
    let key = *id.as_uuid().as_bytes();
    let mut statement =
        db.prepare_cached("UPDATE agents SET revoked_at = ?2 WHERE id = ?1 AND revoked_at IS NULL")?;
    if statement.execute(params![key, now.as_micros()])? == 0 {
        return Ok(None);
    }
    let mut cameras = camera::select(db, "WHERE agent = ?1 ORDER BY id", [key])?;
    db.prepare_cached("UPDATE cameras SET agent = NULL WHERE agent = ?1")?.execute([key])?;
    db.prepare_cached("DELETE FROM removed_cameras WHERE agent = ?1")?.execute([key])?;
    cameras.iter_mut().for_each(|camera| camera.agent = None);
    Ok(Some(cameras))
}

/// Adds an agent with its first token.
pub(super) fn insert(db: &Connection, agent: &AgentRecord, token: TokenHash) -> Result<(), StoreError> {
    db.prepare_cached(
        "INSERT INTO agents (id, name, new_cameras, token, created_at) VALUES (?1, ?2, ?3, ?4, ?5)",
    )?
    .execute(params![
        agent.id.as_uuid().as_bytes(),
        agent.name,
        agent.new_cameras.as_ref().map(CameraPattern::as_str),
        token.as_bytes(),
        agent.created_at.as_micros()
    ])?;
    Ok(())
}

/// The cameras that an agent may bring by itself: none, when it is revoked.
pub(super) fn new_cameras(db: &Connection, id: AgentId) -> Result<Option<CameraPattern>, StoreError> {
    let mut statement =
        db.prepare_cached("SELECT new_cameras FROM agents WHERE id = ?1 AND revoked_at IS NULL")?;
    let pattern = statement
        .query_row([id.as_uuid().as_bytes()], |row| row::opt_parsed(row, "new_cameras"))
        .optional()?;
    Ok(pattern.flatten())
}

/// Fails unless the agent is there, not revoked, and may have one camera more.
pub(super) fn require_room(db: &Connection, id: AgentId) -> Result<(), StoreError> {
    let mut statement = db.prepare_cached(
        "SELECT (SELECT count(*) FROM cameras WHERE agent = ?1) FROM agents WHERE id = ?1 AND revoked_at IS NULL",
    )?;
    match statement.query_row([id.as_uuid().as_bytes()], |row| row.get::<_, i64>(0)).optional()? {
        None => Err(StoreError::NoAgent(id)),
        Some(count) if count >= CAMERAS_PER_AGENT as i64 => Err(StoreError::TooManyCameras(id)),
        Some(_) => Ok(()),
    }
}

fn read(row: &Row<'_>) -> rusqlite::Result<AgentRecord> {
    Ok(AgentRecord {
        id: row::id(row, "id")?,
        name: row.get("name")?,
        new_cameras: row::opt_parsed(row, "new_cameras")?,
        created_at: row::time(row, "created_at")?,
        last_seen_at: row::opt_time(row, "last_seen_at")?,
    })
}

fn read_match(row: &Row<'_>) -> rusqlite::Result<AgentMatch> {
    let used = match row.get("used")? {
        2 => UsedToken::New,
        1 => UsedToken::Old,
        _ => UsedToken::Current,
    };
    let revoked = row::opt_time(row, "revoked_at")?.is_some();
    Ok(AgentMatch { id: row::id(row, "id")?, used, revoked })
}
