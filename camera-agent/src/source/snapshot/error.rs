//! Why a camera gives no picture, in words for whoever set it up.

use std::{io, path::PathBuf, time::Duration};

use oriel_proto::{
    jpeg::JpegError,
    limits::{IMAGE_BYTES, IMAGE_PIXELS},
};

use crate::{backoff::Ending, connect::tls::TlsError};

/// Why a camera gives no picture; the address is without what may be a password.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// The file of the password cannot be read.
    #[error("password_file = {}: {source}", path.display())]
    PasswordFile {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Nobody can be trusted.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The camera cannot be reached, or went away.
    #[error("{url} cannot be asked: {why}")]
    Unreachable {
        /// The address.
        url: String,
        /// What went wrong.
        why: String,
    },
    /// It takes too long.
    #[error("{url} gave no picture within {} ms", within.as_millis())]
    Slow {
        /// The address.
        url: String,
        /// How long it had.
        within: Duration,
    },
    /// It wants to know who asks.
    #[error("{0} wants a login: give user and password")]
    LoginWanted(String),
    /// It wants a login that is not known here.
    #[error("{url} wants a login that is neither basic nor digest: {why}")]
    LoginUnknown {
        /// The address.
        url: String,
        /// What is wrong with its challenge.
        why: String,
    },
    /// It knows no such user, or another password.
    #[error("{0} refuses this user and password")]
    LoginRefused(String),
    /// It sends elsewhere.
    #[error("{url} sends elsewhere with status {status}: give the address that it means")]
    Redirected {
        /// The address.
        url: String,
        /// The HTTP status.
        status: u16,
    },
    /// It answers with something else.
    #[error("{url} answers with status {status}")]
    Status {
        /// The address.
        url: String,
        /// The HTTP status and its words.
        status: reqwest::StatusCode,
        /// What `Retry-After` said.
        retry_after: Option<Duration>,
    },
    /// What it gives is too large.
    #[error("{url} gives {bytes} bytes, more than the {IMAGE_BYTES} of a picture")]
    TooLarge {
        /// The address.
        url: String,
        /// How many it says, or has sent.
        bytes: u64,
    },
    /// What it gives is no picture.
    #[error("what {url} gives is no picture: {why}")]
    NoPicture {
        /// The address.
        url: String,
        /// What is wrong.
        why: JpegError,
    },
    /// Nobody would decode it.
    #[error("{url} gives a picture of {pixels} pixels, more than {IMAGE_PIXELS}")]
    Pixels {
        /// The address.
        url: String,
        /// How many.
        pixels: u32,
    },
}

impl SnapshotError {
    /// What the backoff makes of it: cameras lock out who gives a wrong password too often.
    pub(crate) const fn ending(&self) -> Ending {
        match self {
            Self::LoginWanted(_) | Self::LoginRefused(_) | Self::LoginUnknown { .. } => {
                Ending::Refused { status: 401, retry_after: None }
            }
            Self::Status { status, retry_after, .. } => {
                Ending::Refused { status: status.as_u16(), retry_after: *retry_after }
            }
            _ => Ending::Broken,
        }
    }
}
