//! Opening, upgrading, protecting and closing the file.

use std::{fs, os::unix::fs::PermissionsExt};

use rusqlite::{Connection, ffi};

use super::*;
use crate::store::{FILE_NAME, FolderLock, SigningKey, StoreError};

#[tokio::test]
async fn a_reopened_store_keeps_everything() {
    let (folder, store) = opened();
    let owner = agent(&store, &["porch"], Some("site7-*")).await;
    store.create_camera(new_camera("yard"), NOW).await.unwrap();
    store.create_enrollment(code_for(&["gate", "door"], None), some_hash()).await.unwrap();
    let (cameras, agents) = (store.cameras().await.unwrap(), store.agents().await.unwrap());
    let codes = store.enrollments(NOW).await.unwrap();
    store.close().await;

    let again = Store::open(folder.path()).unwrap();
    assert_eq!(again.cameras().await.unwrap(), cameras);
    assert_eq!(again.agents().await.unwrap(), agents);
    assert_eq!(again.enrollments(NOW).await.unwrap(), codes);
    assert_eq!(codes[0].cameras, [camera("gate"), camera("door")]);
    assert_eq!((cameras[0].agent, agents[0].id), (Some(owner), owner));
}

#[tokio::test]
async fn the_first_signing_key_is_the_only_one() {
    let (folder, store) = opened();
    let kept = |store: Store, byte| async move {
        *store.signing_key(SigningKey::from_bytes([byte; 32])).await.unwrap().as_bytes()
    };
    assert_eq!(kept(store.clone(), 1).await, [1; 32]);
    assert_eq!(kept(store.clone(), 2).await, [1; 32]);
    store.close().await;
    assert_eq!(kept(Store::open(folder.path()).unwrap(), 3).await, [1; 32]);
}

#[test]
fn a_disk_without_room_for_the_index_is_said_to_be_full() {
    let said = |code| {
        let error = rusqlite::Error::SqliteFailure(ffi::Error::new(code), Some("disk I/O error".into()));
        StoreError::from(error).to_string()
    };
    assert!(said(ffi::SQLITE_IOERR_SHMSIZE).contains("full"));
    assert_eq!(said(ffi::SQLITE_IOERR_READ), "database: disk I/O error");
}

#[tokio::test]
async fn a_database_newer_than_the_program_is_refused_and_left_alone() {
    let (folder, store) = opened();
    store.close().await;
    let path = folder.path().join(FILE_NAME);
    Connection::open(&path).unwrap().pragma_update(None, "user_version", 9_999).unwrap();
    let before = fs::read(&path).unwrap();
    let error = Store::open(folder.path()).unwrap_err();
    assert!(matches!(error, StoreError::Newer { found: 9_999, .. }), "{error}");
    assert!(error.to_string().contains("use a newer oriel"));
    assert_eq!(fs::read(&path).unwrap(), before);
}

#[tokio::test]
async fn a_database_is_not_brought_up_to_date_under_an_older_gateway() {
    let folder = tempfile::tempdir().unwrap();
    let file = Connection::open(folder.path().join(FILE_NAME)).unwrap();
    file.execute_batch(include_str!("../../../migrations/0001_access.sql")).unwrap();
    file.pragma_update(None, "user_version", 1).unwrap();
    let version = || file.pragma_query_value(None, "user_version", |row| row.get::<_, i64>(0)).unwrap();
    let gateway = FolderLock::take(folder.path()).unwrap();
    let error = Store::open_beside(folder.path()).unwrap_err();
    assert!(matches!(error, StoreError::OlderInUse(_)), "{error}");
    assert_eq!(version(), 1);
    drop(gateway);
    Store::open_beside(folder.path()).unwrap().close().await;
    assert!(version() > 1);
    let _gateway = FolderLock::take(folder.path()).unwrap();
    Store::open_beside(folder.path()).unwrap();
}

#[tokio::test]
async fn only_the_owner_can_read_folder_and_files() {
    let outer = tempfile::tempdir().unwrap();
    let folder = outer.path().join("a/b");
    let store = Store::open(&folder).unwrap();
    store.create_camera(new_camera("porch"), NOW).await.unwrap();
    let mode = |path: &std::path::Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&folder), 0o700);
    let files: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(files.len() >= 2, "{files:?}");
    for file in files {
        assert_eq!(mode(&file), 0o600, "{file:?}");
    }
}

#[test]
fn several_processes_may_make_the_file_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let opened: Vec<_> = std::thread::scope(|scope| {
        let tasks: Vec<_> = (0..8).map(|_| scope.spawn(|| Store::open(folder.path()))).collect();
        tasks.into_iter().map(|task| task.join().unwrap()).collect()
    });
    for store in opened {
        store.unwrap();
    }
}

#[tokio::test]
async fn two_processes_may_write_at_once() {
    let (folder, store) = opened();
    let other = Store::open(folder.path()).unwrap();
    let add = |store: Store, prefix: &'static str| async move {
        for n in 0..50 {
            store.create_camera(new_camera(&format!("{prefix}{n}")), NOW).await.unwrap();
        }
    };
    tokio::join!(add(store.clone(), "a"), add(other.clone(), "b"));
    assert_eq!(store.cameras().await.unwrap().len(), 100);
    assert_eq!(other.cameras().await.unwrap().len(), 100);
}

#[tokio::test]
async fn what_another_process_changed_is_told_once_and_ones_own_changes_never() {
    let (folder, store) = opened();
    store.create_camera(new_camera("porch"), NOW).await.unwrap();
    assert!(!store.changed_elsewhere().await.unwrap());
    let other = Store::open(folder.path()).unwrap();
    other.create_camera(new_camera("yard"), NOW).await.unwrap();
    assert!(store.changed_elsewhere().await.unwrap());
    assert!(!store.changed_elsewhere().await.unwrap());
}
