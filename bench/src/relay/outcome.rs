//! What all rounds came to: medians of each side, and ratios of sides measured in the same round.

use rand::Rng;

use super::{
    measure::Measured,
    phase::{ORIEL, PHASES, Phase, Target},
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
    /// The gateway against each other side.
    pub(super) ratios: Vec<Ratio>,
}

/// The gateway against another side.
#[derive(Debug)]
pub(super) struct Ratio {
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
                let name = format!("{}: {ORIEL} / {}", phase.phase.name, ratio.to);
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
        let sides = names.iter().zip(all).map(|(name, rounds)| (*name, middle(rounds))).collect();
        let own = names.iter().zip(all).find(|(name, _)| **name == ORIEL).map_or(&[][..], |(_, own)| own);
        let others = names.iter().zip(all).filter(|(name, _)| **name != ORIEL);
        let ratios = others.map(|(to, other)| {
            let mut ratio = |of: fn(&Measured) -> f64| {
                Interval::of(own.iter().zip(other).map(|(own, other)| of(own) / of(other)).collect(), rng)
            };
            Ratio {
                to,
                rate: ratio(|measured| measured.rate),
                processor: ratio(|measured| measured.processor.as_secs_f64()),
            }
        });
        Self { phase, sides, ratios: ratios.collect() }
    }

    /// The ratio that a target is about, when its side was measured.
    pub(super) fn reached(&self, target: &Target) -> Option<&Interval> {
        let to = |name: &str| self.ratios.iter().find(|ratio| ratio.to == name);
        match target {
            Target::Rate(name, _) => Some(&to(name)?.rate),
            Target::Processor(name, _) => Some(&to(name)?.processor),
        }
    }

    fn check(&self, target: &Target, report: &mut Report) {
        let Some(reached) = self.reached(target) else { return };
        let why = format!("{}: {target} but {reached}", self.phase.name);
        report.check(target.holds(reached.median), why);
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
