//! Enrollments: one-time codes that are open, and trading one.

use oriel_proto::{AgentId, CameraId, Timestamp};
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{
    AgentRecord, CameraPattern, CameraRecord, EnrollmentId, NewCamera, Store, StoreError, TokenHash, agent,
    camera, camera_claim::reserved, row,
};

/// A one-time code without the code itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnrollmentRecord {
    /// Its id.
    pub id: EnrollmentId,
    /// The cameras that the agent gets; reserved for it while the code is open.
    pub cameras: Vec<CameraId>,
    /// The cameras that the agent may bring by itself.
    pub new_cameras: Option<CameraPattern>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it stops being worth anything.
    pub expires_at: Timestamp,
}

/// What becomes of a code that somebody trades.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TradeOutcome {
    /// It was worth an agent and its cameras, and is gone now.
    Traded(AgentRecord, Vec<CameraRecord>),
    /// It is too old.
    Expired,
    /// There is no such code, or it was traded before.
    Unknown,
}

impl Store {
    /// Adds a code, and drops those that expired.
    ///
    /// Fails with `Bound` or `Reserved` when a camera that it names belongs to an agent or to another open code.
    pub async fn create_enrollment(
        &self,
        enrollment: EnrollmentRecord,
        code: TokenHash,
    ) -> Result<EnrollmentRecord, StoreError> {
        let write = move |db: &Connection| {
            purge(db, enrollment.created_at)?;
            for id in &enrollment.cameras {
                if camera::find(db, id)?.is_some_and(|known| known.agent.is_some()) {
                    return Err(StoreError::Bound(id.clone()));
                }
                if reserved(db, id, enrollment.created_at)? {
                    return Err(StoreError::Reserved(id.clone()));
                }
            }
            insert(db, &enrollment, code)?;
            Ok(enrollment)
        };
        self.writer.run(write, |_| ()).await
    }

    /// The codes that are open at `now`, oldest first.
    pub async fn enrollments(&self, now: Timestamp) -> Result<Vec<EnrollmentRecord>, StoreError> {
        let list = move |db: &Connection| {
            let mut statement =
                db.prepare_cached("SELECT * FROM enrollments WHERE expires_at > ?1 ORDER BY created_at, id")?;
            let mut found: Vec<_> =
                statement.query_map([now.as_micros()], read)?.collect::<Result<_, _>>()?;
            found.iter_mut().try_for_each(|enrollment| add_cameras(db, enrollment))?;
            Ok(found)
        };
        self.readers.run(list).await
    }

    /// Whether somebody made a code of this hash and nobody traded it, open or expired.
    pub async fn knows_code(&self, code: TokenHash) -> Result<bool, StoreError> {
        let find = move |db: &Connection| {
            Ok(db.prepare_cached("SELECT 1 FROM enrollments WHERE code = ?1")?.exists([code.as_bytes()])?)
        };
        self.readers.run(find).await
    }

    /// Closes a code; false when there is no such one.
    pub async fn delete_enrollment(&self, id: EnrollmentId) -> Result<bool, StoreError> {
        self.writer.run(move |db| delete(db, id), |_| ()).await
    }

    /// Trades a code for a new agent of this name and token; makes the cameras that are missing and binds all that the
    /// code names. Of several that trade one code, exactly one gets it.
    pub async fn trade_code(
        &self,
        code: TokenHash,
        name: String,
        token: TokenHash,
        now: Timestamp,
    ) -> Result<TradeOutcome, StoreError> {
        let watch = self.watch.clone();
        let tell = move |outcome: &TradeOutcome| {
            if let TradeOutcome::Traded(_, cameras) = outcome {
                cameras.iter().for_each(|camera| watch.is(camera));
            }
        };
        self.writer.run(move |db| trade(db, code, name, token, now), tell).await
    }
}

