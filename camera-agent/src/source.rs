//! What a camera is made of: something that writes events into its log, started again whenever it fails.

mod simulator;

use std::time::Duration;

use oriel_proto::frame::SourceState;
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep};
use tokio_util::sync::CancellationToken;

use self::simulator::Simulator;
use crate::{
    backoff::{Backoff, Ending},
    camera::Camera,
    config::SourceConfig,
    spool::SpoolError,
};

/// How often a log is looked through for what is past its time.
const TIDY_EVERY: Duration = Duration::from_secs(60);

/// Why a source stopped.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// Its events cannot be kept.
    #[error(transparent)]
    Spool(#[from] SpoolError),
}

/// Something that events come from.
trait Source: Send {
    /// Does once what must be done before the camera is announced for the first time.
    fn prepare(&mut self, camera: &Camera) -> impl Future<Output = Result<(), SourceError>> + Send;

    /// Writes events until it fails; tells the camera once it works.
    fn run(&mut self, camera: &Camera) -> impl Future<Output = SourceError> + Send;
}

/// Does what the camera's source must do before the first connection.
pub(crate) async fn prepare(camera: &Camera) -> Result<(), SourceError> {
    match &camera.config.source {
        SourceConfig::Simulator(config) => Simulator::new(config, camera.id()).prepare(camera).await,
    }
}

/// Keeps the camera's source running until `stop`.
pub(crate) async fn run(camera: Camera, stop: CancellationToken) {
    let running = async {
        match &camera.config.source {
            SourceConfig::Simulator(config) => {
                supervise(Simulator::new(config, camera.id()), &camera).await;
            }
        }
    };
    tokio::select! {
        () = stop.cancelled() => {}
        () = running => {}
        () = tidy(&camera) => {}
    }
}

/// Runs `source`, and again after each failure, at growing distances.
async fn supervise(mut source: impl Source, camera: &Camera) {
    let mut backoff = Backoff::default();
    loop {
        let started = Instant::now();
        let error = source.run(camera).await;
        tracing::warn!(camera = %camera.id(), "the source failed: {error}");
        let why = error.to_string();
        camera.set_source(SourceState::Failing, Some(why.clone()));
        tokio::select! {
            () = sleep(backoff.after(Ending::Broken, started.elapsed(), rand::random())) => {}
            () = refuse(camera, &why) => {}
        }
    }
}

/// Tells whoever asks for a picture why there is none.
async fn refuse(camera: &Camera, why: &str) {
    loop {
        camera.pictures.asked().await.answer(Err(why.to_owned()));
    }
}

async fn tidy(camera: &Camera) {
    let mut every = interval_at(Instant::now() + TIDY_EVERY, TIDY_EVERY);
    every.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        every.tick().await;
        if let Err(e) = camera.spool.tidy().await {
            tracing::warn!(camera = %camera.id(), "old events could not be dropped: {e}");
        }
        if let Err(e) = camera.pictures.tidy().await {
            tracing::warn!(camera = %camera.id(), "old pictures could not be dropped: {e}");
        }
    }
}
