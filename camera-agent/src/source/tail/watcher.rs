//! Rings when something happens to a log's files, where the system tells; the log is looked at from time to time anyway.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::Notify;

use crate::{disk::off_runtime, foreign::tame};

/// Watches the folder of a log.
#[derive(Debug)]
pub(super) struct Watcher {
    folder: PathBuf,
    /// None where the system cannot.
    system: Option<Arc<Mutex<RecommendedWatcher>>>,
    bell: Arc<Notify>,
}

impl Watcher {
    /// Watches nothing yet.
    pub(super) fn new(folder: &Path) -> Self {
        let bell = Arc::new(Notify::new());
        let ring = bell.clone();
        let system = notify::recommended_watcher(move |event: notify::Result<Event>| {
            // To read a file is an event too.
            if !matches!(event, Ok(Event { kind: EventKind::Access(_), .. })) {
                ring.notify_one();
            }
        });
        let system = system.inspect_err(|e| tracing::info!("logs are looked at instead of watched: {e}"));
        Self {
            folder: folder.to_owned(),
            system: system.ok().map(|system| Arc::new(Mutex::new(system))),
            bell,
        }
    }

    /// Watches the folder, which may be watched already; false when that is not possible.
    pub(super) async fn watch(&self) -> bool {
        let Some(system) = self.system.clone() else { return false };
        let folder = self.folder.clone();
        let watched = off_runtime(move || {
            let mut system = system.lock().unwrap_or_else(PoisonError::into_inner);
            system.watch(&folder, RecursiveMode::NonRecursive)
        });
        watched.await.is_some_and(|watched| {
            watched
                .inspect_err(|e| tracing::debug!("a log's folder is not watched: {}", tame(&e.to_string())))
                .is_ok()
        })
    }

    /// Waits until something has happened.
    pub(super) async fn rung(&self) {
        self.bell.notified().await;
    }
}
