//! How a gateway stops: agents that have another gateway go there first, then the doors close, open answers finish, who still
//! waits is told, and what is left is cut.

use std::time::Duration;

use tokio::time::{Instant, interval, sleep, sleep_until, timeout_at};
use tokio_util::sync::CancellationToken;

use crate::{
    link::{Close, Link},
    routes::App,
};

/// How long answers that are open when the gateway begins to stop may go on.
const FINISH_WITHIN: Duration = Duration::from_secs(8);

/// How long those who still wait then may take to hear that no answer comes.
const TELL_CALLERS_WITHIN: Duration = Duration::from_millis(500);

/// How long agents with another gateway may take to go there; everything else goes on meanwhile.
const MOVE_WITHIN: Duration = Duration::from_secs(6);

/// The part of that over which they are told, so that a fleet does not knock at the other gateway all at once.
const TELL_WITHIN: Duration = Duration::from_secs(4);

/// Time between two agents that are told, unless there are too many for it: a dial costs the other gateway far less.
const TELL_EVERY: Duration = Duration::from_millis(1);

/// The doors of a gateway.
#[derive(Clone, Debug, Default)]
pub(crate) struct Doors {
    /// Set when no new connection is taken any more.
    pub(crate) closed: CancellationToken,
    /// Set when what is still open ends.
    pub(crate) cut: CancellationToken,
}

/// From the word to stop until what is left is cut; does not return, since who serves knows when everything has ended.
pub(crate) async fn stop(app: &App, doors: &Doors, word: CancellationToken) {
    word.cancelled().await;
    let start = Instant::now();
    app.stopping.cancel();
    // What must end by itself goes after the doors, so that this waits for the movers alone.
    _ = timeout_at(start + MOVE_WITHIN, send_away(app, start)).await;
    doors.closed.cancel();
    sleep_until(start + FINISH_WITHIN).await;
    for link in app.registry.links() {
        link.close(Close::Restart);
    }
    sleep(TELL_CALLERS_WITHIN).await;
    doors.cut.cancel();
    std::future::pending().await
}

/// Tells every agent that this gateway stops, one after the other, and waits until those that can go elsewhere have gone.
async fn send_away(app: &App, start: Instant) {
    let (mut movers, stayers): (Vec<Link>, Vec<Link>) =
        app.registry.links().into_iter().partition(Link::can_move);
    let ends = start + FINISH_WITHIN;
    for link in stayers {
        link.drain(ends - start);
    }
    let pause = (TELL_WITHIN / u32::try_from(movers.len().max(1)).unwrap_or(u32::MAX)).min(TELL_EVERY);
    for (n, link) in movers.iter().enumerate() {
        sleep_until(start + pause * u32::try_from(n).unwrap_or(u32::MAX)).await;
        link.drain(ends.saturating_duration_since(Instant::now()));
    }
    let mut look = interval(Duration::from_millis(20));
    while !movers.is_empty() {
        look.tick().await;
        movers.retain(|link| !link.is_closed());
    }
}
