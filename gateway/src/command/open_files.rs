//! Room for open files, made before the first connection: each takes one.
//!
//! The soft limit that a process begins with is often 1,024, so it is raised to what the system allows. The kernel's table of open files
//! doubles when it is full, and in a process with threads each doubling waits until every processor has passed a quiet point
//! (`synchronize_rcu`): ten milliseconds and more in which a worker answers nobody, seven times while a fleet connects for the
//! first time. Before there are threads it waits for nothing, and a table never shrinks.

use std::io;

use oriel_gateway::config::Limits;
use rustix::{
    io::fcntl_dupfd_cloexec,
    process::{Resource, Rlimit, getrlimit, setrlimit},
};

/// What a gateway opens beside its connections: the store's files, listeners, and what its runtime needs.
const SPARE: usize = 256;

/// The largest table that is made before it is needed; each file takes eight bytes in it.
const LARGEST: i32 = 1 << 20;

/// Raises the limit of open files as far as the system allows, and makes the table of them as large as `limits` need.
pub(super) fn make_room(limits: &Limits) {
    let wanted = limits.connections.saturating_add(limits.agents).saturating_add(SPARE);
    let wanted = i32::try_from(wanted).unwrap_or(i32::MAX);
    let allowed = raise();
    if allowed < wanted {
        tracing::info!(allowed, wanted, "fewer files may be open than the limits need");
    }
    if let Err(error) = grow(allowed.min(wanted).min(LARGEST)) {
        tracing::debug!(%error, "the table of open files grows later");
    }
}

/// Raises the soft limit to the hard one; how many files may be open then.
fn raise() -> i32 {
    let mut limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, ..limit };
    match setrlimit(Resource::Nofile, raised) {
        Ok(()) => limit = raised,
        Err(error) => tracing::debug!(%error, "the limit of open files stays"),
    }
    // No limit is `None`.
    limit.current.and_then(|files| i32::try_from(files).ok()).unwrap_or(i32::MAX)
}

/// Grows the table to so many files, by opening the last of them once.
fn grow(files: i32) -> io::Result<()> {
    drop(fcntl_dupfd_cloexec(io::stderr(), files.saturating_sub(1))?);
    Ok(())
}
