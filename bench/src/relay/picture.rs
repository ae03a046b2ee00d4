//! The outcome as a picture: how each side compares with the null relay, as bars with their intervals and targets.

use std::fmt::Write;

use super::{
    outcome::{Outcome, PhaseOutcome},
    phase::Target,
};
use crate::{
    measure::{NULL, ORIEL, Ratio},
    stats::Interval,
};

/// Where bars begin: left of them stand the names.
const NAMES: f64 = 330.0;

/// What a panel takes, and how much of that its bars may.
const PANEL: f64 = 330.0;
const BARS: f64 = 290.0;

/// What a side takes downwards, and what stands above the first one.
const ROW: f64 = 20.0;
const HEAD: f64 = 64.0;

/// Room between phases.
const GAP: f64 = 12.0;

/// The least that a panel reaches to, so that the null relay's 1 and all targets are in it.
const LEAST_SCALE: f64 = 1.5;

/// What fills the bars of the gateway and of all others.
const OWN: &str = "#1f6f8b";
const OTHER: &str = "#a9b4bd";

/// One of the two figures that are compared.
struct Panel {
    title: &'static str,
    figure: fn(&Ratio) -> &Interval,
    target: fn(&Target) -> Option<f64>,
    left: f64,
    /// The ratio that a full bar stands for.
    scale: f64,
}

/// An SVG of all ratios to the null relay.
pub(super) fn draw(outcome: &Outcome) -> String {
    let panels = panels(outcome);
    let height = HEAD + outcome.phases.iter().map(tall).sum::<f64>() + 24.0;
    let width = NAMES + 2.0 * PANEL;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" font-family=\"sans-serif\" \
         font-size=\"12\">\n<rect width=\"{width}\" height=\"{height}\" fill=\"white\"/>\n"
    );
    text(
        &mut svg,
        12.0,
        24.0,
        &format!("Against the {NULL} (1): medians of {} rounds", outcome.rounds),
        "bold",
    );
    text(&mut svg, NAMES + PANEL, 24.0, "a red mark is what the gateway must reach", "normal");
    for panel in &panels {
        text(&mut svg, panel.left, 46.0, panel.title, "normal");
        let (one, foot) = (panel.at(1.0), height - 20.0);
        line(&mut svg, (one, HEAD - 10.0), (one, foot), "#444");
        text(&mut svg, one - 3.0, foot + 14.0, "1", "normal");
    }
    let mut top = HEAD;
    for phase in &outcome.phases {
        draw_phase(&mut svg, phase, &panels, top);
        top += tall(phase);
    }
    svg + "</svg>\n"
}

fn panels(outcome: &Outcome) -> [Panel; 2] {
    let scale = |figure: fn(&Ratio) -> &Interval| {
        compared(outcome).map(|ratio| figure(ratio).high).fold(LEAST_SCALE, f64::max)
    };
    let [rate, processor]: [fn(&Ratio) -> &Interval; 2] = [|ratio| &ratio.rate, |ratio| &ratio.processor];
    [
        Panel {
            title: "requests per second (more is better)",
            figure: rate,
            target: |target| match target {
                Target::Rate(NULL, least) => Some(*least),
                _ => None,
            },
            left: NAMES,
            scale: scale(rate),
        },
        Panel {
            title: "processor time per request (less is better)",
            figure: processor,
            target: |target| match target {
                Target::Processor(NULL, most) => Some(*most),
                _ => None,
            },
            left: NAMES + PANEL,
            scale: scale(processor),
        },
    ]
}

/// The ratios that are drawn.
fn compared(outcome: &Outcome) -> impl Iterator<Item = &Ratio> {
    outcome.phases.iter().flat_map(|phase| &phase.ratios).filter(|ratio| ratio.to == NULL)
}

/// What a phase takes downwards.
fn tall(phase: &PhaseOutcome) -> f64 {
    phase.ratios.iter().filter(|ratio| ratio.to == NULL).count() as f64 * ROW + GAP
}

fn draw_phase(svg: &mut String, phase: &PhaseOutcome, panels: &[Panel], top: f64) {
    text(svg, 12.0, top + 14.0, phase.phase.name, "normal");
    for (n, ratio) in phase.ratios.iter().filter(|ratio| ratio.to == NULL).enumerate() {
        let y = n as f64 * ROW + top;
        text(svg, 248.0, y + 14.0, ratio.of, "normal");
        for panel in panels {
            panel.bar(svg, ratio, y);
            let targets = phase.phase.targets.iter().filter_map(panel.target).filter(|_| ratio.of == ORIEL);
            for target in targets {
                let x = panel.at(target);
                line(svg, (x, y), (x, y + ROW - 2.0), "#c0392b");
            }
        }
    }
}

impl Panel {
    /// Where a ratio stands.
    fn at(&self, ratio: f64) -> f64 {
        self.left + ratio / self.scale * BARS
    }

    fn bar(&self, svg: &mut String, ratio: &Ratio, y: f64) {
        let Interval { median, low, high } = (self.figure)(ratio);
        let fill = if ratio.of == ORIEL { OWN } else { OTHER };
        let (left, width) = (self.left, self.at(*median) - self.left);
        _ = writeln!(
            svg,
            "<rect x=\"{left:.1}\" y=\"{:.1}\" width=\"{width:.1}\" height=\"14\" fill=\"{fill}\"><title>{}</title></rect>",
            y + 3.0,
            (self.figure)(ratio)
        );
        line(svg, (self.at(*low), y + 10.0), (self.at(*high), y + 10.0), "black");
        text(svg, self.at(*high) + 4.0, y + 14.0, &format!("{median:.2}"), "normal");
    }
}

fn text(svg: &mut String, x: f64, y: f64, text: &str, weight: &str) {
    _ = writeln!(svg, "<text x=\"{x:.1}\" y=\"{y:.1}\" font-weight=\"{weight}\">{text}</text>");
}

fn line(svg: &mut String, from: (f64, f64), to: (f64, f64), stroke: &str) {
    _ = writeln!(
        svg,
        "<line x1=\"{:.1}\" y1=\"{:.1}\" x2=\"{:.1}\" y2=\"{:.1}\" stroke=\"{stroke}\" stroke-width=\"1.5\"/>",
        from.0, from.1, to.0, to.1
    );
}
