//! What the command line promises, run as the program that users run.

#![allow(clippy::unwrap_used, reason = "what these helpers cannot do fails the test")]

mod client;
mod events;
mod fake;
mod images;
mod interrupted;
mod live;
mod offline;
mod pictures;
mod run;
mod snapshot;
mod tls;
