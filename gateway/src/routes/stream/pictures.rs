//! New pictures of the cameras that a caller names, as their cameras tell of them.

use std::future::pending;

use oriel_proto::ImageClass;
use tokio::sync::broadcast::{Receiver, error::RecvError};

use super::{App, Viewer, Whom};
use crate::registry::{Fresh, Watch, Wish};

/// New pictures on their way to one caller.
#[derive(Debug)]
pub(super) struct Pictures {
    fresh: Receiver<Fresh>,
    _watches: Vec<Watch>,
}

impl Pictures {
    /// Those of the cameras that are named and may be seen. Cameras tell of them as long as this is held.
    pub(super) fn begin(app: &App, viewer: &Viewer, whom: &Whom) -> Self {
        let classes = vec![ImageClass::Preview, ImageClass::Main];
        let fresh = app.registry.fresh_pictures();
        Self { fresh, _watches: whom.watch(app, viewer, &Wish { classes, ..Wish::default() }) }
    }

    /// The next one, of whichever camera somebody watches. Waits for ever where no pictures are wanted. Safe to drop and call again.
    pub(super) async fn next(pictures: &mut Option<Self>) -> Fresh {
        let Some(Self { fresh, .. }) = pictures else { return pending().await };
        loop {
            match fresh.recv().await {
                Ok(fresh) => return fresh,
                // Whoever falls behind is told of later ones.
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return pending().await,
            }
        }
    }
}
