//! Making, protecting and opening the database file.

use std::{
    fs::{DirBuilder, OpenOptions, Permissions},
    io,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use rusqlite::{Connection, ErrorCode};

use super::{FILE_NAME, StoreError};

/// How long a statement waits for another process's transaction: far longer than any of ours takes.
pub(super) const BUSY: Duration = Duration::from_secs(5);

/// Statements that a connection keeps compiled: more than this module has.
const STATEMENTS: usize = 64;

/// Kibibytes of the file that each connection keeps: the system keeps all of it, and what each keeps beside that counts as the program's.
const CACHE: i32 = 256;

/// Makes the folder (0700) and the file (0600) where they are missing; an existing folder is left as it is.
pub(super) fn prepare(folder: &Path) -> Result<PathBuf, StoreError> {
    let failed =
        |path: &Path, error: io::Error| StoreError::Folder { path: path.into(), source: Arc::new(error) };
    DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(|e| failed(folder, e))?;
    let path = folder.join(FILE_NAME);
    let protect = || {
        let file = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(&path)?;
        if file.metadata()?.permissions().mode() & 0o077 != 0 {
            file.set_permissions(Permissions::from_mode(0o600))?;
        }
        Ok(())
    };
    protect().map_err(|e| failed(&path, e))?;
    Ok(path)
}

/// Opens one connection with the settings that hold for all.
pub(super) fn connect(path: &Path) -> Result<Connection, StoreError> {
    let connection = Connection::open(path)?;
    connection.busy_timeout(BUSY)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    connection.pragma_update(None, "foreign_keys", true)?;
    // Negative, because the positive counts pages.
    connection.pragma_update(None, "cache_size", -CACHE)?;
    // What was answered survives a power cut (events.md, "Upload").
    connection.pragma_update(None, "synchronous", "FULL")?;
    Ok(connection)
}

/// Switches the file to a write-ahead log, so that readers and the writer do not wait for each other.
///
/// SQLite does not wait its busy time here when two processes switch a new file at once, so it is tried again.
pub(super) fn use_wal(connection: &Connection) -> Result<(), StoreError> {
    let mut tries = 50;
    loop {
        match connection.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get::<_, String>(0)) {
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) && tries > 0 => {
                tries -= 1;
                std::thread::sleep(Duration::from_millis(20));
            }
            result => return Ok(result.map(|_| ())?),
        }
    }
}
