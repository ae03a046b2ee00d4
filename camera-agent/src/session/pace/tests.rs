//! Promises of the pace, over a link that exists in numbers alone.

use proptest::{collection::vec, prelude::*};
use rand::{SeedableRng as _, rngs::SmallRng};

use super::*;

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);

/// A link behind a buffer without end.
struct Link {
    pace: Pace,
    now: Instant,
    /// Bytes in a second.
    rate: f64,
    round_trip: Duration,
    /// When the bottleneck has sent all that it has.
    free_at: Instant,
    /// Answers to marks on their way down, in order.
    answers: VecDeque<(Instant, u32)>,
    /// Bytes that went into the bottleneck.
    sent: u64,
    /// Each answer comes up to this much later, but never before the one before it.
    jitter: Duration,
    chance: SmallRng,
}

impl Link {
    fn new(bits_per_second: f64, round_trip: Duration) -> Self {
        let now = Instant::now();
        Self {
            pace: Pace::new(now),
            now,
            rate: bits_per_second / 8.0,
            round_trip,
            free_at: now,
            answers: VecDeque::new(),
            sent: 0,
            jitter: Duration::ZERO,
            chance: SmallRng::seed_from_u64(7),
        }
    }

    /// Sends all that it may for `time`; the share of the rate that was used, and how long pieces waited before the bottleneck, on average and at
    /// most.
    fn run(&mut self, time: Duration) -> (f64, Duration, Duration) {
        let (start, mut waited, mut longest) = (self.now, Duration::ZERO, Duration::ZERO);
        let mut pieces = 0;
        self.sent = 0;
        while self.now < start + time {
            while self.pace.may_send() {
                let bytes = self.pace.piece().clamp(2 << 10, 8 << 10);
                let wait = self.free_at.saturating_duration_since(self.now);
                (waited, longest, pieces) = (waited + wait, longest.max(wait), pieces + 1);
                self.sent += bytes;
                let took = Duration::from_secs_f64(bytes as f64 / self.rate);
                self.free_at = self.free_at.max(self.now) + took;
                if let Some(n) = self.pace.send(bytes, self.now) {
                    let at = self.free_at + self.round_trip + self.jitter.mul_f64(self.chance.random());
                    let last = self.answers.back().map_or(at, |(last, _)| *last);
                    self.answers.push_back((at.max(last), n));
                }
            }
            let (at, n) = self.answers.pop_front().expect("something is under way");
            self.now = self.now.max(at);
            self.pace.reach(n, self.now);
        }
        (self.sent as f64 / (self.now - start).as_secs_f64() / self.rate, waited / pieces.max(1), longest)
    }
}

#[test]
fn a_narrow_link_is_filled_and_little_waits_before_it() {
    let mut link = Link::new(1e6, 300 * MS);
    let (_, _, longest) = link.run(10 * SECOND);
    assert!(longest < 250 * MS, "{longest:?} at first");
    for minute in 1..=10 {
        let (share, mean, longest) = link.run(60 * SECOND);
        assert!(
            share > 0.9 && mean < 90 * MS && longest < 250 * MS,
            "{minute}: {share} {mean:?} {longest:?}"
        );
    }
}

#[test]
fn a_wide_link_is_filled_soon() {
    let mut link = Link::new(100e6, 80 * MS);
    link.run(5 * SECOND);
    let (share, mean, _) = link.run(60 * SECOND);
    assert!(share > 0.9 && mean < 90 * MS, "{share} {mean:?}");
}

#[test]
fn a_very_slow_link_carries_what_it_can() {
    let (share, ..) = Link::new(64e3, 600 * MS).run(120 * SECOND);
    assert!(share > 0.9, "{share}");
}

#[test]
fn a_network_whose_answers_come_unevenly_is_filled_too() {
    for (bits_per_second, round_trip, jitter) in
        [(50e6, 40, 20), (50e6, 40, 100), (10e6, 60, 60), (10e6, 60, 150), (2e6, 100, 100), (1e6, 300, 100)]
    {
        let mut link = Link::new(bits_per_second, round_trip * MS);
        link.jitter = jitter * MS;
        link.run(30 * SECOND);
        let (share, ..) = link.run(60 * SECOND);
        assert!(share > 0.85, "{bits_per_second} bit/s, {round_trip} ms and up to {jitter} more: {share}");
    }
}

