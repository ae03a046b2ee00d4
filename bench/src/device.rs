//! A real `camera-agent` as a process of its own, enrolled at one or several gateways.

use std::{
    fs::{self, File},
    process::Stdio,
};

use camera_agent::{config::GatewayConfig, enroll_at};
use oriel_proto::{AgentId, CameraId, Secret};
use tempfile::TempDir;
use tokio::process::{Child, Command};

use crate::{
    enroll,
    failure::{Doing, Result},
    gateway::{self, Gateway},
};

/// A running agent with one simulated camera; dropping it kills it.
#[derive(Debug)]
pub(crate) struct Device {
    /// What it is called at each of its gateways.
    pub(crate) agents: Vec<AgentId>,
    _child: Child,
    _folder: TempDir,
}

impl Device {
    /// Enrols it at all of `gateways` and starts it; its log begins with `backfill` events.
    pub(crate) async fn start(camera: &CameraId, gateways: &[&Gateway], backfill: u64) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("oriel-bench-device-").tempdir()?;
        let state = folder.path().join("state");
        let mut text = format!("state = {state:?}\n");
        let mut agents = Vec::new();
        for gateway in gateways {
            let code = enroll::code(gateway, std::slice::from_ref(camera)).await?;
            let mut config = GatewayConfig::new(gateway.url().parse()?);
            config.code = Some(Secret::from(code));
            agents.push(enroll_at(&config, &state).await.doing("enrolling a device")?.agent);
            text += &format!("[[gateway]]\nurl = {:?}\n", gateway.url());
        }
        text += &format!("[[camera]]\nid = {:?}\nupload = \"on_demand\"\n", camera.as_str());
        text += &format!("[camera.source]\ntype = \"simulator\"\nbackfill = {backfill}\n");
        let file = folder.path().join("agent.toml");
        fs::write(&file, text)?;
        let program = gateway::beside("camera-agent")?;
        let mut command = Command::new(&program);
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("CAMERA_AGENT_") {
                command.env_remove(name);
            }
        }
        command.arg("run").arg("--config").arg(&file).kill_on_drop(true);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(File::create(folder.path().join("log"))?);
        let child = command.spawn().doing(program.display())?;
        Ok(Self { agents, _child: child, _folder: folder })
    }
}
