//! How far a long list or a download has come, for who waits for it at a terminal.

use std::io::{self, IsTerminal, Write};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::failure::say;

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
    pub(super) fn tell(&mut self, count: impl std::fmt::Display) {
        let mut err = io::stderr();
        if err.is_terminal() {
            self.is_shown = true;
            // Nobody is left to be told when standard error is gone.
            let _ = write!(err, "\r{count} {} …", self.what).and_then(|()| err.flush());
        }
    }

    /// Erases the line, until there is more to tell.
    pub(super) fn clear(&mut self) {
        if std::mem::take(&mut self.is_shown) {
            let _ = io::stderr().write_all(b"\r\x1b[K");
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.clear();
    }
}

/// A bar on standard error for so many pictures of a camera, erased in the end; nothing where standard error is no terminal.
#[derive(Debug)]
pub(super) struct Bar(ProgressBar);

impl Bar {
    /// None of them yet.
    pub(super) fn of(camera: &str, total: usize) -> Self {
        let bar = ProgressBar::with_draw_target(Some(total as u64), ProgressDrawTarget::stderr());
        let style = ProgressStyle::with_template("{prefix} [{wide_bar}] {pos}/{len} {eta}");
        // The template is right; if it were not there would be a plainer bar.
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()).progress_chars("=> "));
        bar.set_prefix(camera.to_owned());
        bar.tick();
        Self(bar)
    }

    /// One more.
    pub(super) fn step(&self) {
        self.0.inc(1);
    }

    /// Says something beside the bar.
    pub(super) fn say(&self, line: &str) {
        self.0.suspend(|| say(line));
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
