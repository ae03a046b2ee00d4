//! What every size came to, and whether it made a difference.

use std::fmt::Write;

use rand::Rng;

use super::servers::SMALL;
use crate::{
    measure::{Measured, NULL, ORIEL, Ratio},
    report::{Report, mebibytes, millis},
};

/// How much the gateway's processor time per request may differ between sizes, as a share of the smallest.
const DIFFERS: f64 = 0.15;

/// The share of the requests per second at the smallest size that it must answer at the largest.
const KEEPS: f64 = 0.85;

/// How much more memory the gateway may have after all have left and come back, as a share of that before.
const GROWTH: f64 = 0.10;

/// Resident memory, in bytes.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Memory {
    /// The gateway's.
    pub(crate) gateway: u64,
    /// The null relay's.
    pub(crate) null: u64,
}

/// What both servers did with so many cameras.
#[derive(Debug)]
pub(crate) struct Size {
    /// How many were connected.
    pub(crate) cameras: usize,
    /// The gateway's medians.
    pub(crate) gateway: Measured,
    /// The null relay's medians.
    pub(crate) null: Measured,
    /// The one against the other.
    pub(crate) ratio: Ratio,
    /// The gateway against the one that stays small.
    pub(crate) to_small: Ratio,
    /// Memory before they were asked.
    pub(crate) memory: Memory,
}

/// One side at one size.
struct Row<'a> {
    name: &'static str,
    measured: &'a Measured,
    /// Its memory, in bytes.
    memory: u64,
    /// What each camera costs beyond a server without any, in bytes.
    each: f64,
}

/// The gateway's memory around the leaving of everybody, in bytes.
#[derive(Debug)]
pub(crate) struct Return {
    /// With all connected.
    pub(crate) before: u64,
    /// Without anybody.
    pub(crate) gone: u64,
    /// With all connected again.
    pub(crate) after: u64,
}

/// How all sizes compare.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// By number of cameras.
    pub(crate) sizes: Vec<Size>,
    /// How memory was after all had come back to the largest.
    pub(crate) returned: Return,
    /// Memory before anybody came.
    pub(crate) empty: Memory,
    /// What other programs took of this machine, for people.
    pub(crate) taken: String,
    /// Rounds at each size.
    pub(crate) rounds: usize,
}

impl Size {
    /// Of what the null relay, the gateway and the small one gave, round by round.
    pub(super) fn of(
        cameras: usize,
        [null, gateway, small]: &[Vec<Measured>; 3],
        memory: Memory,
        rng: &mut impl Rng,
    ) -> Self {
        let ratio = Ratio::between((ORIEL, gateway), (NULL, null), rng);
        let to_small = Ratio::between((ORIEL, gateway), (SMALL, small), rng);
        let (gateway, null) = (Measured::middle(gateway), Measured::middle(null));
        Self { cameras, gateway, null, ratio, to_small, memory }
    }

    /// What each side did, the null relay first.
    fn sides(&self, empty: Memory) -> [Row<'_>; 2] {
        let row = |name, measured, memory: u64, empty: u64| Row {
            name,
            measured,
            memory,
            each: (memory as f64 - empty as f64) / self.cameras as f64,
        };
        [
            row(NULL, &self.null, self.memory.null, empty.null),
            row(ORIEL, &self.gateway, self.memory.gateway, empty.gateway),
        ]
    }
}

impl Return {
    /// How much more there is than before, as a share.
    fn growth(&self) -> f64 {
        self.after as f64 / self.before as f64 - 1.0
    }
}

impl Outcome {
    /// How much the processor time per request differs between sizes, as a share of the smallest, each measured by the gateway that
    /// stays small.
    fn difference(&self) -> f64 {
        let all = self.sizes.iter().map(|size| size.to_small.processor.median);
        let (least, most) =
            all.fold((f64::MAX, 0.0), |(least, most), each| (each.min(least), each.max(most)));
        most / least - 1.0
    }

    /// Requests per second at the largest size, as a share of those of the gateway that stays small.
    fn kept(&self) -> f64 {
        self.sizes.last().map_or(f64::NAN, |size| size.to_small.rate.median)
    }

    /// Tells everything, and what did not hold.
    pub(super) fn tell(&self, report: &mut Report) {
        for size in &self.sizes {
            let cameras = size.cameras;
            for Row { name, measured, each, .. } in size.sides(self.empty) {
                report.figure(&format!("{cameras} cameras: {name}"), measured);
                report
                    .figure(&format!("{cameras} cameras: {name}'s memory each"), format!("{each:.0} bytes"));
            }
            let (rate, processor) = (&size.ratio.rate, &size.ratio.processor);
            let told = format!("requests {rate}, processor time {processor}");
            report.figure(&format!("{cameras} cameras: {ORIEL} / {NULL}"), told);
            let told = format!("requests {}, processor time {}", size.to_small.rate, size.to_small.processor);
            report.figure(&format!("{cameras} cameras: {ORIEL} / {SMALL}"), told);
        }
        let (differs, kept, growth) = (self.difference(), self.kept(), self.returned.growth());
        let told = format!("{:.1} % between sizes", differs * 100.0);
        report.figure("gateway's processor time per request differs by", &told);
        report.check(differs <= DIFFERS, format!("processor time per request differs by {told}"));
        report.figure("requests/s with most cameras / with fewest", format!("{kept:.2}"));
        report
            .check(kept >= KEEPS, format!("only {kept:.2} of the requests per second with the most cameras"));
        report.figure("memory with all, without, with all again", self.returned());
        report.figure("taken by other programs", &self.taken);
        report.check(growth <= GROWTH, format!("memory: {}", self.returned()));
    }

