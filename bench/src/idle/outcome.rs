//! What cameras cost that are connected and silent, for each size of Parts.

use std::{fmt::Write, time::Duration};

use super::null::Null;
use crate::{
    measure::{NULL, ORIEL},
    report::{Report, mebibytes, seconds},
};

/// What one camera may cost, in bytes: fresh, and after its socket moved what it was asked for.
const FRESH: f64 = 3_000.0;
const USED: f64 = 3_500.0;

/// The same by TLS.
const FRESH_TLS: f64 = 12_000.0;
const USED_TLS: f64 = 20_000.0;

/// How much more memory the gateway may have after all have left and come back.
const GROWTH: f64 = 0.10;

/// What was measured with Parts of one size; memory is in bytes.
#[derive(Debug)]
pub(crate) struct Cost {
    /// Bytes of a Part.
    pub(super) part: usize,
    /// The gateway's memory without anybody.
    pub(super) empty: u64,
    /// With all connected.
    pub(super) connected: u64,
    /// After each socket was busy, and how long that took.
    pub(super) used: Option<(u64, Duration)>,
    /// After all have left.
    pub(super) gone: u64,
    /// After all have come back.
    pub(super) again: u64,
    /// What the null relay needs for each; none by TLS, which it does not speak.
    pub(super) null: Option<Null>,
}

/// What was measured with all sizes.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// How many cameras there were.
    pub(super) agents: usize,
    /// Whether they connected by TLS.
    pub(super) tls: bool,
    /// Whether nothing is asked of what a camera costs.
    pub(super) tell_only: bool,
    /// Bytes that each socket moved.
    pub(super) moved: usize,
    /// One for each size.
    pub(super) costs: Vec<Cost>,
}

impl Cost {
    /// How much more memory there was after all had come back, as a share.
    fn growth(&self) -> f64 {
        self.again as f64 / self.connected as f64 - 1.0
    }
}

impl Outcome {
    /// What each camera costs.
    fn each(&self, cost: &Cost, memory: u64) -> f64 {
        (memory as f64 - cost.empty as f64) / self.agents as f64
    }

    /// What a camera may cost, fresh and after its socket was busy.
    const fn allowed(&self) -> (f64, f64) {
        match (self.tell_only, self.tls) {
            (true, _) => (f64::INFINITY, f64::INFINITY),
            (false, true) => (FRESH_TLS, USED_TLS),
            (false, false) => (FRESH, USED),
        }
    }

    /// The same for people.
    fn wanted(&self, moved: &str) -> String {
        match self.allowed() {
            (fresh, used) if fresh.is_finite() => {
                format!("{fresh} fresh, {used} after each moved {moved}, and ")
            }
            _ => String::new(),
        }
    }

    /// Tells everything, and what did not hold.
    pub(super) fn tell(&self, report: &mut Report) {
        report.figure("cameras", format!("{}{}", self.agents, if self.tls { " by TLS" } else { "" }));
        if self.tls {
            report.figure(NULL, "speaks no TLS, so not measured");
        }
        for cost in &self.costs {
            self.tell_one(cost, report);
        }
    }

    fn tell_one(&self, cost: &Cost, report: &mut Report) {
        let (fresh, used) = self.allowed();
        report.figure("memory without anybody", mebibytes(cost.empty));
        report.figure("with all connected", mebibytes(cost.connected));
        let each = self.each(cost, cost.connected);
        report.figure("each camera, with all that is known of it", format!("{each:.0} bytes"));
        report.check(each <= fresh, format!("an idle camera costs {each:.0} bytes"));
        if let Some((memory, took)) = cost.used {
            let each = self.each(cost, memory);
            let (moved, took) = (mebibytes(self.moved as u64), seconds(took));
            let told = format!("{moved} in Parts of {} bytes took {took}", cost.part);
            report.figure("each after it moved", format!("{each:.0} bytes ({told} for all)"));
            report.check(
                each <= used,
                format!("an idle camera costs {each:.0} bytes after Parts of {} bytes", cost.part),
            );
        }
        if let Some(Null { fresh, used }) = cost.null {
            report.figure(&format!("{NULL}: each"), format!("{fresh:.0} bytes"));
            let used = used.map_or_else(|| "not measured".to_owned(), |used| format!("{used:.0} bytes"));
            report.figure(&format!("{NULL}: each after it moved as much"), used);
        }
        report.figure("after all have left", mebibytes(cost.gone));
        let growth = format!("{:+.1} %", cost.growth() * 100.0);
        report.figure("after all have come back", &growth);
        report.check(cost.growth() <= GROWTH, format!("{growth} after all have come back"));
    }

    /// As a table in Markdown.
    pub(crate) fn markdown(&self) -> String {
        let moved = mebibytes(self.moved as u64);
        let mut text = format!(
            "{} cameras{}, connected and silent; bytes of resident memory for each, after freed memory was given back. \
             Wanted: {}within {:.0} % after all have left and come back.\n\n\
             | side | bytes of a Part | fresh | after each moved {moved} | all left | all came back |\n|---|---|---|---|---|---|\n",
            self.agents,
            if self.tls { " by TLS" } else { "" },
            self.wanted(&moved),
            GROWTH * 100.0
        );
        let bytes = |each: Option<f64>| each.map_or_else(String::new, |each| format!("{each:.0}"));
        for cost in &self.costs {
            let used = cost.used.map(|(memory, _)| self.each(cost, memory));
            // Writing into a text cannot fail.
            _ = writeln!(
                text,
                "| {ORIEL} | {} | {:.0} | {} | {} | {:+.1} % |",
                cost.part,
                self.each(cost, cost.connected),
                bytes(used),
                mebibytes(cost.gone),
                cost.growth() * 100.0
            );
            if let Some(null) = cost.null {
                _ = writeln!(
                    text,
                    "| {NULL} | {} | {:.0} | {} | | |",
                    cost.part,
                    null.fresh,
                    bytes(null.used)
                );
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_camera_costs_what_the_gateway_has_more_than_alone() {
        let null = Some(Null { fresh: 7_700.0, used: None });
        let used = Some((4_500_000, Duration::from_secs(1)));
        let cost = Cost {
            part: 8_192,
            empty: 1_000_000,
            connected: 4_000_000,
            used,
            gone: 2_000_000,
            again: 4_200_000,
            null,
        };
        let outcome =
            Outcome { agents: 1_000, tls: false, moved: 1 << 20, tell_only: false, costs: vec![cost] };
        let text = outcome.markdown();
        assert!(text.contains("| oriel | 8192 | 3000 | 3500 | 1.9 MiB | +5.0 % |"), "{text}");
        assert!(text.contains("Wanted: 3000 fresh, 3500 after"), "{text}");
        assert!(text.contains("| null relay | 8192 | 7700 |  | | |"), "{text}");
    }
}
