//! The servers that are measured: where they are, what a request to them carries, and which processes do the work.

use std::{
    net::{Ipv4Addr, SocketAddr},
    process::Stdio,
    time::Duration,
};

use bytes::Bytes;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
    runtime::Handle,
    task::JoinSet,
};

use super::{
    device,
    phase::{NULL, ORIEL},
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
    _programs: Vec<Program>,
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
            _programs: Vec::new(),
            _devices: JoinSet::new(),
        }
    }

    /// The processor time that all its processes have used.
    pub(super) fn processor(&self) -> Result<Duration> {
        self.pids.iter().map(|pid| process::processor(*pid)).sum()
    }
}

/// Starts the null relay, and devices that answer with `answer`. Requests carry a key as long as the gateway's, which it ignores.
pub(super) async fn null(answer: &Bytes, cameras: usize, handle: &Handle) -> Result<Side> {
    let program = Program::start("null-relay").await?;
    let target = Target { address: program.address, tls: None };
    let devices = device::start(&target, cameras, answer, handle).await?;
    Ok(Side {
        name: NULL,
        target,
        key: "oak_".to_owned() + &"0".repeat(43),
        pids: vec![program.child.id().unwrap_or_default()],
        _programs: vec![program],
        _devices: devices,
    })
}

impl Program {
    async fn start(scenario: &str) -> Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg(scenario).arg("--listen").arg(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).to_string());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().doing(scenario)?;
        let said = child.stdout.take().ok_or_else(|| Failure::new("a process without output"))?;
        let line = BufReader::new(said).lines().next_line().await?;
        let address = line.ok_or_else(|| Failure::new(format!("{scenario} does not start")))?;
        Ok(Self { address: address.parse().doing(address)?, child })
    }
}
