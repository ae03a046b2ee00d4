//! Callers: what each asks, how long it waits, and whether what it gets is its own.

use std::{
    net::Ipv4Addr,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use rand::{RngExt, SeedableRng, rngs::SmallRng};
use serde::Deserialize;
use tokio::time::timeout;

use super::manner::{self, Manner};
use crate::{
    failure::{Doing, Failure, Result},
    http::{Caller, Reply},
    report::Report,
    target,
};

/// The time that a caller gives who wants to see the answer whatever happens.
const PATIENT_MS: u64 = 20_000;

/// The shortest time that the API takes.
const SHORTEST_MS: u64 = 100;

/// Faults whose story is kept.
const TOLD: usize = 20;

/// All questions, which follow from the seed.
#[derive(Debug)]
pub(super) struct Exam {
    seed: u64,
    requests: u64,
    cameras: usize,
    each: usize,
    callers: u64,
    next: AtomicU64,
    faults: AtomicU64,
}

/// One question.
#[derive(Clone, Debug)]
struct Question {
    camera: usize,
    manner: Manner,
    marker: String,
    timeout_ms: u64,
    /// Whether the answer is asked for as lines, which break off when the connection to the agent ends.
    lines: bool,
    /// Whether the caller waits for a camera that is away.
    wait_online: bool,
    /// When the caller hangs up, if the answer is not there by then.
    patience: Option<Duration>,
}

impl Exam {
    pub(super) fn new(seed: u64, requests: u64, cameras: usize, each: usize, callers: u64) -> Self {
        let (next, faults) = (AtomicU64::new(0), AtomicU64::new(0));
        Self { seed, requests, cameras, each, callers, next, faults }
    }

    /// How many questions were asked.
    pub(super) fn asked(&self) -> u64 {
        self.next.load(Ordering::Relaxed).min(self.requests)
    }

    /// How many had a wrong end.
    pub(super) fn faults(&self) -> u64 {
        self.faults.load(Ordering::Relaxed)
    }

    /// The `n`th question. One in twenty is that of another caller who probably still waits, asked once more.
    fn question(&self, n: u64) -> Question {
        let mut rng = SmallRng::seed_from_u64(self.seed ^ n.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let again =
            rng.random_bool(0.05).then(|| n.saturating_sub(rng.random_range(1..=self.callers / 4 + 1)));
        let own = self.own(n, &mut rng);
        let Some(again) = again.filter(|again| *again != n) else { return own };
        let mut rng = SmallRng::seed_from_u64(self.seed ^ again.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        rng.random_bool(0.05).then(|| rng.random_range(1..=self.callers / 4 + 1));
        let earlier = self.own(again, &mut rng);
        // The camera is told the first caller's time, so that a late answer could be in time for the second.
        if earlier.manner == Manner::Late { own } else { Question { patience: own.patience, ..earlier } }
    }

    fn own(&self, n: u64, rng: &mut SmallRng) -> Question {
        let camera = rng.random_range(0..self.cameras);
        let manner = Manner::of(camera / self.each);
        let short = rng.random_range(SHORTEST_MS..400);
        let timeout_ms = match (manner.is_too_late(), rng.random_bool(0.1)) {
            (true, false) => SHORTEST_MS,
            (_, true) => short,
            (false, false) => PATIENT_MS,
        };
        let patience = rng.random_bool(0.15).then(|| Duration::from_millis(rng.random_range(0..120)));
        Question {
            camera,
            manner,
            marker: format!("q{n}-{:08x}", rng.random::<u32>()),
            timeout_ms,
            lines: rng.random_bool(0.1),
            wait_online: rng.random_bool(0.2),
            patience,
        }
    }
}

/// Where the `n`th caller asks from.
pub(super) fn source(n: u64) -> Ipv4Addr {
    target::source(usize::try_from(n).unwrap_or_default() + 20_000)
}

/// How questions ended.
#[derive(Debug, Default)]
pub(super) struct Tally {
    well: u64,
    failed: u64,
    hung_up: u64,
    wrong: u64,
    unexpected: u64,
    broken: u64,
    stories: Vec<String>,
}

/// How one question ended.
enum Ended {
    Well,
    Failed,
    HungUp,
    /// Somebody else's answer, or not the whole of one's own.
    Wrong(String),
    /// A code that its camera cannot have caused.
    Unexpected(String),
    /// The connection broke.
    Broken(String),
}

impl Tally {
    /// Adds another's.
    pub(super) fn add(&mut self, other: Self) {
        self.well += other.well;
        self.failed += other.failed;
        self.hung_up += other.hung_up;
        self.wrong += other.wrong;
        self.unexpected += other.unexpected;
        self.broken += other.broken;
        self.stories.extend(other.stories);
    }

    /// Tells everything, and what was wrong with it.
    pub(super) fn tell(&self, report: &mut Report) {
        report.figure("answered", self.well);
        report.figure("failed as expected", self.failed);
        report.figure("hung up", self.hung_up);
        self.stories.iter().take(TOLD).for_each(|story| report.progress(story));
        report.none("wrong replies", self.wrong);
        report.none("unexpected codes", self.unexpected);
        report.none("broken connections", self.broken);
    }

    fn note(&mut self, n: u64, question: &Question, ended: Ended) -> u64 {
        let (count, story) = match ended {
            Ended::Well => (&mut self.well, None),
            Ended::Failed => (&mut self.failed, None),
            Ended::HungUp => (&mut self.hung_up, None),
            Ended::Wrong(why) => (&mut self.wrong, Some(why)),
            Ended::Unexpected(why) => (&mut self.unexpected, Some(why)),
            Ended::Broken(why) => (&mut self.broken, Some(why)),
        };
        *count += 1;
        let Some(why) = story else { return 0 };
        if self.stories.len() < TOLD {
            self.stories.push(format!("question {n} {question:?}: {why}"));
        }
        1
    }
}

/// Asks one question after the other until there is none left.
pub(super) async fn call(mut caller: Caller, exam: std::sync::Arc<Exam>, number: u64) -> Tally {
    let mut tally = Tally::default();
    // Half of those who hang up do it with a reset.
    caller.abrupt = number.is_multiple_of(2);
    loop {
        let n = exam.next.fetch_add(1, Ordering::Relaxed);
        if n >= exam.requests {
            return tally;
        }
        let question = exam.question(n);
        let ended = question.ask(&mut caller).await;
        let faults = tally.note(n, &question, ended);
        exam.faults.fetch_add(faults, Ordering::Relaxed);
    }
}

/// A page as the gateway gives it.
#[derive(Deserialize)]
struct Page {
    events: Vec<Event>,
    complete: bool,
}

/// The last of an answer's lines.
#[derive(Deserialize)]
struct Last {
    end: End,
}

#[derive(Deserialize)]
struct End {
    complete: bool,
}

impl Page {
    /// What an answer in lines would be as a page.
    fn of_lines(reply: &Reply) -> Result<Self> {
        let lines: Vec<_> = reply.body.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).collect();
        let (last, events) = lines.split_last().ok_or_else(|| Failure::new("no line at all"))?;
        let last: Last = serde_json::from_slice(last).doing("the last line")?;
        let events = events.iter().map(|event| serde_json::from_slice(event));
        Ok(Self { events: events.collect::<Result<_, _>>().doing("a line")?, complete: last.end.complete })
    }
}

#[derive(Deserialize)]
struct Event {
    camera: String,
    description: String,
}

/// A problem as the gateway gives it.
#[derive(Deserialize)]
struct Problem {
    code: String,
    detail: String,
    camera: Option<String>,
}

impl Question {
    async fn ask(&self, caller: &mut Caller) -> Ended {
        let camera = format!("camera-{}", self.camera);
        let wait = if self.wait_online { "&wait_online=5s" } else { "" };
        let path = format!(
            "/v1/cameras/{camera}/events?source=camera&q={}&timeout={}ms{wait}",
            self.marker, self.timeout_ms
        );
        let asked =
            async { if self.lines { caller.get_lines(&path).await } else { caller.get(&path).await } };
        let reply = match self.patience {
            None => asked.await,
            Some(patience) => match timeout(patience, asked).await {
                Ok(reply) => reply,
                Err(_) => return Ended::HungUp,
            },
        };
        match reply {
            // Lines that have begun cannot be asked for once more; what breaks off at once takes the head with it.
            Err(_) if self.lines && self.manner == Manner::Leaving => Ended::Failed,
            Err(failure) => Ended::Broken(failure.to_string()),
            Ok(reply) if reply.status == 200 => self.well(&reply, &camera),
            Ok(reply) => self.failed(&reply, &camera),
        }
    }

    fn well(&self, reply: &Reply, camera: &str) -> Ended {
        let page = if self.lines { Page::of_lines(reply) } else { reply.json() };
        let page = match page {
            Ok(page) => page,
            Err(failure) => return Ended::Wrong(failure.to_string()),
        };
        let pieces = if self.manner.is_slow() { manner::pieces(&self.marker) as usize } else { 1 };
        let mine = |event: &Event| event.camera == camera && event.description == self.marker;
        if !page.complete || page.events.len() != pieces || !page.events.iter().all(mine) {
            return Ended::Wrong(String::from_utf8_lossy(&reply.body).into_owned());
        }
        if self.allows("ok") { Ended::Well } else { Ended::Unexpected("answered".into()) }
    }

    fn failed(&self, reply: &Reply, camera: &str) -> Ended {
        let Ok(problem) = reply.json::<Problem>() else {
            return Ended::Unexpected(format!("status {} without a problem", reply.status));
        };
        let told = || format!("{} {}: {}", reply.status, problem.code, problem.detail);
        if problem.camera.is_some_and(|named| named != camera) {
            return Ended::Wrong(told());
        }
        let failing = manner::failing(&self.marker);
        let failed = self.manner == Manner::Failing && problem.code == failing.problem;
        if failed && failing.with_words && !problem.detail.contains(&self.marker) {
            return Ended::Wrong(told());
        }
        if self.allows(&problem.code) { Ended::Failed } else { Ended::Unexpected(told()) }
    }

    /// Whether the question may end so.
    fn allows(&self, code: &str) -> bool {
        let impatient = self.timeout_ms < PATIENT_MS && code == "camera_timeout";
        impatient || self.manner.allows(code, &self.marker)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_asks_the_same_questions_again() {
        let exam = || Exam::new(7, 1_000, 500, 5, 100);
        let all = |exam: Exam| (0..1_000).map(|n| format!("{:?}", exam.question(n))).collect::<Vec<_>>();
        assert_eq!(all(exam()), all(exam()));
        assert_ne!(all(exam()), all(Exam::new(8, 1_000, 500, 5, 100)));
    }

    #[test]
    fn some_questions_are_asked_by_several() {
        let exam = Exam::new(7, 10_000, 500, 5, 100);
        let markers: Vec<_> = (0..10_000).map(|n| exam.question(n).marker).collect();
        let distinct: std::collections::HashSet<_> = markers.iter().collect();
        assert!((9_000..9_900).contains(&distinct.len()), "{}", distinct.len());
    }
}
