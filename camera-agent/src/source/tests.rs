//! Promises of all sources: how long a camera that fails is left alone.

pub(super) mod stand;

use oriel_proto::{ImageClass, Timestamp};

use self::stand::{Stand, at_noon};
use super::*;
use crate::{
    config::SimulatorConfig,
    pictures::{Picture, tests::picture},
};

/// A source that gives so many pictures and fails, again and again; notes when it was started.
struct Moody {
    pictures: usize,
    starts: mpsc::UnboundedSender<Instant>,
}

impl Source for Moody {
    async fn run(&mut self, feed: &Feed) -> SourceError {
        self.starts.send(Instant::now()).unwrap();
        for _ in 0..self.pictures {
            let (class, at) = (ImageClass::Preview, Timestamp::default());
            feed.show(Picture { class, at, jpeg: picture(1_000, 0) });
        }
        SourceError::Draw("no light".into())
    }
}

/// The waits between twelve starts of a source that gives so many pictures each time.
async fn waits(pictures: usize) -> Vec<Duration> {
    let dir = tempfile::tempdir().unwrap();
    let simulator = SourceConfig::Simulator(SimulatorConfig::default());
    let stand = Stand::with_clock(dir.path(), simulator, at_noon()).await;
    let feed = Feed::new(stand.camera.clone(), None);
    let (starts, mut started) = mpsc::unbounded_channel();
    let mut times = Vec::new();
    tokio::select! {
        () = supervise(Moody { pictures, starts }, &feed) => {}
        () = async {
            while times.len() < 12 {
                times.extend(started.recv().await);
            }
        } => {}
    }
    times.windows(2).map(|pair| pair[1] - pair[0]).collect()
}

#[tokio::test(start_paused = true)]
async fn a_source_that_gave_a_picture_is_started_again_at_the_first_distance() {
    let waits = waits(1).await;
    assert!(waits.iter().all(|wait| *wait <= Duration::from_millis(1_010)), "{waits:?}");
}

#[tokio::test(start_paused = true)]
async fn a_source_that_gives_nothing_is_left_alone_for_longer_and_longer() {
    let total: Duration = waits(0).await.into_iter().sum();
    // Each is spread evenly from half a second on: those at most a second long would be 11 s together.
    assert!(total > Duration::from_secs(15), "{total:?}");
}
