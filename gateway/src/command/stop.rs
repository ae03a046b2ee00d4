//! Waiting for the signal to stop.

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// The exit code of a process that a second signal killed: 128 and SIGINT.
const KILLED: i32 = 130;

/// Fires at the first SIGINT or SIGTERM; the second one ends the process at once.
pub(super) fn on_signal() -> std::io::Result<CancellationToken> {
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let stop = CancellationToken::new();
    let first = stop.clone();
    // Ends with the process, at the latest.
    tokio::spawn(async move {
        loop {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            if first.is_cancelled() {
                std::process::exit(KILLED);
            }
            first.cancel();
        }
    });
    Ok(stop)
}
