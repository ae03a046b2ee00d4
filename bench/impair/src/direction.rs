//! One direction of a link: what becomes of each packet, and when. Pure, with time handed in.

use std::{
    cmp::Reverse,
    collections::BinaryHeap,
    time::{Duration, Instant},
};

use rand::{RngExt as _, SeedableRng as _, rngs::SmallRng};

use crate::impairment::Impairment;

/// Bytes from which on a packet is large: what TCP says of itself is not, nor a short answer.
const LARGE: usize = 1_000;

/// What happened to the packets of one direction.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    /// Packets that came.
    pub(crate) packets: u64,
    /// Their bytes.
    pub(crate) bytes: u64,
    /// When the last large one came.
    pub(crate) last_large: Option<Instant>,
    /// Bytes of IP packets that came out again.
    pub(crate) passed_bytes: u64,
    /// Packets that were lost by chance.
    pub(crate) lost: u64,
    /// Packets for which the buffer had no room.
    pub(crate) overflown: u64,
    /// Packets that were held back.
    pub(crate) held_back: u64,
    /// Packets that a cut swallowed.
    pub(crate) cut: u64,
    /// Microseconds that the buffer's content would take to leave, added up over the packets that found it so.
    wait_us: u64,
    /// The most of that.
    pub(crate) most_wait: Duration,
}

impl Counts {
    /// How long a packet waited before the bottleneck on average.
    pub(crate) fn mean_wait(&self) -> Duration {
        let waited = self.packets - self.overflown - self.cut.min(self.packets - self.overflown);
        Duration::from_micros(self.wait_us.checked_div(waited).unwrap_or_default())
    }
}

/// A packet under way, ordered by when it comes out.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Flying {
    due: Instant,
    n: u64,
    packet: Vec<u8>,
}

/// One direction.
#[derive(Debug)]
pub(crate) struct Direction {
    impairment: Impairment,
    chance: SmallRng,
    /// When the bottleneck has sent all that it has.
    free_at: Option<Instant>,
    /// When the last packet in order comes out.
    last_due: Option<Instant>,
    flying: BinaryHeap<Reverse<Flying>>,
    n: u64,
    counts: Counts,
}

impl Direction {
    /// Nothing is under way; `turn` tells the directions of one link apart.
    pub(crate) fn new(impairment: &Impairment, turn: u64) -> Self {
        let seed = impairment.seed.unwrap_or_default().wrapping_mul(2).wrapping_add(turn);
        Self {
            impairment: impairment.clone(),
            chance: SmallRng::seed_from_u64(seed),
            free_at: None,
            last_due: None,
            flying: BinaryHeap::new(),
            n: 0,
            counts: Counts::default(),
        }
    }

    /// A packet enters.
    pub(crate) fn enter(&mut self, now: Instant, packet: &[u8], cut: bool) {
        self.counts.packets += 1;
        self.counts.bytes += packet.len() as u64;
        if packet.len() >= LARGE {
            self.counts.last_large = Some(now);
        }
        if cut {
            self.counts.cut += 1;
            return;
        }
        let Some(sent) = self.bottleneck(now, packet.len()) else {
            self.counts.overflown += 1;
            return;
        };
        // Each packet takes the same draws, so that one option does not change what another does.
        let (lost, held) = (self.happens(self.impairment.loss), self.happens(self.impairment.reorder));
        let jitter = self.impairment.jitter.mul_f64(self.chance.random::<f64>());
        if lost {
            self.counts.lost += 1;
            return;
        }
        let due = sent + self.impairment.delay + jitter;
        let due = if held {
            self.counts.held_back += 1;
            due + self.impairment.reorder_by
        } else {
            let due = self.last_due.map_or(due, |last| last.max(due));
            self.last_due = Some(due);
            due
        };
        self.n += 1;
        self.flying.push(Reverse(Flying { due, n: self.n, packet: packet.to_vec() }));
    }

    /// When the next packet comes out.
    pub(crate) fn due(&self) -> Option<Instant> {
        self.flying.peek().map(|next| next.0.due)
    }

    /// The next packet, if it comes out by `now`.
    pub(crate) fn leave(&mut self, now: Instant, cut: bool) -> Option<Vec<u8>> {
        while self.due().is_some_and(|due| due <= now) {
            let Reverse(flying) = self.flying.pop()?;
            if cut {
                self.counts.cut += 1;
                continue;
            }
            self.counts.passed_bytes += flying.packet.len() as u64;
            return Some(flying.packet);
        }
        None
    }

    /// What happened since the last call.
    pub(crate) fn take_counts(&mut self) -> Counts {
        std::mem::take(&mut self.counts)
    }

