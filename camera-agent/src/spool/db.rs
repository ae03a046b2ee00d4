//! The spool's file: its tables, how it is opened, and how a broken one is set aside.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use oriel_proto::{Epoch, Timestamp, event::LossReason, frame::Upload};
use rusqlite::{Connection, OptionalExtension as _, Transaction, params};

use super::{
    Clock, SpoolError,
    head::{EpochHead, Head},
    losses, places,
    rows::{signed, unsigned, uuid_at},
};

/// The version of the tables, in `user_version`.
const TABLES: i64 = 3;

const SCHEMA: &str = "
    CREATE TABLE epoch (
        n INTEGER PRIMARY KEY, id BLOB NOT NULL UNIQUE, first INTEGER NOT NULL, next INTEGER NOT NULL,
        superseded INTEGER NOT NULL DEFAULT 0, said INTEGER);
    CREATE TABLE acked (id BLOB PRIMARY KEY, seq INTEGER NOT NULL) WITHOUT ROWID;
    CREATE TABLE event (
        epoch INTEGER NOT NULL, seq INTEGER NOT NULL, at INTEGER NOT NULL, kind TEXT NOT NULL,
        severity TEXT NOT NULL, description TEXT NOT NULL, data TEXT, image_at INTEGER,
        was_epoch BLOB, was_seq INTEGER, PRIMARY KEY (epoch, seq)) WITHOUT ROWID;
    CREATE TABLE lost (
        id BLOB NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL, from_at INTEGER NOT NULL,
        to_at INTEGER NOT NULL, why TEXT NOT NULL, PRIMARY KEY (id, first)) WITHOUT ROWID;
";

/// What SQLite's journal shrinks to once its content is in the file.
const JOURNAL_BYTES: i64 = 1 << 20;

/// What turns the first version of the tables into the second.
const SECOND: &str = "ALTER TABLE epoch ADD COLUMN said INTEGER;";

/// What turns the second version of the tables into the third.
const THIRD: &str = places::TABLE;

/// What a spool may hold.
#[derive(Clone, Debug)]
pub(crate) struct Bounds {
    /// Bytes on disk.
    pub(crate) bytes: u64,
    /// How long events are kept.
    pub(crate) retention: std::time::Duration,
    /// Whether events wait for an acknowledgement.
    pub(crate) upload: Upload,
}

/// The open file; used by one thread at a time, never on the runtime.
pub(crate) struct Db {
    pub(crate) conn: Connection,
    pub(crate) bounds: Bounds,
    pub(crate) clock: Clock,
    pub(crate) tidied: Timestamp,
    /// Whether the file proved broken and could not be opened anew yet.
    is_broken: bool,
    /// Bytes of the broken file that was set aside, if there is one: a camera's bound is for both.
    aside: u64,
    head: Arc<Mutex<Head>>,
    path: PathBuf,
}

impl Db {
    /// Opens the spool at `path`, making it when there is none; a broken one is moved aside and reported as lost.
    pub(crate) fn open(path: &Path, bounds: Bounds, clock: Clock) -> Result<Self, SpoolError> {
        let failed = |e: rusqlite::Error| SpoolError::Open { path: path.to_owned(), source: e };
        let conn = match connect(path) {
            Ok(conn) => conn,
            Err(e) if is_broken(&e) => rescue(path, &clock)?,
            Err(e) => return Err(failed(e)),
        };
        let (epochs, last_at) = load(&conn).map_err(failed)?;
        let said = said(&conn).map_err(failed)?;
        let (head, path) = (Arc::new(Mutex::new(Head::new(epochs, last_at, said))), path.to_owned());
        let (tidied, aside) = (Timestamp::MIN, fs::metadata(aside(&path)).map_or(0, |file| file.len()));
        let mut db = Self { conn, bounds, clock, tidied, is_broken: false, aside, head, path };
        if db.head().epochs.is_empty() {
            db.begin_epoch()?;
        }
        db.measure()?;
        Ok(db)
    }

    /// A spool whose file cannot be opened now: each use tries again.
    pub(crate) fn shut(path: &Path, bounds: Bounds, clock: Clock) -> Result<Self, SpoolError> {
        let never = Timestamp::MIN;
        let head = Arc::new(Mutex::new(Head::new(Vec::new(), never, never)));
        let (conn, path) = (Connection::open_in_memory()?, path.to_owned());
        Ok(Self { conn, bounds, clock, tidied: never, is_broken: true, aside: 0, head, path })
    }

