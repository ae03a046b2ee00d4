//! Bringing a database up to the version this program knows.

use rusqlite::{Connection, TransactionBehavior};

use super::StoreError;

/// The numbered files of `migrations/`, in order; the n-th makes version n.
const MIGRATIONS: &[&str] = &[
    include_str!("../../migrations/0001_access.sql"),
    include_str!("../../migrations/0002_events.sql"),
    include_str!("../../migrations/0003_vc.sql"),
    include_str!("../../migrations/0004_present.sql"),
    include_str!("../../migrations/0005_cursors.sql"),
    include_str!("../../migrations/0006_following.sql"),
];

/// Applies what is missing in one transaction; refuses a database that is newer than the program and leaves it as it is.
pub(super) fn migrate(connection: &mut Connection) -> Result<(), StoreError> {
    if missing(connection)?.is_empty() {
        return Ok(());
    }
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    // Asked again under the lock: another process may have been quicker.
    for migration in missing(&transaction)? {
        transaction.execute_batch(migration)?;
    }
    transaction.pragma_update(None, "user_version", MIGRATIONS.len() as i64)?;
    Ok(transaction.commit()?)
}

/// Whether a program has made its tables here; refuses a database that is newer than this one.
pub(super) fn has_begun(connection: &Connection) -> Result<bool, StoreError> {
    Ok(missing(connection)?.len() < MIGRATIONS.len())
}

/// Whether this program would change the tables that an older one has made here; refuses a database that is newer than this program.
pub(super) fn is_behind(connection: &Connection) -> Result<bool, StoreError> {
    Ok(has_begun(connection)? && !missing(connection)?.is_empty())
}

/// The migrations that this database has not seen.
fn missing(connection: &Connection) -> Result<&'static [&'static str], StoreError> {
    let found: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    usize::try_from(found)
        .ok()
        .and_then(|found| MIGRATIONS.get(found..))
        .ok_or(StoreError::Newer { found, known: MIGRATIONS.len() as i64 })
}
