//! A few connections that only read, lent to blocking tasks.

use std::{
    fmt,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use rusqlite::Connection;
use tokio::{sync::Semaphore, task::spawn_blocking, time::timeout};
use tokio_util::task::AbortOnDropHandle;

use super::{StoreError, open, writer::ROOM_WITHIN};

/// Connections at most: reading is short, and two cores must do.
const READERS: u32 = 4;

/// The connections that wait for work, opened at first need.
pub(super) struct Readers {
    path: PathBuf,
    idle: Mutex<Vec<Connection>>,
    permits: Arc<Semaphore>,
}

impl fmt::Debug for Readers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Readers").field("path", &self.path).finish_non_exhaustive()
    }
}

impl Readers {
    /// Readers of the file at `path`.
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path, idle: Mutex::default(), permits: Arc::new(Semaphore::new(READERS as usize)) }
    }

    /// Does `work` with a connection of its own. That goes on whether or not who waits for it is looked after: one that got its turn and
    /// is left alone would keep everybody else's.
    pub(super) async fn run<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let turn = self.clone().turn(work);
        // Inside a simulation no real thread is waited for.
        #[cfg(feature = "sim")]
        if turmoil::in_simulation() {
            return turn.await;
        }
        AbortOnDropHandle::new(tokio::spawn(turn)).await.map_err(|_| StoreError::Closed)?
    }

    async fn turn<T: Send + 'static>(
        self: Arc<Self>,
        work: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let permit = timeout(ROOM_WITHIN, self.permits.clone().acquire_owned())
            .await
            .map_err(|_| StoreError::Overloaded)?
            .map_err(|_| StoreError::Closed)?;
        let this = self.clone();
        let read = move || {
            let connection = this.take()?;
            let result = work(&connection);
            this.idle.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
            // Only now: the permit stands for the connection.
            drop(permit);
            result
        };
        #[cfg(feature = "sim")]
        if turmoil::in_simulation() {
            return read();
        }
        spawn_blocking(read).await.map_err(|_| StoreError::Closed)?
    }

    /// Waits for those that read, closes the connections and refuses everything later.
    pub(super) async fn close(&self) {
        if let Ok(_all) = self.permits.acquire_many(READERS).await {
            self.idle.lock().unwrap_or_else(PoisonError::into_inner).clear();
            self.permits.close();
        }
    }

    fn take(&self) -> Result<Connection, StoreError> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        if let Some(connection) = idle {
            return Ok(connection);
        }
        let connection = open::connect(&self.path)?;
        connection.pragma_update(None, "query_only", true)?;
        Ok(connection)
    }
}
