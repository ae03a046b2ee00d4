//! Cameras that somebody follows: while they are connected, those that leave their log on the device upload it as it is written.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use oriel_proto::CameraId;

use super::Registry;

/// How many follow each camera.
#[derive(Debug, Default)]
pub(super) struct Watched(Mutex<HashMap<CameraId, usize>>);

/// Somebody follows a camera, until this is dropped.
#[derive(Debug)]
pub struct Watch {
    registry: Registry,
    camera: CameraId,
}

impl Watched {
    /// Held while an agent is told, so that it hears the last word last.
    fn lock(&self) -> MutexGuard<'_, HashMap<CameraId, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Registry {
    /// Follows a camera, connected or not.
    pub fn watch(&self, camera: CameraId) -> Watch {
        let mut watched = self.0.watched.lock();
        let count = watched.entry(camera.clone()).or_default();
        *count += 1;
        if *count == 1 {
            self.tell_watch(&camera, true);
        }
        drop(watched);
        Watch { registry: self.clone(), camera }
    }

    /// Tells the link that serves a camera from now on, if somebody follows it.
    pub fn watch_anew(&self, camera: &CameraId) {
        if self.0.watched.lock().contains_key(camera) {
            self.tell_watch(camera, true);
        }
    }

    fn tell_watch(&self, camera: &CameraId, on: bool) {
        if let Some(presence) = self.0.cameras.get(camera).filter(|presence| !presence.live) {
            presence.link.watch(camera.clone(), on);
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let mut watched = self.registry.0.watched.lock();
        if let Some(count) = watched.get_mut(&self.camera) {
            *count -= 1;
            if *count == 0 {
                watched.remove(&self.camera);
                self.registry.tell_watch(&self.camera, false);
            }
        }
    }
}
