//! How far a long list has come, for who waits for it at a terminal.

use std::io::{self, IsTerminal, Write};

/// A line on standard error that is written over, and erased in the end; nothing where standard error is no terminal.
#[derive(Debug)]
pub(super) struct Progress {
    what: &'static str,
    is_shown: bool,
}

impl Progress {
    /// None yet of these things.
    pub(super) const fn of(what: &'static str) -> Self {
        Self { what, is_shown: false }
    }

    /// There are so many.
    pub(super) fn tell(&mut self, count: usize) {
        let mut err = io::stderr();
        if err.is_terminal() {
            self.is_shown = true;
            // Nobody is left to be told when standard error is gone.
            let _ = write!(err, "\r{count} {} …", self.what).and_then(|()| err.flush());
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.is_shown {
            let _ = io::stderr().write_all(b"\r\x1b[K");
        }
    }
}