    /// Opens the file again after it turned out to be broken while in use.
    pub(crate) fn reopen(&mut self) -> Result<(), SpoolError> {
        tracing::warn!(path = %self.path.display(), "the spool is opened anew");
        self.is_broken = true;
        self.conn = Connection::open_in_memory().map_err(SpoolError::Sqlite)?;
        let fresh = Self::open(&self.path, self.bounds.clone(), self.clock.clone())?;
        let Self { conn, head, aside, .. } = fresh;
        let never = Timestamp::MIN;
        let opened = std::mem::replace(&mut *lock(&head), Head::new(Vec::new(), never, never));
        (self.conn, self.aside, self.is_broken) = (conn, aside, false);
        *lock(&self.head) = opened;
        Ok(())
    }

    /// Whether the file proved broken and has still to be opened anew.
    pub(crate) const fn is_broken(&self) -> bool {
        self.is_broken
    }

    /// Notes on the disk that everything up to now is complete, and may be said to be, if the last such note is older than
    /// `age`: not at each word, as devices wear out.
    pub(crate) fn note_complete(&mut self, age: std::time::Duration) -> Result<(), SpoolError> {
        let now = self.now();
        let (complete, said, n) = {
            let head = self.head();
            (now.max(head.last_at), head.said(), head.current().map(|epoch| epoch.n))
        };
        if complete <= said || complete.since(said) < age {
            return Ok(());
        }
        self.conn.execute("UPDATE epoch SET said = ?2 WHERE n = ?1", params![n, complete.as_micros()])?;
        self.head().may_say(complete);
        Ok(())
    }

    /// Notes events of `epoch` whose rows make no sense: they will never come.
    pub(crate) fn note_unreadable(&self, epoch: Epoch, rows: &[(u64, Timestamp)]) {
        let mut rows = rows.to_vec();
        rows.sort_unstable();
        for (seq, at) in &rows {
            let known = losses::next(&self.conn, epoch, *seq);
            if known.is_ok_and(|known| known.is_some_and(|known| known.first <= *seq)) {
                continue;
            }
            let noted = losses::add(&self.conn, epoch, (*seq, *seq), (*at, *at), &LossReason::Unreadable);
            tracing::error!(%epoch, seq, ?noted, "an event cannot be read");
        }
    }

    /// The state in memory; held for moments only.
    pub(crate) fn head(&self) -> MutexGuard<'_, Head> {
        lock(&self.head)
    }

    /// The state in memory, shared with who must not wait for the file.
    pub(crate) fn share_head(&self) -> Arc<Mutex<Head>> {
        self.head.clone()
    }

    /// The clock.
    pub(crate) fn now(&self) -> Timestamp {
        (self.clock)()
    }

    /// Ends the present epoch and begins another.
    pub(crate) fn begin_epoch(&mut self) -> Result<EpochHead, SpoolError> {
        let id = Epoch::new();
        let tx = self.conn.transaction()?;
        let n = insert_epoch(&tx, id, 1)?;
        losses::forget_oldest(&tx)?;
        tx.commit()?;
        let epoch = EpochHead::new(n, id);
        self.head().begin_epoch(epoch, Timestamp::MIN);
        Ok(epoch)
    }

    /// Removes the broken file that was set aside, if there is one: it is older than anything that the log holds.
    pub(crate) fn remove_aside(&mut self) {
        if self.aside == 0 {
            return;
        }
        let (path, bytes) = (aside(&self.path), std::mem::take(&mut self.aside));
        match fs::remove_file(&path) {
            Ok(()) => {
                tracing::warn!(path = %path.display(), bytes, "the broken spool set aside is removed: the log needs its room");
            }
            // It is not counted again: the log must not shrink for what cannot be removed.
            Err(e) => {
                tracing::error!(path = %path.display(), bytes, "the broken spool set aside cannot be removed: {e}")
            }
        }
    }

    /// Notes how many bytes are in use, and returns it.
    pub(crate) fn measure(&mut self) -> Result<u64, SpoolError> {
        let pragma = |name| self.conn.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
        let pages = pragma("page_count")? - pragma("freelist_count")?;
        let bytes = unsigned(pages * pragma("page_size")?) + self.aside;
        self.head().bytes = bytes;
        Ok(bytes)
    }
}

/// A lock whose holder panicked still guards a usable head: every change to it is a single assignment.
pub(crate) fn lock(head: &Mutex<Head>) -> MutexGuard<'_, Head> {
    head.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Adds an epoch whose next event is `next`; returns its number.
pub(crate) fn insert_epoch(tx: &Transaction<'_>, id: Epoch, next: u64) -> rusqlite::Result<i64> {
    tx.execute(
        "INSERT INTO epoch (id, first, next) VALUES (?1, ?2, ?2)",
        params![id.as_uuid().into_bytes(), signed(next)],
    )?;
    Ok(tx.last_insert_rowid())
}

