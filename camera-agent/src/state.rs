//! The state folder: one agent's identity, its count of dials, and its tokens.

mod file;
mod tokens;

use std::{
    fs::{File, TryLockError},
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use oriel_proto::{CameraId, InstanceId};

pub(crate) use self::tokens::{Token, Tokens};
use crate::disk::off_runtime;

/// Why a state folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// Reading or writing failed.
    #[error("the state folder cannot be used: {}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Another agent uses the folder now.
    #[error("the state folder {} is used by another camera-agent", .0.display())]
    InUse(PathBuf),
    /// A file does not hold what it should.
    #[error("{} does not hold {expected}", path.display())]
    Broken {
        /// The file.
        path: PathBuf,
        /// What it should hold.
        expected: &'static str,
    },
    /// The program is stopping.
    #[error("the program is stopping")]
    Stopping,
}

/// An open state folder; locked until the last clone is dropped.
#[derive(Clone, Debug)]
pub(crate) struct State {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    folder: PathBuf,
    identity: Mutex<Identity>,
    _lock: File,
}

#[derive(Clone, Copy, Debug)]
struct Identity {
    instance: InstanceId,
    generation: u64,
}

impl State {
    /// Opens or makes the folder and locks it against other agents.
    pub(crate) async fn open(folder: &Path) -> Result<Self, StateError> {
        let folder = folder.to_owned();
        blocking(move || {
            for made in [folder.clone(), folder.join("tokens"), folder.join("cameras")] {
                file::make_folder(&made)?;
            }
            // Logs of a camera are nobody else's business either.
            file::private_folder(&folder)?;
            file::private_folder(&folder.join("tokens"))?;
            let lock = lock(&folder)?;
            let identity = Identity { instance: instance(&folder)?, generation: generation(&folder)? };
            Ok(Self { shared: Arc::new(Shared { folder, identity: Mutex::new(identity), _lock: lock }) })
        })
        .await
    }

    /// The identity for the next dial: the generation is one higher than ever before, and on disk. A disk that takes no more does
    /// not keep a running agent from dialling: the count goes on in memory.
    pub(crate) async fn next_dial(&self) -> Result<(InstanceId, u64), StateError> {
        let shared = self.shared.clone();
        blocking(move || {
            let mut identity = shared.identity.lock().unwrap_or_else(PoisonError::into_inner);
            let generation = identity.generation.saturating_add(1);
            let path = shared.folder.join("generation");
            if let Err(error) = file::write(&path, generation.to_string().as_bytes()) {
                tracing::warn!(%error, "the count of dials cannot be written, and goes on in memory");
            }
            identity.generation = generation;
            Ok((identity.instance, generation))
        })
        .await
    }

    /// Becomes another instance, because a copy of this folder is in use elsewhere.
    pub(crate) async fn renew_instance(&self) -> Result<InstanceId, StateError> {
        let shared = self.shared.clone();
        blocking(move || {
            let instance = InstanceId::new();
            file::write(&shared.folder.join("instance"), instance.to_string().as_bytes())?;
            shared.identity.lock().unwrap_or_else(PoisonError::into_inner).instance = instance;
            Ok(instance)
        })
        .await
    }

    /// The tokens for the gateway at `url`.
    pub(crate) fn tokens(&self, url: &url::Url) -> Tokens {
        Tokens::new(&self.shared.folder.join("tokens"), url)
    }

    /// The tokens for the gateway at `url` in a folder that another process may have locked; makes the folder.
    pub(crate) async fn tokens_in(folder: &Path, url: &url::Url) -> Result<Tokens, StateError> {
        let (folder, url) = (folder.join("tokens"), url.clone());
        blocking(move || {
            file::make_folder(&folder)?;
            file::private_folder(&folder)?;
            Ok(Tokens::new(&folder, &url))
        })
        .await
    }

    /// Where the log of a camera is kept.
    pub(crate) fn spool(&self, camera: &CameraId) -> PathBuf {
        self.shared.folder.join("cameras").join(format!("{camera}.db"))
    }

    /// Where the pictures of a camera are kept.
    pub(crate) fn images(&self, camera: &CameraId) -> PathBuf {
        self.shared.folder.join("images").join(camera.as_str())
    }
}

fn lock(folder: &Path) -> Result<File, StateError> {
    let path = folder.join("lock");
    let file = File::options().create(true).truncate(false).write(true).open(&path).map_err(failed(&path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(StateError::InUse(folder.to_owned())),
        Err(TryLockError::Error(source)) => Err(StateError::Io { path, source }),
    }
}

fn instance(folder: &Path) -> Result<InstanceId, StateError> {
    let path = folder.join("instance");
    match file::read(&path)? {
        Some(text) => text.trim().parse().map_err(|_| StateError::Broken { path, expected: "a UUID" }),
        None => {
            let instance = InstanceId::new();
            file::write(&path, instance.to_string().as_bytes())?;
            Ok(instance)
        }
    }
}

fn generation(folder: &Path) -> Result<u64, StateError> {
    let path = folder.join("generation");
    let Some(text) = file::read(&path)? else { return Ok(0) };
    text.trim().parse().map_err(|_| StateError::Broken { path, expected: "a number" })
}

fn failed(path: &Path) -> impl FnOnce(io::Error) -> StateError {
    let path = path.to_owned();
    move |source| StateError::Io { path, source }
}

/// Runs `work` off the runtime.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StateError> + Send + 'static,
) -> Result<T, StateError> {
    off_runtime(work).await.unwrap_or(Err(StateError::Stopping))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn two_agents_cannot_share_a_folder() {
        let dir = tempfile::tempdir().unwrap();
        let first = State::open(dir.path()).await.unwrap();
        assert!(matches!(State::open(dir.path()).await, Err(StateError::InUse(_))));
        drop(first);
        State::open(dir.path()).await.unwrap();
    }

    #[tokio::test]
    async fn each_dial_is_one_higher_also_after_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let state = State::open(dir.path()).await.unwrap();
        let (instance, first) = state.next_dial().await.unwrap();
        assert_eq!((first, state.next_dial().await.unwrap().1), (1, 2));
        drop(state);
        let state = State::open(dir.path()).await.unwrap();
        assert_eq!(state.next_dial().await.unwrap(), (instance, 3));
    }

    #[tokio::test]
    async fn a_full_disk_does_not_keep_a_running_agent_from_dialling() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("state");
        let state = State::open(&folder).await.unwrap();
        state.next_dial().await.unwrap();
        std::fs::remove_dir_all(&folder).unwrap();
        assert_eq!(state.next_dial().await.unwrap().1, 2);
    }

    #[tokio::test]
    async fn a_cloned_state_becomes_another_instance_for_good() {
        let dir = tempfile::tempdir().unwrap();
        let state = State::open(dir.path()).await.unwrap();
        let (old, _) = state.next_dial().await.unwrap();
        let new = state.renew_instance().await.unwrap();
        assert_ne!(old, new);
        drop(state);
        assert_eq!(State::open(dir.path()).await.unwrap().next_dial().await.unwrap().0, new);
    }
}
