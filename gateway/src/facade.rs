//! Doors for clients of older systems, which go on unchanged.

pub mod vc;
