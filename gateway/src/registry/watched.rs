//! Cameras that somebody watches: while they are connected, they tell of their new pictures, and those that leave their log on the
//! device upload it as it is written.

use std::{
    collections::{BTreeMap, HashMap},
    mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use oriel_proto::{CameraId, ImageClass, Timestamp, frame};
use tokio::sync::Notify;

use super::Registry;

/// What is wanted of a camera that somebody watches.
#[derive(Clone, Debug, Default)]
pub struct Wish {
    /// Its events as they are written.
    pub events: bool,
    /// Word of new pictures of these series.
    pub classes: Vec<ImageClass>,
    /// Who hears it.
    pub news: Option<Arc<News>>,
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

/// New pictures of which somebody has not heard yet: of each series the newest, so that a camera that says it without end keeps
/// nobody from hearing of others.
#[derive(Debug, Default)]
pub struct News {
    newest: Mutex<BTreeMap<(CameraId, ImageClass), Timestamp>>,
    came: Notify,
}

impl News {
    fn tell(&self, Fresh { camera, class, at }: Fresh) {
        self.lock().insert((camera, class), at);
        self.came.notify_one();
    }

    /// All that came since the last time, as soon as there is any. For one listener. Safe to drop and call again.
    pub async fn next(&self) -> Vec<Fresh> {
        loop {
            let newest = mem::take(&mut *self.lock());
            if !newest.is_empty() {
                return newest.into_iter().map(|((camera, class), at)| Fresh { camera, class, at }).collect();
            }
            self.came.notified().await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<(CameraId, ImageClass), Timestamp>> {
        self.newest.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How many want what of each camera.
#[derive(Debug, Default)]
pub(super) struct Watched(Mutex<HashMap<CameraId, Counts>>);

#[derive(Debug, Default)]
struct Counts {
    events: usize,
    classes: BTreeMap<ImageClass, usize>,
    news: Vec<Arc<News>>,
}

impl Counts {
    fn add(&mut self, wish: &Wish) {
        self.events += usize::from(wish.events);
        for class in &wish.classes {
            *self.classes.entry(class.clone()).or_default() += 1;
        }
        self.news.extend(wish.news.clone());
    }

    fn take(&mut self, wish: &Wish) {
        self.events -= usize::from(wish.events);
        for class in &wish.classes {
            if let Some(count) = self.classes.get_mut(class) {
                *count -= 1;
            }
        }
        self.classes.retain(|_, count| *count > 0);
        let own = wish.news.as_ref();
        if let Some(at) = self.news.iter().position(|news| own.is_some_and(|own| Arc::ptr_eq(own, news))) {
            self.news.swap_remove(at);
        }
    }

    fn all(&self) -> Wish {
        Wish { events: self.events > 0, classes: self.classes.keys().cloned().collect(), news: None }
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
        let counts = watched.get(&fresh.camera).filter(|counts| counts.classes.contains_key(&fresh.class));
        counts.iter().flat_map(|counts| &counts.news).for_each(|news| news.tell(fresh.clone()));
    }

    /// Tells a camera's link what is wanted now, if that is something else for it than before.
    fn tell_watch(&self, camera: &CameraId, before: &Wish, now: &Wish) {
        let Some(presence) = self.0.cameras.get(camera) else { return };
        // Whoever uploads its events all the time need not be told.
        let told = |wish: &Wish| Wish { events: wish.events && !presence.live, ..wish.clone() };
        let (before, Wish { events, classes, .. }) = (told(before), told(now));
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
            if !now.events && now.classes.is_empty() {
                watched.remove(&self.camera);
            }
            self.registry.tell_watch(&self.camera, &before, &now);
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[tokio::test]
    async fn a_camera_that_tells_of_new_pictures_without_end_hides_no_other() {
        let (registry, news) = (Registry::default(), Arc::<News>::default());
        let classes = vec![ImageClass::Preview];
        let wish = Wish { classes, news: Some(Arc::clone(&news)), ..Wish::default() };
        let watches = ["porch", "yard"].map(|name| registry.watch(name.parse().unwrap(), wish.clone()));
        let fresh = |camera: &str, n| {
            let camera = camera.parse().unwrap();
            Fresh { camera, class: ImageClass::Preview, at: Timestamp::from_millis(n) }
        };
        registry.fresh(fresh("yard", 1));
        (1..=10_000).for_each(|n| registry.fresh(fresh("porch", n)));
        registry.fresh(fresh("attic", 1));
        assert_eq!(news.next().await, [fresh("porch", 10_000), fresh("yard", 1)]);
        assert!(news.next().now_or_never().is_none(), "it is told once");
        drop(watches);
        registry.fresh(fresh("porch", 1));
        assert!(news.next().now_or_never().is_none(), "whoever watches no more is told nothing");
    }
}