fn trade(
    db: &Connection,
    code: TokenHash,
    name: String,
    token: TokenHash,
    now: Timestamp,
) -> Result<TradeOutcome, StoreError> {
    let mut statement = db.prepare_cached("SELECT * FROM enrollments WHERE code = ?1")?;
    let Some(mut enrollment) = statement.query_row([code.as_bytes()], read).optional()? else {
        return Ok(TradeOutcome::Unknown);
    };
    if enrollment.expires_at <= now {
        return Ok(TradeOutcome::Expired);
    }
    add_cameras(db, &mut enrollment)?;
    delete(db, enrollment.id)?;
    let new_cameras = enrollment.new_cameras;
    let record = AgentRecord { id: AgentId::new(), name, new_cameras, created_at: now, last_seen_at: None };
    agent::insert(db, &record, token)?;
    let give = |id| give(db, id, record.id, now);
    let cameras = enrollment.cameras.into_iter().map(give).collect::<Result<_, _>>()?;
    Ok(TradeOutcome::Traded(record, cameras))
}

/// Binds a camera that a code names; it belongs to nobody, since what binds a camera takes it out of every code.
fn give(db: &Connection, id: CameraId, agent: AgentId, now: Timestamp) -> Result<CameraRecord, StoreError> {
    let known = match camera::find(db, &id)? {
        Some(known) => known,
        None => camera::insert(db, NewCamera { id: id.clone(), name: None, tags: Vec::new() }, now)?,
    };
    camera::bind(db, &id, agent)?;
    Ok(CameraRecord { agent: Some(agent), ..known })
}

fn insert(db: &Connection, enrollment: &EnrollmentRecord, code: TokenHash) -> Result<(), StoreError> {
    let id = *enrollment.id.as_uuid().as_bytes();
    db.prepare_cached(
        "INSERT INTO enrollments (id, code, new_cameras, created_at, expires_at) VALUES (?1, ?2, ?3, ?4, ?5)",
    )?
    .execute(params![
        id,
        code.as_bytes(),
        enrollment.new_cameras.as_ref().map(CameraPattern::as_str),
        enrollment.created_at.as_micros(),
        enrollment.expires_at.as_micros()
    ])?;
    let mut name =
        db.prepare_cached("INSERT INTO enrollment_cameras (enrollment, place, camera) VALUES (?1, ?2, ?3)")?;
    for (place, camera) in enrollment.cameras.iter().enumerate() {
        name.execute(params![id, place as i64, camera.as_str()])?;
    }
    Ok(())
}

fn delete(db: &Connection, id: EnrollmentId) -> Result<bool, StoreError> {
    Ok(db.prepare_cached("DELETE FROM enrollments WHERE id = ?1")?.execute([id.as_uuid().as_bytes()])? > 0)
}

/// Drops codes a day after they expired: until then their owner is told "expired".
fn purge(db: &Connection, now: Timestamp) -> Result<(), StoreError> {
    let before = now.before(std::time::Duration::from_secs(86_400));
    db.prepare_cached("DELETE FROM enrollments WHERE expires_at < ?1")?.execute([before.as_micros()])?;
    Ok(())
}

fn add_cameras(db: &Connection, enrollment: &mut EnrollmentRecord) -> Result<(), StoreError> {
    let mut statement =
        db.prepare_cached("SELECT camera FROM enrollment_cameras WHERE enrollment = ?1 ORDER BY place")?;
    let cameras =
        statement.query_map([enrollment.id.as_uuid().as_bytes()], |row| row::parsed(row, "camera"))?;
    enrollment.cameras = cameras.collect::<Result<_, _>>()?;
    Ok(())
}

/// An enrollment without its cameras.
fn read(row: &Row<'_>) -> rusqlite::Result<EnrollmentRecord> {
    Ok(EnrollmentRecord {
        id: row::id(row, "id")?,
        cameras: Vec::new(),
        new_cameras: row::opt_parsed(row, "new_cameras")?,
        created_at: row::time(row, "created_at")?,
        expires_at: row::time(row, "expires_at")?,
    })
}
