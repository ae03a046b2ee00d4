//! Removing what is past its time, in steps that are short enough for whoever waits to write.

use std::time::Duration;

use oriel_proto::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};

use super::{Store, StoreError};

/// Rows that one step removes: a few milliseconds of the writer's time.
const STEP: i64 = 1_000;

/// How long and how much is kept; age counts from when an event came here, since a camera's clock may be in 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// How long an event is kept.
    pub age: Duration,
    /// How many events are kept of all cameras together: the ones that came last.
    pub events: u64,
}

/// What a step removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expired {
    /// Events that are gone.
    pub events: u64,
    /// Whether there may be more to remove.
    pub more: bool,
}

impl Store {
    /// Does one step: removes the oldest events that are past their time or too many, and what is left of removed cameras.
    pub async fn expire(&self, retention: Retention, now: Timestamp) -> Result<Expired, StoreError> {
        let write = move |db: &Connection| {
            let old = past_their_time(db, retention, now)?;
            let abandoned = abandoned(db)?;
            Ok(Expired { events: old.events + abandoned.events, more: old.more || abandoned.more })
        };
        self.writer.run(write, |_| ()).await
    }
}

/// Removes the oldest arrivals, and notes of each epoch how far it has lost its beginning.
fn past_their_time(db: &Connection, retention: Retention, now: Timestamp) -> Result<Expired, StoreError> {
    let newest: Option<i64> =
        db.prepare_cached("SELECT max(arrival) FROM events")?.query_row((), |row| row.get(0))?;
    let Some(newest) = newest else { return Ok(Expired { events: 0, more: false }) };
    let many = newest.saturating_sub(i64::try_from(retention.events).unwrap_or(i64::MAX));
    let old = now.before(retention.age).as_micros();
    // In the order of arrival the time of arrival hardly ever falls: the first one that is young enough ends the search.
    let last = "SELECT arrival FROM (SELECT arrival, received_at FROM events ORDER BY arrival LIMIT ?1)
                WHERE arrival <= ?2 OR received_at < ?3 ORDER BY arrival DESC LIMIT 1";
    let last: Option<i64> =
        db.prepare_cached(last)?.query_row(params![STEP, many, old], |row| row.get(0)).optional()?;
    let Some(last) = last else { return Ok(Expired { events: 0, more: false }) };
    // What is held beyond `acked` its camera has still got.
    db.prepare_cached(
        "UPDATE epochs SET purged = max(purged, g.seq), purged_at = max(purged_at, g.at)
         FROM (SELECT v.log, v.epoch, max(v.seq) AS seq, max(v.at) AS at
               FROM events v JOIN epochs e ON e.log = v.log AND e.id = v.epoch
               WHERE v.arrival <= ?1 AND v.seq <= e.acked GROUP BY v.log, v.epoch) AS g
         WHERE epochs.log = g.log AND epochs.id = g.epoch",
    )?
    .execute([last])?;
    db.prepare_cached(
        "UPDATE logs SET purged = g.arrival
         FROM (SELECT log, max(arrival) AS arrival FROM events WHERE arrival <= ?1 GROUP BY log) AS g
         WHERE logs.n = g.log",
    )?
    .execute([last])?;
    db.prepare_cached("UPDATE arrivals SET purged = max(purged, ?1)")?.execute([last])?;
    let events = db.prepare_cached("DELETE FROM events WHERE arrival <= ?1")?.execute([last])?;
    Ok(Expired { events: events as u64, more: events as i64 == STEP })
}

/// Removes events of one removed camera, and its log when none is left.
fn abandoned(db: &Connection) -> Result<Expired, StoreError> {
    let mut statement = db.prepare_cached("SELECT n FROM logs WHERE camera IS NULL LIMIT 1")?;
    let Some(log) = statement.query_row((), |row| row.get::<_, i64>(0)).optional()? else {
        return Ok(Expired { events: 0, more: false });
    };
    let sql = "DELETE FROM events WHERE arrival IN (SELECT arrival FROM events WHERE log = ?1 LIMIT ?2)";
    let events = db.prepare_cached(sql)?.execute(params![log, STEP])?;
    if (events as i64) < STEP {
        for table in ["lost", "posted", "epochs"] {
            db.prepare_cached(&format!("DELETE FROM {table} WHERE log = ?1"))?.execute([log])?;
        }
        db.prepare_cached("DELETE FROM logs WHERE n = ?1")?.execute([log])?;
    }
    Ok(Expired { events: events as u64, more: true })
}
