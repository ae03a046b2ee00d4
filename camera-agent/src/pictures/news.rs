//! Who is told that a new picture was kept: of each series the newest waits for its reader, and never a second one.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    task::{Context, Poll},
};

use futures_util::task::AtomicWaker;
use oriel_proto::{CameraId, ImageClass, Timestamp};

/// What is told to one reader: of each series the newest.
#[derive(Debug, Default)]
pub(crate) struct Mailbox {
    newest: Mutex<BTreeMap<(CameraId, ImageClass), Timestamp>>,
    reader: AtomicWaker,
}

impl Mailbox {
    /// The next news, which is then forgotten.
    pub(crate) fn poll(&self, cx: &mut Context<'_>) -> Poll<(CameraId, ImageClass, Timestamp)> {
        // Before looking, so that what comes meanwhile is not overlooked.
        self.reader.register(cx.waker());
        match self.lock().pop_first() {
            Some(((camera, class), at)) => Poll::Ready((camera, class, at)),
            None => Poll::Pending,
        }
    }

    /// Of a camera only these classes are still read.
    pub(crate) fn keep(&self, camera: &CameraId, classes: &[ImageClass]) {
        self.lock().retain(|(of, class), _| of != camera || classes.contains(class));
    }

    fn put(&self, camera: &CameraId, class: &ImageClass, at: Timestamp) {
        self.lock().insert((camera.clone(), class.clone()), at);
        self.reader.wake();
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<(CameraId, ImageClass), Timestamp>> {
        self.newest.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Keeps a mailbox told of a series until it is dropped.
#[derive(Debug)]
pub(crate) struct Subscription {
    _place: Arc<Place>,
}

/// A mailbox in the list of a series.
#[derive(Debug)]
struct Place(Arc<Mailbox>);

/// Whom one series tells.
#[derive(Debug, Default)]
pub(super) struct News {
    places: Mutex<Vec<Weak<Place>>>,
}

impl News {
    /// Has the mailbox told of what is kept from now on.
    pub(super) fn subscribe(&self, mailbox: &Arc<Mailbox>) -> Subscription {
        let place = Arc::new(Place(mailbox.clone()));
        self.lock().push(Arc::downgrade(&place));
        Subscription { _place: place }
    }

    /// A picture was kept.
    pub(super) fn tell(&self, camera: &CameraId, class: &ImageClass, at: Timestamp) {
        self.lock().retain(|place| {
            let place = place.upgrade();
            if let Some(place) = &place {
                place.0.put(camera, class, at);
            }
            place.is_some()
        });
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Weak<Place>>> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;

    #[test]
    fn of_each_series_the_newest_waits_and_what_is_watched_no_longer_is_forgotten() {
        let (news, mailbox) = (News::default(), Arc::new(Mailbox::default()));
        let [porch, yard]: [CameraId; 2] = ["porch", "yard"].map(|id| id.parse().unwrap());
        let subscription = news.subscribe(&mailbox);
        for ms in 1..=3 {
            for (camera, class) in
                [(&porch, ImageClass::Preview), (&porch, ImageClass::Main), (&yard, ImageClass::Main)]
            {
                news.tell(camera, &class, Timestamp::from_millis(ms));
            }
        }
        mailbox.keep(&porch, &[ImageClass::Main]);
        drop(subscription);
        news.tell(&porch, &ImageClass::Preview, Timestamp::from_millis(4));
        let mut cx = Context::from_waker(Waker::noop());
        let newest = Timestamp::from_millis(3);
        assert_eq!(mailbox.poll(&mut cx), Poll::Ready((porch, ImageClass::Main, newest)));
        assert_eq!(mailbox.poll(&mut cx), Poll::Ready((yard, ImageClass::Main, newest)));
        assert!(mailbox.poll(&mut cx).is_pending());
    }
}
