//! Placeholder.
pub mod access;
pub mod store;
