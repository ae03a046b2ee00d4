//! The files of one log: the one that is written, and those it was rotated to, which are told by their names.

use std::{
    cmp::Reverse,
    ffi::OsStr,
    fs::{self, File, Metadata},
    io,
    mem::discriminant,
    path::{Path, PathBuf},
};

use super::place::{Place, changed, inode};
use crate::foreign::tame;

/// The most files of a folder that are looked at.
const MOST_FILES: usize = 10_000;

/// How often a folder is listed that changes meanwhile.
const LISTINGS: u32 = 10;

/// A file beside the log, or the log itself.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) file: File,
    pub(super) about: Metadata,
}

/// What logrotate hangs on a name: a number that grows with age, or a date that grows with time; in the order of rotation.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Suffix {
    Number(Reverse<u64>),
    Date(String),
}

impl Suffix {
    /// What is behind the log's name; none for other names, also of compressed files.
    fn of(name: &OsStr, log: &OsStr) -> Option<Self> {
        let rest = name.to_str()?.strip_prefix(log.to_str()?)?;
        let suffix = rest.strip_prefix(['.', '-'])?;
        let is_date = |c: char| c.is_ascii_digit() || "-_:T".contains(c);
        if !suffix.starts_with(|c: char| c.is_ascii_digit()) || !suffix.chars().all(is_date) {
            return None;
        }
        // A date has at least the digits of a day.
        match suffix.parse() {
            Ok(number) if suffix.len() < 6 => Some(Self::Number(Reverse(number))),
            _ => Some(Self::Date(suffix.to_owned())),
        }
    }

    /// Whether it was rotated after the other one; never when they are named differently.
    fn is_after(&self, other: &Self) -> bool {
        discriminant(self) == discriminant(other) && self > other
    }
}

/// A file in the log's folder that is not the log.
#[derive(Debug)]
struct Beside {
    path: PathBuf,
    about: Metadata,
    suffix: Option<Suffix>,
}

/// The file at a path; none when nothing is there.
pub(super) fn open(path: &Path) -> io::Result<Option<Found>> {
    let found = fs::metadata(path).and_then(|about| match about.is_file() {
        true => {
            let file = File::open(path)?;
            Ok(Found { about: file.metadata()?, file })
        }
        false => Err(io::ErrorKind::IsADirectory.into()),
    });
    match found {
        Ok(found) => Ok(Some(found)),
        Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(None),
        Err(e) => Err(e),
    }
}

