//! One gateway per data folder: two would each believe that their memory is what the database says.

use std::{
    fs::{File, OpenOptions, TryLockError},
    os::unix::fs::OpenOptionsExt,
    path::Path,
    sync::Arc,
};

use super::{StoreError, open};

/// The file that a running gateway holds; commands that work beside it do not.
const LOCK_NAME: &str = "gateway.lock";

/// The right to be the gateway of a folder, until this is dropped or the process ends.
#[derive(Debug)]
pub struct FolderLock {
    _file: File,
}

impl FolderLock {
    /// Takes the right, making the folder where it is missing; fails with `InUse` or `Folder`.
    pub fn take(folder: &Path) -> Result<Self, StoreError> {
        open::prepare(folder)?;
        let path = folder.join(LOCK_NAME);
        let failed = |error| StoreError::Folder { path: path.clone(), source: Arc::new(error) };
        let mut options = OpenOptions::new();
        let file =
            options.create(true).truncate(false).write(true).mode(0o600).open(&path).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => Ok(Self { _file: file }),
            Err(TryLockError::WouldBlock) => Err(StoreError::InUse(folder.to_owned())),
            Err(TryLockError::Error(error)) => Err(failed(error)),
        }
    }
}
