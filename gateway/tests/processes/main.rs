//! What real processes promise: `oriel serve`, `oriel demo` and `camera-agent`, started, killed, frozen and lied to.

#![allow(clippy::unwrap_used, reason = "what these helpers cannot do fails the test")]

mod authority;
mod backup;
mod cameras;
mod clones;
mod codes;
mod counterparts;
mod demo;
mod device;
mod files;
mod following;
mod frozen;
mod gateway;
mod http;
mod kills;
mod logs;
mod metrics;
mod nginx;
mod offline;
mod pictures;
mod process;
mod proxies;
mod python_agent;
mod refusals;
mod service;
mod signals;
mod spools;
mod tls;
