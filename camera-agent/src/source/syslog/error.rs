//! Why syslog cannot be taken.

use std::{io, net::SocketAddr};

/// Why syslog cannot be taken.
#[derive(Debug, thiserror::Error)]
pub enum SyslogError {
    /// Nobody may listen there, or somebody does already.
    #[error("{protocol} at {address} cannot be listened at: {source}")]
    Listen {
        /// UDP or TCP.
        protocol: &'static str,
        /// Where.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The program is stopping.
    #[error("syslog is closing")]
    Closing,
    /// A socket failed.
    #[error("syslog cannot be received: {0}")]
    Receive(io::Error),
}
