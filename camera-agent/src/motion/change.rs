//! What changed between two pictures that is neither noise nor light.

use std::ops::RangeInclusive;

use oriel_picture::blocks::Blocks;

/// How much lighter or darker a block must be to count, of 255: above what noise and compression do to an average.
const LEAST: f32 = 10.0;

/// How many times its usual change a block must change to count: so a clock in the picture, or leaves in the wind, do not.
const UNUSUAL: f32 = 4.0;

/// The part of a change that becomes usual at once.
const LEARNING: f32 = 0.05;

/// The largest change that is learned from: what moves through now and then must not become usual.
const LEARNED: f32 = 16.0;

/// The fewest blocks beside each other that something is made of: 4 of 960 are what a cat is at some metres.
const LEAST_BLOCKS: usize = 4;

/// The part of all blocks above which it was the light, or the camera moved.
const EVERYTHING: f32 = 0.6;

/// How many times as light everything may become from one picture to the next.
const STEADY: RangeInclusive<f32> = 0.9..=1.1;

/// Blocks darker than this say nothing of how the light changed.
const DARK: f32 = 12.0;

/// Blocks lighter than this may be lighter than a picture can tell.
const BRIGHT: f32 = 240.0;

/// What moved, in tenths of a percent and percent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Size {
    /// How different from its background it is, 1 to 100.
    pub(super) score: u32,
    /// How much of the picture it takes, in thousandths.
    pub(super) area: u32,
}

impl Size {
    /// How much of the picture it takes, in percent.
    pub(super) fn area_percent(self) -> f64 {
        f64::from(self.area) / 10.0
    }

    /// The larger of both, in each respect.
    pub(super) fn max(self, other: Self) -> Self {
        Self { score: self.score.max(other.score), area: self.area.max(other.area) }
    }
}

/// How much each block usually changes from one picture to the next.
#[derive(Clone, Debug)]
pub(super) struct Usual(Vec<f32>);

impl Usual {
    /// Nothing is known yet.
    pub(super) fn new(blocks: &Blocks) -> Self {
        Self(vec![0.0; blocks.light().len()])
    }

    /// What moved from `before` to `now`, two pictures of one size; none when nothing did, or everything.
    pub(super) fn look(&mut self, before: &Blocks, now: &Blocks) -> Option<Size> {
        let gain = gain(before, now)?;
        let pairs = before.light().iter().zip(now.light());
        let differences: Vec<f32> = pairs.map(|(before, now)| difference(*before, *now, gain)).collect();
        let unusual =
            differences.iter().zip(&self.0).map(|(difference, usual)| *difference > LEAST + UNUSUAL * usual);
        let unusual: Vec<bool> = unusual.collect();
        let count = unusual.iter().filter(|unusual| **unusual).count();
        if count as f32 > differences.len() as f32 * EVERYTHING {
            return None;
        }
        for (usual, difference) in self.0.iter_mut().zip(&differences) {
            *usual += (difference.min(LEARNED) - *usual) * LEARNING;
        }
        let thing = largest(unusual, now.columns());
        if thing.len() < LEAST_BLOCKS {
            return None;
        }
        let mean = thing.iter().map(|block| differences[*block]).sum::<f32>() / thing.len() as f32;
        let area = thing.len() as f32 * 1_000.0 / differences.len() as f32;
        Some(Size {
            score: (mean * 100.0 / 255.0).round().clamp(1.0, 100.0) as u32,
            area: area.round() as u32,
        })
    }
}

/// How many times as light everything became; none when the light was switched, which lamps and captions do not follow.
fn gain(before: &Blocks, now: &Blocks) -> Option<f32> {
    let pairs = before.light().iter().zip(now.light());
    let told = pairs.filter(|(before, _)| (DARK..BRIGHT).contains(*before));
    let mut gains: Vec<f32> = told.map(|(before, now)| now / before).collect();
    if gains.len() * 10 < before.light().len() {
        return Some(1.0);
    }
    let middle = gains.len() / 2;
    let (_, gain, _) = gains.select_nth_unstable_by(middle, f32::total_cmp);
    STEADY.contains(gain).then_some(*gain)
}

/// How far a block is from what the light alone would have made of it.
fn difference(before: f32, now: f32, gain: f32) -> f32 {
    let is_certain = (gain - 1.0).abs() < 0.03 || before.max(now) < BRIGHT;
    if is_certain { (now - (before * gain).min(255.0)).abs() } else { 0.0 }
}

/// The most marked blocks that touch each other, also at their corners.
fn largest(mut marked: Vec<bool>, columns: usize) -> Vec<usize> {
    let mut largest = Vec::new();
    for first in 0..marked.len() {
        if !std::mem::take(&mut marked[first]) {
            continue;
        }
        let mut thing = vec![first];
        let mut next = 0;
        while let Some(block) = thing.get(next).copied() {
            next += 1;
            let (row, column) = (block / columns, block % columns);
            for row in row.saturating_sub(1)..(row + 2).min(marked.len() / columns) {
                for column in column.saturating_sub(1)..(column + 2).min(columns) {
                    let neighbour = row * columns + column;
                    if std::mem::take(&mut marked[neighbour]) {
                        thing.push(neighbour);
                    }
                }
            }
        }
        if thing.len() > largest.len() {
            largest = thing;
        }
    }
    largest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_that_touch_are_one_thing() {
        let picture = "#....\
                       .#..#\
                       ....#\
                       ..#..";
        let marked = picture.bytes().map(|byte| byte == b'#').collect();
        assert_eq!(largest(marked, 5), [0, 6]);
        assert!(largest(vec![false; 20], 5).is_empty());
        assert_eq!(largest(vec![true; 20], 5).len(), 20);
    }
}
