//! What a log keeps: each event once, in order, whatever is sent again, lost, moved or removed.

use std::{sync::Arc, time::Duration};

use oriel_proto::{
    Epoch, Event, EventId, Kind, Seq, Severity,
    call::{EventsCall, Order},
    codec::digest,
    event::{Data, LossReason, LostRange},
    frame::{Acked, SpoolState},
};

use super::*;
use crate::store::{Batch, Content, Delivery, Extent, Kept, Presence, Read, Retention};

fn at(seconds: u64) -> Timestamp {
    NOW.after(Duration::from_secs(seconds))
}

/// The event of this number, a second after the one before it.
fn event(seq: Seq, description: &str) -> Event {
    let (kind, severity) = (Kind::Motion, Severity::Info);
    let description = description.to_owned();
    Event { at: at(seq), kind, severity, description, data: Data::new(), image_at: None, was: None }
}

/// A store with the camera `porch`, and who may write its log.
struct Logged {
    _folder: TempDir,
    store: Store,
    agent: AgentId,
}

impl Logged {
    async fn new() -> Self {
        let (folder, store) = opened();
        let agent = agent(&store, &["porch"], None).await;
        store.bind_camera(agent, new_camera("porch"), NOW).await.unwrap();
        Self { _folder: folder, store, agent }
    }

    async fn keep_at(&self, content: Content, now: Timestamp) -> Kept {
        let delivery = Delivery { camera: camera("porch"), agent: Some(self.agent), content };
        self.store.keep(Arc::new(vec![delivery]), now).await.unwrap()[0]
    }

    async fn keep(&self, content: Content) -> Kept {
        self.keep_at(content, NOW).await
    }

    /// Keeps events of `epoch` from `first` on; gives what is acknowledged.
    async fn events(&self, epoch: Epoch, first: Seq, events: Vec<Event>) -> Kept {
        let next = first + events.len() as Seq;
        self.keep(batch(epoch, first, events, next)).await
    }

    async fn presence(&self, online: bool, seconds: u64) -> Kept {
        self.keep(Content::Presence(Presence { online, at: at(seconds), why: None, told: Vec::new() })).await
    }

    async fn read(&self, call: EventsCall, told: Option<SpoolState>) -> Read<Vec<String>> {
        let told = told.into_iter().collect();
        let read = self.store.read_log(camera("porch"), call, told, Vec::new(), |into, kept| {
            into.push(kept.event.description.to_owned());
        });
        read.await.unwrap()
    }

    async fn all(&self) -> Vec<String> {
        self.read(EventsCall::all(Order::Asc), None).await.into
    }

    async fn extent(&self) -> Extent {
        self.read(EventsCall::all(Order::Asc), None).await.extent
    }

    async fn acked(&self, spools: &[SpoolState]) -> Vec<Acked> {
        let why = LossReason::Unreadable;
        self.store.acked(camera("porch"), spools.to_vec(), why, at(9_999)).await.unwrap()
    }
}

fn batch(epoch: Epoch, first: Seq, events: Vec<Event>, next: Seq) -> Content {
    Content::Events(Batch { epoch, first, events: events.into(), next, as_of: at(next), ahead: false })
}

fn spool(epoch: Epoch, next: Seq) -> SpoolState {
    SpoolState { epoch, first: 1, next, as_of: at(next) }
}

fn up_to(epoch: Epoch, acked: Seq, stored: u64, doubled: u64) -> Kept {
    Kept::UpTo { epoch, acked, stored, doubled }
}

#[tokio::test]
async fn what_is_sent_again_is_kept_once() {
    let (log, epoch) = (Logged::new().await, Epoch::new());
    let events = || vec![event(1, "a"), event(2, "b")];
    assert_eq!(log.events(epoch, 1, events()).await, up_to(epoch, 2, 2, 0));
    assert_eq!(log.events(epoch, 1, events()).await, up_to(epoch, 2, 0, 2));
    let longer = vec![event(2, "b"), event(3, "c")];
    assert_eq!(log.events(epoch, 2, longer).await, up_to(epoch, 3, 1, 1));
    assert_eq!(log.all().await, ["a", "b", "c"]);
}