/// The file that holds what stands before a place: the same file under whatever name, or else a copy of it.
pub(super) fn find(log: &Path, place: &Place) -> io::Result<Option<Found>> {
    let (present, beside) = (open(log)?, beside(log));
    let present = present.filter(|found| has_number(&found.about, place));
    if place.offset == 0 {
        // Of a copy nothing was read either, and it is older than what the log holds by now.
        let older = renamed(&beside, place).next().or_else(|| rotated_after(log, place, false));
        return Ok(older.or(present));
    }
    for found in present.into_iter().chain(renamed(&beside, place)) {
        if place.is_in(&found.file)? {
            return Ok(Some(found));
        }
    }
    let copies = beside.iter().filter(|file| file.suffix.is_some()).map(|file| file.path.as_path());
    for path in [log].into_iter().chain(copies) {
        if let Some(found) = open_other(path)
            && place.is_in(&found.file)?
        {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

/// The file that a place was in when that has lost its end, as by a power cut, and up to where it is still what was read.
pub(super) fn shortened(log: &Path, place: &Place) -> io::Result<Option<(Found, u64)>> {
    let (present, beside) = (open(log)?, beside(log));
    let present = present.filter(|found| has_number(&found.about, place));
    for found in present.into_iter().chain(renamed(&beside, place)) {
        if let Some(left) = place.left_in(&found.file)? {
            return Ok(Some((found, left)));
        }
    }
    Ok(None)
}

/// The file that was rotated next after the one that a place is in; none when that is the log itself. `is_held` says that the
/// place's file is open, so that no other one can have its number.
pub(super) fn rotated_after(log: &Path, place: &Place, is_held: bool) -> Option<Found> {
    for _ in 0..LISTINGS {
        let mut is_renamed = false;
        for file in newer(log, place, is_held) {
            match open(&file.path) {
                Ok(Some(found)) if inode(&found.about) == inode(&file.about) => return Some(found),
                // It has another name by now.
                Ok(_) => {
                    is_renamed = true;
                    break;
                }
                Err(e) => left_alone(&file.path, &e),
            }
        }
        if !is_renamed {
            break;
        }
    }
    None
}

/// The files that were rotated after the one that a place is in, oldest first.
fn newer(log: &Path, place: &Place, is_held: bool) -> Vec<Beside> {
    let mut newer = beside(log);
    let own = newer.iter().position(|file| is_held && has_number(&file.about, place));
    match own.map(|own| newer.swap_remove(own).suffix) {
        Some(own) => {
            let is_after = |suffix: &Suffix| own.as_ref().is_some_and(|own| suffix.is_after(own));
            newer.retain(|file| file.suffix.as_ref().is_some_and(is_after));
        }
        // It was removed or compressed: what was changed later has not been read.
        None => newer.retain(|file| file.suffix.is_some() && changed(&file.about) > place.changed),
    }
    // Not by time: a program may have written to a file when the next one was there already.
    newer.sort_by(|a, b| a.suffix.cmp(&b.suffix));
    newer
}

/// The files beside the log that have the number of a place's.
fn renamed<'a>(beside: &'a [Beside], place: &'a Place) -> impl Iterator<Item = Found> + 'a {
    beside.iter().filter(|file| has_number(&file.about, place)).filter_map(|file| open_other(&file.path))
}

fn has_number(about: &Metadata, place: &Place) -> bool {
    inode(about) == place.inode
}

/// A file that may be gone, or none of ours.
fn open_other(path: &Path) -> Option<Found> {
    open(path).inspect_err(|e| left_alone(path, e)).ok()?
}

fn left_alone(path: &Path, why: &io::Error) {
    let file = tame(&path.display().to_string());
    tracing::debug!("{file}, a rotated file, is left alone: {why}");
}

fn beside(log: &Path) -> Vec<Beside> {
    let (Some(name), Ok(entries)) = (log.file_name(), fs::read_dir(folder(log))) else { return Vec::new() };
    let files = entries.take(MOST_FILES).filter_map(|entry| {
        let entry = entry.ok()?;
        let about = entry.metadata().ok().filter(|about| about.is_file())?;
        let suffix = Suffix::of(&entry.file_name(), name);
        (entry.file_name() != name).then(|| Beside { path: entry.path(), about, suffix })
    });
    files.collect()
}

/// The folder that a log and its rotated files are in.
pub(super) fn folder(log: &Path) -> &Path {
    match log.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::tests::stand::logged;

    fn suffix(name: &str) -> Option<Suffix> {
        Suffix::of(OsStr::new(name), OsStr::new("app.log"))
    }

    #[test]
    fn rotated_files_are_told_by_their_names() {
        assert_eq!(suffix("app.log.12"), Some(Suffix::Number(Reverse(12))));
        assert_eq!(suffix("app.log-20261128"), Some(Suffix::Date("20261128".into())));
        assert_eq!(suffix("app.log-2026-11-28T17"), Some(Suffix::Date("2026-11-28T17".into())));
        for other in
            ["app.log", "app.log.", "app.log.1.gz", "app.log.old", "app.log2", "other.log.1", "app.log.-1"]
        {
            assert_eq!(suffix(other), None, "{other}");
        }
    }

    #[test]
    fn the_name_of_a_file_that_is_left_alone_is_one_line_of_the_log() {
        let said =
            logged(|| left_alone(Path::new("app.log.1\nnonsense\u{202e}"), &io::ErrorKind::NotFound.into()));
        assert!(
            said.lines().count() == 1 && said.contains("nonsense") && !said.contains('\u{202e}'),
            "{said}"
        );
    }

    #[test]
    fn of_numbers_the_larger_and_of_dates_the_smaller_is_older() {
        let is_after = |a: &str, b: &str| suffix(a).unwrap().is_after(&suffix(b).unwrap());
        assert!(is_after("app.log.9", "app.log.10") && !is_after("app.log.10", "app.log.9"));
        assert!(is_after("app.log-20261129", "app.log-20261128"));
        assert!(!is_after("app.log.1", "app.log-20261129") && !is_after("app.log-20261129", "app.log.1"));
    }
}