#[test]
fn a_link_that_becomes_longer_wider_or_narrower_is_learned_again() {
    let mut link = Link::new(10e6, 20 * MS);
    link.run(30 * SECOND);
    link.round_trip = 200 * MS;
    link.run(60 * SECOND);
    let (share, ..) = link.run(60 * SECOND);
    assert!(share > 0.85, "longer: {share}");
    link.rate *= 5.0;
    link.run(30 * SECOND);
    let (share, ..) = link.run(60 * SECOND);
    assert!(share > 0.85, "wider: {share}");
    link.rate /= 50.0;
    link.run(120 * SECOND);
    let (share, mean, _) = link.run(60 * SECOND);
    assert!(share > 0.85 && mean < 200 * MS, "narrower: {share} {mean:?}");
}

#[test]
fn an_answer_that_a_lost_packet_held_up_does_not_narrow_the_window() {
    let mut link = Link::new(1e6, 300 * MS);
    link.run(30 * SECOND);
    let before = link.pace.window;
    // Everything under way comes a round trip later, and what follows in time.
    for answer in &mut link.answers {
        answer.0 += 300 * MS;
    }
    for _ in 0..20 {
        link.run(100 * MS);
        assert!(link.pace.window > before * 4 / 5, "{before} became {}", link.pace.window);
    }
}

#[test]
fn numbers_of_marks_may_wrap_and_unknown_ones_mean_nothing() {
    let mut link = Link::new(1e6, 300 * MS);
    link.pace.last = u32::MAX - 3;
    link.pace.round.until = u32::MAX - 2;
    assert!(link.run(20 * SECOND).0 > 0.7);
    let (window, reached) = (link.pace.window, link.pace.reached);
    link.pace.reach(0x8000_0000, link.now);
    assert_eq!((window, reached), (link.pace.window, link.pace.reached));
}

#[test]
fn a_gateway_that_answers_only_the_newest_ping_holds_nothing_up() {
    let mut link = Link::new(1e6, 300 * MS);
    for _ in 0..200 {
        link.run(SECOND);
        // A heartbeat, whose answer takes the place of all that wait.
        let n = link.pace.mark(link.now);
        let at = link.free_at.max(link.now) + link.round_trip;
        link.answers.clear();
        link.answers.push_back((at, n));
    }
    assert!(link.run(60 * SECOND).0 > 0.85);
}

#[test]
fn a_network_that_stands_still_for_seconds_stops_nothing_for_good() {
    for stall in [SECOND, 10 * SECOND, 60 * SECOND] {
        let mut link = Link::new(100e6, 10 * MS);
        link.run(30 * SECOND);
        for _ in 0..10 {
            for answer in &mut link.answers {
                answer.0 = answer.0.max(link.now + stall);
            }
            link.free_at += stall;
            link.run(SECOND);
            assert!(link.pace.may_send() || !link.pace.marks.is_empty());
        }
        link.run(120 * SECOND);
        let (share, ..) = link.run(30 * SECOND);
        assert!(share > 0.8, "{stall:?}: {share}");
    }
}

proptest! {
    #[test]
    fn whenever_nothing_may_be_sent_an_answer_is_awaited(
        steps in vec((1_u64..9_000, 0_u64..20_000, 0_usize..40), 1..400),
    ) {
        let mut now = Instant::now();
        let mut pace = Pace::new(now);
        for (bytes, ms, answered) in steps {
            while pace.may_send() {
                pace.send(bytes, now);
            }
            prop_assert!(!pace.marks.is_empty());
            now += Duration::from_millis(ms);
            if let Some(n) = pace.marks.get(answered).or(pace.marks.back()).map(|mark| mark.n) {
                pace.reach(n, now);
            }
            prop_assert!(pace.may_send() || !pace.marks.is_empty());
        }
    }
}