#[tokio::test]
async fn of_two_events_with_one_name_the_first_is_kept_and_nothing_of_the_second_batch() {
    let (log, epoch) = (Logged::new().await, Epoch::new());
    log.events(epoch, 1, vec![event(1, "a"), event(2, "b")]).await;
    let other_words = vec![event(2, "other"), event(3, "c")];
    assert_eq!(log.events(epoch, 2, other_words).await, Kept::Conflict { epoch });
    let other_time = vec![Event { at: at(1), ..event(2, "b") }, event(3, "c")];
    assert_eq!(log.events(epoch, 2, other_time).await, Kept::Conflict { epoch });
    assert_eq!(log.events(epoch, 4, vec![event(4, "d")]).await, Kept::Gap { epoch });
    assert_eq!(log.all().await, ["a", "b"]);
}

#[tokio::test]
async fn an_event_that_was_sent_before_by_another_name_is_kept_once() {
    let (log, old, new, third) = (Logged::new().await, Epoch::new(), Epoch::new(), Epoch::new());
    log.events(old, 1, vec![event(1, "a")]).await;
    let was = |seq, event: Event| Event { was: Some(EventId { epoch: old, seq }), ..event };
    let moved = || vec![was(1, event(1, "a")), was(2, event(2, "b"))];
    assert_eq!(log.events(new, 1, moved()).await, up_to(new, 2, 1, 1));
    assert_eq!(log.events(new, 1, moved()).await, up_to(new, 2, 0, 2));
    assert_eq!(log.events(third, 1, moved()).await, up_to(third, 2, 0, 2));
    let other = vec![was(2, event(2, "not b"))];
    assert_eq!(log.events(third, 3, other).await, up_to(third, 3, 1, 0));
    assert_eq!(log.all().await, ["a", "b", "not b"]);
}

#[tokio::test]
async fn only_the_agent_of_a_camera_writes_its_log() {
    let log = Logged::new().await;
    let foreign = agent(&log.store, &["yard"], None).await;
    let content = || batch(Epoch::new(), 1, vec![event(1, "a")], 2);
    for (id, agent) in [("porch", Some(foreign)), ("porch", None), ("nobody", Some(log.agent))] {
        let delivery = Delivery { camera: camera(id), agent, content: content() };
        assert_eq!(log.store.keep(Arc::new(vec![delivery]), NOW).await.unwrap(), [Kept::NotYours], "{id}");
    }
    assert_eq!(log.all().await, [""; 0]);
}

#[tokio::test]
async fn a_camera_hears_how_far_each_epoch_is_held_and_of_which_event() {
    let (log, epoch) = (Logged::new().await, Epoch::new());
    assert_eq!(log.acked(&[spool(epoch, 3)]).await, []);
    log.events(epoch, 1, vec![event(1, "a"), event(2, "b")]).await;
    let hash = Some(digest(&event(2, "b")));
    assert_eq!(log.acked(&[spool(epoch, 3)]).await, [Acked { epoch, seq: 2, hash }]);
    log.keep(Content::Lost(lost(epoch, 3, 5))).await;
    assert_eq!(log.acked(&[spool(epoch, 6)]).await, [Acked { epoch, seq: 5, hash: None }]);
}

fn lost(epoch: Epoch, first: Seq, last: Seq) -> LostRange {
    LostRange { epoch, first, last, from: at(first), to: at(last), why: LossReason::Dropped }
}

#[tokio::test]
async fn what_is_lost_is_acknowledged_and_named_and_what_is_held_of_it_is_not_lost() {
    let (log, epoch) = (Logged::new().await, Epoch::new());
    log.events(epoch, 1, vec![event(1, "a"), event(2, "b")]).await;
    assert_eq!(log.keep(Content::Lost(lost(epoch, 2, 4))).await, up_to(epoch, 4, 0, 0));
    assert_eq!(log.keep(Content::Lost(lost(epoch, 2, 4))).await, up_to(epoch, 4, 0, 0));
    assert_eq!(log.keep(Content::Lost(lost(epoch, 9, 9))).await, Kept::Gap { epoch });
    let extent = log.extent().await;
    let named: Vec<_> = extent.lost.iter().map(|lost| (lost.first, lost.last, &lost.why)).collect();
    assert_eq!(named, [(3, 4, &LossReason::Dropped)]);
    assert_eq!(log.all().await, ["a", "b"]);
}

