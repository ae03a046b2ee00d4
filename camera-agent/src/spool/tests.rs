//! Promises of the spool.
