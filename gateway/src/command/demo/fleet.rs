//! The demo's cameras: agents that enrol and connect as any other would, with simulated sources.

use std::{collections::HashSet, io, path::Path, time::Duration};

use camera_agent::config::{CameraConfig, Config, GatewayConfig, SimulatorConfig, SourceConfig};
use oriel_gateway::{
    Gateway,
    access::{Access, NewEnrollment},
    registry::Registry,
};
use oriel_proto::{CameraId, Secret};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::command::Failure;

/// Cameras that one agent serves.
const PER_AGENT: usize = 3;

/// Events of the past that each camera begins with, so that there is something to ask for.
const BACKFILL: u64 = 200;

/// How long an enrolment code of the demo is good: it is used at once.
const CODE_VALID: Duration = Duration::from_secs(60);

/// The first cameras, with their display names; further ones are numbered.
const NAMES: [(&str, &str); 9] = [
    ("porch", "Front porch"),
    ("yard", "Back yard"),
    ("garage", "Garage"),
    ("driveway", "Driveway"),
    ("hall", "Hall"),
    ("kitchen", "Kitchen"),
    ("attic", "Attic"),
    ("gate", "Garden gate"),
    ("shed", "Tool shed"),
];

/// Agents that are ready to start.
pub(super) struct Fleet {
    agents: Vec<Config>,
}

impl Fleet {
    /// Enrols agents for `count` cameras; their state goes below `data`.
    pub(super) async fn new(gateway: &Gateway, data: &Path, url: &str, count: u16) -> Result<Self, Failure> {
        let cameras = (0..usize::from(count)).map(camera).collect::<Result<Vec<_>, _>>()?;
        let mut agents = Vec::new();
        for (n, cameras) in cameras.chunks(PER_AGENT).enumerate() {
            let state = data.join("agents").join(format!("{}", n + 1));
            forget_tokens(&state)?;
            let ids = cameras.iter().map(|camera| camera.id.clone()).collect();
            let mut gateway_config = GatewayConfig::new(url.parse().map_err(io::Error::other)?);
            gateway_config.code =
                Some(code(gateway.access(), gateway.owners(cameras.iter().map(|c| &c.id)), ids).await?);
            agents.push(Config { state, gateways: vec![gateway_config], cameras: cameras.to_vec() });
        }
        Ok(Self { agents })
    }

    /// All cameras.
    pub(super) fn cameras(&self) -> Vec<CameraId> {
        self.agents.iter().flat_map(|agent| &agent.cameras).map(|camera| camera.id.clone()).collect()
    }

    /// Runs all agents until `stop`.
    pub(super) fn start(self, tasks: &TaskTracker, stop: &CancellationToken) {
        for agent in self.agents {
            let stop = stop.clone();
            tasks.spawn(async move {
                if let Err(error) = camera_agent::run(agent, stop).await {
                    tracing::error!(%error, "a simulated agent ended");
                }
            });
        }
    }
}

/// Waits until every camera is connected.
pub(super) async fn all_connected(registry: Registry, cameras: Vec<CameraId>) {
    let mut changes = registry.changes();
    let mut missing: HashSet<CameraId> = cameras.into_iter().collect();
    loop {
        missing.retain(|camera| registry.presence(camera).is_none());
        if missing.is_empty() {
            return;
        }
        // Falling behind is no harm: everything missing is looked at anyway.
        _ = changes.recv().await;
    }
}

fn camera(n: usize) -> Result<CameraConfig, Failure> {
    let (id, name) = match NAMES.get(n) {
        Some((id, name)) => ((*id).to_owned(), (*name).to_owned()),
        None => (format!("cam-{:04}", n + 1), format!("Camera {}", n + 1)),
    };
    let mut camera = CameraConfig::simulated(id.parse().map_err(io::Error::other)?);
    camera.name = Some(name);
    camera.tags = vec!["demo".into()];
    camera.source =
        SourceConfig::Simulator(SimulatorConfig { backfill: BACKFILL, ..SimulatorConfig::default() });
    Ok(camera)
}

/// A code for these cameras; agents of an earlier demo in the same folder lose them.
async fn code(
    access: &Access,
    owners: HashSet<oriel_proto::AgentId>,
    cameras: Vec<CameraId>,
) -> Result<Secret, Failure> {
    for owner in owners {
        // Nobody is connected yet.
        access.revoke_agent(owner, || ()).await?;
    }
    let wanted = NewEnrollment { cameras, new_cameras: None, valid_for: CODE_VALID };
    Ok(access.create_enrollment(wanted).await?.1)
}

/// An agent of an earlier demo enrols anew, because its gateway may listen elsewhere now; its cameras' logs stay.
fn forget_tokens(state: &Path) -> io::Result<()> {
    match std::fs::remove_dir_all(state.join("tokens")) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
