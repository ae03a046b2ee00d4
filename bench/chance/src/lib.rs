//! Chance and wall clock of a simulation: a thread that was [told](tell) both gets the same of either for the same seed.
//!
//! Whatever a Rust program draws by chance (ids, jitter, the order of a `HashMap`, the branch that `tokio::select!` looks at first)
//! begins with `getrandom`, and its wall clock is `clock_gettime`. A program that is linked with this crate has both from here, on
//! Linux with 64 bits; threads that were told nothing get what the system says. Elsewhere the crate does nothing.

#[cfg(all(target_os = "linux", target_pointer_width = "64"))]
mod linux;

use std::{cell::Cell, time::Duration};

/// What is added to the wall clock each time that it is read, so that two events seldom have one time.
const READING: Duration = Duration::from_micros(1);

thread_local! {
    static CHANCE: Cell<Option<u64>> = const { Cell::new(None) };
    static CLOCK: Cell<Option<Duration>> = const { Cell::new(None) };
}

/// From now on everything that this thread draws by chance follows from `seed`. What was drawn before stays: begin with a new
/// thread, and with a new process, since some libraries draw once for all threads.
pub fn tell(seed: u64) {
    CHANCE.set(Some(seed));
}

/// This thread's wall clock stands at `since_epoch`, unless it is beyond that already.
pub fn set_clock(since_epoch: Duration) {
    CLOCK.set(CLOCK.get().max(Some(since_epoch)));
}

/// The next number of a thread that was told (SplitMix64).
#[cfg_attr(not(target_os = "linux"), allow(dead_code, reason = "nothing asks"))]
fn next() -> Option<u64> {
    let state = CHANCE.get()?.wrapping_add(0x9e37_79b9_7f4a_7c15);
    CHANCE.set(Some(state));
    let z = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    Some(z ^ (z >> 31))
}

/// The time of a thread that was told.
#[cfg_attr(not(target_os = "linux"), allow(dead_code, reason = "nothing asks"))]
fn clock() -> Option<Duration> {
    let now = CLOCK.get()? + READING;
    CLOCK.set(Some(now));
    Some(now)
}
