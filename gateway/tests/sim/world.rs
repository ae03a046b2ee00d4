//! The hosts of a run, and what is known of them: real gateways and real agents, with folders of their own.

use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    rc::Rc,
    time::Duration,
};

use camera_agent::config::{CameraConfig, GatewayConfig, SimulatorConfig, SourceConfig};
use oriel_gateway::{
    Gateway, Listeners,
    access::{Access, NewEnrollment, NewKey},
    config::{Config, Endpoint},
    registry::Registry,
    store::{Role, Scope},
};
use oriel_proto::{CameraId, Secret};
use tokio::{runtime::Handle, sync::watch, task::yield_now, time::Instant};
use tokio_util::sync::CancellationToken;
use turmoil::net::TcpListener;

use crate::{
    plan::{Node, Plan},
    question::Asked,
    truth::Entry,
    watch::Watch,
};

const PORT: u16 = 8080;

/// How long a gateway may take to stop: eight seconds for open answers, two for what is cut then.
const GATEWAY_STOPS_WITHIN: Duration = Duration::from_millis(10_100);

/// How long an agent may take to stop: two seconds for its close, five for its tasks.
const AGENT_STOPS_WITHIN: Duration = Duration::from_millis(7_100);

/// How often a stopped program's tasks get a turn to end.
const TURNS: usize = 100;

/// Time between two events of a camera: longer than it takes to read all logs, which is how they become the truth.
const EVENT_EVERY_MS: u64 = 30_000;

/// A run as all its hosts see it.
pub(crate) struct World {
    pub(crate) plan: Plan,
    pub(crate) cameras: Vec<CameraId>,
    folder: PathBuf,
    addresses: HashMap<Node, IpAddr>,
    gateways: Vec<RefCell<GatewaySide>>,
    agents: Vec<RefCell<Program>>,
    /// What each camera's log held before anything went wrong.
    pub(crate) truth: RefCell<Vec<Vec<Entry>>>,
    /// What became of questions, until it is judged.
    pub(crate) asked: RefCell<Vec<Asked>>,
    pub(crate) watch: RefCell<Watch>,
    phase: watch::Sender<Phase>,
    pub(crate) storm_begins: Cell<Duration>,
    wrong: RefCell<Option<String>>,
}

/// How far a run is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    /// Everything starts.
    Begin,
    /// Everybody is online, and nothing is broken.
    Calm,
    /// Things break.
    Storm,
    /// Nothing breaks any more, and nothing new is asked.
    Over,
    /// Everybody is online again.
    Healed,
}

/// A program that runs on a host, seen from outside.
#[derive(Default)]
struct Program {
    stop: CancellationToken,
    runtime: Option<Handle>,
    /// Tasks that it has when nobody asks anything.
    idle: usize,
}

/// A gateway, seen from outside.
#[derive(Default)]
struct GatewaySide {
    program: Program,
    registry: Option<Registry>,
    credentials: Option<Credentials>,
}

/// What is given out when a gateway runs for the first time.
struct Credentials {
    /// May see everything.
    admin: Secret,
    /// May see the first camera alone.
    narrow: Secret,
    /// Of each agent.
    tokens: Vec<Secret>,
}

/// Whose key a question is asked with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Who {
    Admin,
    /// May see the first camera alone.
    Narrow,
}

impl World {
    /// Nobody runs yet.
    pub(crate) fn new(plan: Plan, folder: PathBuf, addresses: HashMap<Node, IpAddr>) -> Rc<Self> {
        let id = |(agent, n): &(usize, usize)| format!("cam-{agent}-{n}").parse().unwrap();
        Rc::new(Self {
            cameras: plan.cameras().iter().map(id).collect(),
            gateways: (0..plan.gateways).map(|_| RefCell::default()).collect(),
            agents: plan.agents.iter().map(|_| RefCell::default()).collect(),
            plan,
            folder,
            addresses,
            truth: RefCell::default(),
            asked: RefCell::default(),
            watch: RefCell::default(),
            phase: watch::Sender::new(Phase::Begin),
            storm_begins: Cell::default(),
            wrong: RefCell::default(),
        })
    }

    /// An invariant does not hold; the first one found counts.
    pub(crate) fn violated(&self, what: impl FnOnce() -> String) {
        self.wrong.borrow_mut().get_or_insert_with(what);
    }

    /// The invariant that does not hold.
    pub(crate) fn wrong(&self) -> Option<String> {
        self.wrong.borrow().clone()
    }

