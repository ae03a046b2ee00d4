//! Room for open files, made before the first connection: each takes one.
//!
//! The soft limit that a process begins with is often 1,024, so it is raised to what the system allows. The kernel's table of open
//! files doubles when it is full, and in a process with threads each doubling waits until every processor has passed a quiet
//! point (`synchronize_rcu`): ten milliseconds and more in which a worker answers nobody, seven times while a fleet connects
//! for the first time. Before there are threads it waits for nothing, and a table never shrinks.

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
    let limit = getrlimit(Resource::Nofile);
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }) {
        tracing::debug!(%error, "the limit of open files stays");
    }
    let files = allowed().min(wanted(limits)).min(LARGEST);
    // The last of them is opened once.
    if let Err(error) = fcntl_dupfd_cloexec(io::stderr(), files.saturating_sub(1)) {
        tracing::debug!(%error, "the table of open files grows later");
    }
}

/// Says so when fewer files may be open than `limits` need.
pub(super) fn tell_missing(limits: &Limits) {
    let (allowed, wanted) = (allowed(), wanted(limits));
    if allowed < wanted {
        tracing::info!(allowed, wanted, "the system allows fewer open files than the limits need");
    }
}

/// How many files may be open.
fn allowed() -> i32 {
    // No limit is `None`.
    getrlimit(Resource::Nofile).current.and_then(|files| i32::try_from(files).ok()).unwrap_or(i32::MAX)
}

/// How many files connections within `limits` need.
fn wanted(limits: &Limits) -> i32 {
    let files = limits.connections.saturating_add(limits.agents).saturating_add(SPARE);
    i32::try_from(files).unwrap_or(i32::MAX)
}
