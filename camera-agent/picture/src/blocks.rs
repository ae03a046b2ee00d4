//! A picture as a few hundred blocks, each as light as its pixels are on average.

use oriel_proto::jpeg::{self, JpegError};
use zune_core::{bytestream::ZCursor, colorspace::ColorSpace, options::DecoderOptions};
use zune_jpeg::JpegDecoder;

/// The most blocks in a row.
const COLUMNS: usize = 40;

/// The most rows of blocks.
const ROWS: usize = 24;

/// The most pixels of a picture that is looked at, those of 4K and some more: a progressive one takes six bytes for each.
pub const PIXELS: u32 = 9_000_000;

/// Why a picture cannot be looked at.
#[derive(Debug, thiserror::Error)]
pub enum BlocksError {
    /// It is no whole picture.
    #[error(transparent)]
    Broken(#[from] JpegError),
    /// It is too large to be looked at.
    #[error("a picture of {0} pixels is not looked at, as it has more than {PIXELS}")]
    Large(u32),
    /// It cannot be decoded.
    #[error("the JPEG cannot be decoded: {0}")]
    Decode(String),
}

/// How light each part of a picture is.
#[derive(Clone, Debug, PartialEq)]
pub struct Blocks {
    size: (u16, u16),
    columns: usize,
    light: Vec<f32>,
}

impl Blocks {
    /// Decodes a JPEG, which is checked first, so that a hostile one costs nothing.
    pub fn of(bytes: &[u8]) -> Result<Self, BlocksError> {
        let facts = jpeg::check(bytes)?;
        if facts.pixels() > PIXELS {
            return Err(BlocksError::Large(facts.pixels()));
        }
        let options = DecoderOptions::default()
            .jpeg_set_out_colorspace(ColorSpace::Luma)
            .set_max_width(facts.width.into())
            .set_max_height(facts.height.into());
        let failed = |e: zune_jpeg::errors::DecodeErrors| BlocksError::Decode(e.to_string());
        let mut decoder = JpegDecoder::new_with_options(ZCursor::new(bytes), options);
        let luma = decoder.decode().map_err(failed)?;
        let wrong = || BlocksError::Decode("it has another size than its header says".into());
        Self::from_luma((facts.width, facts.height), &luma).ok_or_else(wrong)
    }

    /// From how light each pixel is, row by row; none when that is not one byte each.
    fn from_luma(size: (u16, u16), luma: &[u8]) -> Option<Self> {
        let (width, height) = (usize::from(size.0), usize::from(size.1));
        if width == 0 || luma.len() != width * height {
            return None;
        }
        let (columns, rows) = (COLUMNS.min(width), ROWS.min(height));
        let mut sums = vec![(0_u64, 0_u64); columns * rows];
        for (y, line) in luma.chunks_exact(width).enumerate() {
            let row = y * rows / height;
            let mut from = 0;
            for column in 0..columns {
                // The first pixel of the next block.
                let to = ((column + 1) * width).div_ceil(columns);
                let (sum, count) = &mut sums[row * columns + column];
                *sum += line[from..to].iter().map(|light| u64::from(*light)).sum::<u64>();
                *count += (to - from) as u64;
                from = to;
            }
        }
        let light = sums.into_iter().map(|(sum, count)| sum as f32 / count.max(1) as f32).collect();
        Some(Self { size, columns, light })
    }

    /// Width and height of the picture in pixels.
    pub const fn size(&self) -> (u16, u16) {
        self.size
    }

    /// Blocks in a row.
    pub const fn columns(&self) -> usize {
        self.columns
    }

    /// How light each block is, from 0 to 255, row by row.
    pub fn light(&self) -> &[f32] {
        &self.light
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::canvas::Canvas;

    #[test]
    fn a_block_is_as_light_as_its_pixels() {
        let (width, height) = (80, 48);
        let luma: Vec<u8> = (0..width * height).map(|n| if n % width < 40 { 10 } else { 250 }).collect();
        let blocks = Blocks::from_luma((80, 48), &luma).unwrap();
        assert_eq!((blocks.columns(), blocks.light().len()), (40, 960));
        assert!(blocks.light().chunks(40).all(|row| row[..20] == [10.0; 20] && row[20..] == [250.0; 20]));
    }

    #[test]
    fn pictures_of_any_size_have_blocks() {
        for size in [(1, 1), (3, 200), (41, 25), (1_919, 1_079)] {
            let luma = vec![77; usize::from(size.0) * usize::from(size.1)];
            let blocks = Blocks::from_luma(size, &luma).unwrap();
            assert!(blocks.light().iter().all(|light| *light == 77.0), "{size:?}");
        }
        assert!(Blocks::from_luma((10, 10), &[0; 99]).is_none());
    }

    #[test]
    fn what_is_no_picture_or_too_large_is_not_decoded() {
        assert!(matches!(Blocks::of(b"GIF89a"), Err(BlocksError::Broken(_))));
        let mut bomb = Canvas::new(32, 16).jpeg(60).unwrap();
        let frame = bomb.windows(2).position(|pair| pair == [0xff, 0xc0]).unwrap();
        bomb[frame + 5..frame + 9].fill(0xff);
        assert!(matches!(Blocks::of(&bomb), Err(BlocksError::Large(4_294_836_225))));
    }
}
