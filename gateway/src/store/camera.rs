//! Cameras: what each is called and whose it is.

use oriel_proto::{
    AgentId, CameraId, Timestamp,
    limits::{NAME_BYTES, TAG_BYTES, TAGS},
};
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{Store, StoreError, log, row};

/// A camera as the gateway knows it, connected or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CameraRecord {
    /// Its id.
    pub id: CameraId,
    /// Its display name, 1 to 200 bytes.
    pub name: String,
    /// Words to group it by and to grant it by; at most 32 of 64 bytes.
    pub tags: Vec<String>,
    /// The one agent that may speak for it.
    pub agent: Option<AgentId>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last connected, as far as it was written down.
    pub last_seen_at: Option<Timestamp>,
}

impl CameraRecord {
    /// Whether nobody has said anything about it but its id: no name, no tag, never connected.
    pub(super) fn is_blank(&self) -> bool {
        self.last_seen_at.is_none() && self.tags.is_empty() && self.name == self.id.as_str()
    }
}

/// A camera to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewCamera {
    /// Its id.
    pub id: CameraId,
    /// Its display name; the id when there is none.
    pub name: Option<String>,
    /// Its tags.
    pub tags: Vec<String>,
}

/// What changes about a camera; `None` leaves a thing as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CameraPatch {
    /// The new display name.
    pub name: Option<String>,
    /// The new tags, all of them.
    pub tags: Option<Vec<String>>,
    /// The agent that it moves to.
    pub agent: Option<AgentId>,
}

impl Store {
    /// All cameras by id.
    pub async fn cameras(&self) -> Result<Vec<CameraRecord>, StoreError> {
        let read = |db: &Connection| select(db, "ORDER BY id", ());
        self.readers.run(read).await
    }

    /// Makes a camera that belongs to nobody yet. An agent that it was removed from may
    /// bring it again if its pattern allows that.
    ///
    /// Fails with `Exists`, or `Invalid` when name or tags are out of bounds.
    pub async fn create_camera(&self, camera: NewCamera, now: Timestamp) -> Result<CameraRecord, StoreError> {
        check(camera.name.as_deref(), Some(&camera.tags))?;
        let write = move |db: &Connection| match find(db, &camera.id)? {
            Some(_) => Err(StoreError::Exists(camera.id)),
            None => {
                db.prepare_cached("DELETE FROM removed_cameras WHERE camera = ?1")?
                    .execute([camera.id.as_str()])?;
                insert(db, camera, now)
            }
        };
        let watch = self.watch.clone();
        self.writer.run(write, move |camera| watch.is(camera)).await
    }

    /// Changes a camera; `None` when there is none of this id.
    ///
    /// A camera that moves to an agent is no longer reserved for a code. Fails with `Invalid` when name or tags are out
    /// of bounds, with `NoAgent` when the agent is unknown or revoked, with `TooManyCameras` when it has 1,024 already.
    pub async fn update_camera(
        &self,
        id: CameraId,
        patch: CameraPatch,
    ) -> Result<Option<CameraRecord>, StoreError> {
        check(patch.name.as_deref(), patch.tags.as_deref())?;
        let write = move |db: &Connection| {
            let Some(mut camera) = find(db, &id)? else { return Ok(None) };
            camera.name = patch.name.unwrap_or(camera.name);
            camera.tags = patch.tags.unwrap_or(camera.tags);
            describe(db, &camera)?;
            if let Some(agent) = patch.agent.filter(|agent| camera.agent != Some(*agent)) {
                super::agent::require_room(db, agent)?;
                bind(db, &id, agent)?;
                camera.agent = Some(agent);
            }
            Ok(Some(camera))
        };
        let watch = self.watch.clone();
        self.writer
            .run(write, move |camera: &Option<_>| camera.iter().for_each(|camera| watch.is(camera)))
            .await
    }

    /// Removes a camera and gives back what it was; its agent will be told `removed` and cannot bring it back by itself.
    pub async fn remove_camera(&self, id: CameraId) -> Result<Option<CameraRecord>, StoreError> {
        let write = move |db: &Connection| {
            let Some(camera) = find(db, &id)? else { return Ok(None) };
            if let Some(agent) = camera.agent {
                db.prepare_cached("INSERT OR IGNORE INTO removed_cameras (camera, agent) VALUES (?1, ?2)")?
                    .execute(params![id.as_str(), agent.as_uuid().as_bytes()])?;
            }
            db.prepare_cached("DELETE FROM cameras WHERE id = ?1")?.execute([id.as_str()])?;
            log::abandon(db, &id)?;
            Ok(Some(camera))
        };
        let watch = self.watch.clone();
        self.writer
            .run(write, move |camera: &Option<_>| camera.iter().for_each(|camera| watch.removed(camera)))
            .await
    }

