//! What the service manager is told, where there is one.

use std::time::Duration;

use sd_notify::NotifyState;
use tokio::time::{self, MissedTickBehavior};

/// Tells the service manager.
pub(super) fn tell(state: NotifyState<'_>) {
    if let Err(error) = sd_notify::notify(&[state]) {
        tracing::debug!(%error, "service manager not told");
    }
}

/// Tells it that the service has started and, twice in the time that it allows, that tasks still get their turn: until the runtime
/// ends, also while the service stops.
pub(super) fn started() {
    tell(NotifyState::Ready);
    let Some(within) = sd_notify::watchdog_enabled().filter(|within| *within > Duration::ZERO) else {
        return;
    };
    let mut turns = time::interval(within / 2);
    turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
    tokio::spawn(async move {
        loop {
            turns.tick().await;
            tell(NotifyState::Watchdog);
        }
    });
}
