//! A camera with a source, for tests: no gateway, no other camera.
#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

use std::{path::Path, sync::Arc, time::Duration};

use oriel_picture::{story::Story, studio::Studio};
use oriel_proto::{
    Event, ImageClass, Timestamp,
    call::{EventsCall, Order},
    frame::SourceState,
};
use tokio::{sync::watch, task::JoinHandle, time::timeout};
use tokio_util::sync::CancellationToken;

use crate::{
    camera::Camera,
    config::{CameraConfig, SourceConfig},
    ring::{Row, Span},
    source,
    spool::{Clock, system_clock},
    state::State,
};

/// Nothing in these tests takes this long unless it is broken.
const PATIENCE: Duration = Duration::from_secs(20);

/// Waits for `event`, but not for ever.
pub(in crate::source) async fn soon<T>(event: impl Future<Output = T>) -> T {
    timeout(PATIENCE, event).await.unwrap()
}

/// What the program's log says while `work` is done.
pub(in crate::source) fn logged(work: impl FnOnce()) -> String {
    let dir = tempfile::tempdir().unwrap();
    let file = std::fs::File::create(dir.path().join("log")).unwrap();
    let lines = tracing_subscriber::fmt().with_max_level(tracing::Level::DEBUG).with_writer(Arc::new(file));
    tracing::subscriber::with_default(lines.finish(), work);
    std::fs::read_to_string(dir.path().join("log")).unwrap()
}

/// Noon of some day, for ever.
pub(in crate::source) fn at_noon() -> Clock {
    Arc::new(|| Timestamp::from_millis(1_767_268_800_000))
}

/// A picture, unlike those of other numbers.
pub(in crate::source) fn picture(number: u64) -> Vec<u8> {
    let story = Story::new(1, Duration::from_secs(3_600));
    let at = Timestamp::from_millis(number.cast_signed() * 1_000);
    Studio::new(1, format!("{number}"), story, 0)
        .picture(&ImageClass::Preview, Duration::from_secs(60), at)
        .unwrap()
        .to_vec()
}

/// A camera whose source can be started.
pub(in crate::source) struct Stand {
    pub(in crate::source) camera: Camera,
    bell: watch::Receiver<()>,
    running: Option<(CancellationToken, JoinHandle<()>)>,
}

impl Stand {
    /// A camera with its state in this folder and the clock of the system.
    pub(in crate::source) async fn new(state: &Path, source: SourceConfig) -> Self {
        Self::with_clock(state, source, system_clock()).await
    }

    pub(in crate::source) async fn with_clock(state: &Path, source: SourceConfig, clock: Clock) -> Self {
        let config = CameraConfig { source, ..CameraConfig::simulated("porch".parse().unwrap()) };
        Self::of(state, config, clock).await
    }

    pub(in crate::source) async fn of(state: &Path, config: CameraConfig, clock: Clock) -> Self {
        let state = State::open(state).await.unwrap();
        let (bell_tx, bell) = watch::channel(());
        let camera = Camera::open(config, &state, clock, bell_tx).await.unwrap();
        Self { camera, bell, running: None }
    }

    /// Starts its source.
    pub(in crate::source) fn start(&mut self) {
        let stop = CancellationToken::new();
        let task = tokio::spawn(source::run(self.camera.clone(), stop.clone()));
        self.running = Some((stop, task));
    }

    /// Stops its source and waits until it has.
    pub(in crate::source) async fn stop(mut self) -> Camera {
        let (stop, task) = self.running.take().unwrap();
        stop.cancel();
        soon(task).await.unwrap();
        self.camera
    }

    /// Waits until the source is as said; gives why.
    pub(in crate::source) async fn is(&mut self, state: SourceState) -> Option<String> {
        soon(async {
            while self.camera.source().state != state {
                self.bell.changed().await.unwrap();
            }
        })
        .await;
        self.camera.source().why
    }

    /// Waits until so many events are written; gives them.
    pub(in crate::source) async fn lines(&self, count: usize) -> Vec<Event> {
        let mut bell = self.bell.clone();
        soon(async {
            loop {
                let events = self.events().await;
                if events.len() >= count {
                    assert_eq!(events.len(), count, "{events:#?}");
                    return events;
                }
                bell.changed().await.unwrap();
            }
        })
        .await
    }

    /// Waits until so many pictures are kept; gives them, oldest first.
    pub(in crate::source) async fn has(&self, class: ImageClass, count: usize) -> Vec<Row> {
        // Whatever is kept is shown to whoever watches, after it is in the ring.
        let mut viewer = self.camera.pictures.watch(&class, 0.001).unwrap();
        soon(async {
            loop {
                let rows = self.rows(class.clone()).await;
                if rows.len() >= count {
                    assert_eq!(rows.len(), count);
                    return rows;
                }
                viewer.wait().await;
                drop(viewer.newest());
            }
        })
        .await
    }

    pub(in crate::source) async fn rows(&self, class: ImageClass) -> Vec<Row> {
        let all = Span::new(None, None, &Order::Asc);
        self.camera.pictures.ring(&class).unwrap().page(&all, 1_000).await.unwrap()
    }

    pub(in crate::source) async fn read(&self, class: ImageClass, row: Row) -> Vec<u8> {
        self.camera.pictures.ring(&class).unwrap().read(row).await.unwrap().unwrap().to_vec()
    }

    pub(in crate::source) async fn events(&self) -> Vec<Event> {
        let mut query = self.camera.spool.query(EventsCall::all(Order::Asc)).await.unwrap();
        let mut events = Vec::new();
        loop {
            let (page, ended) = query.page().await.unwrap();
            events.extend(page.into_iter().map(|logged| logged.event));
            if ended {
                return events;
            }
        }
    }
}
