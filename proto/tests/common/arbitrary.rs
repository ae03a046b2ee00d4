//! Any value of every type.
