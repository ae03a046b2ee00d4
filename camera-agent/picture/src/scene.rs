//! What stands in a simulated scene: a house, its gate, its yard and the street before it, arranged and painted by the seed.

use embedded_graphics::{
    draw_target::DrawTarget as _,
    geometry::{Dimensions as _, Point, Size},
    primitives::Rectangle,
};
use rand::{RngExt as _, SeedableRng as _, rngs::SmallRng};

use crate::{
    canvas::{Canvas, Paint, fill_oval},
    light::Light,
    story::ZONES,
};

/// A part of the picture: left, top, right and bottom edge, each from 0 to 1.
type Part = [f32; 4];

/// The street lies before everything.
const STREET: Part = [0.0, 0.79, 1.0, 0.97];

/// The left edges of the three columns in which gate, door and yard stand.
const COLUMNS: [f32; 3] = [0.03, 0.365, 0.70];

/// How wide a column is.
const COLUMN: f32 = 0.27;

/// Where the ground begins.
const HORIZON: f32 = 0.46;

/// A place.
#[derive(Clone, Debug)]
pub(crate) struct Scene {
    /// Where each of [`ZONES`] is.
    zones: [Part; ZONES.len()],
    sky: [f32; 3],
    ground: [f32; 3],
    wall: [f32; 3],
    roof: [f32; 3],
    /// The edges of the trees behind the house: left edge, top, width.
    trees: Vec<[f32; 3]>,
}

impl Scene {
    /// The place of `seed`.
    pub(crate) fn new(seed: u64) -> Self {
        let mut chance = SmallRng::seed_from_u64(!seed);
        let first = chance.random_range(0..3_usize);
        let (second, third) = if chance.random() { (1, 2) } else { (2, 1) };
        let column = |turn: usize, top: f32, bottom: f32| {
            let left = COLUMNS[(first + turn) % 3];
            [left, top, left + COLUMN, bottom]
        };
        let mut tone = |rgb: [f32; 3]| rgb.map(|part: f32| part + chance.random_range(-16.0..16.0_f32));
        let (sky, ground) = (tone([150.0, 185.0, 215.0]), tone([105.0, 130.0, 80.0]));
        let (wall, roof) = (tone([150.0, 125.0, 105.0]), tone([120.0, 70.0, 60.0]));
        let trees = (0..chance.random_range(3..7_u32))
            .map(|_| {
                let left = chance.random_range(-0.05..0.95_f32);
                [left, chance.random_range(0.16..0.3_f32), chance.random_range(0.08..0.16_f32)]
            })
            .collect();
        let zones = [column(0, 0.36, 0.75), column(second, 0.34, 0.74), column(third, 0.47, 0.76), STREET];
        Self { zones, sky, ground, wall, roof, trees }
    }

    /// Draws everything that stands still.
    pub(crate) fn draw(&self, canvas: &mut Canvas, light: Light) {
        self.draw_sky(canvas, light);
        for [left, top, width] in &self.trees {
            let crown = [*left, *top, left + width, HORIZON + 0.04];
            oval(canvas, crown, light.on([60.0, 88.0, 58.0]));
        }
        fill(canvas, [0.0, HORIZON, 1.0, 1.0], light.on(self.ground));
        self.draw_house(canvas, light);
        self.draw_gate(canvas, light);
        self.draw_yard(canvas, light);
        fill(canvas, STREET, light.on([98.0, 98.0, 100.0]));
        fill(canvas, [0.0, STREET[1] - 0.018, 1.0, STREET[1]], light.on([165.0, 165.0, 160.0]));
        for dash in 0..8_u8 {
            let left = f32::from(dash) / 8.0 + 0.03;
            fill(canvas, [left, 0.874, left + 0.06, 0.884], light.on([200.0, 200.0, 190.0]));
        }
    }

