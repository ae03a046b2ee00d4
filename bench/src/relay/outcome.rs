//! What all rounds came to: medians of each side, and ratios of sides measured in the same round.

use rand::Rng;

use super::{
    markdown,
    phase::{Phase, Target},
    picture,
};
use crate::{
    measure::{Measured, NULL, ORIEL, Ratio, taken},
    report::Report,
    stats::Interval,
};

/// How all phases ended.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// One for each that was measured.
    pub(super) phases: Vec<PhaseOutcome>,
    /// How many rounds there were.
    pub(super) rounds: usize,
    /// What other programs took of this machine, for people.
    pub(super) taken: String,
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

impl Outcome {
    /// Of what was measured by phase, side and round.
    pub(super) fn of(
        names: &[&'static str],
        phases: &[&'static Phase],
        all: &[Vec<Vec<Measured>>],
        rng: &mut impl Rng,
    ) -> Self {
        let taken = taken(all.iter().flatten().flatten().map(|measured| measured.others));
        let rounds = all.iter().flatten().map(Vec::len).max().unwrap_or_default();
        let phases = phases.iter().zip(all).map(|(phase, all)| PhaseOutcome::of(phase, names, all, rng));
        Self { phases: phases.collect(), rounds, taken }
    }

    /// As tables in Markdown.
    pub(crate) fn markdown(&self) -> String {
        markdown::table(self)
    }

    /// As a picture.
    pub(crate) fn svg(&self) -> String {
        picture::draw(self)
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
        report.figure("taken by other programs", &self.taken);
    }
}

impl PhaseOutcome {
    fn of(phase: &'static Phase, names: &[&'static str], all: &[Vec<Measured>], rng: &mut impl Rng) -> Self {
        // A side that cannot be asked this way has no rounds.
        let all: Vec<_> = names.iter().copied().zip(all).filter(|(_, rounds)| !rounds.is_empty()).collect();
        let sides = all.iter().map(|(name, rounds)| (*name, Measured::middle(rounds))).collect();
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rand::{SeedableRng, rngs::SmallRng};

    use super::*;
    use crate::relay::phase::{NATS, PHASES, RATHOLE};

    /// Three rounds with these requests per second.
    fn rounds(rates: [f64; 3]) -> Vec<Measured> {
        let times = (Duration::from_millis(1), Duration::from_millis(2), Duration::from_micros(10));
        let (p50, p99, processor) = times;
        rates.into_iter().map(|rate| Measured { rate, p50, p99, processor, others: 0.0 }).collect()
    }

    #[test]
    fn a_side_without_rounds_is_left_out() {
        let all = [rounds([1.0; 3]), rounds([2.0; 3]), Vec::new()];
        let outcome =
            PhaseOutcome::of(&PHASES[3], &[NULL, ORIEL, RATHOLE], &all, &mut SmallRng::seed_from_u64(1));
        assert_eq!((outcome.sides.len(), outcome.ratios.len()), (2, 1));
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
        assert_eq!(reached.collect::<Vec<_>>(), [false, true, false]);
        assert!(outcome.ratio(ORIEL, RATHOLE).is_none());
    }
}
