//! Events as rows.

use oriel_proto::{Event, EventId, Kind, LoggedEvent, Seq, Severity, Timestamp, event::Data};
use rusqlite::{Connection, Row, Transaction, params, types::Type};
use uuid::Uuid;

use super::{Draft, head::EpochHead};

/// The columns that [`event`] reads, in its order.
pub(crate) const COLUMNS: &str = "seq, at, kind, severity, description, data, image_at, was_epoch, was_seq";

/// The event in a row of [`COLUMNS`], with its number.
pub(crate) fn event(row: &Row<'_>) -> rusqlite::Result<(Seq, Event)> {
    let data: Option<String> = row.get(5)?;
    let data = match data {
        None => Data::new(),
        Some(text) => serde_json::from_str(&text)
            .map_err(|e| rusqlite::Error::FromSqlConversionFailure(5, Type::Text, Box::new(e)))?,
    };
    let was: (Option<Uuid>, Option<i64>) = (uuid_at(row, 7)?, row.get(8)?);
    let event = Event {
        at: Timestamp::from_micros(row.get(1)?),
        kind: Kind::from(row.get_ref(2)?.as_str()?),
        severity: Severity::from(row.get_ref(3)?.as_str()?),
        description: row.get(4)?,
        data,
        image_at: row.get::<_, Option<i64>>(6)?.map(Timestamp::from_micros),
        was: match was {
            (Some(epoch), Some(seq)) => Some(EventId { epoch: epoch.into(), seq: unsigned(seq) }),
            _ => None,
        },
    };
    Ok((unsigned(row.get(0)?), event))
}

/// The UUID in a column of 16 bytes.
pub(crate) fn uuid_at(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<Uuid>> {
    let bytes: Option<[u8; 16]> = row.get(column)?;
    Ok(bytes.map(Uuid::from_bytes))
}

/// A number that the spool wrote from a `u64`.
pub(crate) fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

/// A sequence number as SQLite keeps it.
pub(crate) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// The event that a draft becomes at `at`.
pub(crate) fn finished(draft: Draft, at: Timestamp) -> Event {
    Event {
        at,
        kind: draft.kind,
        severity: draft.severity,
        description: draft.description,
        data: draft.data,
        image_at: draft.image_at,
        was: None,
    }
    .within_limits()
}

/// Writes one event.
pub(crate) fn insert(tx: &Transaction<'_>, epoch: i64, seq: Seq, event: &Event) -> rusqlite::Result<()> {
    let data = (!event.data.is_empty()).then(|| serde_json::Value::from(event.data.clone()).to_string());
    tx.prepare_cached(
        "INSERT INTO event (epoch, seq, at, kind, severity, description, data, image_at, was_epoch, was_seq)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
    )?
    .execute(params![
        epoch,
        signed(seq),
        event.at.as_micros(),
        event.kind.as_str(),
        event.severity.as_str(),
        event.description,
        data,
        event.image_at.map(Timestamp::as_micros),
        event.was.map(|was| was.epoch.as_uuid().into_bytes()),
        event.was.map(|was| signed(was.seq)),
    ])?;
    Ok(())
}

/// What was read of an epoch.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// The events, in the direction asked for.
    pub(crate) events: Vec<LoggedEvent>,
    /// Numbers and times of rows that make no sense.
    pub(crate) unreadable: Vec<(Seq, Timestamp)>,
}

/// The events of `epoch` from `first` to `last`, in that direction, at most `rows` of them and about `bytes` bytes of text.
pub(crate) fn read(
    conn: &Connection,
    epoch: &EpochHead,
    range: (Seq, Seq),
    desc: bool,
    rows: u32,
    bytes: usize,
) -> rusqlite::Result<Found> {
    let direction = if desc { "DESC" } else { "ASC" };
    let sql = format!(
        "SELECT {COLUMNS} FROM event WHERE epoch = ?1 AND seq BETWEEN ?2 AND ?3 ORDER BY seq {direction} LIMIT ?4"
    );
    let mut statement = conn.prepare_cached(&sql)?;
    let mut found = statement.query(params![epoch.n, signed(range.0), signed(range.1), rows])?;
    let (mut read, mut size) = (Found::default(), 0);
    while let Some(row) = found.next()? {
        let (seq, event) = match event(row) {
            Ok(event) => event,
            Err(e) if is_senseless(&e) => {
                let at = Timestamp::from_micros(row.get(1).unwrap_or_default());
                read.unreadable.push((unsigned(row.get(0)?), at));
                continue;
            }
            Err(e) => return Err(e),
        };
        size += event.description.len() + row.get_ref(5)?.as_str_or_null()?.map_or(0, str::len);
        read.events.push(LoggedEvent { epoch: epoch.id, seq, event });
        if size >= bytes {
            break;
        }
    }
    Ok(read)
}

/// Whether one row holds what nobody wrote, while the file as a whole is sound.
const fn is_senseless(error: &rusqlite::Error) -> bool {
    use rusqlite::Error as E;
    matches!(
        error,
        E::FromSqlConversionFailure(..) | E::InvalidColumnType(..) | E::IntegralValueOutOfRange(..)
    )
}

/// The time of one event, if it is there.
pub(crate) fn at(conn: &Connection, epoch: i64, seq: Seq) -> rusqlite::Result<Option<Timestamp>> {
    let mut statement = conn.prepare_cached("SELECT at FROM event WHERE epoch = ?1 AND seq = ?2")?;
    let mut rows = statement.query(params![epoch, signed(seq)])?;
    Ok(match rows.next()? {
        Some(row) => Some(Timestamp::from_micros(row.get(0)?)),
        None => None,
    })
}

/// The first kept event of `epoch` that is not before `time`, or `next`: inside an epoch time never goes back, so this halves.
pub(crate) fn first_at_or_after(
    conn: &Connection,
    epoch: &EpochHead,
    time: Timestamp,
) -> rusqlite::Result<Seq> {
    let (mut low, mut high) = (epoch.first, epoch.next);
    while low < high {
        let middle = low + (high - low) / 2;
        match at(conn, epoch.n, middle)? {
            Some(at) if at >= time => high = middle,
            _ => low = middle + 1,
        }
    }
    Ok(low)
}
