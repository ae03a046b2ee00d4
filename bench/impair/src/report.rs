//! What is printed: one line for each promise with PASS or FAIL and its figures, and how samples become figures.

use std::time::Duration;

/// Promises that were checked.
#[derive(Debug, Default)]
pub(crate) struct Report {
    failed: usize,
    checked: usize,
}

impl Report {
    /// Prints whether a promise held, with the figures that show it.
    pub(crate) fn check(&mut self, promise: &str, held: bool, figures: &str) {
        self.checked += 1;
        self.failed += usize::from(!held);
        println!("{} {promise}: {figures}", if held { "PASS" } else { "FAIL" });
    }

    /// Prints what is not promised.
    pub(crate) fn note(what: &str, figures: &str) {
        println!("     {what}: {figures}");
    }

    /// Prints the sum and tells whether all promises held.
    pub(crate) fn end(&self) -> bool {
        let word = if self.failed == 0 { "PASS" } else { "FAIL" };
        println!("{word}: {} of {} held", self.checked - self.failed, self.checked);
        self.failed == 0
    }
}

/// Times, in order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Samples(Vec<Duration>);

impl Samples {
    /// One more.
    pub(crate) fn push(&mut self, time: Duration) {
        let place = self.0.partition_point(|known| *known <= time);
        self.0.insert(place, time);
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.0.len()
    }

    /// The time that this share of them does not exceed, by the nearest rank; zero without any.
    pub(crate) fn percentile(&self, percent: f64) -> Duration {
        let rank = (percent / 100.0 * self.0.len() as f64).ceil() as usize;
        self.0.get(rank.max(1) - 1).copied().unwrap_or_default()
    }

    /// The longest.
    pub(crate) fn most(&self) -> Duration {
        self.0.last().copied().unwrap_or_default()
    }

    /// The shortest.
    pub(crate) fn least(&self) -> Duration {
        self.0.first().copied().unwrap_or_default()
    }
}

/// Milliseconds for people.
pub(crate) fn ms(time: Duration) -> String {
    let ms = time.as_secs_f64() * 1e3;
    if ms < 10.0 { format!("{ms:.2} ms") } else { format!("{ms:.0} ms") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_times_that_were_measured() {
        let mut samples = Samples::default();
        assert_eq!(samples.percentile(50.0), Duration::ZERO);
        for n in (1..=200).rev() {
            samples.push(Duration::from_millis(n));
        }
        let at = |percent| samples.percentile(percent).as_millis();
        assert_eq!((at(0.0), at(50.0), at(99.0), at(100.0)), (1, 100, 198, 200));
        assert_eq!((samples.least(), samples.most()), (Duration::from_millis(1), Duration::from_millis(200)));
    }
}
