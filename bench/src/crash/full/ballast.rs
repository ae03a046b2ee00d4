//! A file that takes all room that is left on a disk, also what becomes free later, until it is removed.

use std::{
    fs::{self, File},
    io::{ErrorKind, Write},
    path::Path,
    thread,
    time::Duration,
};

use tokio::task::{JoinHandle, spawn_blocking};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::failure::Result;

/// Pieces that it grows by, in bytes: fast first, then to the last block.
const PIECES: [usize; 2] = [1 << 20, 4 << 10];

/// Between two looks whether there is room again: far less than programs wait before they try anew.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// The file; removed when it is told, and no longer filled when this is dropped.
#[derive(Debug)]
pub(super) struct Ballast {
    stop: DropGuard,
    filling: JoinHandle<Result<u64>>,
}

impl Ballast {
    /// Fills the disk that this folder is on from now on.
    pub(super) fn fill(folder: &Path) -> Self {
        let stop = CancellationToken::new();
        let (path, stopped) = (folder.join("ballast"), stop.clone());
        Self { stop: stop.drop_guard(), filling: spawn_blocking(move || keep_full(&path, &stopped)) }
    }

    /// Removes it; how many bytes it had.
    pub(super) async fn remove(self) -> Result<u64> {
        drop(self.stop);
        self.filling.await?
    }
}

fn keep_full(path: &Path, stopped: &CancellationToken) -> Result<u64> {
    let mut file = File::create(path)?;
    while !stopped.is_cancelled() {
        while grow(&mut file)? > 0 {
            // What was set aside for the file and is not needed after all becomes free.
            file.sync_all()?;
        }
        thread::sleep(LOOK_EVERY);
    }
    let bytes = file.metadata()?.len();
    drop(file);
    fs::remove_file(path)?;
    Ok(bytes)
}

/// Writes until there is no room; how many bytes that were.
fn grow(file: &mut File) -> Result<usize> {
    let mut bytes = 0;
    for piece in PIECES {
        let zeros = vec![0; piece];
        loop {
            match file.write(&zeros) {
                Ok(written) => bytes += written,
                Err(error) if error.kind() == ErrorKind::StorageFull => break,
                Err(error) => return Err(error.into()),
            }
        }
    }
    Ok(bytes)
}
