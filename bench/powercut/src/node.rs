//! A file or folder: where it is, whose it is, and what is in it.

use std::{
    collections::BTreeMap, ffi::OsString, fs::Metadata, os::unix::fs::MetadataExt as _, time::SystemTime,
};

use fuser::{FileAttr, FileType, INodeNo};

use crate::{change::Place, content::Content};

/// Whose a file or folder is, and what others may do with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rights {
    /// The twelve bits of `chmod`.
    pub(crate) mode: u32,
    /// The owner.
    pub(crate) uid: u32,
    /// The group.
    pub(crate) gid: u32,
}

/// What is in a file or folder.
#[derive(Debug)]
pub(crate) enum Kind {
    /// The numbers of what is in a folder.
    Folder(BTreeMap<OsString, u64>),
    /// The bytes of a file.
    File(Content),
}

/// A file or folder.
#[derive(Debug)]
pub(crate) struct Node {
    /// Where programs find it; nowhere once it is removed, and for the uppermost folder.
    pub(crate) place: Option<Place>,
    /// Where it is on the disk.
    pub(crate) kept: Option<Place>,
    /// Whose it is.
    pub(crate) rights: Rights,
    /// Whether the disk has other rights.
    pub(crate) rights_changed: bool,
    /// When it was last read, as far as programs say so.
    pub(crate) read_at: SystemTime,
    /// When it was last changed.
    pub(crate) changed_at: SystemTime,
    /// What is in it.
    pub(crate) kind: Kind,
}

impl Node {
    /// A new one that is only in memory.
    pub(crate) fn new(rights: Rights, kind: Kind) -> Self {
        let now = SystemTime::now();
        let (place, kept) = (None, None);
        Self { place, kept, rights, rights_changed: true, read_at: now, changed_at: now, kind }
    }

    /// One that is at `place` of the backing folder.
    pub(crate) fn on_disk(place: Option<Place>, found: &Metadata, kind: Kind) -> Self {
        let rights = Rights { mode: found.mode() & 0o7777, uid: found.uid(), gid: found.gid() };
        let mut node = Self::new(rights, kind);
        node.changed_at = found.modified().unwrap_or(node.changed_at);
        node.read_at = node.changed_at;
        node.rights_changed = false;
        (node.kept, node.place) = (place.clone(), place);
        node
    }

    /// What `stat` says of it; `number` is its own.
    pub(crate) fn attr(&self, number: u64) -> FileAttr {
        let (kind, size, nlink) = match &self.kind {
            Kind::Folder(_) => (FileType::Directory, 4096, 2),
            Kind::File(content) => (FileType::RegularFile, content.len(), u32::from(self.place.is_some())),
        };
        FileAttr {
            ino: INodeNo(number),
            size,
            blocks: size.div_ceil(512),
            atime: self.read_at,
            mtime: self.changed_at,
            ctime: self.changed_at,
            crtime: self.changed_at,
            kind,
            perm: self.rights.mode as u16,
            nlink,
            uid: self.rights.uid,
            gid: self.rights.gid,
            rdev: 0,
            blksize: 4096,
            flags: 0,
        }
    }
}
