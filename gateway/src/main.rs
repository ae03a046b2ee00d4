//! The oriel binary.
fn main() {}
