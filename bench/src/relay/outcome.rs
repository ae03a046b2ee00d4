//! What all rounds came to: medians of each side, and ratios of sides measured in the same round.

use rand::Rng;

use super::{
    measure::Measured,
    phase::{NULL, ORIEL, PHASES, Phase, Target},
    side::Side,
};
use crate::{
    report::Report,
    stats::{Interval, median, median_time},
};

/// How all phases ended.
#[derive(Debug)]
pub(super) struct Outcome {
    /// One for each of [`PHASES`].
    pub(super) phases: Vec<PhaseOutcome>,
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
    pub(super) fn of(sides: &[Side], all: Vec<Vec<Vec<Measured>>>, rng: &mut impl Rng) -> Self {
        let names: Vec<_> = sides.iter().map(|side| side.name).collect();
        let phases = PHASES.iter().zip(all).map(|(phase, all)| PhaseOutcome::of(phase, &names, &all, rng));
        Self { phases: phases.collect() }
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
    }
}
