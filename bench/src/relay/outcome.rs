//! What all rounds came to: medians of each side, and ratios of sides measured in the same round.

use rand::Rng;

use super::{
    measure::Measured,
    phase::{NULL, ORIEL, Phase, Target},
    side::Side,
};
use crate::{
    report::Report,
    stats::{Interval, median, median_time},
};

/// How all phases ended.
#[derive(Debug)]
pub(super) struct Outcome {
    /// One for each that was measured.
    pub(super) phases: Vec<PhaseOutcome>,
    /// The share of this machine that other programs took, 0 to 1: in the middle, and at worst.
    pub(super) others: (f64, f64),
}

/// How one phase ended.
#[derive(Debug)]
pub(super) struct PhaseOutcome {
    /// Which one.
    pub(super) phase: &'static Phase,
    /// Each side's medians.
    pub(super) sides: Vec<(&'static str, Measured)>,
    /// Each side against the null relay, and the gateway against every other.
    pub(super) ratios: Vec<Ratio>,
}

/// One side against another.
#[derive(Debug)]
pub(super) struct Ratio {
    /// The one.
    pub(super) of: &'static str,
    /// The other one.
    pub(super) to: &'static str,
    /// Of requests per second.
    pub(super) rate: Interval,
    /// Of processor time per request.
    pub(super) processor: Interval,
}

impl Outcome {
    /// Of what was measured by phase, side and round.
    pub(super) fn of(
        sides: &[Side],
        phases: &[&'static Phase],
        all: Vec<Vec<Vec<Measured>>>,
        rng: &mut impl Rng,
    ) -> Self {
        let names: Vec<_> = sides.iter().map(|side| side.name).collect();
        let others: Vec<_> = all.iter().flatten().flatten().map(|measured| measured.others).collect();
        let others = (median(others.clone()), others.into_iter().fold(0.0, f64::max));
        let phases = phases.iter().zip(all).map(|(phase, all)| PhaseOutcome::of(phase, &names, &all, rng));
        Self { phases: phases.collect(), others }
    }

    /// Tells everything, and which targets were missed.
    pub(super) fn tell(&self, report: &mut Report) {
        for phase in &self.phases {
            for (name, measured) in &phase.sides {
                report.figure(&format!("{}: {name}", phase.phase.name), measured);
            }
            for ratio in &phase.ratios {
                let name = format!("{}: {} / {}", phase.phase.name, ratio.of, ratio.to);
                report.figure(&name, format!("requests {}, processor time {}", ratio.rate, ratio.processor));
            }
            for target in phase.phase.targets {
                phase.check(target, report);
            }
        }
        report.figure("taken by other programs", self.taken());
    }

    /// What other programs took, for people.
    pub(super) fn taken(&self) -> String {
        let (middle, worst) = self.others;
        format!("{:.0} % of this machine, {:.0} % at worst", middle * 100.0, worst * 100.0)
    }
}

impl PhaseOutcome {
    fn of(phase: &'static Phase, names: &[&'static str], all: &[Vec<Measured>], rng: &mut impl Rng) -> Self {
        let all: Vec<_> = names.iter().copied().zip(all).collect();
        let sides = all.iter().map(|(name, rounds)| (*name, middle(rounds))).collect();
        let mut ratios = Vec::new();
        for (of, own) in &all {
            let others = all.iter().filter(|(to, _)| of != to && (*to == NULL || *of == ORIEL));
            ratios.extend(others.map(|(to, other)| Ratio::between((of, own), (to, other), rng)));
        }
        Self { phase, sides, ratios }
    }

    /// One side against another, if that was measured.
    pub(super) fn ratio(&self, of: &str, to: &str) -> Option<&Ratio> {
        self.ratios.iter().find(|ratio| ratio.of == of && ratio.to == to)
    }

    /// The ratio that a target is about, when its side was measured.
    pub(super) fn reached(&self, target: &Target) -> Option<&Interval> {
        match target {
            Target::Rate(to, _) => Some(&self.ratio(ORIEL, to)?.rate),
            Target::Processor(to, _) => Some(&self.ratio(ORIEL, to)?.processor),
        }
    }

    fn check(&self, target: &Target, report: &mut Report) {
        let Some(reached) = self.reached(target) else { return };
        let why = format!("{}: {target} but {reached}", self.phase.name);
        report.check(target.holds(reached.median), why);
    }
}

impl Ratio {
    fn between(
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

/// The medians of what some rounds gave.
fn middle(rounds: &[Measured]) -> Measured {
    Measured {
        rate: median(rounds.iter().map(|measured| measured.rate).collect()),
        p50: median_time(rounds.iter().map(|measured| measured.p50)),
        p99: median_time(rounds.iter().map(|measured| measured.p99)),
        processor: median_time(rounds.iter().map(|measured| measured.processor)),
        others: median(rounds.iter().map(|measured| measured.others).collect()),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rand::{SeedableRng, rngs::SmallRng};

    use super::*;
    use crate::relay::phase::{NATS, PHASES};

    /// Three rounds with these requests per second.
    fn rounds(rates: [f64; 3]) -> Vec<Measured> {
        let times = (Duration::from_millis(1), Duration::from_millis(2), Duration::from_micros(10));
        let (p50, p99, processor) = times;
        rates.into_iter().map(|rate| Measured { rate, p50, p99, processor, others: 0.0 }).collect()
    }

    #[test]
    fn rounds_are_compared_one_by_one() {
        let all = [rounds([100.0, 200.0, 400.0]), rounds([90.0, 160.0, 340.0]), rounds([50.0, 50.0, 50.0])];
        let outcome =
            PhaseOutcome::of(&PHASES[0], &[NULL, ORIEL, NATS], &all, &mut SmallRng::seed_from_u64(1));
        let median = |of, to| outcome.ratio(of, to).map(|ratio| (ratio.rate.median * 100.0).round());
        assert_eq!(median(ORIEL, NULL), Some(85.0));
        assert_eq!(median(ORIEL, NATS), Some(320.0));
        assert_eq!(median(NATS, NULL), Some(25.0));
        assert!(median(NULL, ORIEL).is_none() && median(NATS, ORIEL).is_none());
        let reached = PHASES[0]
            .targets
            .iter()
            .map(|target| outcome.reached(target).is_some_and(|reached| target.holds(reached.median)));
        assert_eq!(reached.collect::<Vec<_>>(), [false, true]);
    }
}
