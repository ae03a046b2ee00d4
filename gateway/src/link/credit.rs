//! How much credit may be out: what answers get beyond their first bytes comes out of a budget of their socket, and of one
//! that all sockets of a gateway share, so that many slow readers cost little.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use oriel_proto::limits::{FIRST_CREDIT, SOCKET_WINDOW, WINDOW};
use tokio::time::Instant;

/// A reader that takes longer than this for a quarter of its window needs no larger one, however far away the camera is.
const SLOW: Duration = Duration::from_secs(1);

/// Bytes of credit that may be out beyond every answer's first ones.
#[derive(Debug)]
pub struct Budget {
    left: AtomicU64,
    above: Option<Arc<Self>>,
}

impl Budget {
    /// What all sockets of a gateway share, in bytes.
    pub fn shared(bytes: u64) -> Arc<Self> {
        Arc::new(Self { left: AtomicU64::new(bytes), above: None })
    }

    /// What the answers of one socket share; it comes out of `gateway`'s too.
    pub(super) fn of_socket(gateway: Arc<Self>) -> Self {
        Self { left: AtomicU64::new(SOCKET_WINDOW.into()), above: Some(gateway) }
    }

    /// Takes `bytes` here and above, or nothing at all.
    fn take(&self, bytes: u32) -> bool {
        let less = |left: u64| left.checked_sub(bytes.into());
        if self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less).is_err() {
            return false;
        }
        let granted = self.above.as_ref().is_none_or(|above| above.take(bytes));
        if !granted {
            self.left.fetch_add(bytes.into(), Ordering::Relaxed);
        }
        granted
    }

    fn give_back(&self, bytes: u32) {
        self.left.fetch_add(bytes.into(), Ordering::Relaxed);
        if let Some(above) = &self.above {
            above.give_back(bytes);
        }
    }
}

/// What one answer may have unread: it grows while its reader is quick and the budget has room, and shrinks when the reader is
/// slow.
#[derive(Debug)]
pub(super) struct Window {
    /// Bytes that may be unread at most; what exceeds the first credit is taken from a budget.
    size: u32,
    /// Bytes taken by the reader and not yet allowed again.
    taken: u32,
    /// When credit was given last.
    since: Instant,
}

impl Window {
    /// The window of an answer that begins.
    pub(super) fn new(now: Instant) -> Self {
        Self { size: FIRST_CREDIT, taken: 0, since: now }
    }

    /// The reader took `bytes` more; gives the credit that the sender gets for it, if it is time for some: in steps of at least a
    /// quarter of the window.
    pub(super) fn take(&mut self, bytes: u32, budget: &Budget, now: Instant) -> Option<u32> {
        self.taken += bytes;
        if self.taken < self.size / 4 {
            return None;
        }
        let slow = now.duration_since(self.since) > SLOW;
        self.since = now;
        let taken = std::mem::take(&mut self.taken);
        if slow {
            let less = taken.min(self.size - FIRST_CREDIT);
            self.size -= less;
            budget.give_back(less);
            return Some(taken - less).filter(|credit| *credit > 0);
        }
        let more = self.size.min(WINDOW - self.size);
        let more = if more > 0 && budget.take(more) { more } else { 0 };
        self.size += more;
        Some(taken + more)
    }

    /// The answer has ended: what it had taken is free again.
    pub(super) fn close(&mut self, budget: &Budget) {
        budget.give_back(self.size - FIRST_CREDIT);
        self.size = FIRST_CREDIT;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quick() -> (Window, Instant) {
        let now = Instant::now();
        (Window::new(now), now)
    }

    #[test]
    fn a_quick_readers_window_grows_and_is_given_back_at_the_end() {
        let gateway = Budget::shared(1 << 20);
        let socket = Budget::of_socket(Arc::clone(&gateway));
        let (mut window, now) = quick();
        assert_eq!(window.take(FIRST_CREDIT / 4 - 1, &socket, now), None);
        assert_eq!(window.take(1, &socket, now), Some(FIRST_CREDIT / 4 + FIRST_CREDIT));
        while window.size < WINDOW {
            window.take(window.size, &socket, now);
        }
        assert_eq!(gateway.left.load(Ordering::Relaxed), (1 << 20) - u64::from(WINDOW - FIRST_CREDIT));
        assert_eq!(window.take(WINDOW, &socket, now), Some(WINDOW));
        window.close(&socket);
        assert_eq!(gateway.left.load(Ordering::Relaxed), 1 << 20);
        assert_eq!(socket.left.load(Ordering::Relaxed), u64::from(SOCKET_WINDOW));
    }

    #[test]
    fn without_budget_a_window_stays_and_takes_nothing_from_the_socket() {
        let socket = Budget::of_socket(Budget::shared(1_000));
        let (mut window, now) = quick();
        assert_eq!(window.take(FIRST_CREDIT, &socket, now), Some(FIRST_CREDIT));
        assert_eq!(window.size, FIRST_CREDIT);
        assert_eq!(socket.left.load(Ordering::Relaxed), u64::from(SOCKET_WINDOW));
    }

    #[test]
    fn a_slow_reader_gives_its_window_back() {
        let gateway = Budget::shared(1 << 20);
        let socket = Budget::of_socket(Arc::clone(&gateway));
        let (mut window, mut now) = quick();
        while window.size < WINDOW {
            window.take(window.size, &socket, now);
        }
        let mut credit = 0;
        for _ in 0..64 {
            now += 2 * SLOW;
            credit += window.take(WINDOW / 4, &socket, now).unwrap_or(0);
        }
        assert_eq!(window.size, FIRST_CREDIT);
        assert_eq!(credit, 64 * (WINDOW / 4) - (WINDOW - FIRST_CREDIT), "it lost what the window shrank by");
        assert_eq!(gateway.left.load(Ordering::Relaxed), 1 << 20);
    }
}