    fn draw_sky(&self, canvas: &mut Canvas, light: Light) {
        let rows = i32::from(canvas.height());
        for row in 0..(rows as f32 * HORIZON) as i32 {
            let high = 1.0 - row as f32 / rows as f32;
            let paint = light.on(self.sky.map(|part| part * (0.75 + 0.25 * high)));
            let line = Rectangle::new(Point::new(0, row), Size::new(canvas.width().into(), 1));
            let _ = canvas.fill_solid(&line, paint);
        }
    }

    fn draw_house(&self, canvas: &mut Canvas, light: Light) {
        let [left, _, right, bottom] = self.zones[1];
        fill(canvas, [left, 0.32, right, bottom], light.on(self.wall));
        let middle = f32::midpoint(left, right);
        for row in down(canvas, 0.14)..down(canvas, 0.32) {
            let part = (row - down(canvas, 0.14)) as f32 / (down(canvas, 0.32) - down(canvas, 0.14)) as f32;
            let half = part * (middle - left + 0.02);
            let from = Point::new(across(canvas, middle - half), row);
            let width = (across(canvas, middle + half) - from.x).unsigned_abs();
            let _ = canvas.fill_solid(&Rectangle::new(from, Size::new(width, 1)), light.on(self.roof));
        }
        fill(canvas, [middle - 0.03, 0.46, middle + 0.03, bottom], light.on([85.0, 62.0, 45.0]));
        for window in [left + 0.025, right - 0.085] {
            fill(canvas, [window, 0.40, window + 0.06, 0.50], light.on([205.0, 205.0, 195.0]));
            fill(
                canvas,
                [window + 0.005, 0.41, window + 0.055, 0.49],
                light.on(self.sky.map(|part| part * 0.6)),
            );
        }
    }

    fn draw_gate(&self, canvas: &mut Canvas, light: Light) {
        let [left, _, right, bottom] = self.zones[0];
        for post in 0..10_u8 {
            let x = left + (right - left) * f32::from(post) / 9.0;
            fill(canvas, [x - 0.004, 0.45, x + 0.004, bottom - 0.08], light.on([140.0, 120.0, 90.0]));
        }
        for rail in [0.48, 0.60] {
            fill(canvas, [left, rail, right, rail + 0.012], light.on([140.0, 120.0, 90.0]));
        }
    }

    fn draw_yard(&self, canvas: &mut Canvas, light: Light) {
        let [left, top, right, bottom] = self.zones[2];
        fill(canvas, [left, top, right, bottom], light.on(self.ground.map(|part| part * 1.12)));
        oval(canvas, [left + 0.02, top - 0.02, left + 0.08, top + 0.05], light.on([70.0, 95.0, 60.0]));
        oval(canvas, [right - 0.09, top - 0.03, right - 0.02, top + 0.05], light.on([70.0, 95.0, 60.0]));
    }

    /// Where one of [`ZONES`] is, in pixels.
    pub(crate) fn zone(&self, zone: usize, canvas: &Canvas) -> Rectangle {
        area(canvas, self.zones[zone])
    }
}

/// Fills a part.
fn fill(canvas: &mut Canvas, part: Part, paint: Paint) {
    let part = area(canvas, part);
    let _ = canvas.fill_solid(&part, paint);
}

/// Fills the oval in a part.
fn oval(canvas: &mut Canvas, part: Part, paint: Paint) {
    let part = area(canvas, part);
    let _ = fill_oval(canvas, part, paint);
}

/// The pixels of a part.
fn area(canvas: &Canvas, [left, top, right, bottom]: Part) -> Rectangle {
    let from = Point::new(across(canvas, left), down(canvas, top));
    let to = Point::new(across(canvas, right), down(canvas, bottom));
    let size = Size::new((to.x - from.x).max(1).unsigned_abs(), (to.y - from.y).max(1).unsigned_abs());
    Rectangle::new(from, size)
}

fn across(canvas: &Canvas, x: f32) -> i32 {
    (x * canvas.bounding_box().size.width as f32).round() as i32
}

fn down(canvas: &Canvas, y: f32) -> i32 {
    (y * canvas.bounding_box().size.height as f32).round() as i32
}
