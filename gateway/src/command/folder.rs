//! Files of pictures, and backups: whole under their own names, whatever interrupts us.

use std::{
    fs::{self, File, Permissions, TryLockError},
    io::{self, Read, Seek, SeekFrom, Write},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    time::Duration,
};

use bytes::Bytes;
use oriel_proto::{CameraId, jpeg, limits::IMAGE_TRAILING_BYTES};
use tempfile::NamedTempFile;
use tokio::{task::spawn_blocking, time::sleep};

use super::Failure;
use crate::client::{Listed, TakenAt};

/// What the name of a file begins and ends with that is being written.
const TEMPORARY: (&str, &str) = (".oriel-", ".part");
/// How many letters and digits stand between them.
const CHANCE: usize = 6;
/// What SQLite puts behind the name of a database that it writes.
const JOURNAL: &str = "-journal";

/// What a file has that any program makes: as much as the user's mask lets others have.
const COMMON: u32 = 0o666;
/// What a file has that is nobody else's business.
const PRIVATE: u32 = 0o600;

/// What a picture ends with, and little stands behind it.
const END: [u8; 2] = [0xff, 0xd9];

/// How often, and after which pauses, a folder is asked for that another program has locked: for two seconds.
const LOCK_TRIES: usize = 40;
const LOCK_PAUSE: Duration = Duration::from_millis(50);

/// A folder that pictures or backups are written to.
///
/// Everybody who writes there holds it shared. Who is there alone removes what killed runs have left.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    /// Holds the lock; none on file systems that cannot lock a folder.
    _lock: Option<File>,
}

/// The name of a picture: `<camera>-<YYYYMMDDhhmmss.xxx>.jpeg`, in UTC.
pub(super) fn file_name(camera: &CameraId, at: TakenAt) -> String {
    format!("{camera}-{}.jpeg", at.stamp())
}

impl Folder {
    /// Opens a folder, which is made if it is not there.
    pub(super) async fn make(path: &Path) -> Result<Self, Failure> {
        fs::create_dir_all(path).map_err(|why| failed(path, why))?;
        Self::open(path).await
    }

    /// Opens a folder that is there, and removes what a killed run has left in it.
    pub(super) async fn open(path: &Path) -> Result<Self, Failure> {
        let folder = File::open(path).map_err(|why| failed(path, why))?;
        if folder.try_lock().is_ok() {
            sweep(path).map_err(|why| failed(path, why))?;
        }
        for _ in 0..LOCK_TRIES {
            let lock = match folder.try_lock_shared() {
                Ok(()) => Some(folder),
                Err(TryLockError::Error(_)) => None,
                Err(TryLockError::WouldBlock) => {
                    sleep(LOCK_PAUSE).await;
                    continue;
                }
            };
            return Ok(Self { path: path.to_owned(), _lock: lock });
        }
        Err(failed(path, io::Error::other("another program has locked this folder")))
    }

    /// Writes a picture under this name, in place of what was there; when that is done it is also on the disk.
    pub(super) async fn keep(&self, name: impl AsRef<Path>, jpeg: Bytes) -> Result<(), Failure> {
        self.put(name.as_ref(), jpeg, true).await
    }

    /// The same, without waiting for the disk.
    pub(super) async fn show(&self, name: impl AsRef<Path>, jpeg: Bytes) -> Result<(), Failure> {
        self.put(name.as_ref(), jpeg, false).await
    }

    async fn put(&self, name: &Path, jpeg: Bytes, is_durable: bool) -> Result<(), Failure> {
        let (folder, path) = (self.path.clone(), self.path.join(name));
        // A write that has begun ends, and removes its temporary file if it fails, also when nobody waits any more.
        let written = spawn_blocking({
            let path = path.clone();
            move || write(&folder, &path, &jpeg, is_durable)
        });
        match written.await {
            Ok(written) => written.map_err(|why| failed(&path, why)),
            Err(why) => Err(failed(&path, io::Error::other(why))),
        }
    }

    /// An empty file that only its owner can read; it is gone when this is dropped before it has a name.
    pub(super) fn begin(&self) -> Result<NamedTempFile, Failure> {
        temporary(&self.path, PRIVATE).map_err(|why| failed(&self.path, why))
    }

    /// Gives a file that is on the disk a name that nothing here has, and has the name on the disk too.
    pub(super) fn settle(&self, file: NamedTempFile, name: impl AsRef<Path>) -> Result<(), Failure> {
        let path = self.path.join(name);
        file.persist_noclobber(&path).map_err(|why| failed(&path, why.error))?;
        match File::open(&self.path).and_then(|folder| folder.sync_all()) {
            // File systems of other machines often cannot.
            Err(why) if why.kind() == io::ErrorKind::InvalidInput => Ok(()),
            synced => synced.map_err(|why| failed(&path, why)),
        }
    }

    /// Those of these pictures of a camera that are not here, or not whole.
    pub(super) async fn lacks(&self, camera: CameraId, listed: Vec<Listed>) -> Result<Vec<Listed>, Failure> {
        let folder = self.path.clone();
        let lacks = spawn_blocking(move || {
            let is_there = |one: &Listed| is_whole(&folder.join(file_name(&camera, one.at)), one.bytes);
            listed.into_iter().filter(|one| !is_there(one)).collect()
        });
        lacks.await.map_err(|why| Failure::Runtime(io::Error::other(why)))
    }
}

