//! What a scenario says: figures on standard output, progress on standard error, and the verdict as the last line.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "this is what the program is for")]

use std::{
    fmt::Display,
    time::{Duration, Instant},
};

use crate::failure::Failure;

/// Collects what did not hold.
#[derive(Debug)]
pub(crate) struct Report {
    start: Instant,
    faults: Vec<String>,
    /// The part of a longer document that is measured; its figures are progress, since the document will tell them.
    part: Option<&'static str>,
}

impl Report {
    /// Begins with the scenario's name and seed.
    pub(crate) fn begin(scenario: &str, seed: u64) -> Self {
        println!("{scenario}");
        println!("  seed: {seed}");
        Self { start: Instant::now(), faults: Vec::new(), part: None }
    }

    /// Begins a document that is printed at the end.
    pub(crate) fn document() -> Self {
        Self { start: Instant::now(), faults: Vec::new(), part: Some("") }
    }

    /// Begins another part of a document.
    pub(crate) fn part(&mut self, name: &'static str) {
        self.part = Some(name);
        self.progress(name);
    }

    /// Prints a figure.
    pub(crate) fn figure(&self, name: &str, value: impl Display) {
        match self.part {
            Some(_) => self.progress(format!("{name}: {value}")),
            None => println!("  {name}: {value}"),
        }
    }

    /// Notes `why` unless it holds.
    pub(crate) fn check(&mut self, holds: bool, why: impl Into<String>) {
        if !holds {
            let why = why.into();
            self.faults.push(self.part.map_or_else(|| why.clone(), |part| format!("{part}: {why}")));
        }
    }

    /// Prints a figure that must be 0.
    pub(crate) fn none(&mut self, name: &str, count: u64) {
        self.figure(name, count);
        self.check(count == 0, format!("{name}: {count}"));
    }

    /// Says on standard error how far the scenario is.
    pub(crate) fn progress(&self, text: impl Display) {
        eprintln!("[{:6.1} s] {text}", self.start.elapsed().as_secs_f64());
    }

    /// How long it has taken so far.
    pub(crate) fn took(&self) -> Duration {
        self.start.elapsed()
    }

    /// What did not hold so far.
    pub(crate) fn faults(&self) -> &[String] {
        &self.faults
    }

    /// Prints how a step ended before which there were so many faults.
    pub(crate) fn step(&self, name: &str, faults_before: usize) {
        self.figure(name, if self.faults.len() == faults_before { "PASS" } else { "FAIL" });
    }

    /// Prints the verdict; whether everything held.
    pub(crate) fn verdict(self) -> bool {
        println!("  took: {:.1} s", self.start.elapsed().as_secs_f64());
        if self.faults.is_empty() {
            println!("PASS");
        } else {
            println!("FAIL: {}", self.faults.join("; "));
        }
        self.faults.is_empty()
    }
}

/// Prints a line for the process that started this one.
pub(crate) fn say(what: impl Display) {
    println!("{what}");
}

/// Prints the verdict of a scenario that broke off.
pub(crate) fn broke_off(failure: &Failure) {
    println!("FAIL: broke off: {failure}");
}

/// Bytes for people.
pub(crate) fn mebibytes(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20))
}

/// A time for people, in seconds.
pub(crate) fn seconds(time: Duration) -> String {
    format!("{:.3} s", time.as_secs_f64())
}

/// A time for people, in milliseconds.
pub(crate) fn millis(time: Duration) -> String {
    format!("{:.2} ms", time.as_secs_f64() * 1e3)
}
