//! How far a log is read: the file, the byte, and a mark of what stands before it, by which the file is known again.

use std::{
    fs::{File, Metadata},
    io::{self, Read as _, Seek as _, SeekFrom},
    time::{SystemTime, UNIX_EPOCH},
};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// How many bytes before the place are looked at: several lines, of which one has another time.
pub(super) const BEFORE: u64 = 1_024;

/// How far a log is read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Place {
    /// The file's number in its file system; 0 where none was seen yet, or there are no such numbers.
    pub(super) inode: u64,
    /// The byte behind the last line that was read.
    pub(super) offset: u64,
    /// The mark of the bytes before it.
    before: String,
    /// When the file was last changed, in nanoseconds: what it was rotated to later is newer.
    pub(super) changed: u64,
}

impl Place {
    /// Before the first byte of the file that comes next after `changed`.
    pub(super) fn nowhere(changed: SystemTime) -> Self {
        Self { inode: 0, offset: 0, before: mark(&[]), changed: nanos(changed) }
    }

    /// Before the first byte of a file that follows one last changed then.
    pub(super) fn beginning(about: &Metadata, changed: u64) -> Self {
        Self { inode: inode(about), offset: 0, before: mark(&[]), changed }
    }

    /// Before the byte at `offset` of a file.
    pub(super) fn inside(file: &File, about: &Metadata, offset: u64) -> io::Result<Self> {
        let before = read_at(file, offset.saturating_sub(BEFORE), offset.min(BEFORE))?;
        Ok(Self { inode: inode(about), offset, before: mark(&before), changed: changed(about) })
    }

    /// The place so many bytes further, before which these bytes stand.
    pub(super) fn after(&self, bytes: u64, before: &[u8], about: &Metadata) -> Self {
        let offset = self.offset + bytes;
        let from = before.len().saturating_sub(offset.min(BEFORE) as usize);
        Self { inode: inode(about), offset, before: mark(&before[from..]), changed: changed(about) }
    }

    /// How many bytes before it must be what they were.
    pub(super) fn marked(&self) -> u64 {
        self.offset.min(BEFORE)
    }

    /// Whether these are the bytes that stood before it.
    pub(super) fn is_behind(&self, before: &[u8]) -> bool {
        before.len() as u64 == self.marked() && mark(before) == self.before
    }

    /// Whether a file still has what was read of it.
    pub(super) fn is_in(&self, file: &File) -> io::Result<bool> {
        Ok(self.is_behind(&read_at(file, self.offset - self.marked(), self.marked())?))
    }
}

/// The bytes of a file from `offset` on, at most `most`; fewer where it ends.
pub(super) fn read_at(mut file: &File, offset: u64, most: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(offset))?;
    file.take(most).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The number of a file in its file system.
pub(super) fn inode(about: &Metadata) -> u64 {
    #[cfg(unix)]
    return std::os::unix::fs::MetadataExt::ino(about);
    #[cfg(not(unix))]
    return 0;
}

/// When a file was last changed, in nanoseconds.
pub(super) fn changed(about: &Metadata) -> u64 {
    about.modified().map_or(0, nanos)
}

fn nanos(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

fn mark(bytes: &[u8]) -> String {
    let hash = Sha256::digest(bytes);
    hash[..8].iter().map(|byte| format!("{byte:02x}")).collect()
}
