//! The program beside a camera: it keeps one outbound socket to a gateway open and answers what comes down it.
//!
//! # Layout
//!
//! - [`config`]: what the agent is told to do.
//! - `agent`: the whole, from start to stop; `agent/dialer`: which gateway is dialled when.
//! - `status`: where it stands, for who asks on the same machine.
//! - `state`: the folder that keeps identity, dial count and tokens; `enroll`: how a one-time code becomes a token.
//! - `connect`: address, TLS, token, until frames flow; `wire`: what a session sees of that.
//! - `foreign`: what a gateway says, made fit for people.
//! - [`backoff`]: how long until the next try.
//! - `session`: one connection from Hello to close; `jobs`: the questions being answered on it.
//! - `camera`: a served camera; `spool`: its log on disk; `source`: what fills it, and takes its pictures.
//! - `pictures`: its pictures between the source and whoever asks; `ring`: those on disk.
//! - `motion`: what moves in its pictures, as events.
//! - `precedence`: single questions go before live pictures.
//! - `disk`: where work runs that waits for the disk.
//!
//! # The path of a question
//!
//! `connect/socket` decodes it, `session/live` hands it to `jobs`, `jobs/answer` reads the `spool` page by page, and `jobs/outlet`
//! gives the pieces, against their credit, to `session/outbox`, which writes them in turn with those of other answers.

mod agent;
pub mod backoff;
mod camera;
pub mod config;
mod connect;
mod disk;
mod enroll;
mod foreign;
mod jobs;
mod motion;
mod pictures;
mod precedence;
mod ring;
mod session;
mod source;
mod spool;
mod state;
mod status;
mod wire;

pub use self::{
    agent::{AgentError, run, run_then},
    config::Config,
    connect::tls::TlsError,
    enroll::{EnrollError, Enrolled, enroll_at},
    ring::RingError,
    source::SourceError,
    spool::SpoolError,
    state::StateError,
    status::{CameraStatus, Standing, Status, StatusError, status_of},
};
