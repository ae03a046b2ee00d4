//! Pictures that an agent draws and looks at, as JPEGs: a simulated camera's, and what changed from one to the next.
//!
//! # Layout
//!
//! - [`story`]: what happens at a simulated camera; [`studio`]: its pictures of that.
//! - `scene`: what stands still; `figure`: what moves; `light`: how light it is; `caption`: name and time.
//! - `canvas`: what is drawn on, until it is a JPEG.
//! - [`blocks`]: a picture as few numbers, for whoever compares it with another.
//!
//! A crate of its own because it touches every pixel: it is optimised also where the agent is not.

pub mod blocks;
mod canvas;
mod caption;
mod figure;
mod light;
mod scene;
pub mod story;
pub mod studio;
