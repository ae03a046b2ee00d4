//! What happens in one run, all of it drawn from the seed: who is there, what breaks when, and for how long.

use std::{fmt, ops::Range, time::Duration};

use rand::{RngExt, SeedableRng, rngs::StdRng, seq::IndexedRandom};

/// One step of simulated time: within it every host runs by itself, and what was sent arrives with the next.
pub(crate) const STEP: Duration = Duration::from_millis(10);

/// When the first trouble begins, counted from the end of the calm beginning.
const FIRST: u64 = 500;

/// How long after the beginning of a burst its link is left in peace.
const BURST_SETTLES_WITHIN: Duration = Duration::from_secs(30);

/// A host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Node {
    Gateway(usize),
    Agent(usize),
    /// The first of them has no trouble with its own network.
    Client(usize),
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gateway(n) => write!(f, "gateway-{n}"),
            Self::Agent(n) => write!(f, "agent-{n}"),
            Self::Client(n) => write!(f, "client-{n}"),
        }
    }
}

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum What {
    /// Nothing gets through.
    Cut(Node, Node),
    /// Nothing gets from the first to the second.
    OneWay(Node, Node),
    /// Everything arrives, but only at the end.
    Hold(Node, Node),
    /// Everything takes this long.
    Slow(Node, Node, Duration),
    /// Each message cuts the connection with this probability, until another one mends it.
    Lossy(Node, Node, f64),
    /// The program is killed, and the system tells its peers.
    Killed(Node),
    /// The machine is gone, and nobody is told.
    PowerCut(Node),
    /// The program is asked to stop, and started again.
    Restart(Node),
}

impl What {
    /// The two ends of the network that it is about.
    pub(crate) fn path(self) -> Option<(Node, Node)> {
        match self {
            Self::Cut(a, b) | Self::OneWay(a, b) | Self::Hold(a, b) => Some((a, b)),
            Self::Slow(a, b, _) | Self::Lossy(a, b, _) => Some((a, b)),
            Self::Killed(_) | Self::PowerCut(_) | Self::Restart(_) => None,
        }
    }

    /// The host that it is about.
    pub(crate) fn host(self) -> Option<Node> {
        match self {
            Self::Killed(node) | Self::PowerCut(node) | Self::Restart(node) => Some(node),
            _ => None,
        }
    }

    /// Whether it cannot happen at the same time: to the same host or on the same path, or a power cut, which cuts all its paths.
    fn excludes(self, other: Self) -> bool {
        let is_end = |(a, b): (Node, Node), node| a == node || b == node;
        match (self.path(), other.path()) {
            (Some(mine), Some((a, b))) => is_end(mine, a) && is_end(mine, b),
            (None, None) => self.host() == other.host() || self.is_power_cut() && other.is_power_cut(),
            (Some(path), None) => other.is_power_cut() && other.host().is_some_and(|node| is_end(path, node)),
            (None, Some(_)) => other.excludes(self),
        }
    }

    /// Whether messages are lost, so that a connection may be dead while both its ends believe in it.
    pub(crate) const fn loses(self) -> bool {
        matches!(self, Self::Cut(..) | Self::OneWay(..) | Self::Lossy(..) | Self::PowerCut(_))
    }

    const fn is_power_cut(self) -> bool {
        matches!(self, Self::PowerCut(_))
    }
}

/// Something that goes wrong for a while; times count from the end of the calm beginning.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Trouble {
    pub(crate) at: Duration,
    pub(crate) until: Duration,
    pub(crate) what: What,
}

/// More questions at once than a link takes, each of which gives up soon.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Burst {
    pub(crate) at: Duration,
    pub(crate) gateway: usize,
    pub(crate) agent: usize,
    pub(crate) questions: usize,
}

impl Burst {
    /// From the first question until it is clear what became of all, counted like its beginning.
    pub(crate) fn lasts(self) -> Range<Duration> {
        self.at..self.at + BURST_SETTLES_WITHIN
    }

    /// Whether something would end the burst's link before it is clear what became of its questions.
    fn excludes(self, trouble: Trouble) -> bool {
        let is_end = |node| node == Node::Gateway(self.gateway) || node == Node::Agent(self.agent);
        let touches = match trouble.what.path() {
            Some((a, b)) => is_end(a) && is_end(b),
            None => trouble.what.host().is_some_and(is_end),
        };
        touches && trouble.until >= self.lasts().start && trouble.at <= self.lasts().end
    }
}

/// One run.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) seed: u64,
    pub(crate) gateways: usize,
    /// Events of the past that each camera of each agent has.
    pub(crate) agents: Vec<Vec<u64>>,
    /// Questions that each client has open at once.
    pub(crate) clients: Vec<usize>,
    pub(crate) heartbeat: Duration,
    /// Bytes of answers that may wait at a gateway.
    pub(crate) credit: u64,
    pub(crate) latency: (Duration, Duration),
    /// How long things go wrong.
    pub(crate) storm: Duration,
    pub(crate) troubles: Vec<Trouble>,
    pub(crate) burst: Option<Burst>,
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { gateways, agents, clients, heartbeat, latency, .. } = self;
        write!(
            f,
            "{gateways} gateways, events of agents' cameras {agents:?}, questions of clients {clients:?}, "
        )?;
        write!(f, "heartbeat {heartbeat:?}, latency {latency:?}, {:?}", self.burst)?;
        self.troubles.iter().try_for_each(|Trouble { at, until, what }| {
            write!(f, "\n  {:>6.2} s to {:>6.2} s: {what:?}", at.as_secs_f64(), until.as_secs_f64())
        })
    }
}

