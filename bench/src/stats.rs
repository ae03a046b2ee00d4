//! Quantiles and medians of what was measured.

use std::{fmt, time::Duration};

use rand::{Rng, RngExt};

/// Measured times.
#[derive(Clone, Debug, Default)]
pub(crate) struct Times(Vec<Duration>);

impl Times {
    /// Adds one.
    pub(crate) fn push(&mut self, time: Duration) {
        self.0.push(time);
    }

    /// Adds all of another.
    pub(crate) fn append(&mut self, mut other: Self) {
        self.0.append(&mut other.0);
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// The smallest one that a share of `q` (0 to 1) does not exceed; zero when there is none.
    pub(crate) fn quantile(&self, q: f64) -> Duration {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        let place = (q * sorted.len() as f64).ceil() as usize;
        sorted.get(place.saturating_sub(1)).copied().unwrap_or_default()
    }

    /// The longest one.
    pub(crate) fn longest(&self) -> Duration {
        self.0.iter().max().copied().unwrap_or_default()
    }
}

impl FromIterator<Duration> for Times {
    fn from_iter<I: IntoIterator<Item = Duration>>(times: I) -> Self {
        Self(times.into_iter().collect())
    }
}

/// The middle of some ratios; the upper one of two.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// The middle of some times; the upper one of two.
pub(crate) fn median_time(times: impl Iterator<Item = Duration>) -> Duration {
    let mut times: Vec<_> = times.collect();
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

/// How often an interval's values are drawn anew: enough for its ends to stay where they are in the second digit.
const DRAWS: usize = 2_000;

/// A median, and the interval that nine of ten medians of as many values would lie in (the bootstrap's).
#[derive(Clone, Debug)]
pub(crate) struct Interval {
    /// The median itself.
    pub(crate) median: f64,
    /// Where the interval begins.
    pub(crate) low: f64,
    /// Where it ends.
    pub(crate) high: f64,
}

impl Interval {
    /// That of these values.
    pub(crate) fn of(values: Vec<f64>, rng: &mut impl Rng) -> Self {
        if values.is_empty() {
            return Self { median: f64::NAN, low: f64::NAN, high: f64::NAN };
        }
        let again = |rng: &mut _| {
            (0..values.len()).map(|_| values[RngExt::random_range(rng, 0..values.len())]).collect()
        };
        let mut medians: Vec<_> = (0..DRAWS).map(|_| median(again(rng))).collect();
        medians.sort_unstable_by(f64::total_cmp);
        Self { low: medians[DRAWS / 20], high: medians[DRAWS - 1 - DRAWS / 20], median: median(values) }
    }
}

impl fmt::Display for Interval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.2} ({:.2} to {:.2})", self.median, self.low, self.high)
    }
}

#[cfg(test)]
mod tests {
    use rand::{SeedableRng, rngs::SmallRng};

    use super::*;

    #[test]
    fn quantiles_are_measured_values() {
        let times: Times = (1..=100).rev().map(Duration::from_millis).collect();
        assert_eq!(times.quantile(0.99), Duration::from_millis(99));
        assert_eq!(
            (times.quantile(0.5), times.longest()),
            (Duration::from_millis(50), Duration::from_millis(100))
        );
        assert_eq!(Times::default().quantile(0.99), Duration::ZERO);
    }

    #[test]
    fn an_interval_holds_its_median() {
        let mut rng = SmallRng::seed_from_u64(1);
        let interval = Interval::of(vec![0.9, 0.8, 1.0, 0.85, 0.95, 0.7, 1.4], &mut rng);
        assert!((interval.median - 0.9).abs() < f64::EPSILON);
        assert!(interval.low < 0.9 && interval.low >= 0.7 && interval.high > 0.9 && interval.high < 1.4);
        assert!(Interval::of(Vec::new(), &mut rng).median.is_nan());
    }
}
