//! What lies in a folder and in the folders inside it.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::SystemTime,
};

/// The most files that are looked at: about 10 MB of memory.
const FILES: usize = 100_000;

/// The most folders that are looked through.
const FOLDERS: usize = 10_000;

/// By what a file that was seen is known to be the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    /// Its size in bytes.
    pub(super) bytes: u64,
    /// When it was last changed.
    pub(super) changed: SystemTime,
}

impl Stamp {
    /// What the system says of a file.
    pub(super) fn of(about: &fs::Metadata) -> Self {
        // Every system that is served has this time.
        Self { bytes: about.len(), changed: about.modified().unwrap_or(SystemTime::UNIX_EPOCH) }
    }
}

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Scan {
    /// The folder itself and those inside.
    pub(super) folders: Vec<PathBuf>,
    /// Files that are not empty.
    pub(super) files: Vec<(PathBuf, Stamp)>,
    /// Whether there is more than is looked at.
    pub(super) is_cut: bool,
}

/// Looks through `root` and so many levels inside; follows no link and passes over what is hidden. Fails only when `root` cannot
/// be read.
pub(super) fn scan(root: &Path, depth: u8) -> io::Result<Scan> {
    let mut scan = Scan::default();
    let mut open = vec![(root.to_owned(), depth)];
    while let Some((folder, depth)) = open.pop() {
        let entries = match fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(e) if folder == root => return Err(e),
            Err(e) => {
                tracing::debug!("{} is passed over: {e}", folder.display());
                continue;
            }
        };
        scan.folders.push(folder);
        for entry in entries.filter_map(Result::ok).filter(|entry| !is_hidden(&entry.path())) {
            // Of a link it says that it is one.
            let Ok(kind) = entry.file_type() else { continue };
            if kind.is_dir() && depth > 0 {
                open.push((entry.path(), depth - 1));
            } else if kind.is_file()
                && let Ok(about) = entry.metadata()
                && about.len() > 0
            {
                scan.files.push((entry.path(), Stamp::of(&about)));
            }
            if scan.files.len() >= FILES || open.len() + scan.folders.len() >= FOLDERS {
                scan.is_cut = true;
                return Ok(scan);
            }
        }
    }
    Ok(scan)
}

/// Whether a name says that whoever wrote it has not finished, or wants nobody to look.
pub(super) fn is_hidden(path: &Path) -> bool {
    path.file_name().is_none_or(|name| name.as_encoded_bytes().starts_with(b"."))
}