/// Opens and checks the file.
fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let conn = Connection::open(path)?;
    conn.pragma_update(None, "journal_mode", "WAL")?;
    conn.pragma_update(None, "synchronous", "FULL")?;
    conn.pragma_update(None, "journal_size_limit", JOURNAL_BYTES)?;
    // Thousands of spools share one process in the bench; a page of events needs little.
    conn.pragma_update(None, "cache_size", -256)?;
    conn.busy_timeout(std::time::Duration::from_secs(5))?;
    let version: i64 = conn.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if version == 0 {
        conn.execute_batch(&format!(
            "BEGIN IMMEDIATE; {SCHEMA} {THIRD} PRAGMA user_version = {TABLES}; COMMIT;"
        ))?;
        return Ok(conn);
    }
    if version > TABLES {
        let newer = format!("it was written by a newer version (tables {version}, known are {TABLES})");
        return Err(rusqlite::Error::SqliteFailure(
            rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_ERROR),
            Some(newer),
        ));
    }
    let sound: String = conn.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if sound != "ok" {
        return Err(broken());
    }
    if version < TABLES {
        let second = if version < 2 { SECOND } else { "" };
        let steps = format!("BEGIN IMMEDIATE; {second} {THIRD} PRAGMA user_version = {TABLES}; COMMIT;");
        conn.execute_batch(&steps)?;
    }
    Ok(conn)
}

pub(super) fn broken() -> rusqlite::Error {
    rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CORRUPT), None)
}

/// Whether an error means that the file itself cannot be trusted.
pub(crate) fn is_broken(error: &rusqlite::Error) -> bool {
    use rusqlite::ErrorCode::{DatabaseCorrupt, NotADatabase};
    matches!(error.sqlite_error_code(), Some(DatabaseCorrupt | NotADatabase))
}

/// Where a broken file is kept for people to look at.
fn aside(path: &Path) -> PathBuf {
    path.with_extension("broken")
}

/// Moves a broken file aside, makes a new one, and notes in it what is known to be unreadable.
fn rescue(path: &Path, clock: &Clock) -> Result<Connection, SpoolError> {
    let known = Connection::open(path).and_then(|old| load(&old)).unwrap_or_default();
    let aside = aside(path);
    let moved = |e| SpoolError::Aside { path: path.to_owned(), source: e };
    let older = fs::exists(&aside).unwrap_or(false);
    fs::rename(path, &aside).map_err(moved)?;
    if older {
        tracing::warn!(path = %aside.display(), "the broken spool set aside before is replaced: one is kept");
    }
    for suffix in ["-wal", "-shm"] {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        match fs::remove_file(&name) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(moved(e)),
            _ => {}
        }
    }
    tracing::error!(path = %path.display(), moved_to = %aside.display(), "the spool failed its check; a new one begins");
    let mut conn = connect(path).map_err(|e| SpoolError::Open { path: path.to_owned(), source: e })?;
    let tx = conn.transaction()?;
    for epoch in known.0 {
        insert_epoch(&tx, epoch.id, epoch.next)?;
        losses::set_acked(&tx, epoch.id, epoch.acked)?;
        let first = epoch.acked.max(epoch.first.saturating_sub(1)) + 1;
        if first < epoch.next {
            let (from, to) = (Timestamp::from_micros(0), clock());
            let why = LossReason::Unreadable;
            losses::add(&tx, epoch.id, (first, epoch.next - 1), (from, to), &why)?;
        }
    }
    // Whatever comes next is written to an epoch of its own.
    insert_epoch(&tx, Epoch::new(), 1)?;
    tx.commit()?;
    Ok(conn)
}

/// The epochs in the file and the time of the newest event of the last one.
fn load(conn: &Connection) -> rusqlite::Result<(Vec<EpochHead>, Timestamp)> {
    let mut statement = conn.prepare(
        "SELECT n, epoch.id, first, next, superseded, acked.seq FROM epoch LEFT JOIN acked ON acked.id = epoch.id ORDER BY n",
    )?;
    let epochs: Vec<EpochHead> = statement
        .query_map([], |row| {
            Ok(EpochHead {
                n: row.get(0)?,
                id: uuid_at(row, 1)?.unwrap_or_default().into(),
                first: unsigned(row.get(2)?),
                next: unsigned(row.get(3)?),
                superseded: row.get(4)?,
                acked: unsigned(row.get::<_, Option<i64>>(5)?.unwrap_or(0)),
            })
        })?
        .collect::<Result<_, _>>()?;
    let last_at = match epochs.last() {
        Some(epoch) if epoch.next > epoch.first => super::rows::at(conn, epoch.n, epoch.next - 1)?,
        _ => None,
    };
    Ok((epochs, last_at.unwrap_or(Timestamp::MIN)))
}

/// What may have been said to be complete of the present epoch.
fn said(conn: &Connection) -> rusqlite::Result<Timestamp> {
    let said =
        conn.query_row("SELECT said FROM epoch ORDER BY n DESC LIMIT 1", [], |row| row.get(0)).optional()?;
    Ok(said.flatten().map_or(Timestamp::MIN, Timestamp::from_micros))
}
