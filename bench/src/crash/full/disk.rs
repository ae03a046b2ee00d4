//! A small disk of its own, mounted for as long as it is needed.

use std::{
    ffi::OsStr,
    fs::{self, File},
    os::unix::fs::MetadataExt,
    path::PathBuf,
    process::Command,
    thread,
    time::{Duration, Instant},
};

use tempfile::TempDir;

use crate::{
    failure::{Doing, Failure, Result},
    program,
    report::mebibytes,
};

/// A program that was killed closes its files by then.
const FREE_WITHIN: Duration = Duration::from_secs(10);

/// Between two tries to unmount it.
const TRY_EVERY: Duration = Duration::from_millis(50);

/// A mounted disk; unmounted when it is dropped.
#[derive(Debug)]
pub(super) struct SmallDisk {
    folder: TempDir,
    what: String,
    mounted: bool,
}

impl SmallDisk {
    /// Mounts an empty one of about so many bytes: ext4 on a loop device or, where there is none, a piece of memory. Needs root.
    pub(super) fn mount(bytes: u64) -> Result<Self> {
        if fs::metadata("/proc/self")?.uid() != 0 {
            return Err(Failure::new("only root may mount the small disk that this needs"));
        }
        let folder = tempfile::Builder::new().prefix("oriel-bench-disk-").tempdir()?;
        let mut disk = Self { folder, what: String::new(), mounted: false };
        fs::create_dir(disk.path())?;
        let kind = match disk.mount_ext4(bytes) {
            Ok(()) => "ext4 on a loop device".to_owned(),
            Err(failure) => {
                disk.mount_memory(bytes)?;
                format!("tmpfs, for want of a loop device ({failure})")
            }
        };
        disk.mounted = true;
        disk.what = format!("{}, {kind}", mebibytes(bytes));
        Ok(disk)
    }

    /// Where it is mounted.
    pub(super) fn path(&self) -> PathBuf {
        self.folder.path().join("mounted")
    }

    /// How large it is, and of which kind.
    pub(super) fn what(&self) -> &str {
        &self.what
    }

    /// Unmounts it; waits a while for those that have files open.
    pub(super) fn unmount(&mut self) -> Result<()> {
        let until = Instant::now() + FREE_WITHIN;
        while self.mounted {
            match run("umount", [self.path()]) {
                Ok(()) => self.mounted = false,
                Err(failure) if Instant::now() > until => return Err(failure),
                Err(_) => thread::sleep(TRY_EVERY),
            }
        }
        Ok(())
    }

    fn mount_ext4(&self, bytes: u64) -> Result<()> {
        let image = self.folder.path().join("image");
        File::create(&image)?.set_len(bytes)?;
        // Blocks as on larger disks: SQLite makes sure of its shared memory page by page, so with smaller ones its first write to
        // that on a full disk ends the process. Nothing is kept for root, who may be who runs the gateway. Nothing is done later.
        let flags = ["-q", "-F", "-b", "4096", "-m", "0", "-E", "lazy_itable_init=0,lazy_journal_init=0"];
        run("mkfs.ext4", flags.map(OsStr::new).into_iter().chain([image.as_os_str()]))?;
        run("mount", [OsStr::new("-o"), OsStr::new("loop"), image.as_os_str(), self.path().as_os_str()])
    }

    fn mount_memory(&self, bytes: u64) -> Result<()> {
        let size = format!("size={bytes}");
        let flags = ["-t", "tmpfs", "-o", &size, "tmpfs"];
        run("mount", flags.map(OsStr::new).into_iter().chain([self.path().as_os_str()]))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        if self.unmount().is_err() {
            // Nothing more can be done about it when this fails too.
            _ = run("umount", [OsStr::new("-l"), self.path().as_os_str()]);
        }
    }
}

/// Runs a program of the system to its end, which must be a good one.
fn run(name: &str, words: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Result<()> {
    let program = program::installed(name).ok_or_else(|| Failure::new(format!("there is no {name}")))?;
    let output = Command::new(program).args(words).output().doing(name)?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(Failure::new(format!("{name}: {}: {}", output.status, said.trim())))
}
