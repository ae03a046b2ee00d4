//! A link: one thread that carries packets between two TUN devices.

use std::{
    io,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    process::setpriority_process,
    thread::set_current_timer_slack,
};
use tun_rs::SyncDevice;

use crate::{
    direction::{Counts, Direction},
    impairment::{Impairment, MTU},
};

/// Packets taken from one device before the other gets its turn.
const BATCH: usize = 64;

/// The longest the thread sleeps, so that it notices when it is to end.
const NAP: Duration = Duration::from_millis(50);

/// Ahead of everything that is measured on a busy machine: a late carrier would be delay that nobody asked for.
pub(crate) const PRIORITY: i32 = -20;

/// Which way a packet goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// From the device to the gateway.
    Up,
    /// From the gateway to the device.
    Down,
}

/// A link that is carrying packets; dropping it ends that.
#[derive(Debug)]
pub(crate) struct Link {
    shared: Arc<Shared>,
    carrier: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    stop: AtomicBool,
    cut: [AtomicBool; 2],
    directions: [Mutex<Direction>; 2],
}

impl Link {
    /// Joins the gateway's device and the device's one.
    pub(crate) fn join(gateway: SyncDevice, device: SyncDevice, impairment: &Impairment) -> io::Result<Self> {
        gateway.set_nonblocking(true)?;
        device.set_nonblocking(true)?;
        let directions = [0, 1].map(|turn| Mutex::new(Direction::new(impairment, turn)));
        let shared = Arc::new(Shared {
            stop: AtomicBool::new(false),
            cut: [AtomicBool::new(false), AtomicBool::new(false)],
            directions,
        });
        let carried = shared.clone();
        let carrier = thread::Builder::new().name("carrier".into()).spawn(move || {
            // What is refused here makes the link less exact, which the self-test would show.
            let _ = setpriority_process(None, PRIORITY);
            let _ = set_current_timer_slack(std::num::NonZero::new(1));
            // Up begins at the device.
            carry(&carried, [&device, &gateway]);
        })?;
        Ok(Self { shared, carrier: Some(carrier) })
    }

    /// Swallows every packet that goes this way from now on, or no more.
    pub(crate) fn cut(&self, way: Way, cut: bool) {
        self.shared.cut[way as usize].store(cut, Ordering::SeqCst);
    }

    /// Swallows every packet.
    pub(crate) fn cut_all(&self) {
        self.cut(Way::Up, true);
        self.cut(Way::Down, true);
    }

    /// Swallows nothing any more.
    pub(crate) fn heal(&self) {
        self.cut(Way::Up, false);
        self.cut(Way::Down, false);
    }

    /// Whether both ways are cut.
    pub(crate) fn is_cut(&self) -> bool {
        self.shared.cut.iter().all(|cut| cut.load(Ordering::SeqCst))
    }

    /// What happened this way since the last call.
    pub(crate) fn take_counts(&self, way: Way) -> Counts {
        self.shared.direction(way as usize, Direction::take_counts)
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        if let Some(carrier) = self.carrier.take() {
            let _ = carrier.join();
        }
    }
}

impl Shared {
    fn direction<T>(&self, way: usize, use_it: impl FnOnce(&mut Direction) -> T) -> T {
        use_it(&mut self.directions[way].lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn is_cut(&self, way: usize) -> bool {
        self.cut[way].load(Ordering::SeqCst)
    }
}

/// Carries until told to stop. `ends` are the device's and the gateway's: the first is where packets that go up come from.
fn carry(shared: &Shared, ends: [&SyncDevice; 2]) {
    let mut buffer = vec![0; 2 * MTU];
    while !shared.stop.load(Ordering::SeqCst) {
        let mut next = Instant::now() + NAP;
        for (way, to) in [ends[1], ends[0]].into_iter().enumerate() {
            take(shared, way, ends[way], &mut buffer);
            next = next.min(give(shared, way, to).unwrap_or(next));
        }
        let left = next.saturating_duration_since(Instant::now());
        let Ok(timeout) = Timespec::try_from(left) else { continue };
        let mut wanted = ends.map(|end| PollFd::new(end, PollFlags::IN));
        // Interrupted or not, both ends are looked at again.
        let _ = poll(&mut wanted, Some(&timeout));
    }
}

/// Takes what has come at one end.
fn take(shared: &Shared, way: usize, from: &SyncDevice, buffer: &mut [u8]) {
    for _ in 0..BATCH {
        let Ok(len) = from.recv(buffer) else { return };
        let (now, cut) = (Instant::now(), shared.is_cut(way));
        shared.direction(way, |direction| direction.enter(now, &buffer[..len], cut));
    }
}

/// Gives what is due to the other end; tells when the next packet is.
fn give(shared: &Shared, way: usize, to: &SyncDevice) -> Option<Instant> {
    loop {
        let cut = shared.is_cut(way);
        let left = shared.direction(way, |direction| direction.leave(Instant::now(), cut));
        let Some(packet) = left else { return shared.direction(way, |direction| direction.due()) };
        // A device that is down takes nothing, as a cable that was pulled.
        let _ = to.send(&packet);
    }
}
