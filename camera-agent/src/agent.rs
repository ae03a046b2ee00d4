//! The agent as a whole: its cameras, and the one connection that it keeps to one of its gateways.

mod dialer;
mod gateway;
mod running;

use std::path::Path;

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use rustls::crypto::ring;
use tokio::{sync::watch, time::Instant};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use self::dialer::Dialer;
use crate::{
    camera::Camera,
    config::{CameraConfig, Config, ConfigError},
    connect::tls::TlsError,
    source,
    spool::{Clock, SpoolError, system_clock},
    state::{State, StateError},
    status::Standing,
};

/// How long a stopping agent waits for its tasks.
const STOP_WITHIN: std::time::Duration = std::time::Duration::from_secs(5);

/// Logs that are opened at one time.
const OPENED_AT_ONCE: usize = 8;

/// Why an agent cannot start.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// The configuration makes no sense.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The state folder cannot be used.
    #[error(transparent)]
    State(#[from] StateError),
    /// A camera's log cannot be used.
    #[error(transparent)]
    Spool(#[from] SpoolError),
    /// Nobody can be trusted.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

/// Runs an agent until `stop`: then it closes its connection and waits for its tasks, a few seconds at most. Errors come at the
/// start alone; once running, it goes on whatever happens.
pub async fn run(config: Config, stop: CancellationToken) -> Result<(), AgentError> {
    run_then(config, stop, |_| ()).await
}

/// Like [`run`]; calls `opened` once its folder and its cameras' logs are open, with what tells where it stands.
pub async fn run_then(
    config: Config,
    stop: CancellationToken,
    opened: impl FnOnce(Standing) + Send,
) -> Result<(), AgentError> {
    // Another part of the program may have chosen a provider already, which is as good.
    let _ = ring::default_provider().install_default();
    config.check()?;
    let since = Instant::now();
    let (bell_tx, bell_rx) = watch::channel(());
    let clock = system_clock();
    let opening = open(&config.state, config.cameras, &clock, bell_tx);
    let (state, cameras) = tokio::select! {
        done = opening => done?,
        () = stop.cancelled() => return Ok(()),
    };
    let stopping = stop.child_token();
    let mut dialer =
        Dialer::new(config.gateways, state, cameras.clone(), clock, bell_rx, since, stopping.clone())?;
    opened(Standing::new(config.state, dialer.board(), cameras.clone()));
    let tasks = TaskTracker::new();
    for camera in cameras {
        tasks.spawn(source::run(camera, stopping.clone()));
    }
    dialer.run().await;
    stopping.cancel();
    tasks.close();
    if tokio::time::timeout(STOP_WITHIN, tasks.wait()).await.is_err() {
        tracing::warn!("some tasks did not stop in time");
    }
    Ok(())
}

/// Opens everything that is on the disk.
async fn open(
    folder: &Path,
    configs: Vec<CameraConfig>,
    clock: &Clock,
    bell: watch::Sender<()>,
) -> Result<(State, Vec<Camera>), AgentError> {
    let state = State::open(folder).await?;
    let cameras = stream::iter(configs)
        .map(|config| async {
            let camera = Camera::open(config, &state, clock.clone(), bell.clone()).await?;
            if let Err(e) = source::prepare(&camera).await {
                tracing::error!(camera = %camera.id(), "{e}");
            }
            // So that the first announcement can say up to when the log is complete.
            if let Err(e) = camera.spool.tidy().await {
                tracing::warn!(camera = %camera.id(), "{e}");
            }
            Ok::<_, AgentError>(camera)
        })
        .buffered(OPENED_AT_ONCE)
        .try_collect()
        .await?;
    Ok((state, cameras))
}
