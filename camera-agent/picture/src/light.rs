//! How light it is in a simulated scene: the sun by the time of day, the camera's brightness by its story.

use oriel_proto::Timestamp;

use crate::canvas::Paint;

/// A day in microseconds.
const DAY: i64 = 86_400_000_000;

/// When the sun has half risen, in hours of the day (UTC).
const RISE: f32 = 6.0;

/// When the sun has half set.
const SET: f32 = 18.5;

/// How long rising and setting take, in hours.
const TWILIGHT: f32 = 2.0;

/// What is left of the light at night: the camera's own lamp.
const NIGHT: f32 = 0.45;

/// The steps from no light to all of the day's: one is too small to be seen.
const STEPS: f32 = 150.0;

/// The light of a scene at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Light {
    /// How much of the day's light there is, in [`STEPS`].
    gain: u16,
    /// How blue it is, which it is at night.
    blue: u8,
}

impl Light {
    /// The light at `at`, for a camera of this brightness in percent.
    pub(crate) fn new(at: Timestamp, level: u32) -> Self {
        let hour = at.as_micros().rem_euclid(DAY) as f32 / 3_600_000_000.0;
        let sun = smooth((hour - RISE) / TWILIGHT + 0.5) * smooth((SET - hour) / TWILIGHT + 0.5);
        let exposure = 0.7 + level.min(100) as f32 / 100.0 * 0.6;
        let gain = (NIGHT + (1.0 - NIGHT) * sun) * exposure;
        Self { gain: (gain * STEPS).round() as u16, blue: ((1.0 - sun) * 16.0).round() as u8 }
    }

    /// What a colour looks like in it.
    pub(crate) fn on(self, rgb: [f32; 3]) -> Paint {
        let gain = f32::from(self.gain) / STEPS;
        let mut paint = Paint::rgb(rgb.map(|part| (part * gain).min(255.0)));
        paint.blue = paint.blue.saturating_add(self.blue);
        paint.red = paint.red.saturating_sub(self.blue / 2);
        paint
    }
}

/// From 0 to 1 without a corner.
fn smooth(x: f32) -> f32 {
    let x = x.clamp(0.0, 1.0);
    x * x * (3.0 - 2.0 * x)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How light grey is at an hour of some day.
    fn grey(hour: f64, level: u32) -> u8 {
        let at = Timestamp::from_millis(1_767_225_600_000 + (hour * 3_600_000.0) as i64);
        Light::new(at, level).on([120.0; 3]).luma
    }

    #[test]
    fn the_day_is_light_the_night_is_not_and_between_them_no_step_is_seen() {
        assert!(grey(12.0, 50) > grey(0.0, 50) + 50);
        let minutes: Vec<u8> = (0..=1_440).map(|minute| grey(f64::from(minute) / 60.0, 50)).collect();
        assert!(minutes.windows(2).all(|pair| pair[0].abs_diff(pair[1]) <= 1));
    }

    #[test]
    fn a_brighter_camera_sees_more() {
        assert!(grey(12.0, 0) < grey(12.0, 50) && grey(12.0, 50) < grey(12.0, 100));
    }
}