    /// When the bottleneck will have sent a packet that comes `now`; none when its buffer is full.
    fn bottleneck(&mut self, now: Instant, len: usize) -> Option<Instant> {
        let (Some(rate), Some(queue)) = (self.impairment.rate, self.impairment.queue_bytes()) else {
            return Some(now);
        };
        let begins = self.free_at.map_or(now, |free| free.max(now));
        let wait = begins - now;
        let waiting = wait.as_nanos() * u128::from(rate) / 8_000_000_000;
        if waiting + len as u128 > u128::from(queue) {
            return None;
        }
        self.counts.wait_us += u64::try_from(wait.as_micros()).unwrap_or_default();
        self.counts.most_wait = self.counts.most_wait.max(wait);
        let nanos = len as u128 * 8_000_000_000 / u128::from(rate);
        let sent = begins + Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
        self.free_at = Some(sent);
        Some(sent)
    }

    fn happens(&mut self, share: f64) -> bool {
        self.chance.random::<f64>() < share
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    /// Numbers of the packets that come out, with the milliseconds after `start` at which they do; one enters every `gap`.
    fn cross(impairment: &Impairment, count: u32, gap: Duration, start: Instant) -> Vec<(u32, u128)> {
        let mut direction = Direction::new(impairment, 0);
        for n in 0..count {
            let mut packet = vec![0; 1_250];
            packet[..4].copy_from_slice(&n.to_be_bytes());
            direction.enter(start + n * gap, &packet, false);
        }
        let mut out = Vec::new();
        while let Some(due) = direction.due() {
            let packet = direction.leave(due, false).unwrap();
            let n = u32::from_be_bytes(packet[..4].try_into().unwrap());
            out.push((n, (due - start).as_millis()));
        }
        out
    }

    #[test]
    fn each_packet_takes_the_delay() {
        let slow = Impairment { delay: 150 * MS, ..Impairment::NONE };
        assert_eq!(cross(&slow, 3, 7 * MS, Instant::now()), [(0, 150), (1, 157), (2, 164)]);
    }

    #[test]
    fn the_bottleneck_sends_one_after_another_and_drops_what_its_buffer_has_no_room_for() {
        // 1,250 bytes take 10 ms; four of them are in the buffer.
        let narrow = Impairment { rate: Some(1_000_000), queue: Some(5_000), ..Impairment::NONE };
        let burst = cross(&narrow, 10, Duration::ZERO, Instant::now());
        assert_eq!(burst, [(0, 10), (1, 20), (2, 30), (3, 40)]);
        // At half the rate nothing waits.
        assert_eq!(cross(&narrow, 3, 20 * MS, Instant::now()), [(0, 10), (1, 30), (2, 50)]);
    }

    #[test]
    fn the_same_seed_loses_the_same_packets() {
        let lossy = |seed| Impairment { loss: 0.01, seed: Some(seed), ..Impairment::NONE };
        let (start, count) = (Instant::now(), 100_000);
        let first = cross(&lossy(7), count, MS, start);
        assert_eq!(first, cross(&lossy(7), count, MS, start));
        assert_ne!(first, cross(&lossy(8), count, MS, start));
        let lost = count as usize - first.len();
        assert!((900..1_100).contains(&lost), "{lost}");
    }

    #[test]
    fn jitter_keeps_the_order_and_reordering_does_not() {
        let shaky = Impairment { delay: 50 * MS, jitter: 20 * MS, ..Impairment::NONE };
        let out = cross(&shaky, 1_000, MS, Instant::now());
        assert!(out.is_sorted() && out.len() == 1_000);
        let late = out.iter().map(|(n, at)| at - u128::from(*n));
        assert!(late.clone().all(|late| (50..=70).contains(&late)) && late.max() > Some(65));
        let mixed = cross(&Impairment { reorder: 0.1, ..Impairment::NONE }, 1_000, MS, Instant::now());
        let held = mixed.iter().filter(|(n, at)| at - u128::from(*n) == 30).count();
        assert!((70..130).contains(&held), "{held}");
        assert!(!mixed.iter().map(|(n, _)| n).is_sorted());
    }

    #[test]
    fn a_cut_swallows_what_comes_and_what_is_under_way() {
        let start = Instant::now();
        let mut direction = Direction::new(&Impairment { delay: 50 * MS, ..Impairment::NONE }, 0);
        direction.enter(start, &[1], false);
        direction.enter(start, &[2], true);
        assert_eq!(direction.leave(start + 50 * MS, true), None);
        direction.enter(start + 60 * MS, &[3], false);
        assert_eq!(direction.leave(start + 110 * MS, false), Some(vec![3]));
        assert_eq!(direction.take_counts().cut, 2);
    }
}
