//! Whoever holds cameras in memory hears of each change in the order of the commits, even when the one who asked for it has
//! gone meanwhile.

use std::{
    fmt,
    sync::{Arc, OnceLock},
};

use oriel_proto::CameraId;

use super::{CameraRecord, Store};

/// What became of a camera.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CameraChange {
    /// It is like this now.
    Is(CameraRecord),
    /// It was removed.
    Removed(CameraId),
}

/// Somebody who is told; called on the writer's thread, so it must not wait.
type Watcher = Box<dyn Fn(CameraChange) + Send + Sync>;

/// The one who is told, once there is one.
#[derive(Clone, Default)]
pub(super) struct Watch(Arc<OnceLock<Watcher>>);

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Watch({})", self.0.get().is_some())
    }
}

impl Watch {
    /// Tells that a camera is like this now.
    pub(super) fn is(&self, record: &CameraRecord) {
        self.tell(|| CameraChange::Is(record.clone()));
    }

    /// Tells that a camera was removed.
    pub(super) fn removed(&self, record: &CameraRecord) {
        self.tell(|| CameraChange::Removed(record.id.clone()));
    }

    fn tell(&self, change: impl FnOnce() -> CameraChange) {
        if let Some(watcher) = self.0.get() {
            watcher(change());
        }
    }
}

impl Store {
    /// Tells `watcher` of each change of a camera from now on, on the writer's thread; only the first watcher is told.
    pub fn watch_cameras(&self, watcher: impl Fn(CameraChange) + Send + Sync + 'static) {
        // A second watcher would be a mistake in the program, and would see nothing.
        debug_assert!(self.watch.0.get().is_none(), "cameras have a watcher already");
        _ = self.watch.0.set(Box::new(watcher));
    }
}
