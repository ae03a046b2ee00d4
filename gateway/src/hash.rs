//! How the gateway's maps hash.

/// Another one in each process, so that nobody can choose keys that meet.
#[cfg(not(feature = "sim"))]
pub(crate) use foldhash::quality::RandomState as Hashing;

/// Always the same one: the order of a map is part of what a simulation's seed repeats.
#[cfg(feature = "sim")]
pub(crate) use foldhash::quality::FixedState as Hashing;
