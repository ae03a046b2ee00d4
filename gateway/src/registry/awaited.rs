//! Cameras that somebody waits for.

use std::sync::Arc;

use dashmap::DashMap;
use oriel_proto::CameraId;
use tokio::sync::{Notify, futures::Notified};

/// The cameras that somebody waits for; empty nearly always.
#[derive(Debug, Default)]
pub(super) struct Awaited(DashMap<CameraId, Arc<Notify>>);

impl Awaited {
    /// Begins to wait for a camera.
    pub(super) fn wait<'a>(&'a self, camera: &'a CameraId) -> Waiting<'a> {
        let news = Arc::clone(&self.0.entry(camera.clone()).or_default());
        Waiting { awaited: self, camera, news }
    }

    /// How many cameras are waited for.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Wakes everybody who waits for a camera. To be called once it can be found.
    pub(super) fn came(&self, camera: &CameraId) {
        if let Some((_, news)) = self.0.remove(camera) {
            news.notify_waiters();
        }
    }
}

/// One who waits; the last one takes the camera out again.
pub(super) struct Waiting<'a> {
    awaited: &'a Awaited,
    camera: &'a CameraId,
    news: Arc<Notify>,
}

impl Waiting<'_> {
    /// Ends when the camera comes after this was made and enabled.
    pub(super) fn news(&self) -> Notified<'_> {
        self.news.notified()
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        // One in the map, one here.
        let last = |news: &Arc<Notify>| Arc::ptr_eq(news, &self.news) && Arc::strong_count(news) == 2;
        self.awaited.0.remove_if(self.camera, |_, news| last(news));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_no_longer_waits_leaves_nothing_behind() {
        let (awaited, camera) = (Awaited::default(), "porch".parse().expect("an id"));
        let (one, two) = (awaited.wait(&camera), awaited.wait(&camera));
        drop(one);
        assert_eq!(awaited.len(), 1);
        drop(two);
        assert!(awaited.0.is_empty());
        let late = awaited.wait(&camera);
        awaited.came(&camera);
        let again = awaited.wait(&camera);
        drop(late);
        assert_eq!(awaited.len(), 1, "an older one does not take out a newer one");
        drop(again);
        assert!(awaited.0.is_empty());
    }
}
