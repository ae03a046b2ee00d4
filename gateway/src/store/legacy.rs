//! The one agent that has no device: the gateway itself speaks for the cameras of the older system.

use oriel_proto::{AgentId, Timestamp};
use rusqlite::{Connection, OptionalExtension};

use super::{AgentRecord, CameraPattern, PatternError, Store, StoreError, TokenHash, agent, row};

/// What it is called in lists.
const NAME: &str = "legacy listener";

/// The cameras that it may bring: any that nobody else has.
const ANY: &str = "*";

impl Store {
    /// The agent that the cameras of the older system are bound to: the one that is there, else a new one, whose token has this
    /// hash. After it was revoked there is none any more.
    pub async fn legacy_agent(&self, token: TokenHash, now: Timestamp) -> Result<AgentId, StoreError> {
        let any: CameraPattern =
            ANY.parse().map_err(|error: PatternError| StoreError::Invalid(error.to_string()))?;
        let write = move |db: &Connection| {
            let sql = "SELECT id FROM agents WHERE legacy = 1 AND revoked_at IS NULL";
            let found = db.prepare_cached(sql)?.query_row((), |row| row::id(row, "id")).optional()?;
            if let Some(found) = found {
                return Ok(found);
            }
            let (id, name) = (AgentId::new(), NAME.to_owned());
            let record =
                AgentRecord { id, name, new_cameras: Some(any), created_at: now, last_seen_at: None };
            agent::insert(db, &record, token)?;
            db.prepare_cached("UPDATE agents SET legacy = 1 WHERE id = ?1")?
                .execute([id.as_uuid().as_bytes()])?;
            Ok(id)
        };
        self.writer.run(write, |_| ()).await
    }
}
