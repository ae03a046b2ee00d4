//! Promises of a session.
