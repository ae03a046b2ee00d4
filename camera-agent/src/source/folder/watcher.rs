//! What the system tells of a folder: which files were closed or moved in, and when to look through all of it again.

use std::{
    collections::HashSet,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use notify::{
    Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher as _,
    event::{AccessKind, AccessMode, CreateKind, ModifyKind, RenameMode},
};
use tokio::sync::{Notify, mpsc};

use crate::{disk::off_runtime, foreign::tame};

/// Files that may wait to be taken; with more, the folder is looked through instead.
const WAITING: usize = 1_024;

/// Whether this system tells when a file is closed.
const TELLS: bool = cfg!(any(target_os = "linux", target_os = "android"));

/// Watches folders.
#[derive(Debug)]
pub(super) struct Watcher {
    /// None where the system cannot.
    system: Option<Arc<Mutex<RecommendedWatcher>>>,
    watched: HashSet<PathBuf>,
    closed: mpsc::Receiver<PathBuf>,
    again: Arc<Notify>,
    tells: bool,
}

impl Watcher {
    /// Watches nothing yet; `root` is the folder that holds the others.
    pub(super) fn new(root: &Path) -> Self {
        let (closed_tx, closed) = mpsc::channel(WAITING);
        let again = Arc::new(Notify::new());
        let (ring, root) = (again.clone(), root.to_owned());
        let system = notify::recommended_watcher(move |event| tell(event, &root, &closed_tx, &ring));
        let system =
            system.inspect_err(|e| tracing::info!("folders are looked through instead of watched: {e}"));
        let system = system.ok().map(|system| Arc::new(Mutex::new(system)));
        Self { system, watched: HashSet::new(), closed, again, tells: false }
    }

    /// Watches these folders, which may be watched already, and no others.
    pub(super) async fn watch(&mut self, folders: Vec<PathBuf>) {
        let Some(system) = self.system.clone() else { return };
        let mut others = std::mem::replace(&mut self.watched, folders.iter().cloned().collect());
        others.retain(|folder| !self.watched.contains(folder));
        let watched = off_runtime(move || {
            let mut system = system.lock().unwrap_or_else(PoisonError::into_inner);
            // Of one that was removed the system has forgotten it.
            others.iter().for_each(|folder| drop(system.unwatch(folder)));
            folders.iter().try_for_each(|folder| system.watch(folder, RecursiveMode::NonRecursive))
        });
        let watched = watched.await.is_some_and(|watched| {
            watched
                .inspect_err(|e| tracing::debug!("a folder is not watched: {}", tame(&e.to_string())))
                .is_ok()
        });
        self.tells = watched && TELLS;
    }

    /// Whether the system tells of each file once it is whole.
    pub(super) const fn tells(&self) -> bool {
        self.tells
    }

    /// The next file that was closed after writing, or moved in.
    pub(super) async fn closed(&mut self) -> PathBuf {
        match self.closed.recv().await {
            Some(path) => path,
            None => std::future::pending().await,
        }
    }

    /// Rung when the folder must be looked through again.
    pub(super) fn bell(&self) -> Arc<Notify> {
        self.again.clone()
    }
}

/// Passes on what the system tells.
fn tell(event: notify::Result<Event>, root: &Path, closed: &mpsc::Sender<PathBuf>, again: &Notify) {
    let Ok(event) = event else { return again.notify_one() };
    if event.need_rescan() {
        again.notify_one();
    }
    match event.kind {
        EventKind::Access(AccessKind::Close(AccessMode::Write))
        | EventKind::Modify(ModifyKind::Name(RenameMode::To)) => {
            for path in event.paths {
                if closed.try_send(path).is_err() {
                    again.notify_one();
                }
            }
        }
        // Where the folder itself went nobody looks.
        EventKind::Modify(ModifyKind::Name(RenameMode::From))
            if event.paths.iter().any(|path| path == root) =>
        {
            again.notify_one();
        }
        EventKind::Create(CreateKind::Folder) | EventKind::Remove(_) => again.notify_one(),
        EventKind::Create(_) | EventKind::Modify(_) if !TELLS => again.notify_one(),
        _ => {}
    }
}
