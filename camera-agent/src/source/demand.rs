//! How many pictures a second whoever watches a camera wants, series by series.

use std::time::Duration;

use futures_util::future::select_all;
use oriel_proto::ImageClass;
use tokio::{sync::watch, time::Instant};

use crate::camera::Camera;

/// The most pictures a second that a source makes.
const MOST: f32 = 25.0;

/// What is watched.
#[derive(Debug)]
pub(super) struct Demand {
    series: Vec<Watched>,
}

/// One series.
#[derive(Debug)]
struct Watched {
    class: ImageClass,
    wanted: watch::Receiver<f32>,
    /// When its last picture was due.
    last: Instant,
}

impl Demand {
    /// What is watched of the series that the camera offers.
    pub(super) fn of(camera: &Camera) -> Self {
        let series = camera.offers.classes.iter().map(|class| {
            let wanted = camera.pictures.wanted(class);
            Watched { class: class.clone(), wanted, last: Instant::now() }
        });
        Self { series: series.collect() }
    }

    /// When somebody wants a picture next; none while nobody watches.
    pub(super) fn at(&self) -> Option<Instant> {
        self.series.iter().filter_map(Watched::at).min()
    }

    /// The series of which somebody wants a picture by `now`; then the next is due later.
    pub(super) fn take(&mut self, now: Instant) -> Vec<ImageClass> {
        let mut due = Vec::new();
        for series in &mut self.series {
            if let Some(at) = series.at().filter(|at| *at <= now) {
                // In time with what was asked for; after a break at once.
                series.last = if now - at < Duration::from_millis(500) { at } else { now };
                due.push(series.class.clone());
            }
        }
        due
    }

    /// Waits until it is another one.
    pub(super) async fn changed(&mut self) {
        if self.series.is_empty() {
            return std::future::pending().await;
        }
        let waiting = self.series.iter_mut().map(|series| Box::pin(series.wanted.changed()));
        // The pictures outlive their source.
        drop(select_all(waiting).await);
    }
}

impl Watched {
    fn at(&self) -> Option<Instant> {
        let wanted = *self.wanted.borrow();
        if wanted <= 0.0 {
            return None;
        }
        // Less than one picture an hour is one.
        let apart = Duration::from_secs_f32(1.0 / wanted.clamp(1.0 / 3_600.0, MOST));
        Some(self.last + apart)
    }
}
