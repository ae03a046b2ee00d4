//! What those who share an answer are promised, with a clock that is moved, not waited for.

#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures_util::future::join_all;
use prometheus_client::metrics::counter::Counter;
use tokio::{
    sync::Notify,
    task::{JoinHandle, yield_now},
    time::{Instant, advance},
};

use super::{Late, Shared};

const SECOND: Duration = Duration::from_secs(1);

/// Questions that are answered when the test says so.
#[derive(Clone)]
struct Asked {
    shared: Shared<&'static str, usize>,
    times: Arc<AtomicUsize>,
    left: Arc<AtomicUsize>,
    answer: Arc<Notify>,
}

/// Counts when it is dropped.
struct Leaves(Arc<AtomicUsize>);

impl Drop for Leaves {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

impl Asked {
    fn new() -> Self {
        let shared = Shared::new(Counter::default());
        Self { shared, times: Arc::default(), left: Arc::default(), answer: Arc::default() }
    }

    fn ask(&self, key: &'static str, within: Duration) -> JoinHandle<Result<usize, Late>> {
        let (asked, deadline) = (self.clone(), Instant::now() + within);
        tokio::spawn(async move {
            let (times, answer) = (asked.times.clone(), asked.answer.clone());
            let leaves = Leaves(asked.left.clone());
            let ask = |_| async move {
                let _leaves = leaves;
                let time = times.fetch_add(1, Ordering::Relaxed) + 1;
                answer.notified().await;
                time
            };
            asked.shared.answer(key, deadline, ask).await
        })
    }

    fn times(&self) -> usize {
        self.times.load(Ordering::Relaxed)
    }
}

async fn settle() {
    for _ in 0..20 {
        yield_now().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_thousand_equal_questions_are_asked_once() {
    let asked = Asked::new();
    let all: Vec<_> = (0..1_000).map(|_| asked.ask("a", SECOND)).collect();
    let other = asked.ask("b", SECOND);
    settle().await;
    assert_eq!((asked.times(), asked.shared.len()), (2, 2));
    asked.answer.notify_waiters();
    assert!(join_all(all).await.into_iter().all(|answer| answer.unwrap().is_ok()));
    other.await.unwrap().unwrap();
    assert!(asked.shared.is_empty());
}

#[tokio::test(start_paused = true)]
async fn whoever_asks_after_the_answer_gets_a_new_one() {
    let asked = Asked::new();
    for time in 1..=2 {
        let one = asked.ask("a", SECOND);
        settle().await;
        asked.answer.notify_waiters();
        assert_eq!(one.await.unwrap(), Ok(time));
    }
}

#[tokio::test(start_paused = true)]
async fn each_waiter_leaves_at_its_own_deadline_and_the_last_one_ends_the_question() {
    let asked = Asked::new();
    let (short, long) = (asked.ask("a", SECOND), asked.ask("a", 3 * SECOND));
    settle().await;
    let start = Instant::now();
    assert_eq!(short.await.unwrap(), Err(Late));
    assert_eq!((start.elapsed().as_secs(), asked.left.load(Ordering::Relaxed)), (1, 1), "the joiner's own");
    assert_eq!(long.await.unwrap(), Err(Late));
    assert_eq!((start.elapsed().as_secs(), asked.left.load(Ordering::Relaxed)), (3, 2));
    assert!(asked.shared.is_empty());
}

#[tokio::test(start_paused = true)]
async fn the_answer_goes_on_when_who_asked_first_hangs_up() {
    let asked = Asked::new();
    let first = asked.ask("a", SECOND);
    settle().await;
    let second = asked.ask("a", SECOND);
    settle().await;
    first.abort();
    settle().await;
    asked.answer.notify_waiters();
    assert_eq!(second.await.unwrap(), Ok(1));
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_has_begun_is_waited_for_beyond_the_deadline() {
    let shared = Shared::<_, ()>::new(Counter::default());
    let ask = |patience: Arc<super::Patience>| async move {
        patience.begin();
        tokio::time::sleep(5 * SECOND).await;
    };
    assert_eq!(shared.answer("a", Instant::now() + SECOND, ask).await, Ok(()));
}

#[tokio::test(start_paused = true)]
async fn who_joins_with_more_time_makes_the_longest_patience() {
    let shared = Shared::<_, Duration>::new(Counter::default());
    let start = Instant::now();
    let first = shared.answer("a", start + SECOND, |patience| async move {
        advance(SECOND / 2).await;
        patience.longest() - start
    });
    let second = shared.answer("a", start + 2 * SECOND, |_| async { Duration::ZERO });
    let (first, second) = tokio::join!(first, second);
    assert_eq!((first, second), (Ok(2 * SECOND), Ok(2 * SECOND)));
}
