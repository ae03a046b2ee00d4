//! NATS as a side: the nats-server of this machine, an HTTP front for it, and a subscriber for each camera.

use std::{fs, net::SocketAddr, path::Path, process::Stdio, time::Duration};

use bytes::Bytes;
use futures_util::StreamExt;
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
    nats_front::{connect, subject},
};

/// Longer than any start on a busy machine.
const START_WITHIN: Duration = Duration::from_secs(10);

/// A NATS server on a free port; dropping it ends it.
#[derive(Debug)]
pub(super) struct Server {
    /// Where it is.
    pub(super) address: SocketAddr,
    child: Child,
    _folder: TempDir,
}

impl Server {
    /// Starts it with its defaults.
    pub(super) async fn start(program: &Path) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("oriel-bench-nats-").tempdir()?;
        let mut command = Command::new(program);
        command.args(["--addr", "127.0.0.1", "--port", "-1", "--ports_file_dir"]).arg(folder.path());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
        let child = command.spawn().doing(program.display())?;
        let address = address(folder.path()).await?;
        Ok(Self { address, child, _folder: folder })
    }

    /// Its process id.
    pub(super) fn pid(&self) -> u32 {
        self.child.id().unwrap_or_default()
    }

    /// Connects a device for each camera, which answers with `answer`; they end when the set is dropped.
    pub(super) async fn devices(
        &self,
        cameras: usize,
        answer: &Bytes,
        handle: &Handle,
    ) -> Result<JoinSet<()>> {
        let (mut connecting, mut serving) = (JoinSet::new(), JoinSet::new());
        for n in 0..cameras {
            let (address, subject) = (self.address, subject(camera(n)?.as_str()));
            let connected = async move {
                let client = connect(address).await?;
                let questions = client.subscribe(subject).await?;
                // What is subscribed is known to the server once it has answered this.
                client.flush().await?;
                Result::<_>::Ok((client, questions))
            };
            connecting.spawn_on(connected, handle);
        }
        while let Some(connected) = connecting.join_next().await {
            let ((client, mut questions), answer) = (connected??, answer.clone());
            let serve = async move {
                while let Some(question) = questions.next().await {
                    let Some(reply) = question.reply else { continue };
                    if client.publish(reply, answer.clone()).await.is_err() {
                        return;
                    }
                }
            };
            serving.spawn_on(serve, handle);
        }
        Ok(serving)
    }
}

/// Where the server says that it is: in a file that it writes once it serves.
async fn address(folder: &Path) -> Result<SocketAddr> {
    let until = Instant::now() + START_WITHIN;
    while Instant::now() < until {
        for entry in fs::read_dir(folder)? {
            let text = fs::read_to_string(entry?.path())?;
            let url = text.split('"').find_map(|word| word.strip_prefix("nats://"));
            if let Some(url) = url {
                return Ok(url.parse()?);
            }
        }
        sleep(Duration::from_millis(5)).await;
    }
    Err(Failure::new("nats-server does not start"))
}
