//! How far one answer goes, and what it says where it ends.

use std::sync::Arc;

use oriel_proto::{Epoch, Event, Kind, Seq, Severity, call::Order, event::Data};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::{
    clock,
    events::CoveredBy,
    metrics::Metrics,
    registry::Registry,
    relay::Relay,
    store::{Batch, Content, Delivery, Kept, NewCamera, Store},
};

/// Events that are kept: three looks and some more.
const KEPT: Seq = 3 * ROWS + 7;

fn porch() -> CameraId {
    "porch".parse().unwrap()
}

/// A second after the one before it.
fn at(seq: Seq) -> Timestamp {
    Timestamp::from_millis(seq.cast_signed() * 1_000)
}

/// The event of this number, one of a thousand kinds.
fn event(seq: Seq) -> Event {
    let (kind, severity) = (Kind::from(&*format!("kind {}", seq % 1_000)), Severity::Info);
    let (description, data) = (String::new(), Data::new());
    Event { at: at(seq), kind, severity, description, data, image_at: None, was: None }
}

/// Logs of which that of `porch` has so many events.
async fn kept() -> (TempDir, Events) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let camera = NewCamera { id: porch(), name: None, tags: Vec::new() };
    store.create_camera(camera, clock::now()).await.unwrap();
    let events = (1..=KEPT).map(event).collect::<Vec<_>>().into();
    let batch =
        Batch { epoch: Epoch::new(), first: 1, events, next: KEPT + 1, as_of: at(KEPT), ahead: false };
    let delivery = Delivery { camera: porch(), agent: None, content: Content::Events(batch) };
    let kept = store.keep(Arc::new(vec![delivery]), clock::now()).await.unwrap();
    assert!(matches!(kept[0], Kept::UpTo { stored: KEPT, .. }), "{kept:?}");
    let registry = Registry::default();
    let relay = Relay::new(registry.clone(), Arc::new(Metrics::default()), CancellationToken::new());
    (folder, Events::new(relay, registry, store))
}

/// Counts the events of all the time up to the last one, in steps of an hour, as far as an answer goes.
async fn counted(events: &Events, most: Most) -> (u64, Vec<Coverage>) {
    let call = EventsCall { from: Some(at(0)), to: Some(at(KEPT)), ..EventsCall::all(Order::Asc) };
    let log = events.stored(&porch(), call);
    let counting = Counting::begin(events, log, 3_600_000, None, most).await.unwrap();
    let Timeline { steps, coverage } = counting.finish().await.unwrap();
    (steps.values().flat_map(BTreeMap::values).sum(), coverage)
}

#[tokio::test]
async fn what_an_answer_does_not_come_to_is_said_to_be_missing() {
    let (_folder, events) = kept().await;
    let stretch = |from, to, by| Coverage { from: Some(at(from)), to: at(to), by };
    let whole = (KEPT - 1, vec![stretch(0, KEPT, CoveredBy::Store)]);
    assert_eq!(counted(&events, MOST).await, whole);
    for (most, reached) in [
        (Most { events: ROWS, ..MOST }, ROWS),
        (Most { events: ROWS + 1, ..MOST }, 2 * ROWS),
        (Most { numbers: 3_000, ..MOST }, 2 * ROWS),
        (Most { within: Duration::ZERO, ..MOST }, ROWS),
    ] {
        let parts =
            vec![stretch(0, reached, CoveredBy::Store), stretch(reached, KEPT, CoveredBy::SearchLimit)];
        assert_eq!(counted(&events, most).await, (reached, parts), "{most:?}");
    }
}

#[test]
fn a_step_begins_at_a_multiple_of_its_length_also_before_1970() {
    let tally = Tally::new(&EventsCall::all(Order::Asc), 1_000);
    for (millis, begin) in [(0, 0), (999, 0), (1_000, 1_000), (-1, -1_000), (-1_000, -1_000)] {
        assert_eq!(tally.step(Timestamp::from_millis(millis)), Timestamp::from_millis(begin));
    }
}