/// Whether a file is a picture of this size, as far as its beginning and its end tell.
fn is_whole(path: &Path, bytes: u64) -> bool {
    let read = || -> io::Result<bool> {
        if !fs::symlink_metadata(path)?.is_file() {
            return Ok(false);
        }
        let mut file = File::open(path)?;
        let mut head = [0; 3];
        if file.metadata()?.len() != bytes {
            return Ok(false);
        }
        file.read_exact(&mut head)?;
        file.seek(SeekFrom::Start(bytes.saturating_sub(IMAGE_TRAILING_BYTES as u64 + END.len() as u64)))?;
        let mut tail = Vec::new();
        file.take(bytes).read_to_end(&mut tail)?;
        Ok(jpeg::begins(&head) && tail.windows(END.len()).any(|bytes| bytes == END))
    };
    read().unwrap_or(false)
}

fn write(folder: &Path, path: &Path, jpeg: &[u8], is_durable: bool) -> io::Result<()> {
    let mut file = temporary(folder, COMMON)?;
    file.write_all(jpeg)?;
    if is_durable {
        file.as_file().sync_all()?;
    }
    file.persist(path)?;
    Ok(())
}

/// A file under a temporary name.
fn temporary(folder: &Path, mode: u32) -> io::Result<NamedTempFile> {
    tempfile::Builder::new()
        .prefix(TEMPORARY.0)
        .suffix(TEMPORARY.1)
        .rand_bytes(CHANCE)
        .permissions(Permissions::from_mode(mode))
        .tempfile_in(folder)
}

/// Removes the files that a killed run was writing, as far as they are ours to remove.
fn sweep(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let is_left = entry.file_type()?.is_file() && entry.file_name().to_str().is_some_and(is_temporary);
        if is_left && let Err(error) = fs::remove_file(entry.path()) {
            tracing::debug!(%error, "what a killed run was writing stays");
        }
    }
    Ok(())
}

fn is_temporary(name: &str) -> bool {
    let name = name.strip_suffix(JOURNAL).unwrap_or(name);
    let chance = name.strip_prefix(TEMPORARY.0).and_then(|rest| rest.strip_suffix(TEMPORARY.1));
    chance.is_some_and(|chance| {
        chance.len() == CHANCE && chance.bytes().all(|byte| byte.is_ascii_alphanumeric())
    })
}

fn failed(path: &Path, why: io::Error) -> Failure {
    Failure::File { path: path.display().to_string(), why }
}

#[cfg(test)]
mod tests {
    use super::*;

    const JPEG: &[u8] = &[0xff, 0xd8, 0xff, 0xe0, 1, 2, 3, 0xff, 0xd9];

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn only_a_whole_file_of_the_right_size_is_taken_for_a_picture() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a");
        let long = [&JPEG[..7], &vec![1; 200_000], &JPEG[7..]].concat();
        for (bytes, size, is) in [
            (JPEG.to_vec(), 9, true),
            (JPEG.to_vec(), 10, false),
            (vec![0; 9], 9, false),
            (long.clone(), long.len(), true),
            (long[..100_000].to_vec(), 100_000, false),
            (vec![], 0, false),
        ] {
            fs::write(&file, &bytes).unwrap();
            assert_eq!(is_whole(&file, size as u64), is, "{size} of {}", bytes.len());
        }
        assert!(!is_whole(folder.path(), 9) && !is_whole(&folder.path().join("b"), 9));
    }

    #[test]
    fn a_picture_that_cannot_get_its_name_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        fs::create_dir_all(path.join("taken/inside")).unwrap();
        assert!(write(path, &path.join("taken"), JPEG, true).is_err());
        assert_eq!(names(path), ["taken"]);
        fs::write(path.join("there"), "old").unwrap();
        write(path, &path.join("there"), JPEG, false).unwrap();
        assert_eq!((names(path).len(), fs::read(path.join("there")).unwrap()), (2, JPEG.to_vec()));
    }

    #[tokio::test]
    async fn what_a_killed_run_left_is_removed_by_who_comes_alone() {
        let folder = tempfile::tempdir().unwrap();
        let others =
            [".oriel-abc.part", ".oriel-abcde/.part", ".oriel-abc-ef.part", "oriel-abcdef.part-journal"];
        let others = others.map(|name| name.replace('/', "_"));
        let left = [".oriel-aB3dEf.part", ".oriel-aB3dEf.part-journal"];
        for name in others.iter().map(String::as_str).chain(left) {
            fs::write(folder.path().join(name), "").unwrap();
        }
        fs::create_dir(folder.path().join(".oriel-folder.part")).unwrap();
        let first = Folder::make(folder.path()).await.unwrap();
        assert_eq!(names(folder.path()).len(), others.len() + 1);
        fs::write(folder.path().join(".oriel-aB3dEf.part"), "").unwrap();
        let second = Folder::open(folder.path()).await.unwrap();
        assert_eq!(names(folder.path()).len(), others.len() + 2, "another one is writing it");
        drop((first, second));
        Folder::open(folder.path()).await.unwrap();
        assert_eq!(names(folder.path()).len(), others.len() + 1);
    }
}
