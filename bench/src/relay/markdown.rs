//! The outcome as tables in Markdown.

use std::fmt::Write;

use super::outcome::{Outcome, PhaseOutcome};
use crate::{measure::NULL, report::millis};

/// What every side did, and which targets the gateway reached.
pub(super) fn table(outcome: &Outcome) -> String {
    let mut text = format!(
        "Medians of {} rounds; ratios are those of sides in the same round, with the interval of nine of ten medians. Other programs took \
         {}.\n\n\
         | asked by | side | requests/s | p50 | p99 | processor time each | requests / {NULL} | processor time / {NULL} |\n\
         |---|---|---|---|---|---|---|---|\n",
        outcome.rounds, outcome.taken
    );
    outcome.phases.iter().for_each(|phase| sides(phase, &mut text));
    text += "\n| asked by | target | reached | |\n|---|---|---|---|\n";
    outcome.phases.iter().for_each(|phase| targets(phase, &mut text));
    text
}

fn sides(phase: &PhaseOutcome, text: &mut String) {
    for (name, measured) in &phase.sides {
        let (p50, p99) = (millis(measured.p50), millis(measured.p99));
        let processor = measured.processor.as_secs_f64() * 1e6;
        let ratios = phase
            .ratio(name, NULL)
            .map_or_else(|| "1 | 1".to_owned(), |ratio| format!("{} | {}", ratio.rate, ratio.processor));
        // Writing into a text cannot fail.
        _ = writeln!(
            text,
            "| {} | {name} | {:.0} | {p50} | {p99} | {processor:.1} us | {ratios} |",
            phase.phase.name, measured.rate
        );
    }
}

fn targets(phase: &PhaseOutcome, text: &mut String) {
    for target in phase.phase.targets {
        let Some(reached) = phase.reached(target) else { continue };
        let verdict = if target.holds(reached.median) { "yes" } else { "no" };
        _ = writeln!(text, "| {} | {target} | {reached} | {verdict} |", phase.phase.name);
    }
}
