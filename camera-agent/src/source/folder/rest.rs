//! How long a folder is left alone before it is looked through again.

use std::time::Duration;

use tokio::time::Instant;

use super::SETTLED;

/// How many times as long as walking through the folder took is the least time to the next walk, unless something happens there.
const SHARE: u32 = 20;

/// The time between two walks through a folder.
#[derive(Debug)]
pub(super) struct Rest {
    soonest: Instant,
    end: Instant,
}

impl Rest {
    /// From `now` on, after a walk that took so long; `usual` for a small folder.
    pub(super) fn new(now: Instant, took: Duration, usual: Duration) -> Self {
        Self { soonest: now + took.max(SETTLED), end: now + usual.max(took * SHARE) }
    }

    /// Something happened: it ends as soon as may be. A huge folder is not walked through all the time.
    pub(super) fn hurry(&mut self) {
        self.end = self.end.min(self.soonest);
    }

    /// When it ends.
    pub(super) const fn end(&self) -> Instant {
        self.end
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_folder_rests_at_least_as_long_as_the_walk_took_whatever_happens() {
        let now = Instant::now();
        let seconds = Duration::from_secs;
        for (took, least, most) in [(0, 2, 10), (1, 2, 20), (30, 30, 600)] {
            let mut rest = Rest::new(now, seconds(took), seconds(10));
            assert_eq!(rest.end() - now, seconds(most), "{took} s");
            rest.hurry();
            assert_eq!(rest.end() - now, seconds(least), "{took} s");
            rest.hurry();
            assert_eq!(rest.end() - now, seconds(least), "{took} s");
        }
    }
}