    /// How far the run is.
    pub(crate) fn phase(&self) -> Phase {
        *self.phase.borrow()
    }

    /// The run comes to this.
    pub(crate) fn enter(&self, phase: Phase) {
        self.phase.send_replace(phase);
    }

    /// Waits until the run is so far.
    pub(crate) async fn wait_for(&self, phase: Phase) {
        _ = self.phase.subscribe().wait_for(|now| *now >= phase).await;
    }

    /// Where a gateway is reached.
    pub(crate) fn address(&self, gateway: usize) -> SocketAddr {
        SocketAddr::new(self.addresses[&Node::Gateway(gateway)], PORT)
    }

    /// A host's address.
    pub(crate) fn ip(&self, node: Node) -> IpAddr {
        self.addresses[&node]
    }

    /// What a question to a gateway is asked with.
    pub(crate) fn key(&self, gateway: usize, who: Who) -> String {
        let side = self.gateways[gateway].borrow();
        let credentials = side.credentials.as_ref().expect("a gateway has begun");
        let key = if who == Who::Admin { &credentials.admin } else { &credentials.narrow };
        key.expose().to_owned()
    }

    /// Who is connected to a gateway that runs.
    pub(crate) fn registry(&self, gateway: usize) -> Option<Registry> {
        self.gateways[gateway].borrow().registry.clone()
    }

    /// Whether all gateways have run for the first time.
    pub(crate) fn have_begun(&self) -> bool {
        self.gateways.iter().all(|side| side.borrow().credentials.is_some())
    }

    /// Asks a program to stop.
    pub(crate) fn stop(&self, node: Node) {
        match node {
            Node::Gateway(n) => self.gateways[n].borrow().program.stop.cancel(),
            Node::Agent(n) => self.agents[n].borrow().stop.cancel(),
            Node::Client(_) => {}
        }
    }

    /// A program was killed.
    pub(crate) fn killed(&self, node: Node) {
        match node {
            Node::Gateway(n) => {
                let mut side = self.gateways[n].borrow_mut();
                (side.registry, side.program) = (None, Program::default());
            }
            Node::Agent(n) => self.agents[n].borrow_mut().runtime = None,
            Node::Client(_) => {}
        }
    }

    /// What an agent has now is what it has when nobody asks anything.
    pub(crate) fn is_idle(&self, agent: usize) {
        let mut agent = self.agents[agent].borrow_mut();
        agent.idle = agent.runtime.as_ref().map_or(0, tasks);
    }

    /// Tasks that an agent has beyond those: questions that it works on.
    pub(crate) fn jobs(&self, agent: usize) -> usize {
        let agent = self.agents[agent].borrow();
        agent.runtime.as_ref().map_or(0, tasks).saturating_sub(agent.idle)
    }

    /// Runs a gateway until it is asked to stop.
    pub(crate) async fn run_gateway(self: Rc<Self>, n: usize) -> turmoil::Result {
        let mut config = Config {
            data: self.folder.join(format!("gateway-{n}")),
            metrics_listen: Endpoint::Off,
            heartbeat: self.plan.heartbeat,
            ..Config::default()
        };
        config.limits.credit_bytes = self.plan.credit;
        config.limits.connections_per_address = 10_000;
        let gateway = Gateway::start(config).await?;
        if self.gateways[n].borrow().credentials.is_none() {
            let credentials = self.enrol(gateway.access()).await?;
            self.gateways[n].borrow_mut().credentials = Some(credentials);
        }
        let main = TcpListener::bind(("0.0.0.0", PORT)).await?;
        let listeners = Listeners { main, metrics: None, legacy: None };
        let program = Program::here();
        let stop = program.stop.clone();
        {
            let mut side = self.gateways[n].borrow_mut();
            (side.registry, side.program) = (Some(gateway.registry().clone()), program);
        }
        let serving = gateway.serve(listeners, stop.clone());
        self.until_stopped(Node::Gateway(n), &stop, GATEWAY_STOPS_WITHIN, serving).await;
        self.gateways[n].borrow_mut().registry = None;
        Ok(())
    }

