//! The cameras that poll, post or are asked for, and which of them the registry knows as connected.
//!
//! A camera is online while it has a poll open, and for ten seconds after: its next poll begins when the last one has ended.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use oriel_proto::CameraId;
use tokio::{sync::Notify, time::Instant};

use super::{camera::Camera, list::Answer};

/// How long after its last poll a camera counts as online.
const LINGERS: Duration = Duration::from_secs(10);

/// A camera whose lists answer clients.
pub(super) type Listed = Camera<Arc<Answer>>;

/// The cameras that anything is known of at present; none of them is kept that nothing is.
#[derive(Debug, Default)]
pub(super) struct Roster {
    entries: Mutex<HashMap<CameraId, Entry>>,
    news: Notify,
}

#[derive(Debug, Default)]
struct Entry {
    camera: Arc<Listed>,
    /// How many polls are open.
    polls: usize,
    /// When the last one ended.
    left: Option<Instant>,
    /// Whether it has posted a list, as far as is known.
    has_log: bool,
    /// What the registry was told: whether it has posted a list; none while it does not count as connected.
    told: Option<bool>,
}

impl Entry {
    /// Until when it is online; none when it is not.
    fn online(&self, now: Instant) -> Option<Option<Instant>> {
        if self.polls > 0 {
            return Some(None);
        }
        self.left.map(|left| left + LINGERS).filter(|end| now < *end).map(Some)
    }
}

/// What the registry is to be told of a camera.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum News {
    /// It is connected, or what is known of it has changed.
    Here(CameraId),
    /// It is not connected any more.
    Gone(CameraId),
}

impl Roster {
    /// A camera, which is remembered as long as somebody holds it.
    pub(super) fn camera(&self, id: &CameraId) -> Arc<Listed> {
        Arc::clone(&self.lock().entry(id.clone()).or_default().camera)
    }

    /// A camera polls from now on, until what is given back is dropped.
    pub(super) fn came(self: &Arc<Self>, id: &CameraId) -> Polling {
        let mut entries = self.lock();
        let entry = entries.entry(id.clone()).or_default();
        entry.polls += 1;
        let is_news = entry.told.is_none();
        drop(entries);
        if is_news {
            self.news.notify_one();
        }
        Polling { roster: Arc::clone(self), id: id.clone() }
    }

    /// A camera has posted a list.
    pub(super) fn has_log(&self, id: &CameraId) {
        if let Some(entry) = self.lock().get_mut(id) {
            entry.has_log = true;
            if entry.told == Some(false) {
                self.news.notify_one();
            }
        }
    }

    /// What the registry is told of a camera that is here says that it has posted a list.
    pub(super) fn told_log(&self, id: &CameraId) {
        if let Some(entry) = self.lock().get_mut(id) {
            entry.has_log = true;
            entry.told = entry.told.map(|_| true);
        }
    }

    /// A camera is not ours any more.
    pub(super) fn remove(&self, id: &CameraId) {
        if let Some(entry) = self.lock().remove(id) {
            entry.camera.close();
        }
    }

    /// The registry knows nothing of any of them.
    pub(super) fn forget_told(&self) {
        self.lock().values_mut().for_each(|entry| entry.told = None);
    }

    /// What the registry is to be told, and when there is more of that if nothing happens before.
    pub(super) fn news(&self, now: Instant) -> (Vec<News>, Option<Instant>) {
        let (mut news, mut next) = (Vec::new(), None::<Instant>);
        let mut entries = self.lock();
        for (id, entry) in entries.iter_mut() {
            match (entry.online(now), entry.told) {
                (Some(end), told) => {
                    next = [next, end].into_iter().flatten().min();
                    if told != Some(entry.has_log) {
                        entry.told = Some(entry.has_log);
                        news.push(News::Here(id.clone()));
                    }
                }
                (None, Some(_)) => {
                    entry.told = None;
                    news.push(News::Gone(id.clone()));
                }
                (None, None) => {}
            }
        }
        entries.retain(|_, entry| entry.told.is_some() || Arc::strong_count(&entry.camera) > 1);
        (news, next)
    }

    /// Waits until there may be news. Safe to drop and call again.
    pub(super) async fn changed(&self) {
        self.news.notified().await;
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<CameraId, Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A camera's open poll.
#[derive(Debug)]
pub(super) struct Polling {
    roster: Arc<Roster>,
    id: CameraId,
}

impl Drop for Polling {
    fn drop(&mut self) {
        if let Some(entry) = self.roster.lock().get_mut(&self.id) {
            entry.polls = entry.polls.saturating_sub(1);
            entry.left = Some(Instant::now());
        }
        // When it counts as gone is known only now.
        self.roster.news.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    fn porch() -> CameraId {
        "porch".parse().unwrap()
    }

    fn news(roster: &Roster) -> Vec<News> {
        roster.news(Instant::now()).0
    }

    #[tokio::test(start_paused = true)]
    async fn a_camera_is_online_while_it_polls_and_ten_seconds_more() {
        let roster = Arc::<Roster>::default();
        let poll = roster.came(&porch());
        assert_eq!((news(&roster), news(&roster)), (vec![News::Here(porch())], vec![]));
        drop(poll);
        let (nothing, next) = roster.news(Instant::now());
        assert_eq!((nothing, next), (vec![], Some(Instant::now() + LINGERS)));
        advance(LINGERS / 2).await;
        drop(roster.came(&porch()));
        advance(LINGERS - Duration::from_millis(1)).await;
        assert_eq!(news(&roster), []);
        advance(Duration::from_millis(1)).await;
        assert_eq!(news(&roster), [News::Gone(porch())]);
        assert!(roster.lock().is_empty(), "nothing is kept of it");
    }

    #[tokio::test]
    async fn a_camera_is_told_anew_when_it_has_posted_its_first_list() {
        let roster = Arc::<Roster>::default();
        let _poll = roster.came(&porch());
        news(&roster);
        roster.has_log(&porch());
        assert_eq!(news(&roster), [News::Here(porch())]);
        roster.has_log(&porch());
        assert_eq!(news(&roster), []);
        roster.forget_told();
        assert_eq!(news(&roster), [News::Here(porch())]);
    }

    #[tokio::test]
    async fn a_camera_is_remembered_as_long_as_somebody_holds_it() {
        let roster = Roster::default();
        let camera = roster.camera(&porch());
        news(&roster);
        assert!(Arc::ptr_eq(&camera, &roster.camera(&porch())));
        drop(camera);
        news(&roster);
        assert!(roster.lock().is_empty());
    }
}
