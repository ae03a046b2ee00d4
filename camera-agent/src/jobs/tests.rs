//! Promises about turns, with answers that are in memory: whoever is ready sends one Part in each round.

mod pictures;

use std::{
    future::poll_fn,
    sync::atomic::{AtomicI64, Ordering},
};

use oriel_proto::{
    Body, Call, Items, Kind, Severity, Timestamp, Trailer,
    call::{EventsCall, Order},
    codec::encoded_len,
    event::Data,
    frame::Upload,
    limits::{FIRST_CREDIT, PART_BYTES},
};
use tokio::sync::watch;

use super::*;
use crate::{config::CameraConfig, spool::Draft, state::State};

/// Parts of answers in memory.
const PARTS: usize = 20;

fn body() -> Body {
    Body::Bytes(vec![7; PART_BYTES - 16].into())
}

/// Begins `count` answers of full Parts, of which all are at hand; gives their ids.
fn answers(jobs: &mut Jobs, count: usize) -> Vec<RequestId> {
    answers_in(Lane::Single, jobs, count)
}

fn answers_in(lane: Lane, jobs: &mut Jobs, count: usize) -> Vec<RequestId> {
    let begin = |_| {
        let id = RequestId::new();
        jobs.begin(id, "porch".parse().unwrap(), lane, async move |mut outlet: Outlet| {
            for _ in 0..PARTS {
                outlet.part(body()).await.unwrap();
            }
            outlet.done(Trailer::Nothing {}).await.unwrap();
        });
        id
    };
    (0..count).map(begin).collect()
}

async fn next(jobs: &mut Jobs) -> AgentFrame {
    poll_fn(|cx| jobs.poll_frame(cx)).await
}

/// Takes as many Parts as `ids` has, and says whose they are, as places in `ids`.
async fn round(jobs: &mut Jobs, ids: &[RequestId]) -> Vec<usize> {
    let mut turns = Vec::new();
    while turns.len() < ids.len() {
        let AgentFrame::Part { id, .. } = next(jobs).await else { panic!("an answer ended") };
        turns.push(ids.iter().position(|known| *known == id).expect("an answer out of its turn"));
    }
    turns
}

