//! Pictures from outside: they pass through as they came, once for all who ask, and what does not come is explained.

#![allow(clippy::unwrap_used, reason = "what these helpers cannot do fails the test")]

mod agreement;
#[path = "../common/mod.rs"]
mod common;
mod credit;
#[path = "../common/deaf.rs"]
mod deaf;
mod lists;
mod live;
mod many;
mod one;
mod owner;
mod patience;
#[allow(dead_code, reason = "each test program uses its own part")]
#[path = "../common/picture.rs"]
mod real;
mod shared;
mod slow;
