//! An agent says that it serves a camera: whether it may.

use oriel_proto::{
    AgentId, CameraId, Timestamp,
    limits::{NAME_BYTES, TAG_BYTES, TAGS},
};
use rusqlite::{Connection, OptionalExtension, params};

use super::{
    CameraPattern, CameraRecord, NewCamera, Store, StoreError,
    agent::{new_cameras, require_room},
    camera::{bind, describe, find, insert, touch},
};

/// What becomes of an agent's claim to a camera.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BindOutcome {
    /// The camera is this agent's, now or already.
    Bound(CameraRecord),
    /// It belongs to another agent.
    NotYours,
    /// Nobody allowed this agent to bring it.
    Unknown,
    /// It was removed while it was this agent's.
    Removed,
}

impl Store {
    /// Gives `camera` to `agent` if it may have it. Name and tags count only for a camera that is made by this, or of which
    /// nothing but its id is known; what is out of bounds there is cut or left out. The first time is written down as the
    /// camera's last sight, so that a gateway killed a moment later still knows that it was there.
    ///
    /// An agent may have what is bound to it, and what its pattern allows: a camera that does not exist or is bound to
    /// nobody, is not reserved for an open code and was not removed from it.
    pub async fn bind_camera(
        &self,
        agent: AgentId,
        camera: NewCamera,
        now: Timestamp,
    ) -> Result<BindOutcome, StoreError> {
        let watch = self.watch.clone();
        let tell = move |outcome: &BindOutcome| {
            if let BindOutcome::Bound(camera) = outcome {
                watch.is(camera);
            }
        };
        let write = move |db: &Connection| match claim(db, agent, tidied(camera), now)? {
            BindOutcome::Bound(known) if known.last_seen_at.is_none() => {
                touch(db, &known.id, now)?;
                Ok(BindOutcome::Bound(CameraRecord { last_seen_at: Some(now), ..known }))
            }
            decided => Ok(decided),
        };
        self.writer.run(write, tell).await
    }
}

fn claim(
    db: &Connection,
    agent: AgentId,
    camera: NewCamera,
    now: Timestamp,
) -> Result<BindOutcome, StoreError> {
    let known = find(db, &camera.id)?;
    let known = match known {
        Some(known) if known.agent == Some(agent) => return named(db, known, camera).map(BindOutcome::Bound),
        Some(known) if known.agent.is_some() => return Ok(BindOutcome::NotYours),
        unowned => unowned,
    };
    if was_removed(db, &camera.id, agent)? {
        return Ok(BindOutcome::Removed);
    }
    let allowed = new_cameras(db, agent)?.is_some_and(|pattern: CameraPattern| pattern.matches(&camera.id));
    if !allowed || reserved(db, &camera.id, now)? {
        return Ok(BindOutcome::Unknown);
    }
    match require_room(db, agent) {
        Err(StoreError::TooManyCameras(_)) => return Ok(BindOutcome::Unknown),
        other => other?,
    }
    let known = match known {
        Some(known) => named(db, known, camera)?,
        None => insert(db, camera, now)?,
    };
    bind(db, &known.id, agent)?;
    Ok(BindOutcome::Bound(CameraRecord { agent: Some(agent), ..known }))
}

/// The camera with the name and tags that its device announces, if nothing but its id is known.
fn named(db: &Connection, mut known: CameraRecord, announced: NewCamera) -> Result<CameraRecord, StoreError> {
    if known.is_blank() {
        known.name = announced.name.unwrap_or(known.name);
        known.tags = announced.tags;
        describe(db, &known)?;
    }
    Ok(known)
}

/// Whether an open code names this camera.
pub(super) fn reserved(db: &Connection, camera: &CameraId, now: Timestamp) -> Result<bool, StoreError> {
    let mut statement = db.prepare_cached(
        "SELECT 1 FROM enrollment_cameras c JOIN enrollments e ON e.id = c.enrollment
         WHERE c.camera = ?1 AND e.expires_at > ?2",
    )?;
    Ok(statement.exists(params![camera.as_str(), now.as_micros()])?)
}

fn was_removed(db: &Connection, camera: &CameraId, agent: AgentId) -> Result<bool, StoreError> {
    let mut statement =
        db.prepare_cached("SELECT 1 FROM removed_cameras WHERE camera = ?1 AND agent = ?2")?;
    let found =
        statement.query_row(params![camera.as_str(), agent.as_uuid().as_bytes()], |_| Ok(())).optional()?;
    Ok(found.is_some())
}

/// An announcement comes from a device: what does not fit is made to fit, rather than the camera refused.
fn tidied(camera: NewCamera) -> NewCamera {
    let NewCamera { id, name, mut tags } = camera;
    let name = name.map(|name| tidy_name(&name)).filter(|name| !name.is_empty());
    tags.retain(|tag| !tag.trim().is_empty() && tag.len() <= TAG_BYTES);
    tags.truncate(TAGS);
    NewCamera { id, name, tags }
}

/// A name from a device without control characters and outer space, at most 200 bytes of it.
pub(crate) fn tidy_name(name: &str) -> String {
    let mut tidy: String = name.trim().chars().filter(|c| !c.is_control()).collect();
    tidy.truncate(tidy.floor_char_boundary(NAME_BYTES));
    tidy
}
