//! A camera that this agent serves: its facts, its log, its pictures, and how its source is.

use std::sync::{Arc, Mutex, PoisonError};

use oriel_proto::{
    CameraId,
    call::Description,
    frame::{Ability, Announce, CameraHealth, SourceState},
};
use tokio::sync::watch;

use crate::{
    config::{CameraConfig, Offers},
    pictures::Pictures,
    spool::{Bounds, Clock, Spool, SpoolError},
    state::State,
};

/// The longest reason why a source fails, in bytes.
const WHY_BYTES: usize = 500;

/// How a source is, and why when it is not ok.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SourceHealth {
    /// How it is.
    pub(crate) state: SourceState,
    /// Why it is not ok.
    pub(crate) why: Option<String>,
}

/// A served camera; clones share it.
#[derive(Clone, Debug)]
pub(crate) struct Camera {
    /// What the configuration says.
    pub(crate) config: Arc<CameraConfig>,
    /// Its log.
    pub(crate) spool: Spool,
    /// Its pictures.
    pub(crate) pictures: Pictures,
    source: Arc<Mutex<SourceHealth>>,
    /// Rung whenever something changes here.
    bell: watch::Sender<()>,
}

impl Camera {
    /// Opens the camera's log and pictures; when that fails the camera is there, failing, and they are tried again at each use.
    pub(crate) async fn open(
        config: CameraConfig,
        state: &State,
        clock: Clock,
        bell: watch::Sender<()>,
    ) -> Result<Self, SpoolError> {
        let bounds =
            Bounds { bytes: config.spool_bytes, retention: config.retention, upload: config.upload.clone() };
        let path = state.spool(&config.id);
        let mut starting = SourceHealth { state: SourceState::Starting, why: None };
        let spool = match Spool::open(&path, bounds.clone(), clock.clone(), bell.clone()).await {
            Ok(spool) => spool,
            Err(e) => {
                tracing::error!(camera = %config.id, "{e}");
                starting = SourceHealth { state: SourceState::Failing, why: Some(e.to_string()) };
                Spool::shut(&path, bounds, clock.clone(), bell.clone())?
            }
        };
        let pictures = Pictures::new(&config, &state.images(&config.id), clock);
        if let Err(e) = pictures.open().await {
            tracing::error!(camera = %config.id, "{e}");
            starting = SourceHealth { state: SourceState::Failing, why: Some(e.to_string()) };
        }
        Ok(Self { config: Arc::new(config), spool, pictures, source: Arc::new(Mutex::new(starting)), bell })
    }

    /// Its id.
    pub(crate) fn id(&self) -> &CameraId {
        &self.config.id
    }

    /// Notes how its source is.
    pub(crate) fn set_source(&self, state: SourceState, why: Option<String>) {
        let why = why.map(|mut why| {
            why.truncate(why.floor_char_boundary(WHY_BYTES));
            why
        });
        let health = SourceHealth { state, why };
        let mut known = self.source.lock().unwrap_or_else(PoisonError::into_inner);
        if *known != health {
            *known = health;
            self.bell.send_replace(());
        }
    }

    /// How its source is.
    pub(crate) fn source(&self) -> SourceHealth {
        self.source.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Its facts as they are announced.
    pub(crate) fn announce(&self) -> Announce {
        Announce {
            camera: self.id().clone(),
            name: self.name(),
            tags: self.config.tags.clone(),
            classes: self.offers().classes,
            abilities: self.abilities(),
            upload: self.config.upload.clone(),
            spools: self.spool.states(&self.config.upload),
        }
    }

    /// Its state at this moment, and the time up to which that is complete; none while its log has no epoch.
    pub(crate) fn health(&self) -> Option<(CameraHealth, oriel_proto::Timestamp)> {
        let now = self.spool.now()?;
        let source = self.source();
        let health = CameraHealth {
            camera: self.id().clone(),
            epoch: now.epoch,
            next: now.next,
            spool: now.bytes,
            ring: self.pictures.bytes(),
            source: source.state,
            why: source.why,
        };
        Some((health, now.as_of))
    }

    /// The answer to `Describe`.
    pub(crate) fn describe(&self) -> Option<Description> {
        let (health, _) = self.health()?;
        Some(Description {
            name: self.name(),
            source: self.config.source.to_string(),
            classes: self.offers().classes,
            abilities: self.abilities(),
            spools: self.spool.states(&self.config.upload),
            health,
        })
    }

    /// What its source gives beside events.
    pub(crate) fn offers(&self) -> Offers {
        self.config.source.offers()
    }

    fn abilities(&self) -> Vec<Ability> {
        let offers = self.offers();
        let pictures = [
            (Ability::Images, !offers.classes.is_empty()),
            (Ability::Snapshot, offers.snapshot),
            (Ability::Live, offers.live),
        ];
        let offered = pictures.into_iter().filter(|(_, offered)| *offered).map(|(ability, _)| ability);
        std::iter::once(Ability::Events).chain(offered).collect()
    }

    fn name(&self) -> String {
        self.config.name.clone().unwrap_or_else(|| self.id().to_string())
    }
}
