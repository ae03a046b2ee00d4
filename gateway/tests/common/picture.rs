//! JPEGs of a scene with edges and colours, in every kind that a camera may send.

use jpeg_encoder::{ColorType, Encoder, SamplingFactor};

/// A kind of JPEG.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kind {
    pub(crate) colors: ColorType,
    pub(crate) sampling: SamplingFactor,
    pub(crate) progressive: bool,
}

/// What cameras send.
pub(crate) const USUAL: Kind =
    Kind { colors: ColorType::Rgb, sampling: SamplingFactor::R_4_2_0, progressive: false };

/// Every kind that is scaled.
pub(crate) fn kinds() -> impl Iterator<Item = Kind> {
    let samplings =
        [SamplingFactor::R_4_4_4, SamplingFactor::R_4_2_2, SamplingFactor::R_4_4_0, SamplingFactor::R_4_2_0];
    let colors = [ColorType::Luma, ColorType::Rgb, ColorType::Cmyk, ColorType::CmykAsYcck];
    let kinds = colors.into_iter().flat_map(move |colors| samplings.map(|sampling| (colors, sampling)));
    let kinds = kinds.filter(|(colors, sampling)| {
        matches!(colors, ColorType::Luma | ColorType::Rgb) || *sampling == SamplingFactor::R_4_4_4
    });
    kinds.flat_map(|(colors, sampling)| {
        [false, true].map(|progressive| Kind { colors, sampling, progressive })
    })
}

/// A picture: dark on its left, light on its right, with a red square in the middle where it has colours.
pub(crate) fn jpeg(width: u16, height: u16, kind: Kind) -> Vec<u8> {
    let mut pixels = Vec::new();
    for y in 0..u32::from(height) {
        for x in 0..u32::from(width) {
            let (pixel, bytes) = pixel(x, y, width, height, kind.colors);
            pixels.extend_from_slice(&pixel[..bytes]);
        }
    }
    let mut jpeg = Vec::new();
    let mut encoder = Encoder::new(&mut jpeg, 90);
    encoder.set_sampling_factor(kind.sampling);
    encoder.set_progressive(kind.progressive);
    encoder.encode(&pixels, width, height, kind.colors).unwrap();
    jpeg
}

/// A pixel, and how many bytes of it count.
fn pixel(x: u32, y: u32, width: u16, height: u16, colors: ColorType) -> ([u8; 4], usize) {
    let light = (x * 255 / u32::from(width)) as u8;
    let middle = |at: u32, of: u16| (u32::from(of) / 3..=u32::from(of) * 2 / 3).contains(&at);
    let red = middle(x, width) && middle(y, height);
    let ink = 255 - light;
    match colors {
        ColorType::Luma => ([light; 4], 1),
        ColorType::Rgb if red => ([220, 20, 20, 0], 3),
        ColorType::Rgb => ([light; 4], 3),
        _ if red => ([35, 235, 235, 0], 4),
        _ => ([ink, ink, ink, 0], 4),
    }
}
