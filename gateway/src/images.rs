//! A camera's pictures.

pub mod scale;
pub mod zip;
