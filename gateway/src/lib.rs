//! The Oriel gateway as a library.
pub mod link;
pub mod metrics;
