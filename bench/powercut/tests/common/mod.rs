//! Two temporary folders, of which one is the disk and one is where it is mounted.

#![allow(clippy::unwrap_used, reason = "what these helpers cannot do fails the test")]

use std::path::PathBuf;

use tempfile::TempDir;

/// The two folders; removed when this is dropped.
#[derive(Debug)]
pub(crate) struct Folders {
    /// The disk.
    pub(crate) backing: PathBuf,
    /// Where programs work.
    pub(crate) mountpoint: PathBuf,
    _both: TempDir,
}

impl Folders {
    /// Makes them.
    pub(crate) fn new() -> Self {
        let both = tempfile::tempdir().unwrap();
        let [backing, mountpoint] = ["disk", "mount"].map(|name| both.path().join(name));
        std::fs::create_dir(&backing).unwrap();
        std::fs::create_dir(&mountpoint).unwrap();
        Self { backing, mountpoint, _both: both }
    }
}