    /// Makes keys, and enrols every agent with its cameras.
    async fn enrol(&self, access: &Access) -> Result<Credentials, Box<dyn std::error::Error>> {
        let all = Scope { all: true, ..Scope::default() };
        let first = Scope { cameras: vec![self.cameras[0].clone()], ..Scope::default() };
        let key = async |name: &str, role, scope| {
            let new = NewKey { name: name.into(), role, scope, expires_at: None };
            access.add_key(new).await.map(|(_, key)| key)
        };
        let admin = key("admin", Role::Admin, all).await?;
        let narrow = key("narrow", Role::Operator, first).await?;
        let mut tokens = Vec::new();
        for agent in 0..self.plan.agents.len() {
            let cameras = self.cameras_of(agent).into_iter().map(|(id, _)| id).collect();
            let valid_for = Duration::from_secs(60);
            let code =
                access.create_enrollment(NewEnrollment { cameras, new_cameras: None, valid_for }).await?.1;
            let enrolled = access.enroll(code.expose(), "an agent", self.ip(Node::Agent(agent))).await?;
            tokens.push(enrolled.token);
        }
        Ok(Credentials { admin, narrow, tokens })
    }

    /// An agent's cameras and how many events of the past each has.
    fn cameras_of(&self, agent: usize) -> Vec<(CameraId, u64)> {
        let of = |((owner, n), id): ((usize, usize), &CameraId)| {
            (owner == agent).then(|| (id.clone(), self.plan.agents[agent][n]))
        };
        self.plan.cameras().into_iter().zip(&self.cameras).filter_map(of).collect()
    }

    /// One of an agent's cameras.
    pub(crate) fn camera_of(&self, agent: usize) -> &CameraId {
        &self.cameras[self.plan.first_camera(agent)]
    }

    /// Runs an agent until it is asked to stop.
    pub(crate) async fn run_agent(self: Rc<Self>, n: usize) -> turmoil::Result {
        let mut program = Program::here();
        let stop = program.stop.clone();
        program.idle = self.agents[n].borrow().idle;
        self.agents[n].replace(program);
        let running = camera_agent::run(self.agent_config(n)?, stop.clone());
        Ok(self.until_stopped(Node::Agent(n), &stop, AGENT_STOPS_WITHIN, running).await?)
    }

    fn agent_config(&self, n: usize) -> Result<camera_agent::Config, Box<dyn std::error::Error>> {
        let gateway = |g: usize| {
            let mut gateway = GatewayConfig::new(format!("http://{}", self.address(g)).parse()?);
            gateway.insecure = true;
            let side = self.gateways[g].borrow();
            gateway.token = side.credentials.as_ref().map(|credentials| credentials.tokens[n].clone());
            Ok(gateway)
        };
        let camera = |(id, backfill): (CameraId, u64)| {
            let simulator = SimulatorConfig {
                backfill,
                interval_ms: EVENT_EVERY_MS,
                preview_ms: 0,
                main_ms: 0,
                ..SimulatorConfig::default()
            };
            CameraConfig { source: SourceConfig::Simulator(simulator), ..CameraConfig::simulated(id) }
        };
        Ok(camera_agent::Config {
            state: self.folder.join(format!("agent-{n}")),
            gateways: (0..self.plan.gateways)
                .map(gateway)
                .collect::<Result<_, Box<dyn std::error::Error>>>()?,
            cameras: self.cameras_of(n).into_iter().map(camera).collect(),
        })
    }

    /// Runs a program to its end: it was told to stop, it has stopped in time, and it has left no task behind.
    async fn until_stopped<T>(
        &self,
        node: Node,
        stop: &CancellationToken,
        within: Duration,
        program: impl Future<Output = T>,
    ) -> T {
        let told = Cell::new(None);
        let note = async {
            stop.cancelled().await;
            told.set(Some(Instant::now()));
            std::future::pending().await
        };
        let output = tokio::select! {
            biased;
            never = note => never,
            output = program => output,
        };
        match told.get().map(|told| told.elapsed()) {
            None => self.violated(|| format!("{node} ended without being told to")),
            Some(took) if took > within => self.violated(|| format!("{node} took {took:?} to stop")),
            Some(_) => {}
        }
        let runtime = Handle::current();
        for _ in 0..TURNS {
            yield_now().await;
        }
        if tasks(&runtime) > 0 {
            self.violated(|| format!("{node} has stopped and left {} tasks", tasks(&runtime)));
        }
        output
    }
}

impl Program {
    fn here() -> Self {
        Self { stop: CancellationToken::new(), runtime: Some(Handle::current()), idle: 0 }
    }
}

fn tasks(runtime: &Handle) -> usize {
    runtime.metrics().num_alive_tasks()
}
