//! What a simulated camera writes into its pictures: its name and the time.

use std::convert::Infallible;

use embedded_graphics::{
    Drawable as _, Pixel,
    draw_target::DrawTarget,
    geometry::{Dimensions, Point, Size},
    mono_font::{MonoTextStyleBuilder, iso_8859_1::FONT_8X13},
    primitives::Rectangle,
    text::{Alignment, Baseline, Text, TextStyleBuilder},
};
use jiff::fmt::strtime;
use oriel_proto::Timestamp;

use crate::canvas::{Canvas, Paint};

/// The width of a picture in which a letter is drawn as the font has it; a wider one has larger letters.
const FONT_WIDTH: u16 = 640;

/// Room left at the edges, in pixels of the font.
const EDGE: i32 = 4;

/// Letters of a name that have room beside the time.
const NAME: usize = 50;

/// Draws the name at the left and the time at the right of the upper edge.
pub(crate) fn draw(canvas: &mut Canvas, name: &str, at: Timestamp) {
    let scale = u32::from((canvas.width() / FONT_WIDTH).max(1));
    let mut large = Large { scale, canvas };
    let right = large.bounding_box().size.width as i32 - EDGE;
    let cut: String = name.chars().take(NAME).collect();
    write(&mut large, &cut, EDGE, Alignment::Left);
    write(&mut large, &time(at), right, Alignment::Right);
}

/// A time as people read it.
fn time(at: Timestamp) -> String {
    let known = jiff::Timestamp::from_microsecond(at.as_micros());
    let text = known.ok().and_then(|at| strtime::format("%Y-%m-%d %H:%M:%SZ", at).ok());
    text.unwrap_or_else(|| "----".to_owned())
}

fn write(target: &mut Large<'_>, text: &str, x: i32, alignment: Alignment) {
    let style = MonoTextStyleBuilder::new().font(&FONT_8X13);
    let style = style.text_color(Paint::WHITE).background_color(Paint::BLACK).build();
    let layout = TextStyleBuilder::new().alignment(alignment).baseline(Baseline::Top).build();
    // Drawing on a canvas cannot fail.
    let _ = Text::with_text_style(text, Point::new(x, EDGE), style, layout).draw(target);
}

/// A canvas on which each pixel is drawn as a square of `scale` pixels.
struct Large<'a> {
    canvas: &'a mut Canvas,
    scale: u32,
}

impl Dimensions for Large<'_> {
    fn bounding_box(&self) -> Rectangle {
        Rectangle::new(Point::zero(), self.canvas.bounding_box().size / self.scale)
    }
}

impl DrawTarget for Large<'_> {
    type Color = Paint;
    type Error = Infallible;

    fn draw_iter<I: IntoIterator<Item = Pixel<Paint>>>(&mut self, pixels: I) -> Result<(), Infallible> {
        for Pixel(at, paint) in pixels {
            self.fill_solid(&Rectangle::new(at, Size::new_equal(1)), paint)?;
        }
        Ok(())
    }

    fn fill_solid(&mut self, area: &Rectangle, paint: Paint) -> Result<(), Infallible> {
        let scale = self.scale.cast_signed();
        self.canvas.fill_solid(&Rectangle::new(area.top_left * scale, area.size * self.scale), paint)
    }
}