    /// As a table in Markdown.
    pub(crate) fn markdown(&self) -> String {
        let mut text = format!(
            "256 callers of 100 cameras, spread over all that are connected. Medians of {} rounds; ratios are those of the same round, with the \
             interval of nine of ten medians. The {SMALL} is a second gateway that keeps as few cameras as stand in the first line. Other \
             programs took {}.\n\n\
             | cameras | side | requests/s | p50 | p99 | processor time each | memory | memory per camera | requests / {NULL} | \
             processor time / {NULL} | requests / {SMALL} | processor time / {SMALL} |\n|---|---|---|---|---|---|---|---|---|---|---|---|\n",
            self.rounds, self.taken
        );
        for size in &self.sizes {
            let (null, small) = (&size.ratio, &size.to_small);
            let ratios = format!("{} | {} | {} | {}", null.rate, null.processor, small.rate, small.processor);
            for (Row { name, measured, memory, each }, ratios) in
                size.sides(self.empty).into_iter().zip(["1 | 1 | |", &ratios])
            {
                let (p50, p99, memory) = (millis(measured.p50), millis(measured.p99), mebibytes(memory));
                let processor = measured.processor.as_secs_f64() * 1e6;
                // Writing into a text cannot fail.
                _ = writeln!(
                    text,
                    "| {} | {name} | {:.0} | {p50} | {p99} | {processor:.1} us | {memory} | {each:.0} bytes | {ratios} |",
                    size.cameras, measured.rate
                );
            }
        }
        _ = writeln!(
            text,
            "\nThe gateway's processor time per request differs by {:.1} % between sizes (at most {:.0} %); requests per second with the most \
             cameras are {:.2} of those of the {SMALL} (at least {KEEPS}). Its memory with all, without any, and with all again: {} (at \
             most +{:.0} %).",
            self.difference() * 100.0,
            DIFFERS * 100.0,
            self.kept(),
            self.returned(),
            GROWTH * 100.0
        );
        text
    }

    /// Memory around the leaving of everybody, for people.
    fn returned(&self) -> String {
        let Return { before, gone, after } = self.returned;
        let [before, gone, after] = [before, gone, after].map(mebibytes);
        format!("{before}, {gone}, {after} ({:+.1} %)", self.returned.growth() * 100.0)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rand::{SeedableRng, rngs::SmallRng};

    use super::*;

    /// One round, with its processor time in microseconds.
    fn round(rate: f64, processor: u64) -> Vec<Measured> {
        let (p50, p99) = (Duration::from_millis(1), Duration::from_millis(2));
        vec![Measured { rate, p50, p99, processor: Duration::from_micros(processor), others: 0.0 }]
    }

    /// A size whose requests took this processor time on a machine that is so many times as slow as it was at first.
    fn size(cameras: usize, rate: f64, processor: u64, slow: u64) -> Size {
        let (own, small) =
            (round(rate / slow as f64, processor * slow), round(50_000.0 / slow as f64, 20 * slow));
        let memory = Memory { gateway: 3_000 * cameras as u64 + 500, null: 500 };
        Size::of(cameras, &[own.clone(), own, small], memory, &mut SmallRng::seed_from_u64(1))
    }

    #[test]
    fn sizes_are_compared_by_their_dearest_and_cheapest_however_slow_the_machine_became() {
        let sizes =
            vec![size(100, 50_000.0, 20, 1), size(1_000, 48_000.0, 23, 1), size(10_000, 40_000.0, 22, 3)];
        let empty = Memory { gateway: 500, null: 500 };
        let returned = Return { before: 1_000, gone: 400, after: 1_050 };
        let outcome = Outcome { sizes, returned, empty, taken: String::new(), rounds: 1 };
        assert_eq!((outcome.difference() * 100.0).round(), 15.0);
        assert_eq!((outcome.kept() * 100.0).round(), 80.0);
        assert_eq!((outcome.returned.growth() * 100.0).round(), 5.0);
        assert!((outcome.sizes[1].sides(empty)[1].each - 3_000.0).abs() < f64::EPSILON);
        assert!(outcome.markdown().contains("| 1000 | null relay | 48000 |"));
    }
}
