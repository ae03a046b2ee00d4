//! Where simulated pictures are made: what stands still is drawn once for each light, what moves for each picture.

use std::time::Duration;

use bytes::Bytes;
use jpeg_encoder::EncodingError;
use oriel_proto::{ImageClass, Timestamp};
use rand::{Rng as _, RngExt as _, SeedableRng as _, rngs::SmallRng};

use crate::{
    canvas::Canvas,
    caption, figure,
    light::Light,
    scene::Scene,
    story::{Sight, Story},
};

/// Width and height of a preview.
const PREVIEW: (u16, u16) = (640, 360);

/// Width and height of a main picture.
const MAIN: (u16, u16) = (1_920, 1_080);

/// How well previews are kept, of 100.
const PREVIEW_QUALITY: u8 = 70;

/// How well main pictures are kept.
const MAIN_QUALITY: u8 = 80;

/// Noisy versions of each row, of which every picture takes any: making noise anew would cost more than all the rest.
const VERSIONS: usize = 3;

/// A simulated camera's eye.
#[derive(Clone, Debug)]
pub struct Studio {
    seed: u64,
    name: String,
    story: Story,
    scene: Scene,
    noise: u8,
    /// The last still of a preview; those of main pictures are seldom asked for and large.
    kept: Option<Still>,
}

/// What stands still, in one light.
#[derive(Clone, Debug)]
struct Still {
    light: Light,
    canvas: Canvas,
    /// How light each pixel is with noise, version by version.
    noisy: Vec<Vec<u8>>,
}

impl Studio {
    /// A camera called `name` whose place and story are those of `seed`; noise changes each pixel by at most so much.
    pub fn new(seed: u64, name: String, story: Story, noise: u8) -> Self {
        Self { seed, name, story, scene: Scene::new(seed), noise, kept: None }
    }

    /// What is seen `position` after the story's beginning, when the clock says `at`; the same for the same three.
    pub fn picture(
        &mut self,
        class: &ImageClass,
        position: Duration,
        at: Timestamp,
    ) -> Result<Bytes, EncodingError> {
        let is_main = *class == ImageClass::Main;
        let ((width, height), quality) =
            if is_main { (MAIN, MAIN_QUALITY) } else { (PREVIEW, PREVIEW_QUALITY) };
        let sight = self.story.sight(position);
        let mut canvas = Canvas::new(width, height);
        if !sight.is_dark {
            self.draw(&mut canvas, sight, at, is_main);
        }
        caption::draw(&mut canvas, &self.name, at);
        canvas.jpeg(quality).map(Bytes::from)
    }

    fn draw(&mut self, canvas: &mut Canvas, sight: Sight, at: Timestamp, is_main: bool) {
        let light = Light::new(at, sight.level);
        let kept = if is_main { None } else { self.kept.take() };
        let still = match kept.filter(|still| still.light == light) {
            Some(still) => still,
            None => self.still(canvas.width(), canvas.height(), light, if is_main { 1 } else { VERSIONS }),
        };
        still.copy(canvas, self.seed ^ at.as_micros().cast_unsigned());
        if let Some(crossing) = sight.crossing {
            figure::draw(canvas, &self.scene, crossing, light);
        }
        if !is_main {
            self.kept = Some(still);
        }
    }

    fn still(&self, width: u16, height: u16, light: Light, versions: usize) -> Still {
        let mut canvas = Canvas::new(width, height);
        self.scene.draw(&mut canvas, light);
        let mut chance = SmallRng::seed_from_u64(self.seed);
        let noisy = (0..versions).map(|_| noisy(&canvas.luma, self.noise, &mut chance)).collect();
        Still { light, canvas, noisy }
    }
}

impl Still {
    /// Draws it, with the noise of `seed`.
    fn copy(&self, to: &mut Canvas, seed: u64) {
        to.blue.copy_from_slice(&self.canvas.blue);
        to.red.copy_from_slice(&self.canvas.red);
        let mut chance = SmallRng::seed_from_u64(seed);
        let width = usize::from(to.width());
        for (n, row) in to.luma.chunks_exact_mut(width).enumerate() {
            let version = &self.noisy[chance.random_range(0..self.noisy.len())];
            row.copy_from_slice(&version[n * width..(n + 1) * width]);
        }
    }
}

/// `luma` with each value changed by at most `noise`, mostly by less.
fn noisy(luma: &[u8], noise: u8, chance: &mut SmallRng) -> Vec<u8> {
    if noise == 0 {
        return luma.to_vec();
    }
    let mut bytes = vec![0; luma.len()];
    chance.fill_bytes(&mut bytes);
    // What each byte of chance adds: the sum of its two halves is a triangle around 15.
    let added: Vec<i16> =
        (0..=255_i16).map(|byte| ((byte & 15) + (byte >> 4) - 15) * i16::from(noise) / 15).collect();
    let changed = luma
        .iter()
        .zip(&bytes)
        .map(|(luma, byte)| (i16::from(*luma) + added[usize::from(*byte)]).clamp(0, 255) as u8);
    changed.collect()
}

#[cfg(test)]
mod tests;
