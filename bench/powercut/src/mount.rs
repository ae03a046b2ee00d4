//! Mounting the folder, cutting its power, and unmounting it.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError, mpsc},
    time::Duration,
};

use fuser::{BackgroundSession, Config, MountOption, SessionACL};
use rustix::mount::UnmountFlags;

use crate::{
    figures::{Figures, Loss},
    serve::{Served, lock},
    world::World,
};

/// The kernel's door to file systems in programs.
const DEVICE: &str = "/dev/fuse";

/// How long those that have files open may go on with them after unmounting, before they are left to themselves.
const CLOSED_WITHIN: Duration = Duration::from_secs(10);

/// Threads that answer the kernel, so that a slow sync does not hold up those who read.
const THREADS: usize = 4;

/// What kind of disk it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Manner {
    /// Decides what cuts keep by chance.
    pub seed: u64,
    /// How long each sync takes; if it is not zero, a power failure can come in the middle of one.
    pub sync_takes: Duration,
    /// Whether it says that it synced and does not: what programs do not survive on it, they can be seen losing.
    pub lies: bool,
}

/// A mounted folder that forgets what was not fsynced; unmounted when it is dropped.
#[derive(Debug)]
pub struct PowerCut {
    session: Option<BackgroundSession>,
    world: Arc<Mutex<World>>,
    ended_rx: Mutex<mpsc::Receiver<io::Result<()>>>,
    mountpoint: PathBuf,
}

impl PowerCut {
    /// Shows the folder `backing` at the folder `mountpoint`; `seed` decides what cuts keep by chance.
    ///
    /// Needs `/dev/fuse`, and root or the program `fusermount3`. Fails with `InvalidInput` when one of the folders is inside the
    /// other, and with `Unsupported` when `backing` holds anything but files and folders.
    pub fn mount(backing: &Path, mountpoint: &Path, seed: u64) -> io::Result<Self> {
        Self::mount_as(backing, mountpoint, Manner { seed, ..Manner::default() })
    }

    /// The same, as a disk of another manner.
    pub fn mount_as(backing: &Path, mountpoint: &Path, manner: Manner) -> io::Result<Self> {
        if !Path::new(DEVICE).exists() {
            let why = format!(
                "there is no {DEVICE}: load the kernel's module (modprobe fuse), or give it to the container"
            );
            return Err(io::Error::new(io::ErrorKind::NotFound, why));
        }
        let (backing, mountpoint) = (folder(backing)?, folder(mountpoint)?);
        if backing.starts_with(&mountpoint) || mountpoint.starts_with(&backing) {
            let why = format!("{} and {} are inside each other", backing.display(), mountpoint.display());
            return Err(io::Error::new(io::ErrorKind::InvalidInput, why));
        }
        let world = Arc::new(Mutex::new(World::new(backing, manner.seed, manner.lies)?));
        let (ended_tx, ended_rx) = mpsc::channel();
        let served = Served::new(Arc::clone(&world), manner.sync_takes, ended_tx);
        let session = fuser::spawn_mount(served, &mountpoint, &config())
            .map_err(|e| named(&mountpoint, &format!("cannot be mounted over: {e}"), e.kind()))?;
        Ok(Self { session: Some(session), world, ended_rx: Mutex::new(ended_rx), mountpoint })
    }

    /// Lets the power fail: everything that is asked from now on, or is not answered yet, fails with `EIO` until the cut.
    ///
    /// So a program that is still running when the power goes can be killed before the disk is there again.
    pub fn fail(&self) {
        lock(&self.world).fail();
    }

    /// Cuts the power: what was not synced is dropped, but for pages and names that are kept by chance.
    ///
    /// Fails when the backing folder cannot be written or read.
    pub fn cut(&self) -> io::Result<Loss> {
        lock(&self.world).cut(true)
    }

    /// Cuts the power, and everything that was not synced is dropped.
    ///
    /// Fails when the backing folder cannot be read.
    pub fn cut_clean(&self) -> io::Result<Loss> {
        lock(&self.world).cut(false)
    }

    /// What programs have done so far.
    pub fn figures(&self) -> Figures {
        lock(&self.world).figures()
    }

    /// Unmounts the folder; what was not synced becomes durable, as at every unmounting.
    ///
    /// Fails with `TimedOut` when programs have files open and do not close them within ten seconds.
    pub fn unmount(mut self) -> io::Result<()> {
        self.end()
    }

    fn end(&mut self) -> io::Result<()> {
        let Some(session) = self.session.take() else { return Ok(()) };
        // At once for those that come, later for those that have files open: otherwise one of them would keep it mounted for ever.
        let detached = rustix::mount::unmount(&self.mountpoint, UnmountFlags::DETACH);
        let ended_rx = self.ended_rx.lock().unwrap_or_else(PoisonError::into_inner);
        if detached.is_err() {
            // Only fusermount3 may do it for those that are not root.
            session.umount_and_join()?;
            return ended_rx.try_recv().unwrap_or(Ok(()));
        }
        match ended_rx.recv_timeout(CLOSED_WITHIN) {
            Ok(synced) => session.join().and(synced),
            Err(_) => Err(named(&self.mountpoint, "is still in use", io::ErrorKind::TimedOut)),
        }
    }
}

impl Drop for PowerCut {
    fn drop(&mut self) {
        // Whoever wants to hear of it unmounts.
        let _ = self.end();
    }
}

fn config() -> Config {
    let mut config = Config::default();
    config.mount_options =
        vec![MountOption::FSName("powercut".into()), MountOption::DefaultPermissions, MountOption::NoAtime];
    config.n_threads = Some(THREADS);
    // Programs may run as somebody else, which only root may allow.
    config.acl = if rustix::process::geteuid().is_root() { SessionACL::All } else { SessionACL::Owner };
    config
}

fn folder(path: &Path) -> io::Result<PathBuf> {
    let found = fs::metadata(path).map_err(|e| match e.kind() {
        io::ErrorKind::NotConnected => {
            named(path, "is left over from a program that was killed: umount -l it", e.kind())
        }
        kind => named(path, &format!("cannot be used: {e}"), kind),
    })?;
    if !found.is_dir() {
        return Err(named(path, "is not a folder", io::ErrorKind::NotADirectory));
    }
    fs::canonicalize(path)
}

fn named(path: &Path, why: &str, kind: io::ErrorKind) -> io::Error {
    io::Error::new(kind, format!("{} {why}", path.display()))
}