#[tokio::test]
async fn the_horizon_lies_before_the_first_hole() {
    let (log, epoch) = (Logged::new().await, Epoch::new());
    assert_eq!(log.extent().await, Extent::default());
    log.keep(batch(epoch, 1, vec![event(1, "a"), event(2, "b")], 3)).await;
    assert_eq!(log.extent().await.horizon, Some(at(3)), "the time up to which it said to be complete");
    log.keep(batch(epoch, 3, vec![event(3, "c")], 9)).await;
    assert_eq!(log.extent().await.horizon, Some(at(3)), "the time of its last event");
    let told = SpoolState { as_of: at(60), ..spool(Epoch::new(), 1) };
    let whole = Logged::new().await;
    let whole = &whole;
    let horizon =
        |told| async move { whole.read(EventsCall::all(Order::Asc), Some(told)).await.extent.horizon };
    assert_eq!(horizon(told).await, Some(at(60)), "nothing was written");
    assert_eq!(
        horizon(SpoolState { next: 2, ..told }).await,
        None,
        "something is to come, from who knows when"
    );
}

#[tokio::test]
async fn a_whole_log_reaches_to_its_last_event_though_the_clock_was_read_before_it() {
    let (log, epoch) = (Logged::new().await, Epoch::new());
    log.keep(batch(epoch, 1, vec![event(9, "written after the clock was read")], 2)).await;
    let extent = log.extent().await;
    assert_eq!((extent.horizon, extent.as_of), (Some(at(9)), Some(at(9))));
}

#[tokio::test]
async fn an_epoch_from_before_the_clock_was_set_back_makes_nothing_complete_that_is_still_written() {
    let (log, ahead, present) = (Logged::new().await, Epoch::new(), Epoch::new());
    log.keep(batch(ahead, 1, vec![event(90, "a day ahead")], 2)).await;
    log.keep(batch(present, 1, vec![event(5, "now")], 2)).await;
    let told = SpoolState { as_of: at(20), ..spool(present, 2) };
    let extent = log.read(EventsCall::all(Order::Asc), Some(told)).await.extent;
    assert_eq!((extent.horizon, extent.as_of), (Some(at(20)), Some(at(20))));
    let away = log.extent().await;
    assert_eq!((away.horizon, away.as_of), (Some(at(5)), Some(at(5))), "the one that came last");
    // Unless something of the older one is known to be missing.
    log.keep(batch(ahead, 2, vec![event(91, "the last that came")], 9)).await;
    let extent = log.read(EventsCall::all(Order::Asc), Some(told)).await.extent;
    assert_eq!((extent.horizon, extent.as_of), (Some(at(20)), Some(at(91))));
}

#[tokio::test]
async fn what_a_wiped_spool_had_not_sent_is_lost_and_what_was_moved_is_not() {
    let (log, wiped, moved) = (Logged::new().await, Epoch::new(), Epoch::new());
    log.keep(batch(wiped, 1, vec![event(1, "a")], 5)).await;
    log.keep(batch(moved, 1, vec![event(2, "b")], 9)).await;
    let present = spool(Epoch::new(), 1);
    log.acked(&[present, SpoolState { next: 2, ..spool(moved, 2) }]).await;
    let extent = log.extent().await;
    let named: Vec<_> = extent.lost.iter().map(|lost| (lost.epoch, lost.first, lost.last)).collect();
    assert_eq!(named, [(wiped, 2, 4)]);
    assert_eq!(extent.horizon, Some(at(9)), "no hole is left");
}

#[tokio::test]
async fn pages_go_through_the_total_order_whichever_way_and_miss_nothing() {
    let log = Logged::new().await;
    let (one, two) = (Epoch::new(), Epoch::new());
    let same_time = |description: &str| Event { at: at(5), ..event(0, description) };
    log.events(two, 1, vec![same_time("c"), same_time("d"), event(6, "e")]).await;
    log.events(one, 1, vec![event(1, "a"), same_time("b")]).await;
    for (order, expected) in
        [(Order::Asc, ["a", "b", "c", "d", "e"]), (Order::Desc, ["e", "d", "c", "b", "a"])]
    {
        let (mut seen, mut call) =
            (Vec::new(), EventsCall { limit: Some(2), ..EventsCall::all(order.clone()) });
        loop {
            let read = log.read(call.clone(), None).await;
            seen.extend(read.into);
            if !read.more {
                break;
            }
            call.after = read.last;
        }
        assert_eq!(seen, expected, "{order:?}");
    }
    let range = EventsCall { from: Some(at(5)), to: Some(at(6)), ..EventsCall::all(Order::Asc) };
    assert_eq!(log.read(range, None).await.into, ["b", "c", "d"]);
    let search = EventsCall { text: Some("E".into()), ..EventsCall::all(Order::Asc) };
    assert_eq!(log.read(search, None).await.into, ["e"]);
}

