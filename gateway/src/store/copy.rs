//! A copy of the database as it is in one moment, also while a gateway writes to it.
//!
//! It is read and never written. A long reader stops nobody; only the write-ahead log (`oriel.db-wal`) cannot begin anew
//! meanwhile, so it grows by what is written until the copy is done. In the folder of a stopped gateway an empty log is left, which
//! belongs to the owner of the database and is in nobody's way.

use std::{
    fmt,
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::{FILE_NAME, StoreError, migrate, open};

/// Why there is no copy.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// The folder holds no database of a gateway.
    #[error("{0:?} is not the data folder of a gateway")]
    NoDatabase(PathBuf),
    /// There is no room where the copy is written.
    #[error("the disk is full")]
    Full,
    /// [`Interrupt::now`] ended it.
    #[error("interrupted")]
    Interrupted,
    /// The copy is not what a gateway could use; says what is wrong first.
    #[error("the copy failed its check: {0}")]
    Damaged(String),
    /// The database cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<rusqlite::Error> for CopyError {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            // Only the copy is written.
            Some(ErrorCode::DiskFull) => Self::Full,
            Some(ErrorCode::OperationInterrupted) => Self::Interrupted,
            _ => Self::Store(error.into()),
        }
    }
}

/// What a copy holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Copied {
    /// Its size in bytes.
    pub bytes: u64,
    /// Its events, those that the gateway itself wrote among them.
    pub events: u64,
    /// Its cameras.
    pub cameras: u64,
}

/// A gateway's database that is there to be copied, whether or not the gateway runs.
#[derive(Debug)]
pub struct Original {
    connection: Connection,
    is_over: Arc<AtomicBool>,
}

/// Ends a copy that another thread makes.
pub struct Interrupt {
    /// Ends a statement that is being run.
    statement: rusqlite::InterruptHandle,
    /// Lets no other one begin.
    is_over: Arc<AtomicBool>,
}

impl fmt::Debug for Interrupt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Interrupt").finish_non_exhaustive()
    }
}

impl Interrupt {
    /// Ends the copy, with [`CopyError::Interrupted`].
    pub fn now(&self) {
        self.is_over.store(true, Ordering::SeqCst);
        self.statement.interrupt();
    }
}

impl Original {
    /// Opens the database in `folder`, of this program's version or an older one, and changes nothing in it.
    ///
    /// Blocks on the disk. Fails when there is none, when it is newer than this program, or when it cannot be read.
    pub fn open(folder: &Path) -> Result<Self, CopyError> {
        let path = folder.join(FILE_NAME);
        let is_empty = match fs::metadata(&path) {
            Ok(file) => !file.is_file() || file.len() == 0,
            Err(error) if error.kind() == io::ErrorKind::NotFound => true,
            Err(error) => return Err(StoreError::Folder { path, source: Arc::new(error) }.into()),
        };
        if is_empty {
            return Err(CopyError::NoDatabase(folder.into()));
        }
        let connection = Connection::open_with_flags(&path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        connection.busy_timeout(open::BUSY)?;
        if !migrate::has_begun(&connection)? {
            return Err(CopyError::NoDatabase(folder.into()));
        }
        Ok(Self { connection, is_over: Arc::default() })
    }

    /// What ends [`Original::copy_into`].
    pub fn interrupt(&self) -> Interrupt {
        Interrupt { statement: self.connection.get_interrupt_handle(), is_over: Arc::clone(&self.is_over) }
    }

    /// Copies the database into `file`, which is there and empty, checks the copy and has it on the disk.
    ///
    /// Blocks on the disk. What was committed before this was called is in the copy. When it fails, `file` holds anything, and
    /// nothing is left beside it.
    pub fn copy_into(&self, file: &Path) -> Result<Copied, CopyError> {
        self.try_copy_into(file).inspect_err(|_| {
            let mut journal = file.as_os_str().to_owned();
            journal.push("-journal");
            // Mostly it is not there.
            let _ = fs::remove_file(journal);
        })
    }

    fn try_copy_into(&self, file: &Path) -> Result<Copied, CopyError> {
        let failed = |error: io::Error| match error.kind() {
            io::ErrorKind::StorageFull => CopyError::Full,
            _ => StoreError::Folder { path: file.into(), source: Arc::new(error) }.into(),
        };
        let path = file.to_str().ok_or_else(|| failed(io::ErrorKind::InvalidFilename.into()))?;
        self.go_on()?;
        self.connection.execute("VACUUM INTO ?1", [path])?;
        self.connection.execute("ATTACH ?1 AS copy", [path])?;
        self.go_on()?;
        self.check()?;
        let (events, cameras) = (self.count("events")?, self.count("cameras")?);
        self.connection.execute("DETACH copy", [])?;
        let file = File::open(file).map_err(failed)?;
        file.sync_all().map_err(failed)?;
        Ok(Copied { bytes: file.metadata().map_err(failed)?.len(), events, cameras })
    }

    /// Fails once it was interrupted: SQLite forgets an interrupt that comes between two statements.
    fn go_on(&self) -> Result<(), CopyError> {
        if self.is_over.load(Ordering::SeqCst) { Err(CopyError::Interrupted) } else { Ok(()) }
    }

    /// Checks the copy whole. `quick_check` would be shorter, but does not compare indexes with their tables; they are copied as
    /// they stand, and by them events are found and told from those that came before.
    fn check(&self) -> Result<(), CopyError> {
        let found: String =
            self.connection.query_row("PRAGMA copy.integrity_check(1)", [], |row| row.get(0))?;
        if found == "ok" { Ok(()) } else { Err(CopyError::Damaged(found)) }
    }

    /// How many rows a table of the copy has; one that an older program did not make has none.
    fn count(&self, table: &str) -> Result<u64, CopyError> {
        if !self.connection.table_exists(Some("copy"), table)? {
            return Ok(0);
        }
        let count = format!("SELECT count(*) FROM copy.{table}");
        Ok(self.connection.query_row(&count, [], |row| row.get::<_, i64>(0))?.unsigned_abs())
    }
}
