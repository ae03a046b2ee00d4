//! The Oriel gateway as a library.
pub mod access;
pub mod cameras;
pub mod clock;
pub mod events;
pub mod io;
pub mod link;
pub mod metrics;
pub mod openapi;
pub mod problem;
pub mod registry;
pub mod relay;
pub mod routes;
pub mod server;
pub mod store;