#[tokio::test(start_paused = true)]
async fn answers_that_are_ready_alternate_exactly() {
    for count in [2, 5] {
        let mut jobs = Jobs::new(Limits::default(), 1);
        let ids = answers(&mut jobs, count);
        ids.iter().for_each(|id| jobs.credit(*id, 1 << 20));
        for n in 0..PARTS {
            assert_eq!(round(&mut jobs, &ids).await, Vec::from_iter(0..count), "round {n} of {count}");
        }
        for id in ids {
            assert!(matches!(next(&mut jobs).await, AgentFrame::Done { id: of, .. } if of == id));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_without_credit_holds_nobody_up_and_then_takes_its_turns_again() {
    let mut jobs = Jobs::new(Limits::default(), 1);
    let ids = answers(&mut jobs, 3);
    let (poor, rich) = (ids[1], [ids[0], ids[2]]);
    rich.iter().for_each(|id| jobs.credit(*id, 1 << 20));
    let part = encoded_len(&AgentFrame::Part { id: poor, n: 0, body: body() });
    for _ in 0..FIRST_CREDIT as usize / part {
        assert_eq!(round(&mut jobs, &ids).await, [0, 1, 2]);
    }
    for _ in 0..5 {
        assert_eq!(round(&mut jobs, &rich).await, [0, 1]);
    }
    jobs.credit(poor, 1 << 20);
    let mut turns = Vec::new();
    for _ in 0..4 {
        turns.extend(round(&mut jobs, &ids).await);
    }
    // It joins behind what is in the queue; from then on there is one turn each.
    let from = turns.iter().position(|who| *who == 1).unwrap();
    assert!(from <= 2, "{turns:?}");
    assert!(turns[from..].chunks_exact(3).all(|round| round == &turns[from..from + 3]), "{turns:?}");
}

#[tokio::test(start_paused = true)]
async fn a_small_answer_waits_for_one_turn_of_each() {
    let mut jobs = Jobs::new(Limits::default(), 1);
    let ids = answers(&mut jobs, 5);
    round(&mut jobs, &ids).await;
    let small = RequestId::new();
    jobs.begin(small, "porch".parse().unwrap(), Lane::Single, async move |mut outlet: Outlet| {
        outlet.done(Trailer::Nothing {}).await.unwrap()
    });
    round(&mut jobs, &ids).await;
    assert!(matches!(next(&mut jobs).await, AgentFrame::Done { id, .. } if id == small));
}

#[tokio::test(start_paused = true)]
async fn live_answers_wait_while_a_single_one_has_something_to_send() {
    let mut jobs = Jobs::new(Limits::default(), 1);
    let lives = answers_in(Lane::Live, &mut jobs, 2);
    lives.iter().for_each(|id| jobs.credit(*id, 1 << 20));
    assert_eq!(round(&mut jobs, &lives).await, [0, 1]);
    let single = answers(&mut jobs, 1)[0];
    let ids = [lives[0], lives[1], single];
    // Within its first credit only what is in the queue already goes before it.
    let part = encoded_len(&AgentFrame::Part { id: single, n: 0, body: body() });
    let paid = FIRST_CREDIT as usize / part;
    let mut turns = Vec::new();
    while turns.iter().filter(|who| **who == 2).count() < paid {
        let AgentFrame::Part { id, .. } = next(&mut jobs).await else { panic!("an answer ended") };
        turns.push(ids.iter().position(|known| *known == id).unwrap());
    }
    assert!(turns.len() <= paid + 2, "{turns:?}");
    // Without credit it has nothing to send, and they go on.
    assert_eq!(round(&mut jobs, &lives).await.len(), 2);
    jobs.credit(single, 1 << 20);
    let mut held_up = 0;
    loop {
        match next(&mut jobs).await {
            AgentFrame::Part { id, .. } => held_up += usize::from(id != single),
            AgentFrame::Done { id, .. } if id == single => break,
            frame => panic!("{frame:?}"),
        }
    }
    assert!(held_up <= 4, "{held_up} Parts of live answers went before those of a single one");
}

#[tokio::test(start_paused = true)]
async fn a_page_is_read_while_the_one_before_it_is_sent() {
    let (dir, now) = (tempfile::tempdir().unwrap(), Arc::new(AtomicI64::new(1_767_225_600_000)));
    let (state, time) = (State::open(dir.path()).await.unwrap(), now.clone());
    let clock = Arc::new(move || Timestamp::from_millis(time.load(Ordering::Relaxed)));
    let config =
        CameraConfig { upload: Upload::OnDemand, ..CameraConfig::simulated("porch".parse().unwrap()) };
    let age = config.retention.as_millis() as i64;
    let camera = Camera::open(config, &state, clock, watch::Sender::new(())).await.unwrap();
    let (kind, severity, description) = (Kind::Motion, Severity::Info, "x".repeat(100));
    let event = Draft { at: None, kind, severity, description, data: Data::new(), image_at: None };
    camera.spool.append(vec![event; 2_000]).await.unwrap();
    let mut jobs = Jobs::new(Limits::default(), 1);
    let call = Call::Events(EventsCall::all(Order::Asc));
    let request = Request { id: RequestId::new(), camera: camera.id().clone(), deadline_ms: 60_000, call };
    let id = request.id;
    jobs.start(request, Some(&camera)).unwrap();
    jobs.credit(id, 1 << 20);
    let mut frame = next(&mut jobs).await;
    // The clock stands still while the disk is read; afterwards everything becomes too old and is dropped.
    sleep(Duration::from_millis(1)).await;
    now.fetch_add(2 * age, Ordering::Relaxed);
    camera.spool.tidy().await.unwrap();
    let mut last = 0;
    while let AgentFrame::Part { body: Body::Items(Items::Events(events)), .. } = frame {
        last = events.last().unwrap().seq;
        frame = next(&mut jobs).await;
    }
    assert_eq!(last, 2 * 256, "the page that was being sent, and the one after it");
}
