//! A thread of its own for tasks that others must not delay, or that must not delay others.

use std::process::{Command, Stdio};

use tokio::runtime::{Builder, Handle, Runtime};

use crate::failure::Result;

/// One thread and the tasks on it, which end when it is dropped.
#[derive(Debug)]
pub(crate) struct Thread {
    handle: Handle,
    /// None once dropped.
    runtime: Option<Runtime>,
}

impl Thread {
    /// Starts it.
    pub(crate) fn start() -> Result<Self> {
        Self::with(|| ())
    }

    /// Starts one that gets the processor when nobody else wants it: what is on it stands for other machines.
    pub(crate) fn start_behind_others() -> Result<Self> {
        Self::with(|| {
            // `<process>/task/<thread>`; where this cannot be done, the figures are worse than they should be.
            let link = std::fs::read_link("/proc/thread-self").unwrap_or_default();
            let thread = link.file_name().unwrap_or_default();
            _ = Command::new("chrt")
                .args(["--idle", "--pid", "0"])
                .arg(thread)
                .stdout(Stdio::null())
                .status();
        })
    }

    fn with(begin: impl Fn() + Send + Sync + 'static) -> Result<Self> {
        let mut builder = Builder::new_multi_thread();
        let runtime = builder.worker_threads(1).on_thread_start(begin).enable_all().build()?;
        Ok(Self { handle: runtime.handle().clone(), runtime: Some(runtime) })
    }

    /// What spawns tasks on it.
    pub(crate) const fn handle(&self) -> &Handle {
        &self.handle
    }
}

impl Drop for Thread {
    fn drop(&mut self) {
        // Waiting for its end is not allowed inside of another one's task.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
