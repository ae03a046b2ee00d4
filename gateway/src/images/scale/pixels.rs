//! The three steps of scaling: a picture is decoded, made smaller and encoded again.

use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer, images::Image};
use jpeg_encoder::{ChromaSubsamplingMethod, ColorType, Encoder};
use zune_jpeg::{
    JpegDecoder,
    zune_core::{bytestream::ZCursor, colorspace::ColorSpace, options::DecoderOptions},
};

use super::{
    ScaleError,
    frame::{self, Frame},
};

/// How much of a picture is kept, of 100. What cameras write themselves: above, the bytes double for what nobody sees in a
/// picture that was made smaller; below, blocks show.
const QUALITY: u8 = 80;

/// Bytes that the weight of a row or a column takes in the rows or columns that it becomes part of.
const WEIGHT: usize = 64;

/// What a picture is made of between its steps.
struct Pixels {
    bytes: Vec<u8>,
    width: u16,
    height: u16,
    colors: Colors,
}

/// What a pixel is made of. A picture keeps what it has: turning brightness and colour into red, green and blue and back
/// costs time and gains nothing.
#[derive(Clone, Copy)]
enum Colors {
    Gray,
    Brightness,
    Rgb,
}

impl Colors {
    const fn bytes(self) -> usize {
        match self {
            Self::Gray => 1,
            Self::Brightness | Self::Rgb => 3,
        }
    }
}

/// The size of a picture that is as wide as told and has the same proportions.
pub(super) fn size(frame: &Frame, width: u16) -> (u16, u16) {
    let (of, old) = (u32::from(frame.height) * u32::from(width), u32::from(frame.width));
    let height = (of + old / 2) / old;
    (width, u16::try_from(height).unwrap_or(frame.height).max(1))
}

/// Bytes that scaling holds at most at once, the picture itself aside.
pub(super) fn memory(frame: &Frame, len: usize, width: u16) -> usize {
    let colors = frame.components.min(3);
    let (width, height) = size(frame, width);
    let (width, height) = (usize::from(width), usize::from(height));
    let pixels = usize::from(frame.width) * usize::from(frame.height) * colors;
    // Rows go first, then columns.
    let (between, small) = (usize::from(frame.width) * height * colors, width * height * colors);
    let decoding = len + frame.working + pixels;
    let weights = (usize::from(frame.width) + usize::from(frame.height) + width + height) * WEIGHT;
    // What is encoded is in no way larger than what it is made from, but grows by doubling.
    decoding.max(pixels + between + small + weights).max(small * 4)
}

/// A picture in another size; `frame` is what its header says.
pub(super) fn scaled(jpeg: &[u8], frame: &Frame, width: u16) -> Result<Vec<u8>, ScaleError> {
    let large = decode(&frame::bare(jpeg)?, frame)?;
    let small = resize(large, size(frame, width))?;
    encode(&small)
}

fn decode(jpeg: &[u8], frame: &Frame) -> Result<Pixels, ScaleError> {
    // The frame's sizes were checked.
    let most = usize::from(u16::MAX);
    let options = DecoderOptions::default().set_max_width(most).set_max_height(most);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(jpeg), options);
    decoder.decode_headers().map_err(decoding)?;
    if decoder.dimensions() != Some((frame.width.into(), frame.height.into())) {
        return Err(ScaleError::Broken("its size is told twice"));
    }
    let (colors, space) = match decoder.input_colorspace() {
        _ if frame.components == 1 => (Colors::Gray, ColorSpace::Luma),
        Some(ColorSpace::YCbCr) => (Colors::Brightness, ColorSpace::YCbCr),
        _ => (Colors::Rgb, ColorSpace::RGB),
    };
    decoder.set_options(options.jpeg_set_out_colorspace(space));
    let mut bytes = vec![0; usize::from(frame.width) * usize::from(frame.height) * colors.bytes()];
    decoder.decode_into(&mut bytes).map_err(decoding)?;
    Ok(Pixels { bytes, width: frame.width, height: frame.height, colors })
}

fn resize(large: Pixels, (width, height): (u16, u16)) -> Result<Pixels, ScaleError> {
    let kind = match large.colors {
        Colors::Gray => PixelType::U8,
        Colors::Brightness | Colors::Rgb => PixelType::U8x3,
    };
    let source = Image::from_vec_u8(large.width.into(), large.height.into(), large.bytes, kind)
        .map_err(|error| ScaleError::Failed(error.to_string()))?;
    let mut small = Image::new(width.into(), height.into(), kind);
    // As sharp as a bicubic filter at the price of a linear one.
    let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::Hamming));
    Resizer::new()
        .resize(&source, &mut small, &options)
        .map_err(|error| ScaleError::Failed(error.to_string()))?;
    Ok(Pixels { bytes: small.into_vec(), width, height, colors: large.colors })
}

fn encode(pixels: &Pixels) -> Result<Vec<u8>, ScaleError> {
    let mut jpeg = Vec::new();
    let mut encoder = Encoder::new(&mut jpeg, QUALITY);
    encoder.set_chroma_subsampling_method(ChromaSubsamplingMethod::Average);
    let colors = match pixels.colors {
        Colors::Gray => ColorType::Luma,
        Colors::Brightness => ColorType::Ycbcr,
        Colors::Rgb => ColorType::Rgb,
    };
    encoder
        .encode(&pixels.bytes, pixels.width, pixels.height, colors)
        .map_err(|error| ScaleError::Failed(error.to_string()))?;
    Ok(jpeg)
}

/// The decoder's reason, as it says it to people.
fn decoding(error: impl std::fmt::Debug) -> ScaleError {
    ScaleError::Failed(format!("{error:?}"))
}
