//! Who goes first: live pictures wait while single questions are being answered.

use std::sync::Arc;

use tokio::sync::watch;

/// Which of two kinds an answer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lane {
    /// Somebody waits for its end.
    Single,
    /// It has no end, and skips what it cannot send.
    Live,
}

/// Counts the single answers that have something to send; clones share it.
#[derive(Clone, Debug)]
pub(crate) struct Precedence(Arc<watch::Sender<usize>>);

impl Default for Precedence {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(0)))
    }
}

impl Precedence {
    /// A single answer has something to send, until the guard is dropped.
    pub(crate) fn claim(&self) -> Claim {
        self.0.send_modify(|claims| *claims += 1);
        Claim(self.clone())
    }

    /// Waits until no single answer has anything to send.
    pub(crate) async fn clear(&self) {
        // The sender is alive as long as this is.
        let _ = self.0.subscribe().wait_for(|claims| *claims == 0).await;
    }
}

/// Holds live answers up.
#[derive(Debug)]
pub(crate) struct Claim(Precedence);

impl Drop for Claim {
    fn drop(&mut self) {
        self.0.0.send_modify(|claims| *claims -= 1);
    }
}