    /// Writes down that these cameras were connected at `at`; unknown ones are skipped, and time never goes back.
    pub async fn touch_cameras(&self, ids: &[CameraId], at: Timestamp) -> Result<(), StoreError> {
        let mut ids = ids.to_vec();
        // In the order of the table, so that neighbours are on the same page.
        ids.sort_unstable();
        let write = move |db: &Connection| ids.iter().try_for_each(|id| touch(db, id, at));
        self.writer.run(write, |_| ()).await
    }
}

/// One camera.
pub(super) fn find(db: &Connection, id: &CameraId) -> Result<Option<CameraRecord>, StoreError> {
    let sql = format!("{SELECT} WHERE id = ?1");
    Ok(db.prepare_cached(&sql)?.query_row([id.as_str()], read).optional()?)
}

/// The cameras that `rest`, the end of a statement, chooses.
pub(super) fn select(
    db: &Connection,
    rest: &str,
    params: impl rusqlite::Params,
) -> Result<Vec<CameraRecord>, StoreError> {
    let mut statement = db.prepare_cached(&format!("{SELECT} {rest}"))?;
    let cameras = statement.query_map(params, read)?.collect::<Result<_, _>>()?;
    Ok(cameras)
}

/// Makes a camera that did not exist, bound to nobody.
pub(super) fn insert(db: &Connection, camera: NewCamera, now: Timestamp) -> Result<CameraRecord, StoreError> {
    let NewCamera { id, name, tags } = camera;
    let name = name.unwrap_or_else(|| id.to_string());
    db.prepare_cached("INSERT INTO cameras (id, name, tags, created_at) VALUES (?1, ?2, ?3, ?4)")?
        .execute(params![id.as_str(), name, row::json(&tags)?, now.as_micros()])?;
    Ok(CameraRecord { id, name, tags, agent: None, created_at: now, last_seen_at: None })
}

/// Writes down a camera's name and tags.
pub(super) fn describe(db: &Connection, camera: &CameraRecord) -> Result<(), StoreError> {
    db.prepare_cached("UPDATE cameras SET name = ?2, tags = ?3 WHERE id = ?1")?.execute(params![
        camera.id.as_str(),
        camera.name,
        row::json(&camera.tags)?
    ])?;
    Ok(())
}

/// Gives a camera that exists to an agent: no code reserves it and nothing refuses it any more.
pub(super) fn bind(db: &Connection, id: &CameraId, agent: AgentId) -> Result<(), StoreError> {
    let agent = *agent.as_uuid().as_bytes();
    db.prepare_cached("UPDATE cameras SET agent = ?2 WHERE id = ?1")?.execute(params![id.as_str(), agent])?;
    db.prepare_cached("DELETE FROM enrollment_cameras WHERE camera = ?1")?.execute([id.as_str()])?;
    db.prepare_cached("DELETE FROM removed_cameras WHERE camera = ?1 AND agent = ?2")?
        .execute(params![id.as_str(), agent])?;
    Ok(())
}

/// Writes down that a camera was connected at `at`, unless it was so later.
pub(super) fn touch(db: &Connection, id: &CameraId, at: Timestamp) -> Result<(), StoreError> {
    let sql = "UPDATE cameras SET last_seen_at = max(?2, ifnull(last_seen_at, ?2)) WHERE id = ?1";
    db.prepare_cached(sql)?.execute(params![id.as_str(), at.as_micros()])?;
    Ok(())
}

const SELECT: &str = "SELECT id, name, tags, agent, created_at, last_seen_at FROM cameras";

fn read(row: &Row<'_>) -> rusqlite::Result<CameraRecord> {
    Ok(CameraRecord {
        id: row::parsed(row, "id")?,
        name: row.get("name")?,
        tags: row::list(row, "tags")?,
        agent: row::opt_id(row, "agent")?,
        created_at: row::time(row, "created_at")?,
        last_seen_at: row::opt_time(row, "last_seen_at")?,
    })
}

fn check(name: Option<&str>, tags: Option<&[String]>) -> Result<(), StoreError> {
    if name.is_some_and(|name| name.trim().is_empty() || name.len() > NAME_BYTES) {
        return Err(StoreError::Invalid(format!("a camera's name has 1 to {NAME_BYTES} bytes")));
    }
    let tags = tags.unwrap_or_default();
    if tags.len() > TAGS || tags.iter().any(|tag| tag.trim().is_empty() || tag.len() > TAG_BYTES) {
        return Err(StoreError::Invalid(format!(
            "a camera has at most {TAGS} tags of 1 to {TAG_BYTES} bytes"
        )));
    }
    Ok(())
}
