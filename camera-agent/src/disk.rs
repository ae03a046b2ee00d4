//! Work that waits for the disk, off the runtime.

/// Runs `work` where it may wait; none when the runtime ends first, or when it panics. Inside a simulation it is done in place:
/// no real thread is waited for, so that a seed says all.
pub(crate) async fn off_runtime<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    #[cfg(feature = "sim")]
    if turmoil::in_simulation() {
        let done = work();
        tokio::task::yield_now().await;
        return Some(done);
    }
    tokio::task::spawn_blocking(work).await.ok()
}
