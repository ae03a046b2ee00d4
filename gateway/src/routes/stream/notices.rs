//! Which events are told one by one, and which are counted: of a camera whose log fills quickly, somebody who watches many hears once a
//! second.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use oriel_proto::CameraId;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::{events::Followed, store::Arrival};

/// How long after a notice the next one of the same camera may come.
const SPACING: Duration = Duration::from_secs(1);

/// Something happened at a camera.
#[derive(Debug)]
pub(super) struct Notice {
    /// How many events it stands for.
    count: u64,
    /// The last of them.
    event: Arc<Followed>,
}

/// What was not told yet of a camera that was told of less than a second ago.
#[derive(Debug, Default)]
struct Held {
    first: Option<Arrival>,
    last: Option<Arc<Followed>>,
    count: u64,
}

/// The notices of one caller.
#[derive(Debug)]
pub(super) struct Notices {
    is_thinned: bool,
    /// Cameras that were told of less than a second ago.
    held: HashMap<CameraId, Held>,
    /// When each of them may be told of again, in that order.
    due: VecDeque<(Instant, CameraId)>,
}

impl Notices {
    /// Every event is a notice, unless they are thinned.
    pub(super) fn new(is_thinned: bool) -> Self {
        Self { is_thinned, held: HashMap::new(), due: VecDeque::new() }
    }

    /// An event came; gives the notice to be told at once.
    pub(super) fn take(&mut self, event: &Arc<Followed>, now: Instant) -> Option<Notice> {
        let notice = Notice { count: 1, event: Arc::clone(event) };
        if !self.is_thinned {
            return Some(notice);
        }
        if let Some(held) = self.held.get_mut(&event.camera) {
            held.first.get_or_insert(event.arrival);
            (held.last, held.count) = (Some(Arc::clone(event)), held.count + 1);
            return None;
        }
        self.rest(event.camera.clone(), now);
        Some(notice)
    }

    /// When something may be told that is held now.
    pub(super) fn due(&self) -> Option<Instant> {
        self.due.front().map(|(due, _)| *due)
    }

    /// A notice that has become due.
    pub(super) fn next(&mut self, now: Instant) -> Option<Notice> {
        while let Some((_, camera)) = self.due.pop_front_if(|(due, _)| *due <= now) {
            let held = self.held.remove(&camera).unwrap_or_default();
            if let Some(event) = held.last {
                self.rest(camera, now);
                return Some(Notice { count: held.count, event });
            }
        }
        None
    }

    /// The first event that has not been told; none when all have.
    pub(super) fn first_held(&self) -> Option<Arrival> {
        self.held.values().filter_map(|held| held.first).min()
    }

    fn rest(&mut self, camera: CameraId, now: Instant) {
        self.due.push_back((now + SPACING, camera.clone()));
        self.held.insert(camera, Held::default());
    }
}

impl Notice {
    /// Whose it is.
    pub(super) fn camera(&self) -> &CameraId {
        &self.event.camera
    }

    /// It as it is told.
    pub(super) fn to_json(&self) -> Value {
        let event: Result<Value, _> = serde_json::from_slice(&self.event.json);
        debug_assert!(event.is_ok(), "what was written is JSON");
        json!({"camera": self.event.camera, "count": self.count, "event": event.unwrap_or_default()})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(camera: &str, arrival: u64) -> Arc<Followed> {
        let camera: CameraId = camera.parse().unwrap();
        let text = || Box::<str>::from("x");
        let arrival: Arrival = serde_json::from_value(json!(arrival)).unwrap();
        let json = json!(arrival).to_string().into_bytes().into();
        let at = oriel_proto::Timestamp::default();
        let (kind, severity, description) = (text(), text(), text());
        Arc::new(Followed { arrival, camera, at, kind, severity, description, json })
    }

    fn told(notice: Option<Notice>) -> Option<(String, u64, u64)> {
        let json = notice?.to_json();
        let camera = json["camera"].as_str()?.to_owned();
        Some((camera, json["count"].as_u64()?, json["event"].as_u64()?))
    }

    #[tokio::test(start_paused = true)]
    async fn a_busy_camera_is_told_of_once_a_second_and_a_quiet_one_at_once() {
        let (mut notices, start) = (Notices::new(true), Instant::now());
        assert_eq!(told(notices.take(&event("porch", 1), start)), Some(("porch".into(), 1, 1)));
        assert_eq!(told(notices.take(&event("porch", 2), start)), None);
        assert_eq!(told(notices.take(&event("yard", 3), start)), Some(("yard".into(), 1, 3)));
        assert_eq!(told(notices.take(&event("porch", 4), start)), None);
        assert_eq!(json!(notices.first_held()), json!(2), "whoever is cut off now must hear of it again");
        assert_eq!(told(notices.next(start)), None);
        let later = notices.due().unwrap();
        assert_eq!(later, start + SPACING);
        assert_eq!(told(notices.next(later)), Some(("porch".into(), 2, 4)));
        assert_eq!((told(notices.next(later)), notices.first_held()), (None, None));
        assert_eq!(told(notices.take(&event("porch", 5), later)), None, "it was told of just now");
        assert_eq!(told(notices.next(later + SPACING)), Some(("porch".into(), 1, 5)));
        assert_eq!(told(notices.next(later + SPACING * 2)), None);
        assert!(notices.held.is_empty() && notices.due.is_empty(), "what is quiet takes no room");
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_watches_a_few_hears_of_each_event() {
        let (mut notices, now) = (Notices::new(false), Instant::now());
        for n in 1..=3 {
            assert_eq!(told(notices.take(&event("porch", n), now)), Some(("porch".into(), 1, n)));
        }
        assert_eq!((notices.due(), notices.first_held()), (None, None));
    }
}
