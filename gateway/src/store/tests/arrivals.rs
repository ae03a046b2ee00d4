//! The order of arrival: what came is read in it, whatever its time, and what was removed from it is known.

use std::{collections::HashSet, sync::Arc, time::Duration};

use oriel_proto::{Epoch, Event, Kind, Seq, Severity, event::Data};

use super::*;
use crate::store::{Arrival, Arrivals, Arrived, Batch, Content, Delivery, Retention};

fn event(seconds: u64, description: String) -> Event {
    let at = NOW.after(Duration::from_secs(seconds));
    let (kind, severity, data) = (Kind::Motion, Severity::Info, Data::new());
    Event { at, kind, severity, description, data, image_at: None, was: None }
}

/// A store with two cameras.
struct Two {
    _folder: TempDir,
    store: Store,
    agent: AgentId,
}

impl Two {
    async fn new() -> Self {
        let (folder, store) = opened();
        let agent = agent(&store, &["porch", "yard"], None).await;
        for id in ["porch", "yard"] {
            store.bind_camera(agent, new_camera(id), NOW).await.unwrap();
        }
        Self { _folder: folder, store, agent }
    }

    /// Keeps an epoch of so many events that begin at this second.
    async fn keep(&self, id: &str, begin: u64, count: u64) {
        let events: Vec<_> = (begin..begin + count).map(|n| event(n, format!("{id} {n}"))).collect();
        let (next, as_of) = (count + 1 as Seq, NOW.after(Duration::from_secs(begin + count)));
        let batch = Batch { epoch: Epoch::new(), first: 1, events: events.into(), next, as_of, ahead: false };
        let delivery =
            Delivery { camera: camera(id), agent: Some(self.agent), content: Content::Events(batch) };
        self.store.keep(Arc::new(vec![delivery]), NOW).await.unwrap();
    }

    async fn read(
        &self,
        id: Option<&str>,
        after: Arrival,
        from: Option<u64>,
        most: u64,
    ) -> Arrived<Vec<String>> {
        self.read_as(false, id, after, from, most).await
    }

    async fn read_as(
        &self,
        is_sparse: bool,
        id: Option<&str>,
        after: Arrival,
        from: Option<u64>,
        most: u64,
    ) -> Arrived<Vec<String>> {
        let from = from.map(|seconds| NOW.after(Duration::from_secs(seconds)));
        let wanted = Arrivals { after, up_to: self.store.arrived(), camera: id.map(camera), from, is_sparse };
        let push = |into: &mut Vec<_>, _, _: &CameraId, kept: &crate::store::KeptEvent<'_>| {
            into.push(kept.event.description.to_owned());
        };
        self.store.read_arrivals(wanted, most, Vec::new(), push).await.unwrap()
    }

    /// Everything, in pages of this size.
    async fn all(&self, id: Option<&str>, from: Option<u64>, most: u64) -> Vec<String> {
        let (mut all, mut after, mut is_sparse) = (Vec::new(), Arrival::default(), false);
        while after < self.store.arrived() {
            let page = self.read_as(is_sparse, id, after, from, most).await;
            is_sparse = page.is_sparse;
            assert!(page.up_to > after && page.into.len() as u64 <= most);
            all.extend(page.into);
            after = page.up_to;
        }
        all
    }
}

#[tokio::test]
async fn what_came_is_read_in_the_order_in_which_it_came() {
    let two = Two::new().await;
    let mut arrivals = two.store.arrivals();
    arrivals.borrow_and_update();
    two.keep("porch", 100, 2).await;
    assert!(arrivals.has_changed().unwrap(), "whoever waits is told after the commit");
    two.keep("yard", 50, 1).await;
    two.keep("porch", 0, 2).await;
    let all = ["porch 100", "porch 101", "yard 50", "porch 0", "porch 1"];
    for most in 1..=6 {
        assert_eq!(two.all(None, None, most).await, all);
        assert_eq!(two.all(None, Some(50), most).await, all[..3]);
    }
    assert_eq!(two.all(Some("porch"), None, 2).await, [all[0], all[1], all[3], all[4]]);
    assert_eq!(two.all(Some("attic"), None, 2).await, Vec::<String>::new());
    two.store.remove_camera(camera("yard")).await.unwrap();
    assert_eq!(two.all(None, None, 2).await, [all[0], all[1], all[3], all[4]], "nobody hears of it any more");
}

#[tokio::test]
async fn a_log_that_lies_far_behind_is_found_without_what_lies_between() {
    let two = Two::new().await;
    two.keep("porch", 10, 3).await;
    for _ in 0..11 {
        two.keep("yard", 0, 1_000).await;
    }
    two.keep("porch", 0, 3).await;
    let all = ["porch 10", "porch 11", "porch 12", "porch 0", "porch 1", "porch 2"];
    for most in [1, 2, 6, 7] {
        assert_eq!(two.all(Some("porch"), None, most).await, all, "pages of {most}");
        assert_eq!(
            two.all(Some("porch"), Some(2), most).await,
            ["porch 10", "porch 11", "porch 12", "porch 2"]
        );
    }
    let page = two.read(Some("porch"), Arrival::default(), None, 9).await;
    assert!(page.is_sparse && page.into.len() == 3 && page.up_to < two.store.arrived());
    let page = two.read_as(true, Some("porch"), Arrival::default(), None, 9).await;
    assert_eq!((page.into.len(), page.up_to), (6, two.store.arrived()), "at one look");
    let page = two.read(Some("yard"), Arrival::default(), None, 1_000).await;
    assert!(!page.is_sparse, "what is nearly all that there is need not be looked up");
}

#[tokio::test]
async fn a_history_begins_at_its_first_event_and_what_it_has_lost_is_known() {
    let two = Two::new().await;
    for id in ["yard", "porch"] {
        two.keep(id, 0, 5).await;
    }
    let at = |seconds| NOW.after(Duration::from_secs(seconds));
    let start = async |ids: &[&str], from| {
        let cameras = ids.iter().map(|id| camera(id)).collect();
        two.store.history_start(cameras, at(from)).await.unwrap()
    };
    assert_eq!(start(&["porch"], 9).await.after, None);
    let (porch, both) = (start(&["porch"], 2).await, start(&["porch", "yard"], 2).await);
    assert_eq!(two.read(Some("porch"), porch.after.unwrap(), Some(2), 1).await.into, ["porch 2"]);
    assert_eq!(two.read(None, both.after.unwrap(), Some(2), 1).await.into, ["yard 2"]);
    assert!(!porch.purged && !both.purged);
    let expired = two.store.expire(Retention { age: Duration::MAX, events: 6 }, NOW).await.unwrap();
    assert_eq!(expired.events, 4);
    assert!(start(&["porch", "yard"], 3).await.purged && !start(&["porch"], 3).await.purged);
    assert!(!start(&["yard"], 4).await.purged, "that is still there");
    let purged = async |id| two.read(id, Arrival::default(), None, 9).await.purged;
    assert!(purged(None).await && purged(Some("yard")).await);
    assert!(!purged(Some("porch")).await, "of this one nothing was removed");
    assert!(!two.read(None, both.after.unwrap().max(porch.after.unwrap()), None, 9).await.purged);
    let numbers: HashSet<_> = two.all(None, None, 9).await.into_iter().collect();
    assert_eq!(numbers.len(), 6);
}
