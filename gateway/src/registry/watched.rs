//! Cameras that somebody watches: while they are connected, they tell of their new pictures, and those that leave their log on the
//! device upload it as it is written.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Mutex, MutexGuard, PoisonError},
};

use oriel_proto::{CameraId, ImageClass, Timestamp, frame};

use super::Registry;

/// What is wanted of a camera that somebody watches.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wish {
    /// Its events as they are written.
    pub events: bool,
    /// Word of new pictures of these series.
    pub classes: Vec<ImageClass>,
}

/// A camera has a new picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fresh {
    /// Whose.
    pub camera: CameraId,
    /// Of which series.
    pub class: ImageClass,
    /// When it was taken.
    pub at: Timestamp,
}

/// How many want what of each camera.
#[derive(Debug, Default)]
pub(super) struct Watched(Mutex<HashMap<CameraId, Counts>>);

#[derive(Debug, Default)]
struct Counts {
    events: usize,
    classes: BTreeMap<ImageClass, usize>,
}

impl Counts {
    fn add(&mut self, wish: &Wish) {
        self.events += usize::from(wish.events);
        for class in &wish.classes {
            *self.classes.entry(class.clone()).or_default() += 1;
        }
    }

    fn take(&mut self, wish: &Wish) {
        self.events -= usize::from(wish.events);
        for class in &wish.classes {
            if let Some(count) = self.classes.get_mut(class) {
                *count -= 1;
            }
        }
        self.classes.retain(|_, count| *count > 0);
    }

    fn all(&self) -> Wish {
        Wish { events: self.events > 0, classes: self.classes.keys().cloned().collect() }
    }
}

/// Somebody watches a camera, until this is dropped.
#[derive(Debug)]
pub struct Watch {
    registry: Registry,
    camera: CameraId,
    wish: Wish,
}

impl Watched {
    /// Held while an agent is told, so that it hears the last word last.
    fn lock(&self) -> MutexGuard<'_, HashMap<CameraId, Counts>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Registry {
    /// Watches a camera, connected or not.
    pub fn watch(&self, camera: CameraId, wish: Wish) -> Watch {
        let mut watched = self.0.watched.lock();
        let counts = watched.entry(camera.clone()).or_default();
        let before = counts.all();
        counts.add(&wish);
        self.tell_watch(&camera, &before, &counts.all());
        drop(watched);
        Watch { registry: self.clone(), camera, wish }
    }

    /// Tells the link that serves a camera from now on, if somebody watches it.
    pub fn watch_anew(&self, camera: &CameraId) {
        if let Some(counts) = self.0.watched.lock().get(camera) {
            self.tell_watch(camera, &Wish::default(), &counts.all());
        }
    }

    /// Passes on that a camera has a new picture, to those who want to hear it; what nobody wants to hear is nothing.
    pub fn fresh(&self, fresh: Fresh) {
        let watched = self.0.watched.lock();
        if watched.get(&fresh.camera).is_some_and(|counts| counts.classes.contains_key(&fresh.class)) {
            // Nobody listening is no failure.
            _ = self.0.fresh.send(fresh);
        }
    }

    /// New pictures of watched cameras, as it happens. A listener that falls behind hears of later ones.
    pub fn fresh_pictures(&self) -> tokio::sync::broadcast::Receiver<Fresh> {
        self.0.fresh.subscribe()
    }

    /// Tells a camera's link what is wanted now, if that is something else for it than before.
    fn tell_watch(&self, camera: &CameraId, before: &Wish, now: &Wish) {
        let Some(presence) = self.0.cameras.get(camera) else { return };
        // Whoever uploads its events all the time need not be told.
        let told = |wish: &Wish| Wish { events: wish.events && !presence.live, ..wish.clone() };
        let (before, Wish { events, classes }) = (told(before), told(now));
        if before.events != events || before.classes != classes {
            let on = events || !classes.is_empty();
            presence.link.watch(frame::Watch { camera: camera.clone(), classes, events, on });
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let mut watched = self.registry.0.watched.lock();
        if let Some(counts) = watched.get_mut(&self.camera) {
            let before = counts.all();
            counts.take(&self.wish);
            let now = counts.all();
            if now == Wish::default() {
                watched.remove(&self.camera);
            }
            self.registry.tell_watch(&self.camera, &before, &now);
        }
    }
}
