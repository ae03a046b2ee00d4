//! What was measured, in the middle of its rounds, and one side against another in the same rounds.

use std::{fmt, num::NonZeroUsize, time::Duration};

use rand::Rng;

use crate::{
    report::millis,
    stats::{Interval, median, median_time},
};

/// What one side did in one round, or in the middle of some.
#[derive(Clone, Debug)]
pub(crate) struct Measured {
    /// Requests per second.
    pub(crate) rate: f64,
    /// The time of an answer in the middle.
    pub(crate) p50: Duration,
    /// The time that one of a hundred answers exceeds.
    pub(crate) p99: Duration,
    /// The server's processor time per request.
    pub(crate) processor: Duration,
    /// The share of this machine that other programs took meanwhile, 0 to 1.
    pub(crate) others: f64,
}

/// One side against another.
#[derive(Debug)]
pub(crate) struct Ratio {
    /// The one.
    pub(crate) of: &'static str,
    /// The other one.
    pub(crate) to: &'static str,
    /// Of requests per second.
    pub(crate) rate: Interval,
    /// Of processor time per request.
    pub(crate) processor: Interval,
}

impl Measured {
    /// The medians of what some rounds gave.
    pub(crate) fn middle(rounds: &[Self]) -> Self {
        Self {
            rate: median(rounds.iter().map(|measured| measured.rate).collect()),
            p50: median_time(rounds.iter().map(|measured| measured.p50)),
            p99: median_time(rounds.iter().map(|measured| measured.p99)),
            processor: median_time(rounds.iter().map(|measured| measured.processor)),
            others: median(rounds.iter().map(|measured| measured.others).collect()),
        }
    }
}

impl Ratio {
    /// That of two sides, round by round.
    pub(crate) fn between(
        (of, own): (&'static str, &[Measured]),
        (to, other): (&'static str, &[Measured]),
        rng: &mut impl Rng,
    ) -> Self {
        let mut interval = |figure: fn(&Measured) -> f64| {
            Interval::of(own.iter().zip(other).map(|(own, other)| figure(own) / figure(other)).collect(), rng)
        };
        Self {
            of,
            to,
            rate: interval(|measured| measured.rate),
            processor: interval(|measured| measured.processor.as_secs_f64()),
        }
    }
}

/// What other programs took of this machine, 0 to 1, when all used `machine` of it in `took`, and this run `own`.
pub(crate) fn others(machine: Duration, own: Duration, took: Duration) -> f64 {
    let processors = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    machine.saturating_sub(own).as_secs_f64() / took.as_secs_f64() / processors as f64
}

/// Shares that other programs took of this machine, for people.
pub(crate) fn taken(others: impl Iterator<Item = f64>) -> String {
    let others: Vec<_> = others.collect();
    let worst = others.iter().copied().fold(0.0, f64::max);
    format!("{:.0} % of this machine, {:.0} % at worst", median(others) * 100.0, worst * 100.0)
}

impl fmt::Display for Measured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (p50, p99) = (millis(self.p50), millis(self.p99));
        let processor = self.processor.as_secs_f64() * 1e6;
        write!(f, "{:.0} requests/s, p50 {p50}, p99 {p99}, {processor:.1} us each", self.rate)
    }
}
