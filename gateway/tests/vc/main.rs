//! The older system's listener from outside: its cameras poll and post, its clients ask, and all of them go on unchanged.

#![allow(clippy::unwrap_used, reason = "what these helpers cannot do fails the test")]

mod answers;
#[path = "../common/mod.rs"]
mod common;
mod door;
mod like_others;
mod lists;
mod old;
