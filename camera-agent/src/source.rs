//! What a camera is made of: something that events and pictures come from, started again whenever it fails.

mod beat;
mod demand;
mod feed;
mod folder;
mod logged;
mod simulator;
mod snapshot;
mod sorting;
mod syslog;
mod tail;
#[cfg(test)]
mod tests;

use std::time::Duration;

use oriel_proto::frame::SourceState;
use tokio::{
    sync::mpsc,
    time::{Instant, MissedTickBehavior, interval_at, sleep},
};
use tokio_util::sync::CancellationToken;

use self::{
    feed::Feed,
    folder::{Folder, FolderError},
    simulator::Simulator,
    snapshot::{SnapshotError, Snapshots},
    syslog::{Syslog, SyslogError},
    tail::{Tail, TailError},
};
use crate::{
    backoff::{Backoff, Ending},
    camera::Camera,
    config::SourceConfig,
    motion,
    ring::RingError,
    spool::SpoolError,
};

/// How often logs and rings are looked through for what is past its time.
const TIDY_EVERY: Duration = Duration::from_secs(60);

/// The longest that nobody looks whether a folder that was missing is there again.
const FOLDER_WITHIN: Duration = Duration::from_secs(2);

/// Why a source stopped.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// Its events cannot be kept.
    #[error(transparent)]
    Spool(#[from] SpoolError),
    /// A simulated picture cannot be drawn.
    #[error("the picture cannot be drawn: {0}")]
    Draw(String),
    /// A camera gives no picture.
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
    /// A folder cannot be looked through.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// Syslog cannot be taken.
    #[error(transparent)]
    Syslog(#[from] SyslogError),
    /// A log file cannot be read.
    #[error(transparent)]
    Tail(#[from] TailError),
    /// Its pictures cannot be kept.
    #[error(transparent)]
    Ring(#[from] RingError),
}

impl SourceError {
    /// How long to wait before the source runs again, after it ran for `lived`.
    fn wait(&self, backoff: &mut Backoff, lived: Duration) -> Duration {
        let ending = match self {
            Self::Snapshot(e) => e.ending(),
            _ => Ending::Broken,
        };
        let wait = backoff.after(ending, lived, rand::random());
        // To look whether a folder is there again disturbs nobody.
        if matches!(self, Self::Folder(_)) { wait.min(FOLDER_WITHIN) } else { wait }
    }
}

/// Something that events and pictures come from.
trait Source: Send {
    /// Does once what must be done before the camera is announced for the first time.
    fn prepare(&mut self, _feed: &Feed) -> impl Future<Output = Result<(), SourceError>> + Send {
        async { Ok(()) }
    }

    /// How long it may go on when the program stops, to write what it has taken; then it is dropped.
    const ENDS_WITHIN: Duration = Duration::ZERO;

    /// Feeds the camera until it fails; tells once it works.
    fn run(&mut self, feed: &Feed) -> impl Future<Output = SourceError> + Send;
}

/// Does what the camera's source must do before the first connection.
pub(crate) async fn prepare(camera: &Camera) -> Result<(), SourceError> {
    let feed = Feed::new(camera.clone(), None);
    match &camera.config.source {
        SourceConfig::Simulator(config) => Simulator::new(config, &camera.config).prepare(&feed).await,
        _ => Ok(()),
    }
}

/// Keeps the camera's source running until `stop`.
pub(crate) async fn run(camera: Camera, stop: CancellationToken) {
    // One picture waits while another is compared.
    let (compared_tx, compared) = mpsc::channel(1);
    let feed = Feed::new(camera.clone(), camera.config.motion.then_some(compared_tx)).until(stop);
    let running = async {
        match &camera.config.source {
            SourceConfig::Simulator(config) => {
                supervise(Simulator::new(config, &camera.config), &feed).await;
            }
            SourceConfig::Snapshot(config) => supervise(Snapshots::new(config), &feed).await,
            SourceConfig::Folder(config) => supervise(Folder::new(config), &feed).await,
            SourceConfig::Tail(config) => supervise(Tail::new(config), &feed).await,
            SourceConfig::Syslog(config) => supervise(Syslog::new(config), &feed).await,
        }
    };
    tokio::select! {
        () = running => {}
        () = motion::watch(&camera, compared) => {}
        () = tidy(&camera) => {}
    }
}

/// Runs `source` until the program stops.
async fn supervise<S: Source>(source: S, feed: &Feed) {
    let over = async {
        feed.stopped().await;
        sleep(S::ENDS_WITHIN).await;
    };
    tokio::select! {
        () = again_and_again(source, feed) => {}
        () = over => {}
    }
}

/// Runs `source`, and again after each failure, at distances that grow as long as no picture comes in between.
async fn again_and_again(mut source: impl Source, feed: &Feed) {
    let camera = feed.camera();
    let mut backoff = Backoff::default();
    loop {
        let started = Instant::now();
        let error = source.run(feed).await;
        if feed.is_stopped() {
            return;
        }
        if feed.has_given() {
            backoff = Backoff::default();
        }
        tracing::warn!(camera = %camera.id(), "the source failed: {error}");
        let why = error.to_string();
        camera.set_source(SourceState::Failing, Some(why.clone()));
        tokio::select! {
            () = sleep(error.wait(&mut backoff, started.elapsed())) => {}
            () = refuse(camera, &why) => {}
            () = feed.stopped() => return,
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
