//! What happens at a simulated camera, entry after entry: the seed says it all, and what happens is what its pictures show.

use std::time::Duration;

use rand::{RngExt as _, SeedableRng as _, rngs::SmallRng};

/// The parts of the scene in which something may move.
pub const ZONES: [&str; 4] = ["gate", "door", "yard", "street"];

/// How long something takes to cross a zone, at most: a few previews show it.
const CROSSING: Duration = Duration::from_secs(4);

/// How long something is in sight before its event is written: then it is well inside.
const LEAD: Duration = Duration::from_millis(700);

/// How long a camera that starts again shows nothing, at most.
const DARK: Duration = Duration::from_secs(2);

/// The brightness of a camera that has not adjusted it yet, in percent.
const LEVEL: u32 = 50;

/// Entries that are looked back through for the last brightness: one in ten has one.
const LOOKED_BACK: u64 = 300;

/// One entry of the story.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// Something crosses a zone.
    Motion {
        /// Which of [`ZONES`].
        zone: usize,
        /// How sure the camera is, in percent.
        score: u32,
        /// From right to left.
        backwards: bool,
    },
    /// Somebody watches; no picture shows it.
    View {
        /// Who.
        viewer: u32,
    },
    /// The camera adjusts its brightness, until the next time.
    Brightness {
        /// To how many percent.
        level: u32,
    },
    /// The camera starts again.
    Reset {
        /// Why.
        cause: &'static str,
    },
}

impl Entry {
    /// Whether a picture shows it.
    pub const fn is_seen(&self) -> bool {
        !matches!(self, Self::View { .. })
    }
}

/// Something that is crossing a zone.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Crossing {
    /// Which of [`ZONES`].
    pub zone: usize,
    /// How far it has come, from 0 to 1.
    pub way: f32,
    /// From right to left.
    pub backwards: bool,
}

/// What the camera sees at one moment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sight {
    /// What moves.
    pub crossing: Option<Crossing>,
    /// The camera's brightness in percent.
    pub level: u32,
    /// Whether it starts again and shows nothing.
    pub is_dark: bool,
}

/// A story: entry `n` happens `n` intervals after its beginning.
#[derive(Clone, Debug)]
pub struct Story {
    seed: u64,
    interval: Duration,
}

impl Story {
    /// The story of `seed`, with an entry each `interval`.
    pub const fn new(seed: u64, interval: Duration) -> Self {
        Self { seed, interval }
    }

    /// Entry `n`.
    pub fn entry(&self, n: u64) -> Entry {
        // The golden ratio in 64 bits spreads the numbers; the generator mixes them.
        let mut chance = SmallRng::seed_from_u64(self.seed ^ n.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        match chance.random_range(0..10_u32) {
            0..=5 => Entry::Motion {
                zone: chance.random_range(0..ZONES.len()),
                score: chance.random_range(50..100),
                backwards: chance.random(),
            },
            6 | 7 => Entry::View { viewer: chance.random_range(1..6) },
            8 => Entry::Brightness { level: chance.random_range(0..=100) },
            _ => Entry::Reset { cause: ["power", "watchdog", "user"][chance.random_range(0..3_usize)] },
        }
    }

    /// How long after the beginning entry `n` happens.
    pub fn position(&self, n: u64) -> Duration {
        let nanos = self.interval.as_nanos().saturating_mul(u128::from(n));
        Duration::from_nanos_u128(nanos.min(Duration::MAX.as_nanos()))
    }

    /// What is seen this long after the beginning.
    pub fn sight(&self, position: Duration) -> Sight {
        let interval = self.interval.as_nanos().max(1);
        let n = u64::try_from(position.as_nanos() / interval).unwrap_or(u64::MAX);
        let since = position.saturating_sub(self.position(n));
        let is_dark = matches!(self.entry(n), Entry::Reset { .. }) && since < DARK.min(self.interval / 2);
        let lead = self.lead();
        let until_next = self.interval.saturating_sub(since);
        let crossing = if until_next <= lead {
            self.crossing(n.saturating_add(1), lead.saturating_sub(until_next))
        } else {
            self.crossing(n, since + lead)
        };
        Sight { crossing, level: self.level(n), is_dark }
    }

    /// What entry `n` shows of something that has been in sight for so long.
    fn crossing(&self, n: u64, seen: Duration) -> Option<Crossing> {
        let Entry::Motion { zone, backwards, .. } = self.entry(n) else { return None };
        let lasting = self.lasting();
        (seen < lasting).then(|| Crossing { zone, way: seen.div_duration_f32(lasting), backwards })
    }

    /// How long something is in sight before its event.
    fn lead(&self) -> Duration {
        LEAD.min(self.interval / 4)
    }

    /// How long something is in sight; less than an interval, so that there is one at a time.
    fn lasting(&self) -> Duration {
        CROSSING.min(self.interval / 5 * 4)
    }

    /// The brightness after entry `n`.
    fn level(&self, n: u64) -> u32 {
        let before = (n.saturating_sub(LOOKED_BACK)..=n).rev();
        let levels = before.map(|n| match self.entry(n) {
            Entry::Brightness { level } => Some(level),
            _ => None,
        });
        levels.flatten().next().unwrap_or(LEVEL)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STORY: Story = Story::new(1, Duration::from_secs(10));

    fn entries(seed: u64) -> Vec<Entry> {
        let story = Story::new(seed, Duration::from_secs(10));
        (0..50).map(|n| story.entry(n)).collect()
    }

    #[test]
    fn one_seed_tells_one_story() {
        assert_eq!(entries(7), entries(7));
        assert_ne!(entries(7), entries(8));
    }

    #[test]
    fn something_crosses_a_zone_exactly_when_there_is_motion() {
        for n in 1..200 {
            let zone = |ms: i64| {
                let at = STORY.position(n).as_millis().cast_signed() as i64 + ms;
                STORY.sight(Duration::from_millis(at.cast_unsigned())).crossing.map(|crossing| crossing.zone)
            };
            let expected = match STORY.entry(n) {
                Entry::Motion { zone, .. } => Some(zone),
                _ => None,
            };
            assert_eq!([zone(-699), zone(0), zone(3_299)], [expected; 3], "entry {n}");
            assert_eq!([zone(-701), zone(3_301)], [None; 2], "entry {n}");
        }
    }

    #[test]
    fn a_brightness_stays_and_a_reset_is_dark_for_a_moment() {
        let mut level = None;
        for n in 0..200 {
            let seen = |after: u64| STORY.sight(STORY.position(n) + Duration::from_millis(after));
            match STORY.entry(n) {
                Entry::Brightness { level: told } => level = Some(told),
                Entry::Reset { .. } => assert!(seen(0).is_dark && seen(1_999).is_dark),
                _ => assert!(!seen(0).is_dark),
            }
            assert!(!seen(2_000).is_dark);
            assert_eq!(seen(5_000).level, level.unwrap_or(LEVEL), "entry {n}");
        }
    }

    #[test]
    fn a_story_of_the_shortest_and_the_longest_interval_can_be_seen() {
        for interval in [Duration::from_millis(1), Duration::from_millis(u64::MAX)] {
            let story = Story::new(3, interval);
            for position in [Duration::ZERO, Duration::from_secs(1), Duration::MAX] {
                assert!(story.sight(position).level <= 100);
            }
            assert!(story.position(u64::MAX) >= interval);
        }
    }
}
