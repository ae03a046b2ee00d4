//! Good traffic: questions at a steady rate, on a thread of their own so that other work of this program does not delay them.
//!
//! A question that waits for an earlier one of its caller is timed from when it was due.

use std::{net::Ipv4Addr, time::Duration};

use tokio::{
    task::JoinSet,
    time::{Instant, sleep_until},
};

use crate::{failure::Result, gateway::Gateway, http::Caller, stats::Times, thread::Thread};

/// Callers that ask good questions in turn.
#[derive(Debug)]
pub(crate) struct Good {
    callers: Vec<Caller>,
    cameras: usize,
    /// Questions a second.
    rate: u32,
    thread: Thread,
}

/// What came of it.
#[derive(Debug, Default)]
pub(crate) struct Traffic {
    /// How long each answer took.
    pub(crate) times: Times,
    /// Questions that got no answer, with the reason.
    pub(crate) failures: Vec<String>,
}

impl Good {
    /// As many callers as there are `sources`, that ask `rate` questions a second in all.
    pub(crate) fn new(
        gateway: &Gateway,
        sources: impl Iterator<Item = Ipv4Addr>,
        cameras: usize,
        rate: u32,
    ) -> Result<Self> {
        let callers = sources.map(|source| gateway.caller(source)).collect();
        Ok(Self { callers, cameras, rate, thread: Thread::start()? })
    }

    /// Asks for so long.
    pub(crate) async fn ask(&mut self, time: Duration) -> Result<Traffic> {
        let between = Duration::from_secs(1) / self.rate;
        let (start, count, cameras) = (Instant::now(), self.callers.len(), self.cameras);
        let mut asking = JoinSet::new();
        for (n, caller) in self.callers.drain(..).enumerate() {
            let plan = Plan { start, end: start + time, between, count, cameras };
            asking.spawn_on(plan.ask(caller, n), self.thread.handle());
        }
        let mut all = Traffic::default();
        while let Some(done) = asking.join_next().await {
            let (caller, traffic) = done?;
            self.callers.push(caller);
            all.append(traffic);
        }
        Ok(all)
    }
}

/// When which question is due.
struct Plan {
    start: Instant,
    end: Instant,
    between: Duration,
    count: usize,
    cameras: usize,
}

impl Plan {
    /// Asks every `count`th question from the `number`th on.
    async fn ask(self, mut caller: Caller, mut number: usize) -> (Caller, Traffic) {
        let mut traffic = Traffic::default();
        loop {
            let due = self.start + self.between * u32::try_from(number).unwrap_or(u32::MAX);
            if due >= self.end {
                return (caller, traffic);
            }
            let late = Instant::now() > due;
            sleep_until(due).await;
            let from = if late { due } else { Instant::now() };
            let path =
                format!("/v1/cameras/camera-{}/events?source=camera&q=good-{number}", number % self.cameras);
            let asked = caller.get(&path).await.and_then(|reply| reply.must_be(200));
            traffic.note(from.elapsed(), asked.map(drop));
            number += self.count;
        }
    }
}

impl Traffic {
    /// Adds all of another.
    pub(crate) fn append(&mut self, other: Self) {
        self.times.append(other.times);
        self.failures.extend(other.failures);
    }

    fn note(&mut self, took: Duration, asked: Result<()>) {
        match asked {
            Ok(()) => self.times.push(took),
            Err(failure) => self.failures.push(failure.to_string()),
        }
    }
}
