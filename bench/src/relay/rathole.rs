//! rathole as a side: its server and its client on this machine, and behind them the HTTP server of one device.
//!
//! A tunnel knows nothing of cameras: a port of its own leads to each, so only the first one is asked. What the client
//! and the device's server cost is not counted, since they would be elsewhere.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::Path,
    process::Stdio,
    time::Duration,
};

use bytes::Bytes;
use tempfile::TempDir;
use tokio::{
    process::{Child, Command},
    runtime::Handle,
    task::JoinSet,
    time::{Instant, sleep},
};

use crate::{
    failure::{Doing, Failure, Result},
    fleet::camera,
    front,
    http::Caller,
    target::Target,
};

/// Longer than any start on a busy machine.
const START_WITHIN: Duration = Duration::from_secs(10);

/// What the client is let in with; nobody else looks for these ports.
const TOKEN: &str = "oriel-bench";

/// Both ends of a tunnel on free ports; dropping it ends them.
#[derive(Debug)]
pub(super) struct Tunnel {
    /// Where callers ask.
    pub(super) address: SocketAddr,
    server: Child,
    client: Child,
    _folder: TempDir,
}

impl Tunnel {
    /// Starts both ends, and on `handle` a device that answers with `answer`; it ends when the set is dropped.
    pub(super) async fn start(
        program: &Path,
        answer: &Bytes,
        handle: &Handle,
    ) -> Result<(Self, JoinSet<()>)> {
        let (device, serving) = device(answer.clone(), handle).await?;
        let folder = tempfile::Builder::new().prefix("oriel-bench-rathole-").tempdir()?;
        let [control, address] = free()?;
        let (server, client) = (folder.path().join("server.toml"), folder.path().join("client.toml"));
        fs::write(&server, server_config(control, address))?;
        fs::write(&client, client_config(control, device))?;
        let server = spawn(program, "--server", &server)?;
        let client = spawn(program, "--client", &client)?;
        reached(address).await?;
        Ok((Self { address, server, client, _folder: folder }, serving))
    }

    /// The process id of the server.
    pub(super) fn pid(&self) -> u32 {
        self.server.id().unwrap_or_default()
    }

    /// The process id of the client, which would be at the device.
    pub(super) fn client_pid(&self) -> u32 {
        self.client.id().unwrap_or_default()
    }
}

/// A device's HTTP server, which gives `answer` to every question.
async fn device(answer: Bytes, handle: &Handle) -> Result<(SocketAddr, JoinSet<()>)> {
    let listener = handle.spawn(async { front::listen(None) }).await??;
    let address = listener.local_addr()?;
    let mut serving = JoinSet::new();
    let respond = move |_| std::future::ready(front::json(answer.clone()));
    // Its end is seen by who asks it.
    serving.spawn_on(async move { _ = front::serve(listener, respond).await }, handle);
    Ok((address, serving))
}

/// Two ports that nobody listens on.
fn free() -> Result<[SocketAddr; 2]> {
    // Both are held until both are known, so that they differ.
    let listen = || TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
    let held = [listen()?, listen()?];
    Ok([held[0].local_addr()?, held[1].local_addr()?])
}

fn server_config(control: SocketAddr, camera: SocketAddr) -> String {
    format!(
        "[server]\nbind_addr = \"{control}\"\ndefault_token = \"{TOKEN}\"\n\n\
         [server.services.camera]\nbind_addr = \"{camera}\"\nnodelay = true\n"
    )
}

fn client_config(control: SocketAddr, device: SocketAddr) -> String {
    format!(
        "[client]\nremote_addr = \"{control}\"\ndefault_token = \"{TOKEN}\"\n\n\
         [client.services.camera]\nlocal_addr = \"{device}\"\nnodelay = true\n"
    )
}

fn spawn(program: &Path, end: &str, config: &Path) -> Result<Child> {
    let mut command = Command::new(program);
    command.arg(end).arg(config).env("RUST_LOG", "off");
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
    command.spawn().doing(program.display())
}

/// Waits until the device can be asked through the tunnel.
async fn reached(address: SocketAddr) -> Result<()> {
    let path = format!("/v1/cameras/{}/events", camera(0)?);
    let until = Instant::now() + START_WITHIN;
    loop {
        let mut caller = Caller::new(Target { address, tls: None }, Ipv4Addr::LOCALHOST, "");
        let why = match caller.get(&path).await {
            Ok(reply) => return reply.must_be(200).map(drop),
            Err(why) => why,
        };
        if Instant::now() > until {
            return Err(Failure::new(format!("rathole does not start: {why}")));
        }
        sleep(Duration::from_millis(10)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ends_know_the_same_service_and_token() {
        let [control, other] = free().unwrap();
        let (server, client) = (server_config(control, other), client_config(control, other));
        for said in [TOKEN, ".services.camera]", &control.to_string()] {
            assert!(server.contains(said) && client.contains(said), "{said}");
        }
        assert_ne!(control, other);
    }
}
