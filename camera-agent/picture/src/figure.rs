//! What moves in a simulated scene: people at the gate and the door, an animal in the yard, cars on the street.

use embedded_graphics::{
    draw_target::{DrawTarget, DrawTargetExt as _},
    geometry::{Point, Size},
    primitives::Rectangle,
};

use crate::{
    canvas::{Canvas, Paint, fill_oval},
    light::Light,
    scene::Scene,
    story::Crossing,
};

/// Something that moves, as it is built: each piece has its place in the figure (left, top, right, bottom, from 0 to 1).
struct Figure {
    /// Its height in heights of its zone.
    height: f32,
    /// Its width in its own heights.
    width: f32,
    pieces: &'static [Piece],
}

/// One piece of a figure.
struct Piece {
    shape: Shape,
    place: [f32; 4],
    rgb: [f32; 3],
}

#[derive(Clone, Copy)]
enum Shape {
    Block,
    Oval,
}

const fn block(place: [f32; 4], rgb: [f32; 3]) -> Piece {
    Piece { shape: Shape::Block, place, rgb }
}

const fn oval(place: [f32; 4], rgb: [f32; 3]) -> Piece {
    Piece { shape: Shape::Oval, place, rgb }
}

/// Somebody in a dark coat: the wall and the ground behind are lighter.
const PERSON: Figure = Figure {
    height: 0.78,
    width: 0.40,
    pieces: &[
        oval([0.25, 0.0, 0.75, 0.2], [225.0, 190.0, 165.0]),
        block([0.05, 0.2, 0.95, 0.62], [30.0, 32.0, 52.0]),
        block([0.1, 0.62, 0.45, 1.0], [18.0, 18.0, 22.0]),
        block([0.55, 0.62, 0.9, 1.0], [18.0, 18.0, 22.0]),
    ],
};

/// A white dog.
const ANIMAL: Figure = Figure {
    height: 0.48,
    width: 1.6,
    pieces: &[
        oval([0.1, 0.15, 0.85, 0.75], [238.0, 236.0, 230.0]),
        oval([0.7, 0.0, 1.0, 0.45], [238.0, 236.0, 230.0]),
        block([0.18, 0.6, 0.28, 1.0], [228.0, 226.0, 220.0]),
        block([0.65, 0.6, 0.75, 1.0], [228.0, 226.0, 220.0]),
    ],
};

/// A red car.
const CAR: Figure = Figure {
    height: 0.8,
    width: 2.6,
    pieces: &[
        block([0.2, 0.0, 0.75, 0.5], [40.0, 45.0, 55.0]),
        block([0.0, 0.4, 1.0, 0.85], [215.0, 30.0, 35.0]),
        oval([0.12, 0.62, 0.3, 1.0], [12.0, 12.0, 12.0]),
        oval([0.7, 0.62, 0.88, 1.0], [12.0, 12.0, 12.0]),
    ],
};

/// What crosses each zone.
const FIGURES: [&Figure; 4] = [&PERSON, &PERSON, &ANIMAL, &CAR];

/// Draws what crosses, inside its zone alone: it comes in at one edge and leaves at the other.
pub(crate) fn draw(canvas: &mut Canvas, scene: &Scene, crossing: Crossing, light: Light) {
    let zone = scene.zone(crossing.zone, canvas);
    let figure = FIGURES[crossing.zone];
    let (left, top) = (zone.top_left.x as f32, zone.top_left.y as f32);
    let (wide, high) = (zone.size.width as f32, zone.size.height as f32);
    let height = high * figure.height;
    let width = height * figure.width;
    let way = if crossing.backwards { 1.0 - crossing.way } else { crossing.way };
    let place = [left - width + way * (wide + width), top + high - height];
    let mut inside = canvas.clipped(&zone);
    for piece in figure.pieces {
        let [from_x, from_y, to_x, to_y] = piece.place;
        // It looks where it goes.
        let (from_x, to_x) = if crossing.backwards { (1.0 - to_x, 1.0 - from_x) } else { (from_x, to_x) };
        let from = Point::new((place[0] + from_x * width) as i32, (place[1] + from_y * height) as i32);
        let size = Size::new(((to_x - from_x) * width) as u32, ((to_y - from_y) * height) as u32);
        draw_piece(&mut inside, piece.shape, Rectangle::new(from, size), light.on(piece.rgb));
    }
}

fn draw_piece<D: DrawTarget<Color = Paint>>(target: &mut D, shape: Shape, area: Rectangle, paint: Paint) {
    // Drawing on a canvas cannot fail.
    let _ = match shape {
        Shape::Block => target.fill_solid(&area, paint),
        Shape::Oval => fill_oval(target, area, paint),
    };
}
