//! Counting what is kept: when events were and of which kind, without what they say.

use oriel_proto::{CameraId, Timestamp, call::EventsCall, event::Position};
use rusqlite::{Connection, params};

use super::{super::row, Store, StoreError, find, read::ends, unsigned};

/// Some rows of a log that were looked at.
#[derive(Debug)]
pub struct Counted<T> {
    /// What the events were gathered in.
    pub into: T,
    /// The place of the last row.
    pub last: Option<Position>,
    /// How many rows there were, wanted or not.
    pub rows: u64,
    /// Whether more lie in the range.
    pub more: bool,
}

impl Store {
    /// Gives time and kind of the events of a camera that `call` asks for to `each`, oldest first, with whatever they are gathered in.
    /// The limit of `call` is one of rows, wanted or not: it bounds how long the file is looked at.
    pub async fn count_log<T: Send + 'static>(
        &self,
        camera: CameraId,
        call: EventsCall,
        into: T,
        each: impl FnMut(&mut T, Timestamp, &str) + Send + 'static,
    ) -> Result<Counted<T>, StoreError> {
        let read = move |db: &Connection| {
            // No log has the number 0.
            let log = find(db, &camera)?.unwrap_or(0);
            count(db, log, &call, into, each)
        };
        self.readers.run(read).await
    }

    /// Whether something of this time is kept that the camera itself wrote.
    pub async fn has_written(
        &self,
        camera: CameraId,
        from: Option<Timestamp>,
        to: Option<Timestamp>,
    ) -> Result<bool, StoreError> {
        let read = move |db: &Connection| {
            let sql = "SELECT 1 FROM events e WHERE e.log = ?1 AND e.at >= ?2 AND e.at < ?3 AND NOT EXISTS
                       (SELECT 1 FROM epochs p WHERE p.log = e.log AND p.id = e.epoch AND p.own = 1)";
            let log = find(db, &camera)?.unwrap_or(0);
            let (from, to) = (from.unwrap_or(Timestamp::MIN), to.unwrap_or(Timestamp::MAX));
            Ok(db.prepare_cached(sql)?.exists(params![log, from.as_micros(), to.as_micros()])?)
        };
        self.readers.run(read).await
    }
}

fn count<T>(
    db: &Connection,
    log: i64,
    call: &EventsCall,
    into: T,
    mut each: impl FnMut(&mut T, Timestamp, &str),
) -> Result<Counted<T>, StoreError> {
    let sql = "SELECT epoch, seq, at, kind, severity, description FROM events
               WHERE log = ?1 AND at < ?2 AND (at, epoch, seq) > (?3, ?4, ?5) ORDER BY at, epoch, seq";
    let (filter, limit) = (call.filter(), call.limit.unwrap_or(u64::MAX));
    let mut counted = Counted { into, last: None, rows: 0, more: false };
    let mut statement = db.prepare_cached(sql)?;
    let (begin, end) = ends(call);
    let mut rows = statement.query(params![log, end, begin.0, begin.1, begin.2])?;
    while let Some(row) = rows.next()? {
        if counted.rows == limit {
            counted.more = true;
            break;
        }
        let at = row::time(row, "at")?;
        counted.rows += 1;
        counted.last = Some(Position { at, epoch: row::id(row, "epoch")?, seq: unsigned(row.get("seq")?) });
        let text = |column| row.get_ref(column)?.as_str().map_err(rusqlite::Error::from);
        let kind = text("kind")?;
        if filter.is_open() || filter.wants(kind, text("severity")?, text("description")?) {
            each(&mut counted.into, at, kind);
        }
    }
    Ok(counted)
}
