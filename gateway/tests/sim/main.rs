//! Real gateways and real agents in simulated networks that are cut, slow, lossy or one-way, on hosts that are killed and restarted.
//!
//! A seed says everything that happens in a run, to the last id and the last random wait; each run has a process of its own, and
//! a run that fails prints the line that repeats it. `ORIEL_SEEDS` says how many seeds are run, `ORIEL_SEED` repeats one.
//!
//! Seen failing against gateways that were broken on purpose, each in the first 60 seeds: one that drops a Cancel when two wait
//! already (in 4), one whose link takes a newer link's camera along when it leaves (in 7), and one that never counts silence (in 3).

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "what these helpers cannot do fails the test")]

mod asking;
mod client;
mod faults;
mod plan;
mod question;
mod run;
mod seeds;
mod truth;
mod watch;
mod world;

use std::sync::atomic::{AtomicBool, Ordering};

use self::plan::Plan;

static PANICKED: AtomicBool = AtomicBool::new(false);

/// Whether any task has panicked; the runtime catches what tasks do.
fn panicked() -> bool {
    PANICKED.load(Ordering::Relaxed)
}
