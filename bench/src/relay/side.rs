//! The servers that are measured: where they are, what a request to them carries, and which processes do the work.

use std::{net::SocketAddr, process::Stdio, time::Duration};

use bytes::Bytes;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
    runtime::Handle,
    task::JoinSet,
};

use super::{
    device,
    nats::{self, Server},
    phase::{NATS, NULL, ORIEL},
};
use crate::{
    failure::{Doing, Failure, Result},
    gateway::Gateway,
    process,
    target::Target,
};

/// A server that is measured; dropping it ends what was started for it.
#[derive(Debug)]
pub(super) struct Side {
    /// What it is called.
    pub(super) name: &'static str,
    /// Where it is.
    pub(super) target: Target,
    /// What its requests are allowed by.
    pub(super) key: String,
    /// What does the work.
    pids: Vec<u32>,
    _program: Option<Program>,
    _server: Option<Server>,
    _devices: JoinSet<()>,
}

/// A subcommand of this program as a process of its own.
#[derive(Debug)]
struct Program {
    address: SocketAddr,
    child: Child,
}

impl Side {
    /// The gateway, which somebody else has started.
    pub(super) fn oriel(gateway: &Gateway) -> Self {
        Self {
            name: ORIEL,
            target: gateway.target.clone(),
            key: gateway.key.clone(),
            pids: vec![gateway.pid()],
            _program: None,
            _server: None,
            _devices: JoinSet::new(),
        }
    }

    /// The processor time that all its processes have used.
    pub(super) fn processor(&self) -> Result<Duration> {
        self.pids.iter().map(|pid| process::processor(*pid)).sum()
    }
}

/// Starts the null relay, and devices that answer with `answer`.
pub(super) async fn null(answer: &Bytes, cameras: usize, handle: &Handle) -> Result<Side> {
    let program = Program::start("null-relay", &[]).await?;
    let target = Target { address: program.address, tls: None };
    let devices = device::start(&target, cameras, answer, handle).await?;
    Ok(Side {
        name: NULL,
        target,
        key: ignored_key(),
        pids: vec![program.pid()],
        _program: Some(program),
        _server: None,
        _devices: devices,
    })
}

/// Starts the nats-server that is installed, a front, and devices that answer with `answer`; none when it is not installed.
pub(super) async fn nats(answer: &Bytes, cameras: usize, handle: &Handle) -> Result<Option<Side>> {
    let Some(installed) = nats::installed("nats-server") else { return Ok(None) };
    let server = Server::start(&installed).await?;
    let program = Program::start("nats-front", &["--nats", &server.address.to_string()]).await?;
    let devices = server.devices(cameras, answer, handle).await?;
    Ok(Some(Side {
        name: NATS,
        target: Target { address: program.address, tls: None },
        key: ignored_key(),
        pids: vec![server.pid(), program.pid()],
        _program: Some(program),
        _server: Some(server),
        _devices: devices,
    }))
}

/// A key as long as the gateway's, for those that look at none.
fn ignored_key() -> String {
    "oak_".to_owned() + &"0".repeat(43)
}

impl Program {
    async fn start(scenario: &str, flags: &[&str]) -> Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg(scenario).args(flags);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().doing(scenario)?;
        let said = child.stdout.take().ok_or_else(|| Failure::new("a process without output"))?;
        let line = BufReader::new(said).lines().next_line().await?;
        let address = line.ok_or_else(|| Failure::new(format!("{scenario} does not start")))?;
        Ok(Self { address: address.parse().doing(address)?, child })
    }

    fn pid(&self) -> u32 {
        self.child.id().unwrap_or_default()
    }
}
