//! The Oriel gateway as a library: a value that is started, serves a listener and stops.

pub mod access;
pub mod config;
pub mod store;
