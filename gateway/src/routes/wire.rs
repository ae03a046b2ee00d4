//! A connection as the HTTP library sees it, and the way back once it has been upgraded.

use bytes::Bytes;
use hyper::upgrade::Upgraded;
use hyper_util::{rt::TokioIo, server::conn::auto};

use crate::io::{Io, Patient};

/// What HTTP is spoken over.
pub type Wire = TokioIo<Patient<Io>>;

/// What HTTP is to be spoken over.
pub fn wire(io: Io) -> Wire {
    TokioIo::new(Patient::new(io))
}

/// The connection that was upgraded, and what has been read of it already; none when it is not one of ours.
pub fn taken_back(upgraded: Upgraded) -> Option<(Io, Bytes)> {
    let (wire, read): (Wire, Bytes) = match upgraded.downcast() {
        Ok(parts) => (parts.io, parts.read_buf),
        // Who found out the version while reading has put something around it.
        Err(upgraded) => {
            let parts = auto::upgrade::downcast(upgraded).ok()?;
            (parts.io, parts.read_buf)
        }
    };
    Some((wire.into_inner().into_inner(), read))
}
