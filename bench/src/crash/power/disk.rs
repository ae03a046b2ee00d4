//! A disk whose power can be cut: `powercut`, the program beside this one, as a process.

use std::{
    fs::{self, File},
    path::PathBuf,
    process::{self as std_process, Stdio},
    thread,
    time::{Duration, Instant},
};

use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, BufReader, Lines},
    process::{Child, ChildStdout, Command},
    time::timeout,
};

use crate::{
    failure::{Doing, Failure, Result},
    gateway::beside,
    process,
    report::mebibytes,
};

/// How long each sync takes, in milliseconds, as on a good disk: otherwise the power would hardly ever fail in the middle of one.
const SYNC_TAKES: &str = "2";

/// Longer than any word of the program takes.
const SAYS_WITHIN: Duration = Duration::from_secs(30);

/// Longer than the program waits for those that have files open.
const ENDS_WITHIN: Duration = Duration::from_secs(15);

/// Between two looks whether it has ended.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// A mounted disk; unmounted when it is dropped.
#[derive(Debug)]
pub(super) struct Disk {
    child: Child,
    said: Lines<BufReader<ChildStdout>>,
    folder: TempDir,
    loss: Loss,
}

/// What cuts took, and what they left by chance.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Loss {
    lost_bytes: u64,
    lost_pages: u64,
    kept_pages: u64,
    lost_changes: u64,
    kept_changes: u64,
}

impl Disk {
    /// Mounts an empty disk; if it lies it says that it synced and does not. `seed` decides what cuts keep by chance.
    pub(super) async fn mount(seed: u64, lies: bool) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("oriel-bench-disk-").tempdir()?;
        let [backing, mountpoint] = ["backing", "mounted"].map(|name| folder.path().join(name));
        fs::create_dir(&backing)?;
        fs::create_dir(&mountpoint)?;
        let mut command = Command::new(beside("powercut")?);
        command.arg(&backing).arg(&mountpoint).args(["--sync-takes", SYNC_TAKES]);
        command.args(["--seed", &seed.to_string()]).args(lies.then_some("--lie"));
        let errors = File::create(folder.path().join("errors"))?;
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(errors)
            .spawn()
            .doing("starting powercut")?;
        let said = child.stdout.take().ok_or_else(|| Failure::new("a process without pipes"))?;
        let mut disk = Self { child, said: BufReader::new(said).lines(), folder, loss: Loss::default() };
        disk.hear("serving")
            .await
            .doing("without /dev/fuse, and root or fusermount3, there is no such disk")?;
        Ok(disk)
    }

    /// Where it is mounted.
    pub(super) fn path(&self) -> PathBuf {
        self.folder.path().join("mounted")
    }

    /// Lets the power fail: everything that is asked of it, or not answered yet, fails until the cut.
    pub(super) async fn fail(&mut self) -> Result<()> {
        self.signal("PWR")?;
        self.hear("failed").await.map(drop)
    }

    /// Cuts the power: what was not synced is gone, but for what is kept by chance.
    pub(super) async fn cut(&mut self) -> Result<()> {
        self.signal("USR1")?;
        let said = self.hear("cut").await?;
        self.loss.add(&said)
    }

    /// What all cuts took so far.
    pub(super) const fn loss(&self) -> Loss {
        self.loss
    }

    /// Unmounts it; gives what it has counted.
    pub(super) async fn unmount(mut self) -> Result<String> {
        self.signal("TERM")?;
        self.hear("unmounted").await
    }

    fn signal(&self, name: &str) -> Result<()> {
        process::signal(self.child.id().unwrap_or_default(), name).doing("powercut")
    }

    /// Waits for the line that begins with `word`; gives the rest of it.
    async fn hear(&mut self, word: &str) -> Result<String> {
        let said = timeout(SAYS_WITHIN, self.said.next_line()).await;
        let said = said.map_err(|_| Failure::new(format!("powercut does not say {word:?}")))??;
        let Some(said) = said else {
            let errors = fs::read_to_string(self.folder.path().join("errors"))?;
            let status = self.child.wait().await?;
            return Err(Failure::new(format!("the disk ended with {status}: {}", errors.trim())));
        };
        match said.strip_prefix(word) {
            Some(rest) => Ok(rest.trim().to_owned()),
            None => Err(Failure::new(format!("powercut says {said:?} instead of {word:?}"))),
        }
    }

    /// Whether it has ended by then, well.
    fn has_ended(&mut self, within: Duration) -> bool {
        let until = Instant::now() + within;
        loop {
            match self.child.try_wait() {
                Ok(Some(status)) => return status.success(),
                Ok(None) if Instant::now() < until => thread::sleep(LOOK_EVERY),
                _ => return false,
            }
        }
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // It unmounts before it ends, and must before the folder is removed.
        if self.child.id().is_some() && self.signal("TERM").is_ok() && self.has_ended(ENDS_WITHIN) {
            return;
        }
        // Nothing more can be done about it when this fails, or is not needed.
        _ = self.child.start_kill();
        _ = std_process::Command::new("umount").arg("-l").arg(self.path()).stderr(Stdio::null()).status();
    }
}

impl Loss {
    /// Adds what a cut says of itself: `n=N lost_bytes=N lost_pages=N …`.
    fn add(&mut self, said: &str) -> Result<()> {
        for (name, value) in said.split_whitespace().filter_map(|word| word.split_once('=')) {
            let value: u64 = value.parse().doing(said)?;
            match name {
                "lost_bytes" => self.lost_bytes += value,
                "lost_pages" => self.lost_pages += value,
                "kept_pages" => self.kept_pages += value,
                "lost_changes" => self.lost_changes += value,
                "kept_changes" => self.kept_changes += value,
                _ => {}
            }
        }
        Ok(())
    }

    /// What is gone, for people.
    pub(super) fn lost(&self) -> String {
        let Self { lost_bytes, lost_pages, lost_changes, .. } = self;
        format!("{} in {lost_pages} pages, {lost_changes} changes of names", mebibytes(*lost_bytes))
    }

    /// What was not synced and is there, for people.
    pub(super) fn kept(&self) -> String {
        let Self { kept_pages, kept_changes, .. } = self;
        format!("{kept_pages} pages, {kept_changes} changes of names")
    }

    /// Whether nothing at all was lost.
    pub(super) fn is_nothing(&self) -> bool {
        self.lost_pages + self.lost_changes == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cuts_say_is_added_up() {
        let mut loss = Loss::default();
        assert!(loss.is_nothing());
        for _ in 0..2 {
            let said = "n=1 lost_bytes=4096 lost_pages=1 kept_pages=2 lost_changes=3 kept_changes=4";
            loss.add(said).unwrap();
        }
        let all = Loss { lost_bytes: 8_192, lost_pages: 2, kept_pages: 4, lost_changes: 6, kept_changes: 8 };
        assert!(loss == all && !loss.is_nothing());
        assert!(loss.add("lost_bytes=many").is_err());
    }
}
