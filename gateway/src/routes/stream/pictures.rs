//! New pictures of the cameras that a caller names, as their cameras tell of them.

use std::{future::pending, sync::Arc};

use oriel_proto::ImageClass;

use super::{App, Viewer, Whom};
use crate::registry::{Fresh, News, Watch, Wish};

/// New pictures on their way to one caller.
#[derive(Debug)]
pub(super) struct Pictures {
    news: Arc<News>,
    _watches: Vec<Watch>,
}

impl Pictures {
    /// Those of the cameras that are named and may be seen. Cameras tell of them as long as this is held.
    pub(super) fn begin(app: &App, viewer: &Viewer, whom: &Whom) -> Self {
        let (classes, news) = (vec![ImageClass::Preview, ImageClass::Main], Arc::<News>::default());
        let wish = Wish { classes, news: Some(Arc::clone(&news)), ..Wish::default() };
        Self { news, _watches: whom.watch(app, viewer, &wish) }
    }

    /// Those that came, of each series the newest. Waits for ever where no pictures are wanted. Safe to drop and call again.
    pub(super) async fn next(pictures: Option<&Self>) -> Vec<Fresh> {
        match pictures {
            Some(pictures) => pictures.news.next().await,
            None => pending().await,
        }
    }
}