#[tokio::test]
async fn coming_and_going_is_written_once_each_and_in_order() {
    let log = Logged::new().await;
    for (online, seconds) in [(false, 1), (true, 10), (true, 11), (false, 4), (true, 12)] {
        log.presence(online, seconds).await;
    }
    let expected = ["camera connected", "camera disconnected", "camera connected"];
    assert_eq!(log.all().await, expected);
    assert_eq!(log.extent().await.horizon, None, "the camera itself wrote nothing");
    log.store.close_presences(at(20)).await.unwrap();
    log.store.close_presences(at(21)).await.unwrap();
    assert_eq!(log.all().await[3..], ["camera disconnected"]);
}

#[tokio::test]
async fn nobody_can_send_events_under_the_gateways_own_name() {
    let log = Logged::new().await;
    let Kept::UpTo { epoch, .. } = log.presence(true, 1).await else { panic!("not kept") };
    assert_eq!(log.events(epoch, 2, vec![event(2, "a")]).await, Kept::Conflict { epoch });
    assert_eq!(log.keep(Content::Lost(lost(epoch, 2, 2))).await, Kept::Conflict { epoch });
}

#[tokio::test]
async fn retention_goes_by_arrival_and_never_lowers_what_is_acknowledged() {
    let (log, epoch) = (Logged::new().await, Epoch::new());
    log.keep_at(batch(epoch, 1, vec![event(1, "old"), event(2, "old too")], 3), NOW).await;
    log.keep_at(batch(epoch, 3, vec![event(3, "young")], 4), at(100)).await;
    let retention = Retention { age: Duration::from_secs(60), events: 1_000 };
    let expired = log.store.expire(retention, at(120)).await.unwrap();
    assert_eq!((expired.events, expired.more), (2, false));
    assert_eq!(log.all().await, ["young"]);
    assert_eq!(log.extent().await.purged, Some(at(2).after(Duration::from_micros(1))));
    assert_eq!(log.acked(&[spool(epoch, 4)]).await[0].seq, 3);
    // What is sent again after all is not taken for new, nor for another's.
    assert_eq!(log.events(epoch, 1, vec![event(1, "old")]).await, up_to(epoch, 3, 0, 1));
    let few = Retention { age: Duration::from_secs(1 << 30), events: 0 };
    assert_eq!(log.store.expire(few, at(120)).await.unwrap().events, 1);
    assert_eq!(log.all().await, [""; 0]);
}

#[tokio::test]
async fn a_camera_that_is_removed_leaves_nothing_to_one_of_the_same_name() {
    let (log, epoch) = (Logged::new().await, Epoch::new());
    let many = (1..=1_500).map(|seq| event(seq, "x")).collect();
    log.events(epoch, 1, many).await;
    log.keep(Content::Lost(lost(epoch, 1_501, 1_600))).await;
    log.store.remove_camera(camera("porch")).await.unwrap().unwrap();
    log.store.create_camera(new_camera("porch"), NOW).await.unwrap();
    assert_eq!(log.all().await, [""; 0]);
    assert!(!log.store.has_log(camera("porch")).await.unwrap());
    let keep_all = Retention { age: Duration::from_secs(1 << 30), events: 1 << 40 };
    let (mut steps, mut gone) = (0, 0);
    loop {
        let expired = log.store.expire(keep_all, NOW).await.unwrap();
        (steps, gone) = (steps + 1, gone + expired.events);
        if !expired.more {
            break;
        }
    }
    assert_eq!((gone, steps), (1_500, 3), "in steps of a thousand, and one that finds nothing");
}
