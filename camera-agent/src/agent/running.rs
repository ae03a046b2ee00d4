//! A connection that is being served, in a task of its own, so that another one can be opened beside it.

use tokio::{sync::watch, task::JoinHandle};
use tokio_util::sync::CancellationToken;

use crate::{
    backoff::Ending,
    session::{Ended, Phase},
};

/// A connection and what can be done with it from outside.
#[derive(Debug)]
pub(super) struct Running {
    /// Which gateway of the list it leads to.
    pub(super) index: usize,
    /// None once its end was told.
    task: Option<JoinHandle<Ended>>,
    phase: watch::Receiver<Phase>,
    leave: CancellationToken,
}

impl Running {
    /// The connection that `task` serves.
    pub(super) const fn new(
        index: usize,
        task: JoinHandle<Ended>,
        phase: watch::Receiver<Phase>,
        leave: CancellationToken,
    ) -> Self {
        Self { index, task: Some(task), phase, leave }
    }

    /// How it ended, once it has; told once. Safe to drop and call again.
    pub(super) async fn ended(&mut self) -> Ended {
        let Some(task) = &mut self.task else { return std::future::pending().await };
        let ended = task.await.unwrap_or_else(|e| Ended {
            ending: Ending::Broken,
            why: format!("the connection's task failed: {e}"),
            welcomed: None,
        });
        self.task = None;
        ended
    }

    /// Returns when the connection has come to `phase`; never, if it ends before.
    pub(super) fn reaches(&self, phase: Phase) -> impl Future<Output = ()> + use<> {
        let mut now = self.phase.clone();
        async move {
            if now.wait_for(|now| *now >= phase).await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }

    /// Returns when the connection has ended.
    pub(super) fn over(&self) -> impl Future<Output = ()> + use<> {
        let mut now = self.phase.clone();
        async move { while now.changed().await.is_ok() {} }
    }

    /// How far it has come; closed once it has ended.
    pub(super) fn phase(&self) -> watch::Receiver<Phase> {
        self.phase.clone()
    }

    /// Whether its end was told.
    pub(super) const fn is_over(&self) -> bool {
        self.task.is_none()
    }

    /// Another connection takes over: this one gives its cameras back and ends when its answers are done.
    pub(super) fn leave(&self) {
        self.leave.cancel();
    }
}
