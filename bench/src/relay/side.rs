//! The servers that are measured, and what was started for each.

use bytes::Bytes;
use tokio::{runtime::Handle, task::JoinSet};

use super::{
    nats::Server,
    phase::{NATS, Phase, RATHOLE},
    rathole::Tunnel,
};
use crate::{
    failure::Result,
    gateway::Gateway,
    measure::{NULL, Subject},
    null_relay::{self, devices},
    program::{Program, installed},
    target::Target,
};

/// A server that is measured; dropping it ends what was started for it.
#[derive(Debug)]
pub(super) struct Side {
    /// How it is asked.
    pub(super) subject: Subject,
    /// Processes that belong to its devices.
    pub(super) helpers: Vec<u32>,
    /// Whether only the first camera can be asked there.
    one_camera: bool,
    _started: Started,
    _devices: JoinSet<()>,
}

/// What was started for a side.
#[derive(Debug)]
enum Started {
    /// Nothing: somebody else has started it.
    Elsewhere,
    /// The null relay.
    NullRelay { _relay: Program },
    /// A NATS server and its front.
    Nats { _server: Server, _front: Program },
    /// Both ends of a tunnel.
    Rathole { _tunnel: Tunnel },
}

impl Side {
    /// The gateway, which somebody else has started.
    pub(super) fn oriel(gateway: &Gateway) -> Self {
        let subject = Subject::oriel(gateway);
        let (helpers, _devices) = (Vec::new(), JoinSet::new());
        Self { subject, helpers, one_camera: false, _started: Started::Elsewhere, _devices }
    }

    /// Whether it can be asked in a phase's way.
    pub(super) const fn can(&self, phase: &Phase) -> bool {
        !(self.one_camera && phase.all_cameras)
    }
}

/// Starts the null relay, and devices that answer with `answer`.
pub(super) async fn null(answer: &Bytes, cameras: usize, handle: &Handle) -> Result<Side> {
    let (relay, address) = Program::serving(null_relay::NAME, &[]).await?;
    let target = Target { address, tls: None };
    let devices = devices::start(&target, 0..cameras, answer, handle).await?;
    Ok(Side {
        subject: Subject::open(NULL, address, vec![relay.pid()]),
        helpers: Vec::new(),
        one_camera: false,
        _started: Started::NullRelay { _relay: relay },
        _devices: devices,
    })
}

/// Starts the nats-server that is installed, a front, and devices that answer with `answer`; none without one.
pub(super) async fn nats(answer: &Bytes, cameras: usize, handle: &Handle) -> Result<Option<Side>> {
    let Some(installed) = installed("nats-server") else { return Ok(None) };
    let server = Server::start(&installed).await?;
    let (front, address) = Program::serving("nats-front", &["--nats", &server.address.to_string()]).await?;
    let devices = server.devices(cameras, answer, handle).await?;
    Ok(Some(Side {
        subject: Subject::open(NATS, address, vec![server.pid(), front.pid()]),
        helpers: Vec::new(),
        one_camera: false,
        _started: Started::Nats { _server: server, _front: front },
        _devices: devices,
    }))
}

/// Starts both ends of the rathole that is installed, and a device's HTTP server behind them; none without one.
pub(super) async fn rathole(answer: &Bytes, handle: &Handle) -> Result<Option<Side>> {
    let Some(installed) = installed("rathole") else { return Ok(None) };
    let (tunnel, devices) = Tunnel::start(&installed, answer, handle).await?;
    Ok(Some(Side {
        subject: Subject::open(RATHOLE, tunnel.address, vec![tunnel.pid()]),
        helpers: vec![tunnel.client_pid()],
        one_camera: true,
        _started: Started::Rathole { _tunnel: tunnel },
        _devices: devices,
    }))
}
