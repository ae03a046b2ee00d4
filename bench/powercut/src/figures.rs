//! What is counted: what programs synced, and what a cut took.

use std::{fmt, ops::AddAssign};

/// What programs have done since the folder was mounted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Calls of `fsync` and `fdatasync` for files.
    pub file_syncs: u64,
    /// Calls of `fsync` for folders.
    pub folder_syncs: u64,
    /// Bytes written to files; those of shared memory maps count when the kernel hands them over.
    pub written_bytes: u64,
    /// Bytes that became durable by a sync.
    pub synced_bytes: u64,
    /// Power cuts.
    pub cuts: u64,
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file_syncs, folder_syncs, written_bytes, synced_bytes, cuts } = self;
        write!(f, "cuts={cuts} file_syncs={file_syncs} folder_syncs={folder_syncs} ")?;
        write!(f, "written_bytes={written_bytes} synced_bytes={synced_bytes}")
    }
}

/// What one power cut took, and what it left by chance.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Loss {
    /// Bytes of the pages that were dropped.
    pub lost_bytes: u64,
    /// Pages of 4096 bytes that were dropped.
    pub lost_pages: u64,
    /// Pages that were kept by chance.
    pub kept_pages: u64,
    /// Names made, renamed or removed that were taken back.
    pub lost_changes: u64,
    /// Names made, renamed or removed that were kept by chance.
    pub kept_changes: u64,
}

impl AddAssign for Loss {
    fn add_assign(&mut self, other: Self) {
        self.lost_bytes += other.lost_bytes;
        self.lost_pages += other.lost_pages;
        self.kept_pages += other.kept_pages;
        self.lost_changes += other.lost_changes;
        self.kept_changes += other.kept_changes;
    }
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { lost_bytes, lost_pages, kept_pages, lost_changes, kept_changes } = self;
        write!(f, "lost_bytes={lost_bytes} lost_pages={lost_pages} kept_pages={kept_pages} ")?;
        write!(f, "lost_changes={lost_changes} kept_changes={kept_changes}")
    }
}
