//! Whether bytes are a whole JPEG: its segments are walked, nothing is decoded and nothing allocated.

use memchr::memchr;

use crate::limits::{IMAGE_BYTES, IMAGE_TRAILING_BYTES};

/// The start of a picture and the first byte of the marker behind it.
const MAGIC: [u8; 3] = [0xff, SOI, 0xff];

// Markers, by their second byte (ITU-T T.81, table B.1).
const SOI: u8 = 0xd8;
const EOI: u8 = 0xd9;
const SOS: u8 = 0xda;
const TEM: u8 = 0x01;

/// What a picture's frame header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Facts {
    /// Columns, at least 1.
    pub width: u16,
    /// Rows, at least 1.
    pub height: u16,
}

impl Facts {
    /// Width times height; see [`IMAGE_PIXELS`](crate::limits::IMAGE_PIXELS).
    pub const fn pixels(self) -> u32 {
        // The product of two 16-bit numbers fits 32 bits.
        self.width as u32 * self.height as u32
    }
}

/// Why bytes are no whole JPEG.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JpegError {
    /// It is something else.
    #[error("it does not begin as a JPEG")]
    Foreign,
    /// It is larger than a picture may be.
    #[error("a picture of {0} bytes is larger than {IMAGE_BYTES}")]
    TooLarge(usize),
    /// It ends too early.
    #[error("the JPEG is cut off after {0} bytes")]
    Cut(usize),
    /// Something stands where a marker should.
    #[error("there is no marker at byte {0} of the JPEG")]
    NoMarker(usize),
    /// A marker stands where it may not.
    #[error("the marker {marker:02x} at byte {at} of the JPEG does not belong there")]
    Misplaced {
        /// The second byte of the marker.
        marker: u8,
        /// Where it begins.
        at: usize,
    },
    /// A segment says another length than it can have.
    #[error("the segment {marker:02x} at byte {at} of the JPEG has a wrong length")]
    Length {
        /// The second byte of its marker.
        marker: u8,
        /// Where it begins.
        at: usize,
    },
    /// Its width or height is zero.
    #[error("the JPEG has no size")]
    Empty,
    /// It ends without the data of a picture.
    #[error("the JPEG holds no picture")]
    NoScan,
    /// Too much stands behind its end.
    #[error("{0} bytes stand behind the end of the JPEG, more than {IMAGE_TRAILING_BYTES}")]
    Trailing(usize),
}

/// Whether `bytes` begin as a JPEG does; says nothing of the rest.
pub fn begins(bytes: &[u8]) -> bool {
    bytes.starts_with(&MAGIC)
}

/// Walks the segments of a JPEG to its end: one frame header with a size, scans with data, nothing cut, and little behind it.
pub fn check(bytes: &[u8]) -> Result<Facts, JpegError> {
    if bytes.len() > IMAGE_BYTES {
        return Err(JpegError::TooLarge(bytes.len()));
    }
    if !begins(bytes) {
        return Err(JpegError::Foreign);
    }
    let mut walk = Walk { bytes, at: 2, facts: None, scanned: false };
    while walk.segment()? {}
    let facts = walk.facts.filter(|_| walk.scanned).ok_or(JpegError::NoScan)?;
    match bytes.len() - walk.at {
        behind if behind > IMAGE_TRAILING_BYTES => Err(JpegError::Trailing(behind)),
        _ => Ok(facts),
    }
}

/// A walk through the segments of a picture.
#[derive(Debug)]
struct Walk<'a> {
    bytes: &'a [u8],
    /// Where the next marker begins.
    at: usize,
    facts: Option<Facts>,
    scanned: bool,
}

impl<'a> Walk<'a> {
    /// Passes one marker and what belongs to it; false at the end of the picture.
    fn segment(&mut self) -> Result<bool, JpegError> {
        let at = self.at;
        let marker = self.marker()?;
        match marker {
            EOI => return Ok(false),
            TEM => {}
            // No marker at all, restarts outside a scan, a second beginning, and what T.81 reserves.
            0x00 | 0x02..=0xbf | 0xd0..=0xd8 => return Err(JpegError::Misplaced { marker, at }),
            SOS => {
                self.scan_header(at)?;
                self.scan()?;
            }
            // Tables for Huffman (c4) and arithmetic coding (cc), and an extension (c8), have numbers among those of frame headers.
            0xc0..=0xcf if !matches!(marker, 0xc4 | 0xc8 | 0xcc) => self.frame_header(marker, at)?,
            _ => {
                self.body(marker, at)?;
            }
        }
        Ok(true)
    }

    /// The marker here, by its second byte; any number of `ff` may stand before it.
    fn marker(&mut self) -> Result<u8, JpegError> {
        match self.bytes.get(self.at) {
            Some(0xff) => {}
            Some(_) => return Err(JpegError::NoMarker(self.at)),
            None => return Err(self.cut()),
        }
        let rest = &self.bytes[self.at..];
        let fill = rest.iter().position(|byte| *byte != 0xff).ok_or(self.cut())?;
        self.at += fill + 1;
        Ok(rest[fill])
    }

    /// The contents of the segment whose marker was passed; it ends behind them.
    fn body(&mut self, marker: u8, at: usize) -> Result<&'a [u8], JpegError> {
        let rest = &self.bytes[self.at..];
        let [high, low, ..] = *rest else { return Err(self.cut()) };
        let length = usize::from(u16::from_be_bytes([high, low]));
        if length < 2 {
            return Err(JpegError::Length { marker, at });
        }
        let body = rest.get(2..length).ok_or(self.cut())?;
        self.at += length;
        Ok(body)
    }

    fn frame_header(&mut self, marker: u8, at: usize) -> Result<(), JpegError> {
        // With a second one, readers would not agree how large the picture is.
        if self.facts.is_some() {
            return Err(JpegError::Misplaced { marker, at });
        }
        let [_precision, h1, h0, w1, w0, components, ref each @ ..] = *self.body(marker, at)? else {
            return Err(JpegError::Length { marker, at });
        };
        if components == 0 || each.len() != 3 * usize::from(components) {
            return Err(JpegError::Length { marker, at });
        }
        let (width, height) = (u16::from_be_bytes([w1, w0]), u16::from_be_bytes([h1, h0]));
        if width == 0 || height == 0 {
            return Err(JpegError::Empty);
        }
        self.facts = Some(Facts { width, height });
        Ok(())
    }

    fn scan_header(&mut self, at: usize) -> Result<(), JpegError> {
        if self.facts.is_none() {
            return Err(JpegError::Misplaced { marker: SOS, at });
        }
        let body = self.body(SOS, at)?;
        match body.first() {
            Some(components @ 1..=4) if body.len() == 4 + 2 * usize::from(*components) => Ok(()),
            _ => Err(JpegError::Length { marker: SOS, at }),
        }
    }

    /// Passes the coded data of a scan, up to the marker behind it.
    fn scan(&mut self) -> Result<(), JpegError> {
        let begin = self.at;
        loop {
            let rest = &self.bytes[self.at..];
            let found = memchr(0xff, rest).ok_or(self.cut())?;
            match rest.get(found + 1) {
                // A byte of the data that looks like a marker, or the mark of a restart.
                Some(0x00 | 0xd0..=0xd7) => self.at += found + 2,
                Some(0xff) => self.at += found + 1,
                Some(_) => {
                    self.at += found;
                    break;
                }
                None => return Err(self.cut()),
            }
        }
        self.scanned |= self.at > begin;
        Ok(())
    }

    const fn cut(&self) -> JpegError {
        JpegError::Cut(self.bytes.len())
    }
}
