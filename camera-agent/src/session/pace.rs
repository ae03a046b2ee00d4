//! How much may be under way at once: what the link carries in one round trip, and little more. Pure, with time handed in.
//!
//! Whatever kernel and network hold is ahead of every later word on the socket, and left alone they hold seconds of it. Pings
//! among the pieces of answers, called marks, tell what the gateway has read and how long that took: on a link that is not
//! full the shortest time there is, on a full one longer by what waits. So it works alike on every system, under every
//! congestion control, and through proxies.

#[cfg(test)]
mod tests;

use std::{collections::VecDeque, time::Duration};

use tokio::time::Instant;

use super::pulse::precedes;

/// Bytes under way of a connection of which nothing is known yet: about what TCP begins with.
const FIRST: u64 = 16 << 10;

/// The least that is under way, however slow the link: several pieces, so that one is on its way while a mark comes back.
const LEAST: u64 = 8 << 10;

/// The most; credit bounds it long before.
const MOST: u64 = 16 << 20;

/// What may wait in the network: people do not notice it, and networks that deliver in bursts vary by as much.
const QUEUE: Duration = Duration::from_millis(40);

/// Pieces that what is under way is cut into: a short answer waits for one or two of them.
const PIECES: u64 = 16;

/// The least that is added after a round trip in which the link was not full.
const STEP: u64 = 2 << 10;

/// How often what is under way is let run down, so that the shortest round trip is seen again after the network has changed.
const AGAIN: Duration = Duration::from_secs(10);

/// Round trips that it takes at least: what was under way when the network became narrower must be gone first.
const AGAIN_ROUNDS: u32 = 8;

/// Rounds after which a narrower window is judged.
const TRIAL: u8 = 3;

/// A window that was narrowed to less than this share of it tells something.
const WORTH_A_TRIAL: f64 = 0.85;

/// The most that is put down to the network.
const NOISE: Duration = Duration::from_millis(300);

/// What is under way, and what may be.
#[derive(Debug)]
pub(super) struct Pace {
    /// Bytes sent since the beginning.
    sent: u64,
    /// Of them, those that the gateway has read.
    reached: u64,
    /// How many may be under way.
    window: u64,
    /// Whether the link has not been seen full yet.
    opening: bool,
    /// Whether the window held something back in this round.
    held_back: bool,
    marks: VecDeque<Mark>,
    /// The number of the newest mark.
    last: u32,
    /// Of the bytes sent, those before it.
    marked: u64,
    round: Round,
    shortest: Shortest,
    trial: Option<Trial>,
    /// By how much the network lets answers wait although nothing of ours is in their way.
    noise: Duration,
}

/// A ping among the pieces.
#[derive(Debug)]
struct Mark {
    n: u32,
    at: Instant,
    sent: u64,
}

/// A narrower window that is on trial: if less gets through it, what was long was not a queue of our own.
#[derive(Clone, Copy, Debug)]
struct Trial {
    /// The window before.
    window: u64,
    /// Bytes in a second that got through that one.
    rate: f64,
    /// By how much the shortest answer was too long.
    excess: Duration,
    /// Rounds until it is judged: what was under way before must be gone.
    rounds: u8,
}

/// One round trip: it ends with the answer to the first mark that was made in it.
#[derive(Debug)]
struct Round {
    /// The mark whose answer ends it.
    until: u32,
    /// When it began, and what had been read by then.
    since: (Instant, u64),
    /// The shortest answer in it: what a lost packet held up says nothing of a queue.
    best: Option<Duration>,
    /// Whether a quarter less may be under way.
    running_down: bool,
}

/// The shortest round trip of the last ten to twenty seconds in which there was something to send.
#[derive(Debug)]
struct Shortest {
    present: Option<Duration>,
    before: Option<Duration>,
    since: Instant,
    rounds: u32,
}

impl Pace {
    /// A connection that begins `now`.
    pub(super) fn new(now: Instant) -> Self {
        Self {
            sent: 0,
            reached: 0,
            window: FIRST,
            opening: true,
            held_back: false,
            marks: VecDeque::new(),
            last: 0,
            marked: 0,
            round: Round { until: 1, since: (now, 0), best: None, running_down: false },
            shortest: Shortest { present: None, before: None, since: now, rounds: 0 },
            trial: None,
            noise: Duration::ZERO,
        }
    }

    /// Whether another piece may be sent; if not, it may once a mark has been reached.
    pub(super) fn may_send(&mut self) -> bool {
        let window = if self.round.running_down { self.window / 4 * 3 } else { self.window };
        let may = self.sent - self.reached < window;
        self.held_back |= !may;
        may
    }

