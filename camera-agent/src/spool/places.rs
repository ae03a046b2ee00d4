//! How far sources are with what they read, written together with what they made of it.

use rusqlite::{Connection, OptionalExtension as _, Transaction, params};

/// The table of places.
pub(crate) const TABLE: &str =
    "CREATE TABLE place (source TEXT PRIMARY KEY, place TEXT NOT NULL) WITHOUT ROWID;";

/// How far a source is with what it reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// What it reads.
    pub(crate) source: String,
    /// The place in it, in the source's own words.
    pub(crate) place: String,
}

/// Notes where a source is now.
pub(crate) fn set(tx: &Transaction<'_>, place: &Place) -> rusqlite::Result<()> {
    tx.prepare_cached("INSERT OR REPLACE INTO place (source, place) VALUES (?1, ?2)")?
        .execute(params![place.source, place.place])?;
    Ok(())
}

/// Where a source was when that was noted last.
pub(crate) fn find(conn: &Connection, source: &str) -> rusqlite::Result<Option<String>> {
    conn.query_row("SELECT place FROM place WHERE source = ?1", [source], |row| row.get(0)).optional()
}
