//! Table: everything that `docs/design/performance.md` tells, by one command, as one document in Markdown.
//!
//! Each part is another scenario with the flags that are written above it, and can be repeated alone. One that misses a
//! target or breaks off does not end the others.

use std::{
    fmt::Write,
    fs,
    path::PathBuf,
    time::{Duration, Instant},
};

use clap::{Parser, Subcommand};
use rand::{SeedableRng, rngs::SmallRng};

use crate::{
    failure::{Doing, Failure, Result},
    idle::Idle,
    relay::Relay,
    report::{Report, say},
    scale::Scale,
    storm::Storm,
};

/// The longest that the whole may take.
const WITHIN: Duration = Duration::from_secs(20 * 60);

/// All parts, in the order in which they are measured.
const PARTS: [Part; 6] = [
    Part { title: "Relay", command: "relay --rounds 7" },
    Part { title: "Idle cameras", command: "idle" },
    Part { title: "Idle cameras by TLS", command: "idle --tls" },
    Part {
        title: "Idle cameras after Parts of several sizes",
        command: "idle --agents 2000 --parts 4096,8192,16384 --tell-only",
    },
    Part { title: "A storm's first arrival", command: "storm --first-only --rounds 7" },
    Part { title: "Fleet", command: "fleet" },
];

/// All figures in one document, within 20 minutes
#[derive(Debug, clap::Args)]
pub(crate) struct Table {
    /// Only the parts whose command contains this, for instance "relay" or "idle --tls"
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    only: String,
    /// File to write the document to as well
    #[arg(long, value_name = "FILE")]
    markdown: Option<PathBuf>,
    /// File to draw the relay's ratios into
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
    /// Repeats the run with this seed
    #[arg(long, value_name = "N")]
    pub(crate) seed: Option<u64>,
}

/// A part of the document.
#[derive(Debug)]
struct Part {
    title: &'static str,
    /// The scenario and its flags.
    command: &'static str,
}

/// A part's command.
#[derive(Debug, Parser)]
#[command(no_binary_name = true)]
struct Line {
    #[command(subcommand)]
    scenario: Scenario,
}

/// The scenarios that parts are made of.
#[derive(Debug, Subcommand)]
enum Scenario {
    Relay(Box<Relay>),
    Idle(Idle),
    Storm(Storm),
    Fleet(Scale),
}

/// What a part came to.
#[derive(Debug)]
struct Measured {
    markdown: String,
    /// A picture, where there is one.
    svg: Option<String>,
}

impl Table {
    /// Runs all parts; whether everything held in all of them.
    pub(crate) async fn run(self, seed: u64) -> Result<bool> {
        let parts: Vec<_> = PARTS.iter().filter(|part| part.command.contains(&self.only)).collect();
        if parts.is_empty() {
            return Err(Failure::new(format!("no part's command contains {:?}", self.only)));
        }
        let (mut report, mut document) = (Report::document(), beginning(seed));
        for part in parts {
            report.part(part.title);
            let start = Instant::now();
            let measured = part.measure(seed, &mut report).await.unwrap_or_else(|why| {
                report.check(false, format!("broke off: {why}"));
                Measured { markdown: format!("Broke off: {why}\n"), svg: None }
            });
            document += &part.section(&measured, start.elapsed());
            if let Some((path, svg)) = self.svg.as_ref().zip(measured.svg) {
                fs::write(path, svg).doing(path.display())?;
            }
        }
        report.part("Table");
        report.check(report.took() <= WITHIN, format!("took longer than {} s", WITHIN.as_secs()));
        document += &ending(&report);
        if let Some(path) = &self.markdown {
            fs::write(path, &document).doing(path.display())?;
        }
        say(document);
        Ok(report.verdict())
    }
}

impl Part {
    async fn measure(&self, seed: u64, report: &mut Report) -> Result<Measured> {
        let mut svg = None;
        let markdown = match self.scenario()? {
            Scenario::Relay(relay) => {
                let outcome = relay.measure(seed, report).await?;
                svg = Some(outcome.svg());
                outcome.markdown()
            }
            Scenario::Idle(idle) => idle.measure(report).await?.markdown(),
            Scenario::Storm(storm) => {
                storm.measure(seed, report).await?.markdown(&mut SmallRng::seed_from_u64(seed))
            }
            Scenario::Fleet(scale) => scale.measure(seed, report).await?.markdown(),
        };
        Ok(Measured { markdown, svg })
    }

    fn scenario(&self) -> Result<Scenario> {
        Ok(Line::try_parse_from(self.command.split(' '))?.scenario)
    }

    /// It as a section of the document.
    fn section(&self, measured: &Measured, took: Duration) -> String {
        let Self { title, command } = self;
        let took = took.as_secs_f64();
        format!("## {title}\n\n`oriel-bench {command}`, which took {took:.0} s.\n\n{}\n", measured.markdown)
    }
}

fn beginning(seed: u64) -> String {
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    format!(
        "# Measured by `oriel-bench table`\n\nSeed {seed}, version {}, {processors} processors that gateway, devices and callers share.\n\n",
        env!("CARGO_PKG_VERSION")
    )
}

/// What did not hold, and how long all took.
fn ending(report: &Report) -> String {
    let mut text = format!("## Verdict\n\nAll took {:.0} s.", report.took().as_secs_f64());
    if report.faults().is_empty() {
        text += " Everything held.\n";
    } else {
        text += " What did not hold:\n\n";
    }
    for fault in report.faults() {
        // Writing into a text cannot fail.
        _ = writeln!(text, "- {fault}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_is_a_command_that_can_be_given() {
        for part in &PARTS {
            assert!(part.scenario().is_ok(), "{}: {:?}", part.title, part.scenario().err());
        }
    }

    #[test]
    fn what_did_not_hold_is_told_with_its_part() {
        let mut report = Report::document();
        report.part("Relay");
        report.check(true, "this held");
        report.check(false, "too slow");
        let text = ending(&report);
        assert!(text.contains("\n- Relay: too slow\n") && !text.contains("this held"), "{text}");
    }
}
