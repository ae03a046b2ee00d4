//! Questions by chance, and whether what became of one is right.

use std::{rc::Rc, time::Duration};

use rand::{RngExt, rngs::StdRng, seq::IndexedRandom};
use serde_json::Value;

use crate::{
    client::{End, Get, Got},
    plan::{Node, STEP},
    truth::{Entry, Filter, Told},
    watch::Watch,
    world::{Who, World},
};

/// How long a client waits that waits for any answer: far longer than any should take.
const ENDLESS: Duration = Duration::from_secs(60);

/// How long after a trouble everything that was slow or held has arrived.
const SETTLES_WITHIN: Duration = Duration::from_secs(4);

/// The largest page.
const PAGE: usize = 1_000;

/// A question and how it is asked.
#[derive(Clone, Debug)]
pub(crate) struct Question {
    pub(crate) client: usize,
    pub(crate) gateway: usize,
    pub(crate) camera: usize,
    pub(crate) who: Who,
    pub(crate) lines: bool,
    pub(crate) filter: Filter,
    pub(crate) timeout: Duration,
    pub(crate) wait_online: Option<Duration>,
    /// None means: until there is an answer.
    pub(crate) patience: Option<Duration>,
    pub(crate) pace: Duration,
    pub(crate) enough: usize,
    /// Whether nothing is broken, so that there must be an answer.
    pub(crate) calm: bool,
}

/// What became of a question.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) question: Question,
    pub(crate) from: Duration,
    pub(crate) to: Duration,
    pub(crate) got: Got,
    pub(crate) end: End,
}

impl Question {
    /// All of a camera's log, asked in quiet by somebody who waits.
    pub(crate) fn all(world: &World, gateway: usize, camera: usize) -> Self {
        let log = &world.truth.borrow();
        let (from, to) = log.get(camera).map_or_else(
            || ("2000-01-01T00:00:00Z".into(), "2100-01-01T00:00:00Z".into()),
            |log| (first(log), last(log)),
        );
        Self {
            client: 0,
            gateway,
            camera,
            who: Who::Admin,
            lines: true,
            filter: Filter { from, to, kind: None, text: None, newest_first: false, limit: None },
            timeout: Duration::from_secs(10),
            wait_online: None,
            patience: None,
            pace: Duration::ZERO,
            enough: usize::MAX,
            calm: true,
        }
    }

    /// Any question.
    pub(crate) fn draw(world: &World, client: usize, rng: &mut StdRng) -> Self {
        let (gateway, camera) =
            (rng.random_range(0..world.plan.gateways), rng.random_range(0..world.cameras.len()));
        let lines = rng.random_bool(0.4);
        let some = |rng: &mut StdRng, chance, range: std::ops::Range<u64>| {
            rng.random_bool(chance).then(|| Duration::from_millis(rng.random_range(range)))
        };
        Self {
            client,
            gateway,
            camera,
            who: if rng.random_bool(0.1) { Who::Narrow } else { Who::Admin },
            lines,
            filter: filter(&world.truth.borrow()[camera], lines, rng),
            timeout: Duration::from_millis(*[100, 500, 2_000, 5_000, 10_000].choose(rng).unwrap_or(&1_000)),
            wait_online: some(rng, 0.3, 0..8_000),
            patience: some(rng, 0.3, 0..3_000),
            pace: some(rng, 0.3, 1..300).filter(|_| lines).unwrap_or_default(),
            enough: if rng.random_bool(0.2) { rng.random_range(1..200_000) } else { usize::MAX },
            calm: false,
        }
    }

    /// Asks, and hands in what became of it.
    pub(crate) async fn ask(self, world: &Rc<World>) {
        let mut path = format!(
            "/v1/cameras/{}/events?source=camera&{}&timeout={}ms",
            world.cameras[self.camera],
            self.filter.parameters(),
            self.timeout.as_millis()
        );
        if let Some(wait) = self.wait_online {
            path += &format!("&wait_online={}ms", wait.as_millis());
        }
        let get = Get {
            address: world.address(self.gateway),
            path,
            key: world.key(self.gateway, self.who),
            lines: self.lines,
            patience: self.patience.unwrap_or(self.timeout + self.wait_online.unwrap_or_default() + ENDLESS),
            pace: self.pace,
            enough: self.enough,
        };
        let from = now();
        let (got, end) = get.ask().await;
        world.asked.borrow_mut().push(Asked { question: self, from, to: now(), got, end });
    }
}

/// The time of the simulation, as a host sees it.
fn now() -> Duration {
    turmoil::sim_elapsed().expect("a host asks")
}

fn first(log: &[Entry]) -> String {
    log.first().expect("an event").at.clone()
}

fn last(log: &[Entry]) -> String {
    log.last().expect("an event").at.clone()
}

