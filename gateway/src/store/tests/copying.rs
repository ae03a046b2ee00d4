//! Copies of the database: all of one moment, checked, and the original as it was.

use std::{
    fs::{self, File},
    path::PathBuf,
};

use rusqlite::{Connection, ffi};

use super::*;
use crate::store::{Copied, CopyError, FILE_NAME, Original};

/// An empty file in a folder of its own, where a store can be opened on it.
fn target() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join(FILE_NAME);
    File::create(&file).unwrap();
    (folder, file)
}

#[tokio::test]
async fn a_copy_has_everything_that_was_committed_before_it_began() {
    let (folder, store) = opened();
    agent(&store, &["porch", "yard"], None).await;
    // Of all this nothing is in the file itself yet.
    let (elsewhere, file) = target();
    let copied = Original::open(folder.path()).unwrap().copy_into(&file).unwrap();
    let bytes = fs::metadata(&file).unwrap().len();
    assert_eq!(copied, Copied { bytes, events: 0, cameras: 2 });
    let copy = Store::open(elsewhere.path()).unwrap();
    assert_eq!(copy.cameras().await.unwrap(), store.cameras().await.unwrap());
    assert_eq!(copy.agents().await.unwrap(), store.agents().await.unwrap());
}

#[tokio::test]
async fn a_database_of_an_older_program_is_copied_as_it_is() {
    let (folder, store) = opened();
    store.close().await;
    let original = Connection::open(folder.path().join(FILE_NAME)).unwrap();
    original.execute_batch("DROP TABLE events; PRAGMA user_version = 1").unwrap();
    let (_elsewhere, file) = target();
    let copied = Original::open(folder.path()).unwrap().copy_into(&file).unwrap();
    let version =
        |file: &Connection| file.pragma_query_value(None, "user_version", |row| row.get::<_, i64>(0));
    assert_eq!((copied.events, version(&Connection::open(&file).unwrap()).unwrap()), (0, 1));
}

#[tokio::test]
async fn an_index_that_does_not_match_its_table_is_no_backup() {
    let (folder, store) = opened();
    agent(&store, &["porch"], None).await;
    store.close().await;
    let original = Connection::open(folder.path().join(FILE_NAME)).unwrap();
    let change = "PRAGMA writable_schema = ON; \
        UPDATE sqlite_schema SET sql = replace(sql, '(agent)', '(name)') WHERE name = 'cameras_by_agent'";
    original.execute_batch(change).unwrap();
    drop(original);
    let error = Original::open(folder.path()).unwrap().copy_into(&target().1).unwrap_err();
    assert!(matches!(&error, CopyError::Damaged(why) if why.contains("cameras_by_agent")), "{error}");
}

#[test]
fn a_disk_without_room_for_the_copy_is_said_to_be_full() {
    let error = rusqlite::Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_FULL), None);
    assert_eq!(CopyError::from(error).to_string(), "the disk is full");
}
