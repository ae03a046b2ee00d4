//! A real `camera-agent` as a process of its own, enrolled at one or several gateways.

use std::{
    fs::{self, OpenOptions},
    path::PathBuf,
    process::Stdio,
    time::Duration,
};

use camera_agent::{config::GatewayConfig, enroll_at};
use oriel_proto::{AgentId, CameraId, Secret};
use tempfile::TempDir;
use tokio::process::{Child, Command};

use crate::{
    enroll,
    failure::{Doing, Failure, Result},
    gateway::{self, Gateway},
};

/// What a device's simulated camera does.
#[derive(Clone, Debug)]
pub(crate) struct Simulated {
    /// Events that its log begins with.
    pub(crate) backfill: u64,
    /// The time between two events.
    pub(crate) interval: Duration,
    /// Which story its events tell; none means that of its id.
    pub(crate) seed: Option<u32>,
    /// Whether its events are uploaded as they are written.
    pub(crate) live: bool,
    /// The agent's program; none means the one beside this program.
    pub(crate) program: Option<PathBuf>,
}

impl Default for Simulated {
    fn default() -> Self {
        let interval = Duration::from_secs(10);
        Self { backfill: 0, interval, seed: None, live: false, program: None }
    }
}

/// A running agent with one simulated camera; dropping it kills it.
#[derive(Debug)]
pub(crate) struct Device {
    /// What it is called at each of its gateways.
    pub(crate) agents: Vec<AgentId>,
    /// What its camera does, from its next start on.
    pub(crate) simulated: Simulated,
    camera: CameraId,
    /// The part of its configuration that says where it connects.
    gateways: String,
    child: Child,
    folder: TempDir,
}

impl Device {
    /// Enrols it at all of `gateways` and starts it; its log begins with `backfill` events.
    pub(crate) async fn start(camera: &CameraId, gateways: &[&Gateway], backfill: u64) -> Result<Self> {
        Self::start_as(camera, gateways, Simulated { backfill, ..Simulated::default() }).await
    }

    /// Enrols it at all of `gateways` and starts it with this camera.
    pub(crate) async fn start_as(
        camera: &CameraId,
        gateways: &[&Gateway],
        simulated: Simulated,
    ) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("oriel-bench-device-").tempdir()?;
        let state = folder.path().join("state");
        let mut text = String::new();
        let mut agents = Vec::new();
        for gateway in gateways {
            let code = enroll::code(gateway, std::slice::from_ref(camera)).await?;
            let mut config = GatewayConfig::new(gateway.url().parse()?);
            config.code = Some(Secret::from(code));
            agents.push(enroll_at(&config, &state).await.doing("enrolling a device")?.agent);
            text += &format!("[[gateway]]\nurl = {:?}\n", gateway.url());
        }
        let child = spawn(&folder, camera, &text, &simulated)?;
        Ok(Self { agents, simulated, camera: camera.clone(), gateways: text, child, folder })
    }

    /// Ends it as a power cut would, and starts it anew with what is in its folder; `between` is called while it does not run.
    pub(crate) async fn kill_and_start(&mut self, between: impl FnOnce() + Send) -> Result<()> {
        if let Some(status) = self.child.try_wait()? {
            let (camera, said) = (&self.camera, self.warnings()?.pop().unwrap_or_default());
            return Err(Failure::new(format!("the agent of {camera} ended by itself with {status}: {said}")));
        }
        self.child.kill().await?;
        between();
        self.child = spawn(&self.folder, &self.camera, &self.gateways, &self.simulated)?;
        Ok(())
    }

    /// What it has logged as a warning or worse, over all its starts.
    pub(crate) fn warnings(&self) -> Result<Vec<String>> {
        let log = fs::read_to_string(self.folder.path().join("log"))?;
        let serious = |line: &&str| line.contains(" WARN ") || line.contains(" ERROR ");
        Ok(log.lines().filter(serious).map(str::to_owned).collect())
    }
}

/// Writes the configuration and starts the program.
fn spawn(folder: &TempDir, camera: &CameraId, gateways: &str, simulated: &Simulated) -> Result<Child> {
    let Simulated { backfill, interval, seed, live, program } = simulated;
    let mut text = format!("state = {:?}\n{gateways}", folder.path().join("state"));
    let upload = if *live { "live" } else { "on_demand" };
    text += &format!("[[camera]]\nid = {:?}\nupload = {upload:?}\n", camera.as_str());
    text += &format!("[camera.source]\ntype = \"simulator\"\nbackfill = {backfill}\n");
    text += &format!("interval_ms = {}\n", interval.as_millis());
    // Events are measured here, and nothing else is to take time.
    text += "preview_ms = 0\nmain_ms = 0\n";
    if let Some(seed) = seed {
        text += &format!("seed = {seed}\n");
    }
    let file = folder.path().join("agent.toml");
    fs::write(&file, text)?;
    let program = program.clone().map_or_else(|| gateway::beside("camera-agent"), Ok)?;
    let mut command = Command::new(&program);
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("CAMERA_AGENT_") {
            command.env_remove(name);
        }
    }
    command.arg("run").arg("--config").arg(&file).kill_on_drop(true);
    let log = OpenOptions::new().create(true).append(true).open(folder.path().join("log"))?;
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
    command.spawn().doing(program.display())
}
