//! What lies in a folder and in the folders inside it, the newest first.

use std::{
    collections::BTreeSet,
    fmt, fs, io,
    path::{Path, PathBuf},
    time::SystemTime,
};

use crate::foreign::tame;

/// How much is looked at.
#[derive(Clone, Copy, Debug)]
pub(super) struct Most {
    /// Files.
    files: usize,
    /// Folders, with those that are yet to be looked through.
    folders: usize,
}

impl Most {
    /// About 10 MB of memory.
    pub(super) const USUAL: Self = Self { files: 100_000, folders: 10_000 };
}

/// What is passed over because there is too much.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cut {
    /// Files, whichever they are.
    Files(usize),
    /// The folders in which nothing came or went for the longest time.
    Folders(usize),
}

impl fmt::Display for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Files(most) => {
                write!(f, "holds more than {most} files, and the others are passed over; remove some")
            }
            Self::Folders(most) => {
                write!(f, "holds more than {most} folders, and the oldest are passed over; remove some")
            }
        }
    }
}

/// By what a file that was seen is known to be the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
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
    /// The folder itself and those inside, the newest first.
    pub(super) folders: Vec<PathBuf>,
    /// Files that are not empty.
    pub(super) files: Vec<(PathBuf, Stamp)>,
    /// Whether there is more than is looked at.
    pub(super) cut: Option<Cut>,
}

/// Looks through `root` and so many levels inside; follows no link and passes over what is hidden. Fails only when `root` cannot
/// be read.
pub(super) fn scan(root: &Path, depth: u8, most: Most) -> io::Result<Scan> {
    let mut scan = Scan::default();
    // Where something came or went last comes first: a camera that makes a folder each hour is seen however many it has made.
    let mut open = BTreeSet::from([(SystemTime::now(), root.to_owned(), depth)]);
    while let Some((_, folder, depth)) = open.pop_last() {
        let entries = match fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(e) if folder == root => return Err(e),
            Err(e) => {
                tracing::debug!("{} is passed over: {e}", tame(&folder.display().to_string()));
                continue;
            }
        };
        scan.folders.push(folder);
        for entry in entries.filter_map(Result::ok).filter(|entry| !is_hidden(&entry.path())) {
            // Of a link it says that it is one.
            let Ok(about) = entry.metadata() else { continue };
            if about.is_dir() && depth > 0 {
                open.insert((Stamp::of(&about).changed, entry.path(), depth - 1));
                if scan.folders.len() + open.len() > most.folders {
                    open.pop_first();
                    scan.cut = Some(Cut::Folders(most.folders));
                }
            } else if about.is_file() && about.len() > 0 {
                if scan.files.len() >= most.files {
                    scan.cut = Some(Cut::Files(most.files));
                    return Ok(scan);
                }
                scan.files.push((entry.path(), Stamp::of(&about)));
            }
        }
    }
    Ok(scan)
}

/// Whether a name says that whoever wrote it has not finished, or wants nobody to look.
pub(super) fn is_hidden(path: &Path) -> bool {
    path.file_name().is_none_or(|name| name.as_encoded_bytes().starts_with(b"."))
}

#[cfg(test)]
mod tests {
    use std::{fs::File, time::Duration};

    use super::*;

    #[test]
    fn of_too_many_folders_the_newest_are_looked_through() {
        let dir = tempfile::tempdir().unwrap();
        let hour = |n: u64| SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000 + n * 3_600);
        for n in 0..40 {
            let day = dir.path().join(format!("{}", n / 10));
            let folder = day.join(format!("{n}"));
            fs::create_dir_all(&folder).unwrap();
            fs::write(folder.join("a.jpg"), "a").unwrap();
            File::open(&folder).unwrap().set_modified(hour(n)).unwrap();
            File::open(&day).unwrap().set_modified(hour(n)).unwrap();
        }
        let looked = |most| {
            let scan = scan(dir.path(), 2, Most { files: 100, folders: most }).unwrap();
            let hour = |path: &Path| path.parent().unwrap().file_name().unwrap().to_str().unwrap().parse();
            let mut files: Vec<u64> = scan.files.iter().map(|(path, _)| hour(path).unwrap()).collect();
            files.sort_unstable();
            (files, scan.cut, scan.folders.len())
        };
        // The root, four days, and what is in them.
        assert_eq!(looked(45), ((0..40).collect(), None, 45));
        assert_eq!(looked(10), ((32..40).collect(), Some(Cut::Folders(10)), 10));
    }

    #[test]
    fn of_too_many_files_some_are_passed_over_which_is_said() {
        let dir = tempfile::tempdir().unwrap();
        for n in 0..4 {
            fs::write(dir.path().join(format!("{n}.jpg")), "a").unwrap();
        }
        let looked = |files| scan(dir.path(), 0, Most { files, folders: 10 }).unwrap();
        assert_eq!((looked(4).files.len(), looked(4).cut), (4, None));
        assert_eq!((looked(3).files.len(), looked(3).cut), (3, Some(Cut::Files(3))));
    }
}
