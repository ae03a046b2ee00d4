//! What leaves the spool without having been acknowledged, and what was acknowledged.

use oriel_proto::{
    Epoch, Seq, Timestamp,
    event::{LossReason, LostRange},
};
use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};

use super::rows::{signed, unsigned, uuid_at};

/// The most epochs without events whose losses are remembered.
const EMPTY_EPOCHS: i64 = 256;

/// Notes that `range` of `epoch`, written within `times`, will never come; grows the stretch before it when that has the same reason.
pub(crate) fn add(
    conn: &Connection,
    epoch: Epoch,
    range: (Seq, Seq),
    times: (Timestamp, Timestamp),
    why: &LossReason,
) -> rusqlite::Result<()> {
    let id = epoch.as_uuid().into_bytes();
    let grown = conn
        .prepare_cached(
            "UPDATE lost SET last = ?3, to_at = max(to_at, ?4) WHERE id = ?1 AND last = ?2 AND why = ?5",
        )?
        .execute(params![id, signed(range.0 - 1), signed(range.1), times.1.as_micros(), why.as_str()])?;
    if grown == 0 {
        conn.prepare_cached("INSERT OR REPLACE INTO lost (id, first, last, from_at, to_at, why) VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?
            .execute(params![
                id,
                signed(range.0),
                signed(range.1),
                times.0.as_micros(),
                times.1.as_micros(),
                why.as_str()
            ])?;
    }
    Ok(())
}

/// Raises what is acknowledged of `epoch`; it never falls.
pub(crate) fn set_acked(conn: &Connection, epoch: Epoch, seq: Seq) -> rusqlite::Result<()> {
    conn.prepare_cached(
        "INSERT INTO acked (id, seq) VALUES (?1, ?2) ON CONFLICT (id) DO UPDATE SET seq = max(seq, excluded.seq)",
    )?
    .execute(params![epoch.as_uuid().into_bytes(), signed(seq)])?;
    Ok(())
}

/// The newest `most` losses that lie in the time from `from` to `to`, oldest first.
pub(crate) fn within(
    conn: &Connection,
    from: Timestamp,
    to: Timestamp,
    most: u32,
) -> rusqlite::Result<Vec<LostRange>> {
    let mut statement = conn.prepare_cached(
        "SELECT id, first, last, from_at, to_at, why FROM lost WHERE from_at < ?1 AND to_at >= ?2
         ORDER BY to_at DESC, id DESC, first DESC LIMIT ?3",
    )?;
    let mut ranges: Vec<_> = statement
        .query_map(params![to.as_micros(), from.as_micros(), most], range)?
        .collect::<Result<_, _>>()?;
    ranges.reverse();
    Ok(ranges)
}

/// The first loss of `epoch` that ends at or behind `seq`.
pub(crate) fn next(conn: &Connection, epoch: Epoch, seq: Seq) -> rusqlite::Result<Option<LostRange>> {
    conn.prepare_cached(
        "SELECT id, first, last, from_at, to_at, why FROM lost WHERE id = ?1 AND last >= ?2 ORDER BY first LIMIT 1",
    )?
    .query_row(params![epoch.as_uuid().into_bytes(), signed(seq)], range)
    .optional()
}

fn range(row: &Row<'_>) -> rusqlite::Result<LostRange> {
    Ok(LostRange {
        epoch: uuid_at(row, 0)?.unwrap_or_default().into(),
        first: unsigned(row.get(1)?),
        last: unsigned(row.get(2)?),
        from: Timestamp::from_micros(row.get(3)?),
        to: Timestamp::from_micros(row.get(4)?),
        why: LossReason::from(row.get_ref(5)?.as_str()?),
    })
}

/// Keeps the memory of emptied epochs bounded, for devices whose clock begins anew at every start.
pub(crate) fn forget_oldest(tx: &Transaction<'_>) -> rusqlite::Result<()> {
    let oldest = "SELECT id FROM epoch WHERE first = next AND n NOT IN
                  (SELECT n FROM epoch WHERE first = next ORDER BY n DESC LIMIT ?1)";
    for table in ["lost", "acked", "epoch"] {
        tx.execute(&format!("DELETE FROM {table} WHERE id IN ({oldest})"), [EMPTY_EPOCHS])?;
    }
    Ok(())
}
