//! What a simulated picture is drawn on, until it is a JPEG: three planes in the colours that a JPEG is made of.

use std::convert::Infallible;

use embedded_graphics::{
    Pixel,
    draw_target::DrawTarget,
    geometry::{Dimensions, Point, Size},
    pixelcolor::PixelColor,
    primitives::Rectangle,
};
use jpeg_encoder::{Encoder, EncodingError, ImageBuffer, JpegColorType};

/// A colour as a JPEG stores it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Paint {
    /// How light it is.
    pub(crate) luma: u8,
    /// How blue, around 128.
    pub(crate) blue: u8,
    /// How red, around 128.
    pub(crate) red: u8,
}

impl PixelColor for Paint {
    type Raw = ();
}

impl Paint {
    /// No light at all.
    pub(crate) const BLACK: Self = Self { luma: 0, blue: 128, red: 128 };
    /// All light.
    pub(crate) const WHITE: Self = Self { luma: 255, blue: 128, red: 128 };

    /// From red, green and blue, between 0 and 255 (ITU-T T.871).
    pub(crate) fn rgb([r, g, b]: [f32; 3]) -> Self {
        let luma = 0.299 * r + 0.587 * g + 0.114 * b;
        let byte = |value: f32| value.round().clamp(0.0, 255.0) as u8;
        Self {
            luma: byte(luma),
            blue: byte(128.0 + 0.564 * (b - luma)),
            red: byte(128.0 + 0.713 * (r - luma)),
        }
    }
}

/// A picture that is being drawn.
#[derive(Clone, Debug)]
pub(crate) struct Canvas {
    width: u16,
    height: u16,
    /// How light each pixel is, row by row.
    pub(crate) luma: Vec<u8>,
    /// How blue.
    pub(crate) blue: Vec<u8>,
    /// How red.
    pub(crate) red: Vec<u8>,
}

impl Canvas {
    /// A black one.
    pub(crate) fn new(width: u16, height: u16) -> Self {
        let pixels = usize::from(width) * usize::from(height);
        Self { width, height, luma: vec![0; pixels], blue: vec![128; pixels], red: vec![128; pixels] }
    }

    /// Pixels in a row.
    pub(crate) const fn width(&self) -> u16 {
        self.width
    }

    /// Rows.
    pub(crate) const fn height(&self) -> u16 {
        self.height
    }

    /// It as a JPEG of this quality, 1 to 100.
    pub(crate) fn jpeg(&self, quality: u8) -> Result<Vec<u8>, EncodingError> {
        let mut bytes = Vec::new();
        Encoder::new(&mut bytes, quality).encode_image(Rows(self))?;
        Ok(bytes)
    }
}

impl Dimensions for Canvas {
    fn bounding_box(&self) -> Rectangle {
        Rectangle::new(Point::zero(), Size::new(self.width.into(), self.height.into()))
    }
}

impl DrawTarget for Canvas {
    type Color = Paint;
    type Error = Infallible;

    fn draw_iter<I: IntoIterator<Item = Pixel<Paint>>>(&mut self, pixels: I) -> Result<(), Infallible> {
        for Pixel(at, paint) in pixels {
            self.fill_solid(&Rectangle::new(at, Size::new_equal(1)), paint)?;
        }
        Ok(())
    }

    fn fill_solid(&mut self, area: &Rectangle, paint: Paint) -> Result<(), Infallible> {
        let area = area.intersection(&self.bounding_box());
        let width = usize::from(self.width);
        let (left, top) = (area.top_left.x.unsigned_abs() as usize, area.top_left.y.unsigned_abs() as usize);
        for row in top..top + area.size.height as usize {
            let pixels = row * width + left..row * width + left + area.size.width as usize;
            self.luma[pixels.clone()].fill(paint.luma);
            self.blue[pixels.clone()].fill(paint.blue);
            self.red[pixels].fill(paint.red);
        }
        Ok(())
    }
}

/// Fills the oval that touches the edges of `area`.
pub(crate) fn fill_oval<D: DrawTarget<Color = Paint>>(
    target: &mut D,
    area: Rectangle,
    paint: Paint,
) -> Result<(), D::Error> {
    let (width, height) = (area.size.width as f32, area.size.height);
    for row in 0..height {
        let high = (row as f32 + 0.5) / height as f32 * 2.0 - 1.0;
        let wide = width * (1.0 - high * high).sqrt();
        let left = area.top_left + Point::new(((width - wide) / 2.0) as i32, row.cast_signed());
        target.fill_solid(&Rectangle::new(left, Size::new(wide as u32, 1)), paint)?;
    }
    Ok(())
}

/// A canvas as the encoder reads it.
struct Rows<'a>(&'a Canvas);

impl ImageBuffer for Rows<'_> {
    fn get_jpeg_color_type(&self) -> JpegColorType {
        JpegColorType::Ycbcr
    }

    fn width(&self) -> u16 {
        self.0.width
    }

    fn height(&self) -> u16 {
        self.0.height
    }

    fn fill_buffers(&self, y: u16, buffers: &mut [Vec<u8>; 4]) {
        let width = usize::from(self.0.width);
        let row = usize::from(y) * width..(usize::from(y) + 1) * width;
        for (buffer, plane) in buffers.iter_mut().zip([&self.0.luma, &self.0.blue, &self.0.red]) {
            buffer.extend_from_slice(&plane[row.clone()]);
        }
    }
}