    /// How large pieces should be.
    pub(super) const fn piece(&self) -> u64 {
        self.window / PIECES
    }

    /// A piece of `bytes` is being sent; gives the number of a mark when one is to follow it.
    pub(super) fn send(&mut self, bytes: u64, now: Instant) -> Option<u32> {
        self.sent += bytes;
        (self.sent - self.marked >= self.piece()).then(|| self.mark(now))
    }

    /// A ping is being sent, which is a mark; gives its number.
    pub(super) fn mark(&mut self, now: Instant) -> u32 {
        (self.last, self.marked) = (self.last.wrapping_add(1), self.sent);
        self.marks.push_back(Mark { n: self.last, at: now, sent: self.sent });
        self.last
    }

    /// The gateway has read everything up to the mark `n`; it may have answered only the newest of several.
    pub(super) fn reach(&mut self, n: u32, now: Instant) {
        let Some(place) = self.marks.iter().position(|mark| mark.n == n) else { return };
        let Some(mark) = self.marks.drain(..=place).next_back() else { return };
        let (took, read) = (now.duration_since(mark.at), mark.sent - self.reached);
        self.reached = mark.sent;
        self.shortest.note(took);
        self.round.best = Some(self.round.best.map_or(took, |best| best.min(took)));
        if self.opening && self.held_back && took <= self.full() {
            // No faster: until the answer comes that shows a full link, as much again has been added.
            self.window = (self.window + read / 4).min(MOST);
        }
        if !precedes(n, self.round.until) {
            self.turn(now);
        }
    }

    /// A round has ended.
    fn turn(&mut self, now: Instant) {
        let (began, read) = self.round.since;
        let rate = (self.reached - read) as f64 / now.duration_since(began).as_secs_f64().max(1e-6);
        self.judge(rate);
        let best = self.round.best;
        self.opening &= best.is_none_or(|best| best <= self.full());
        let step = STEP.max(self.window / PIECES);
        match best.filter(|_| !self.opening) {
            Some(best) if best > self.full() => self.narrow(best, rate, step),
            Some(_) if self.held_back && !self.round.running_down => self.window += step,
            _ => {}
        }
        self.window = self.window.clamp(LEAST, MOST);
        let running_down = self.shortest.is_old(now);
        if running_down {
            self.noise /= 2;
        }
        let until = self.last.wrapping_add(1);
        self.round = Round { until, since: (now, self.reached), best: None, running_down };
        self.held_back = false;
    }

    /// Even the shortest answer was too long.
    fn narrow(&mut self, best: Duration, rate: f64, step: u64) {
        let excess = best - self.full();
        if self.held_back {
            self.trial.get_or_insert(Trial { window: self.window, rate, excess, rounds: TRIAL });
        }
        // Never by more than half: a piece that no mark follows yet must not fill the window alone.
        let share = (self.full().as_secs_f64() / best.as_secs_f64()).max(0.5);
        self.window = (self.window as f64 * share) as u64 + step;
    }

    /// Judges a narrower window by what got through: a queue of our own would have been emptied at the same rate.
    fn judge(&mut self, rate: f64) {
        let Some(trial) = &mut self.trial else { return };
        trial.rounds -= 1;
        if trial.rounds > 0 {
            return;
        }
        let (trial, share) = (*trial, self.window as f64 / trial.window as f64);
        self.trial = None;
        if share < WORTH_A_TRIAL && rate < trial.rate * (1.0 + share) / 2.0 {
            self.noise = (self.noise + trial.excess).min(NOISE);
            (self.window, self.opening) = (trial.window, true);
        }
    }

    /// An answer that takes longer than this waited behind others.
    fn full(&self) -> Duration {
        let shortest = self.shortest.get();
        shortest + (shortest / 8).max(QUEUE) + self.noise
    }
}

impl Shortest {
    fn note(&mut self, took: Duration) {
        self.present = Some(self.present.map_or(took, |shortest| shortest.min(took)));
    }

    /// Whether it is time to see it again; begins a new period then.
    fn is_old(&mut self, now: Instant) -> bool {
        self.rounds += 1;
        let old = self.rounds > AGAIN_ROUNDS && now.duration_since(self.since) >= AGAIN;
        if old {
            (self.since, self.rounds) = (now, 0);
            self.before = self.present.take();
        }
        old
    }

    fn get(&self) -> Duration {
        [self.present, self.before].into_iter().flatten().min().unwrap_or_default()
    }
}
