//! Pictures from outside: they pass through as they came, once for all who ask, and what does not come is explained.

#![allow(clippy::unwrap_used, reason = "what these helpers cannot do fails the test")]

#[path = "../common/mod.rs"]
mod common;
mod lists;
mod live;
mod many;
mod one;
mod owner;
#[allow(dead_code, reason = "each test program uses its own part")]
#[path = "../common/picture.rs"]
mod real;
mod shared;
