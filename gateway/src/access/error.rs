//! Why somebody is not let in, or a credential not made.

use std::time::Duration;

use super::TokenError;
use crate::store::{Role, StoreError};

/// Why it was refused. No message names a secret.
#[derive(Clone, Debug, thiserror::Error)]
pub enum AccessError {
    /// The credential cannot be one: mistyped, cut, or of another kind.
    #[error(transparent)]
    Malformed(#[from] TokenError),
    /// Nobody was given this credential, or it is used up.
    #[error("this credential is not known here")]
    Unknown,
    /// The credential was good once.
    #[error("this credential has expired")]
    Expired,
    /// The credential was taken back.
    #[error("this credential was revoked")]
    Revoked,
    /// Too many wrong credentials came from this address.
    #[error("too many wrong credentials from this address")]
    Throttled {
        /// When trying again makes sense.
        retry_after: Duration,
    },
    /// The credential is good, but not for this.
    #[error("this needs the role {needs}{}", if *.everywhere { " on all cameras" } else { "" })]
    Forbidden {
        /// The role that would do.
        needs: Role,
        /// Whether it must be held for all cameras.
        everywhere: bool,
    },
    /// There is no such thing, or it is not the asker's to see.
    #[error("there is no such thing")]
    NotFound,
    /// Something else stands in the way; says what.
    #[error("{0}")]
    Conflict(String),
    /// A value is out of bounds; says which.
    #[error("{0}")]
    Invalid(String),
    /// The system has no randomness to make a secret from.
    #[error("the system gives no random bytes")]
    Random,
    /// The database failed.
    #[error(transparent)]
    Store(StoreError),
}

impl From<StoreError> for AccessError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Exists(_) | StoreError::Bound(_) | StoreError::Reserved(_) => {
                Self::Conflict(error.to_string())
            }
            StoreError::Invalid(why) => Self::Invalid(why),
            StoreError::NoAgent(_) | StoreError::TooManyCameras(_) => Self::Invalid(error.to_string()),
            other => Self::Store(other),
        }
    }
}
