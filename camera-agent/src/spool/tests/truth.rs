//! The spool answers as a plain list would.

use oriel_proto::{
    SeqRange,
    call::Have,
    event::{EventFilter, Position},
};
use proptest::prelude::*;

use super::*;

#[derive(Clone, Debug)]
struct Asked {
    from: Option<i64>,
    to: Option<i64>,
    /// The place among all events to continue behind.
    after: Option<prop::sample::Index>,
    desc: bool,
    limit: Option<u64>,
    kind: bool,
    text: bool,
    have: Vec<(u64, u64)>,
}

fn asked() -> impl Strategy<Value = Asked> {
    let time = || prop::option::of(-5_000_i64..60_000);
    let have = prop::collection::vec((0_u64..40, 0_u64..40), 0..4);
    (
        time(),
        time(),
        prop::option::of(any::<prop::sample::Index>()),
        any::<bool>(),
        prop::option::of(0_u64..30),
        any::<bool>(),
        any::<bool>(),
        have,
    )
        .prop_map(|(from, to, after, desc, limit, kind, text, have)| Asked {
            from,
            to,
            after,
            desc,
            limit,
            kind,
            text,
            have,
        })
}

/// Steps of the clock in milliseconds, some of them far enough back for a new epoch, and what is written then.
fn steps() -> impl Strategy<Value = Vec<(i64, bool, bool)>> {
    prop::collection::vec(
        (prop_oneof![6 => 0_i64..3_000, 1 => -20_000_i64..-3_000], any::<bool>(), any::<bool>()),
        0..60,
    )
}

fn call(asked: &Asked, truth: &[LoggedEvent]) -> EventsCall {
    let epochs: Vec<_> = truth.iter().map(|event| event.epoch).collect();
    let ranges: Vec<_> =
        asked.have.iter().map(|(first, last)| SeqRange { first: *first, last: *last }).collect();
    EventsCall {
        from: asked.from.map(|ms| Timestamp::from_millis(START + ms)),
        to: asked.to.map(|ms| Timestamp::from_millis(START + ms)),
        after: asked.after.filter(|_| !truth.is_empty()).map(|index| index.get(truth).position()),
        limit: asked.limit,
        kinds: if asked.kind { vec![Kind::Motion] } else { vec![] },
        text: asked.text.then(|| "B".to_owned()),
        have: epochs.first().map(|epoch| Have { epoch: *epoch, ranges }).into_iter().collect(),
        ..EventsCall::all(if asked.desc { Order::Desc } else { Order::Asc })
    }
}

/// Everything that the question is about, in its order, whether the filter wants it or not.
fn about(call: &EventsCall, truth: &[LoggedEvent]) -> Vec<LoggedEvent> {
    let desc = call.order == Order::Desc;
    let behind = |at: Position| call.after.is_none_or(|after| if desc { at < after } else { at > after });
    let held = |event: &LoggedEvent| {
        call.have.iter().any(|have| {
            have.epoch == event.epoch && have.ranges.iter().any(|range| range.contains(event.seq))
        })
    };
    let within = |at| call.from.is_none_or(|from| at >= from) && call.to.is_none_or(|to| at < to);
    let mut list: Vec<_> = truth
        .iter()
        .filter(|event| within(event.event.at) && behind(event.position()) && !held(event))
        .cloned()
        .collect();
    list.sort_by_key(LoggedEvent::position);
    if desc {
        list.reverse();
    }
    list
}

fn check(call: &EventsCall, truth: &[LoggedEvent], list: &[LoggedEvent], end: &EventsTrailer) {
    let filter: EventFilter = call.filter();
    let about = about(call, truth);
    let limit = call.limit.map_or(usize::MAX, |limit| limit as usize);
    let wanted: Vec<_> = about.iter().filter(|event| filter.matches(&event.event)).cloned().collect();
    assert_eq!(list, &wanted[..wanted.len().min(limit)]);
    assert!(end.more || list.len() == wanted.len());
    // What it says it scanned, it returned, as far as it was asked for.
    let scanned = |event: &LoggedEvent| {
        end.scanned.iter().any(|s| s.epoch == event.epoch && s.first <= event.seq && event.seq <= s.last)
    };
    let claimed: Vec<_> = wanted.iter().filter(|event| scanned(event)).cloned().collect();
    assert_eq!(claimed, list);
    assert!(end.more || about.iter().all(scanned));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_query_answers_as_a_plain_list_would(steps in steps(), asked in prop::collection::vec(asked(), 1..12)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let (dir, clock) = (tempfile::tempdir().unwrap(), TestClock::new());
            let spool = open(dir.path(), bounds(), &clock).await;
            let (mut truth, mut now) = (Vec::new(), 0);
            for (step, motion, text) in steps {
                now += step;
                clock.set(now);
                let mut draft = draft(if text { "abc" } else { "xyz" });
                draft.kind = if motion { Kind::Motion } else { Kind::Reset };
                let id = spool.append(vec![draft]).await.unwrap()[0];
                truth.push(id);
            }
            let stored = all(&spool).await.0;
            let mut ids: Vec<_> = stored.iter().map(LoggedEvent::id).collect();
            ids.sort_unstable();
            truth.sort_unstable();
            assert_eq!(ids, truth);
            for asked in asked {
                let call = call(&asked, &stored);
                let (list, end) = ask(&spool, call.clone()).await;
                check(&call, &stored, &list, &end);
            }
        });
    }
}