impl Plan {
    /// What this seed says.
    pub(crate) fn of(seed: u64) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let agents = (0..rng.random_range(1..=3)).map(|_| cameras(&mut rng)).collect();
        let least = Duration::from_millis(rng.random_range(0..20));
        let mut plan = Self {
            seed,
            gateways: rng.random_range(1..=2),
            agents,
            clients: (0..rng.random_range(2..=3)).map(|_| rng.random_range(2..=5)).collect(),
            heartbeat: Duration::from_secs(rng.random_range(2..=8)),
            credit: if rng.random_bool(0.3) { 1 << 20 } else { 16 << 20 },
            latency: (least, least + Duration::from_millis(rng.random_range(1..150))),
            storm: Duration::from_secs(rng.random_range(15..=40)),
            troubles: Vec::new(),
            burst: None,
        };
        if rng.random_bool(0.1) {
            plan.add_burst(&mut rng);
        }
        for _ in 0..rng.random_range(2..=12) {
            let trouble = plan.trouble(&mut rng);
            plan.add(trouble);
        }
        plan.troubles.sort_by_key(|trouble| trouble.at);
        plan
    }

    /// Every camera, with its agent and its number there.
    pub(crate) fn cameras(&self) -> Vec<(usize, usize)> {
        let of = |(agent, cameras): (usize, &Vec<u64>)| (0..cameras.len()).map(move |n| (agent, n));
        self.agents.iter().enumerate().flat_map(of).collect()
    }

    /// The first camera of an agent.
    pub(crate) fn first_camera(&self, agent: usize) -> usize {
        self.agents[..agent].iter().map(Vec::len).sum()
    }

    /// After so long a connection on which nothing comes has ended at both ends.
    pub(crate) fn silence(&self) -> Duration {
        self.heartbeat * 5 / 2 + Duration::from_secs(2)
    }

    /// All hosts.
    pub(crate) fn nodes(&self) -> Vec<Node> {
        let gateways = (0..self.gateways).map(Node::Gateway);
        let agents = (0..self.agents.len()).map(Node::Agent);
        gateways.chain(agents).chain((0..self.clients.len()).map(Node::Client)).collect()
    }

    /// One thing at a time for each host and each path.
    fn add(&mut self, new: Trouble) {
        let at_once = |old: &&Trouble| old.at <= new.until && new.at <= old.until;
        let excluded = self.troubles.iter().filter(at_once).any(|old| old.what.excludes(new.what));
        if !excluded && !self.burst.is_some_and(|burst| burst.excludes(new)) {
            self.troubles.push(new);
        }
    }

    /// A burst over a path that takes nothing meanwhile, and still not for so long that its link is given up: the first question
    /// is late after two seconds, and five seconds later a link that is silent ends.
    fn add_burst(&mut self, rng: &mut StdRng) {
        let (gateway, agent) = (rng.random_range(0..self.gateways), rng.random_range(0..self.agents.len()));
        let at = millis(rng, FIRST..5_000);
        let what = What::Hold(Node::Gateway(gateway), Node::Agent(agent));
        self.troubles.push(Trouble { at, until: at + millis(rng, 6_000..6_700), what });
        self.heartbeat = self.heartbeat.max(Duration::from_secs(4));
        // Far more than an answer may send before anybody takes it.
        self.agents[agent][0] = rng.random_range(1_000..2_000);
        self.burst = Some(Burst { at, gateway, agent, questions: rng.random_range(2_500..3_000) });
    }

    fn trouble(&self, rng: &mut StdRng) -> Trouble {
        let at = millis(rng, FIRST..self.storm.as_millis() as u64);
        let gateway = Node::Gateway(rng.random_range(0..self.gateways));
        let agent = Node::Agent(rng.random_range(0..self.agents.len()));
        let other = match rng.random_bool(0.75) {
            true => agent,
            false => Node::Client(rng.random_range(1..self.clients.len())),
        };
        let host = if rng.random_bool(0.5) { gateway } else { agent };
        let (a, b) = if rng.random_bool(0.5) { (gateway, other) } else { (other, gateway) };
        let (what, lasts) = match rng.random_range(0..18) {
            0..=2 => (What::Cut(a, b), millis(rng, 50..20_000)),
            3..=5 => (What::OneWay(a, b), millis(rng, 50..20_000)),
            6 | 7 => (What::Hold(a, b), millis(rng, 100..12_000)),
            8 | 9 => (What::Slow(a, b, millis(rng, 200..3_000)), millis(rng, 1_000..15_000)),
            10 => {
                let rate = *[0.001, 0.01, 0.1].choose(rng).unwrap_or(&0.01);
                (What::Lossy(a, b, rate), millis(rng, 1_000..15_000))
            }
            11 | 12 => (What::Killed(host), millis(rng, 50..10_000)),
            13..=15 => (What::PowerCut(host), millis(rng, 50..10_000)),
            _ => (What::Restart(host), millis(rng, 11_000..14_000)),
        };
        Trouble { at, until: at + lasts, what }
    }
}

/// The cameras of one agent: mostly with few events, some with more than fits between two hosts.
fn cameras(rng: &mut StdRng) -> Vec<u64> {
    let events = |rng: &mut StdRng| match rng.random_bool(0.3) {
        true => rng.random_range(2_000..4_000),
        false => rng.random_range(20..600),
    };
    (0..rng.random_range(1..=3)).map(|_| events(rng)).collect()
}

fn millis(rng: &mut StdRng, range: Range<u64>) -> Duration {
    Duration::from_millis(rng.random_range(range))
}