/// A part of a log: often one of a few, so that equal questions are open at the same time.
fn filter(log: &[Entry], lines: bool, rng: &mut StdRng) -> Filter {
    let end = log.len() - 1;
    let (from, to) = match rng.random_range(0..10) {
        0..=2 => (0, end),
        3..=6 => {
            let part = rng.random_range(0..4);
            (end * part / 4, end * (part + 1) / 4)
        }
        _ => {
            let (a, b) = (rng.random_range(0..=end), rng.random_range(0..=end));
            (a.min(b), a.max(b))
        }
    };
    let one = |rng: &mut StdRng| log.choose(rng).cloned();
    let all = lines && rng.random_bool(0.7);
    Filter {
        from: log[from].at.clone(),
        to: log[to].at.clone(),
        kind: one(rng).filter(|_| rng.random_bool(0.2)).map(|entry| entry.kind),
        text: one(rng).filter(|_| rng.random_bool(0.1)).map(|entry| entry.description),
        newest_first: rng.random_bool(0.5),
        limit: (!all).then(|| *[1, 10, 100, PAGE].choose(rng).unwrap_or(&PAGE)),
    }
}

impl Asked {
    /// What is wrong with it, if anything.
    pub(crate) fn fault(&self, world: &World, watch: &Watch) -> Option<String> {
        let Question { client, gateway, camera, .. } = self.question;
        let since = self.from.saturating_sub(STEP);
        let troubled =
            !self.question.calm && watch.was_troubled(Node::Client(client), Node::Gateway(gateway), since);
        let broken = troubled || !self.question.calm && watch.has_changed(gateway, camera, since);
        match (self.got.status, &self.end) {
            (_, End::HungUp) if self.has_reason_to_hang_up() || troubled => None,
            (_, End::HungUp) => Some("there is no answer".into()),
            (None, End::Broke(_)) if troubled => None,
            (None, _) => Some("the connection broke for no reason".into()),
            (Some(200), _) => self.answer_fault(world, broken),
            (Some(_), End::Whole) => self.failure_fault(world, watch, since),
            (Some(_), End::Broke(_)) if troubled => None,
            (Some(_), End::Broke(_)) => Some("a failure broke off for no reason".into()),
        }
    }

    /// Whether the word that the caller left was lost. A real system would say it again; here the gateway never hears of it.
    pub(crate) fn left_unheard(&self, watch: &Watch) -> bool {
        let (client, gateway) = (Node::Client(self.question.client), Node::Gateway(self.question.gateway));
        self.end != End::Whole && watch.has_lost(client, gateway, self.to.saturating_sub(STEP))
    }

    fn has_reason_to_hang_up(&self) -> bool {
        self.question.patience.is_some() || self.got.body.len() >= self.question.enough
    }

    /// An answer, or a part of one.
    fn answer_fault(&self, world: &World, broken: bool) -> Option<String> {
        let Question { who, camera, lines, ref filter, .. } = self.question;
        if who == Who::Narrow && camera != 0 {
            return Some("somebody saw a camera that is not theirs".into());
        }
        let whole = self.end == End::Whole;
        if !whole && !broken {
            return Some("an answer broke off for no reason".into());
        }
        if !lines && !whole {
            return None;
        }
        let told = if lines { Told::lines(&self.got.body) } else { Told::page(&self.got.body) };
        let Some(told) = told else { return Some("the answer cannot be read".into()) };
        if whole && told.end.is_none() {
            return Some("the answer has no end".into());
        }
        let truth = world.truth.borrow();
        // Without a truth this is the question that asks for it.
        told.fault(filter, truth.get(camera)?)
    }

    /// Whether there is a reason why the camera had no time: a question that is put again over a newer link, and one behind which
    /// nothing was broken, is answered soon.
    fn may_be_late(&self, world: &World, watch: &Watch) -> bool {
        let Question { gateway, camera, timeout, .. } = self.question;
        let nodes = (Node::Gateway(gateway), Node::Agent(world.plan.cameras()[camera].0));
        let settled = self.to.saturating_sub(SETTLES_WITHIN);
        // A dead connection is found out after two and a half heartbeats, or five seconds after a question that was late.
        let lost = settled.saturating_sub(world.plan.silence() + Duration::from_secs(5));
        timeout <= SETTLES_WITHIN
            || watch.was_troubled(nodes.0, nodes.1, settled)
            || watch.has_lost(nodes.0, nodes.1, lost)
            || watch.has_changed(gateway, camera, settled)
            || self.is_beside_a_burst(world)
    }

    /// Whether a burst of questions kept its gateway busy meanwhile.
    fn is_beside_a_burst(&self, world: &World) -> bool {
        world.plan.burst.is_some_and(|burst| {
            let (lasts, begin) = (burst.lasts(), world.storm_begins.get());
            burst.gateway == self.question.gateway
                && self.from < begin + lasts.end
                && self.to > begin + lasts.start
        })
    }

    /// A failure, which must say what was wrong.
    fn failure_fault(&self, world: &World, watch: &Watch, since: Duration) -> Option<String> {
        let Question { gateway, camera, who, timeout, calm, .. } = self.question;
        let body: Value = serde_json::from_slice(&self.got.body).unwrap_or_default();
        let right = match body["code"].as_str().unwrap_or_default() {
            "not_found" => who == Who::Narrow && camera != 0,
            _ if calm => false,
            "camera_offline" => watch.has_changed(gateway, camera, since),
            "camera_timeout" => {
                self.to - self.from >= timeout
                    && watch.was_online(gateway, camera, since)
                    && self.may_be_late(world, watch)
            }
            "camera_busy" => self.is_beside_a_burst(world),
            "draining" => watch.was_troubled(Node::Gateway(gateway), Node::Gateway(gateway), since),
            _ => false,
        };
        (!right).then(|| format!("the failure is wrong: {body}"))
    }
}
