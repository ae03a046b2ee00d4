//! Pictures that pass by: each viewer sees the newest when it looks, and the source learns how many a second are wanted.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use super::Picture;

/// Where pictures of one class pass by. It holds the newest one while somebody watches, and none else.
#[derive(Debug)]
pub(super) struct Stage {
    newest: watch::Sender<Option<Picture>>,
    wanted: watch::Sender<f32>,
    /// The pictures a second that each viewer wants.
    rates: Mutex<Vec<f32>>,
}

impl Default for Stage {
    fn default() -> Self {
        Self { newest: watch::Sender::new(None), wanted: watch::Sender::new(0.0), rates: Mutex::default() }
    }
}

impl Stage {
    /// Shows a picture to whoever watches.
    pub(super) fn show(&self, picture: Picture) {
        let rates = self.rates();
        if !rates.is_empty() {
            self.newest.send_replace(Some(picture));
        }
    }

    /// The most pictures a second that a viewer wants; 0 without viewers.
    pub(super) fn wanted(&self) -> watch::Receiver<f32> {
        self.wanted.subscribe()
    }

    /// A viewer of at most so many pictures a second.
    pub(super) fn watch(&self, fps: f32) -> Viewer<'_> {
        let mut newest = self.newest.subscribe();
        // What others see now is new to this one.
        newest.mark_changed();
        self.change(|rates| rates.push(fps));
        Viewer { stage: self, newest, fps }
    }

    fn change(&self, change: impl FnOnce(&mut Vec<f32>)) {
        let mut rates = self.rates();
        change(&mut rates);
        let most = rates.iter().copied().fold(0.0, f32::max);
        self.wanted.send_if_modified(|wanted| {
            let changed = *wanted != most;
            *wanted = most;
            changed
        });
        if rates.is_empty() {
            self.newest.send_replace(None);
        }
    }

    fn rates(&self) -> MutexGuard<'_, Vec<f32>> {
        self.rates.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Somebody who watches; no longer when dropped.
#[derive(Debug)]
pub(crate) struct Viewer<'a> {
    stage: &'a Stage,
    newest: watch::Receiver<Option<Picture>>,
    fps: f32,
}

impl Viewer<'_> {
    /// Waits until there is a picture that was not seen yet.
    pub(crate) async fn wait(&mut self) {
        while self.newest.changed().await.is_ok() {
            if self.newest.borrow().is_some() {
                return;
            }
        }
        // The stage outlives its viewers.
        std::future::pending().await
    }

    /// The newest picture, which counts as seen.
    pub(crate) fn newest(&mut self) -> Option<Picture> {
        self.newest.borrow_and_update().clone()
    }
}

impl Drop for Viewer<'_> {
    fn drop(&mut self) {
        self.stage.change(|rates| {
            if let Some(place) = rates.iter().position(|fps| *fps == self.fps) {
                rates.swap_remove(place);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use oriel_proto::{ImageClass, Timestamp};

    use super::*;
    use crate::pictures::sample::{LEAST, picture};

    #[test]
    fn without_a_viewer_no_picture_is_held() {
        let stage = Stage::default();
        let show = || {
            let jpeg = picture(LEAST, 0);
            stage.show(Picture { class: ImageClass::Main, at: Timestamp::default(), jpeg });
        };
        show();
        assert!(stage.newest.borrow().is_none());
        let viewers = [stage.watch(1.0), stage.watch(1.0)];
        show();
        assert!(viewers.iter().all(|viewer| viewer.newest.borrow().is_some()));
        let [first, last] = viewers;
        drop(first);
        assert!(stage.newest.borrow().is_some() && *stage.wanted().borrow() == 1.0);
        drop(last);
        assert!(stage.newest.borrow().is_none() && *stage.wanted().borrow() == 0.0);
    }
}
