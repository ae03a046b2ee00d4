//! What is known of a run at each step: which cameras were online where, which links were the present ones, and what was broken.

use std::{collections::HashMap, time::Duration};

use oriel_gateway::registry::Registry;
use oriel_proto::{AgentId, InstanceId, SessionId};

use crate::{
    plan::{Node, What},
    world::World,
};

/// How long an agent may work on more questions than its gateways have open, while nothing is broken between them: a link that it
/// leaves for another gateway ends within ten seconds, and one that is dead after two and a half heartbeats. (A simulated
/// connection that is closed while its receiver's buffer is full is dead: the end never comes through.)
const CANCELLED_WITHIN: Duration = Duration::from_secs(12);

/// One camera at one gateway.
#[derive(Clone, Copy, Debug, Default)]
struct Sight {
    link: Option<SessionId>,
    /// When it was online last.
    online: Option<Duration>,
    /// When it was offline last, or came over another link than before.
    changed: Duration,
}

/// When something was wrong last.
#[derive(Clone, Copy, Debug, Default)]
struct Times {
    any: Duration,
    /// When messages were lost.
    loss: Duration,
}

/// The link that was an agent's present one.
#[derive(Clone, Copy, Debug)]
struct Present {
    instance: InstanceId,
    generation: u64,
}

/// What was seen so far.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    sights: HashMap<(usize, usize), Sight>,
    present: HashMap<(usize, AgentId), Present>,
    paths: HashMap<(Node, Node), Times>,
    hosts: HashMap<Node, Times>,
    /// Since when agents work on questions that nobody asks.
    working: HashMap<usize, Duration>,
}

impl Watch {
    /// Looks at every gateway as it is `now`.
    pub(crate) fn look(&mut self, world: &World, now: Duration) {
        for gateway in 0..world.plan.gateways {
            let registry = world.registry(gateway);
            if registry.is_none() {
                // The next one that starts there begins anew.
                self.present.retain(|(at, _), _| *at != gateway);
                self.hosts.entry(Node::Gateway(gateway)).or_default().any = now;
            }
            for (n, camera) in world.cameras.iter().enumerate() {
                let presence = registry.as_ref().and_then(|registry| registry.presence(camera));
                let link =
                    presence.filter(|presence| !presence.link.is_closed()).map(|presence| presence.link.id());
                let sight = self.sights.entry((gateway, n)).or_default();
                if link.is_none() || sight.link != link {
                    sight.changed = now;
                }
                if link.is_some() {
                    sight.online = Some(now);
                }
                sight.link = link;
            }
            if let Some(registry) = registry {
                self.look_at_links(world, gateway, &registry);
            }
        }
        (0..world.plan.agents.len()).for_each(|agent| self.look_at_work(world, agent, now));
    }

    /// No Cancel is lost: an agent works on what its gateways have open, and on nothing else.
    fn look_at_work(&mut self, world: &World, agent: usize, now: Duration) {
        let (mut open, mut troubled) = (0, false);
        for gateway in 0..world.plan.gateways {
            troubled |= self.was_troubled(Node::Gateway(gateway), Node::Agent(agent), now);
            let link = world.registry(gateway).and_then(|registry| registry.presence(world.camera_of(agent)));
            open += link.map_or(0, |presence| presence.link.open_calls());
        }
        let working = world.jobs(agent);
        if troubled || working <= open {
            self.working.remove(&agent);
        } else if now - *self.working.entry(agent).or_insert(now) > CANCELLED_WITHIN.max(world.plan.silence())
        {
            world.violated(|| format!("agent-{agent} works on {working} questions, and {open} are open"));
        }
    }

    /// One present link for each instance, and never an older one after a newer one.
    fn look_at_links(&mut self, world: &World, gateway: usize, registry: &Registry) {
        let mut instances = Vec::new();
        for link in registry.links() {
            let facts = link.facts();
            let now = Present { instance: facts.instance, generation: facts.generation };
            if instances.contains(&facts.instance) {
                world.violated(|| format!("gateway-{gateway} has two present links of {}", facts.instance));
            }
            instances.push(facts.instance);
            let before = self.present.insert((gateway, facts.agent), now);
            if let Some(before) = before
                && (before.instance != now.instance || before.generation > now.generation)
            {
                world.violated(|| format!("gateway-{gateway}: {now:?} took over from {before:?}"));
            }
        }
    }

    /// This is wrong `now`.
    pub(crate) fn note(&mut self, what: What, now: Duration) {
        let path = what.path().map(|(a, b)| self.paths.entry((a.min(b), a.max(b))).or_default());
        let host = what.host().map(|node| self.hosts.entry(node).or_default());
        for times in path.into_iter().chain(host) {
            times.any = now;
            times.loss = if what.loses() { now } else { times.loss };
        }
    }

    /// Whether anything was wrong between these two hosts since then, or with one of them.
    pub(crate) fn was_troubled(&self, a: Node, b: Node, since: Duration) -> bool {
        self.times(a, b).any(|times| times.any >= since)
    }

    /// Whether messages between these two were lost since then.
    pub(crate) fn has_lost(&self, a: Node, b: Node, since: Duration) -> bool {
        self.times(a, b).any(|times| times.loss >= since)
    }

    fn times(&self, a: Node, b: Node) -> impl Iterator<Item = &Times> {
        let path = self.paths.get(&(a.min(b), a.max(b)));
        path.into_iter().chain(self.hosts.get(&a)).chain(self.hosts.get(&b))
    }

    /// Whether a camera was offline since then, or changed its link.
    pub(crate) fn has_changed(&self, gateway: usize, camera: usize, since: Duration) -> bool {
        self.sights.get(&(gateway, camera)).is_none_or(|sight| sight.changed >= since)
    }

    /// Whether a camera was online since then.
    pub(crate) fn was_online(&self, gateway: usize, camera: usize, since: Duration) -> bool {
        self.sights
            .get(&(gateway, camera))
            .is_some_and(|sight| sight.online.is_some_and(|last| last >= since))
    }

    /// Where a camera is online as of the last look.
    pub(crate) fn places(&self, world: &World, camera: usize) -> Vec<usize> {
        let online =
            |gateway: &usize| self.sights.get(&(*gateway, camera)).is_some_and(|sight| sight.link.is_some());
        (0..world.plan.gateways).filter(online).collect()
    }
}

/// What is not yet as it must be when everything is quiet: each agent at one gateway, each camera over its agent's present link,
/// no question open but for callers who left `unheard`, no work on one that is not.
pub(crate) fn unrest(world: &World, unheard: usize) -> Option<String> {
    let registries: Vec<Registry> = (0..world.plan.gateways).filter_map(|n| world.registry(n)).collect();
    for camera in &world.cameras {
        let served: Vec<_> = registries
            .iter()
            .filter_map(|registry| Some((registry, registry.presence(camera)?.link)))
            .collect();
        let [(registry, link)] = served.as_slice() else {
            return Some(format!("{camera} is online at {} gateways", served.len()));
        };
        let present = registry.agent(link.facts().agent).map(|connected| connected.link.id());
        if present != Some(link.id()) || link.is_closed() {
            return Some(format!("{camera} is served by {}, and its agent is {present:?}", link.id()));
        }
    }
    let links = registries.iter().flat_map(Registry::links);
    let open: usize = links.map(|link| link.open_calls()).sum();
    if open > 0 {
        return (open > unheard).then(|| {
            format!("{open} questions are open that nobody asks, and {unheard} callers left unheard")
        });
    }
    let jobs = (0..world.plan.agents.len()).map(|agent| (agent, world.jobs(agent)));
    let working = jobs.filter(|(_, jobs)| *jobs > 0).collect::<Vec<_>>();
    (!working.is_empty())
        .then(|| format!("agents work on questions that nobody asks: {working:?} (agent, questions)"))
}
