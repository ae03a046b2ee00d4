//! What a JPEG says of itself before any of it is decoded: its size, and how much memory decoding takes.
//!
//! The segments are walked without taking memory. Only those that decoding needs are handed to the decoder, so that it
//! never reads what a camera wrote about the picture, and both understand the same frame.

use oriel_proto::limits::{IMAGE_BYTES, IMAGE_PIXELS};

use super::ScaleError;

/// The most scans that a picture may have: encoders write about ten, and each is a walk over the whole picture.
const SCANS: usize = 64;

/// Bytes that a decoder keeps for each pixel of a row, each component and each row of its tallest sample: rows of
/// coefficients, and of samples before and after they are spread.
const ROW_BYTES: usize = 64;

/// Bytes that it keeps for every picture: tables of codes and steps.
const TABLES: usize = 128 << 10;

/// What the header of a picture says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Frame {
    /// Pixels in a row.
    pub(super) width: u16,
    /// Rows.
    pub(super) height: u16,
    /// Colours of a pixel: 1, 3 or 4.
    pub(super) components: usize,
    /// Bytes that decoding takes beyond the picture and its pixels.
    pub(super) working: usize,
}

impl Frame {
    /// Reads the header; nothing behind the start of the first scan is looked at.
    pub(super) fn read(jpeg: &[u8]) -> Result<Self, ScaleError> {
        if jpeg.len() > IMAGE_BYTES {
            return Err(ScaleError::TooLong(jpeg.len()));
        }
        let (mut segments, mut start) = (Segments::new(jpeg)?, None);
        while let Some(segment) = segments.next_head()? {
            match segment.marker {
                0xc0..=0xc2 if start.is_none() => start = Some(Start::read(segment)?),
                0xc0..=0xc2 => return Err(ScaleError::Broken("it has two frame headers")),
                0xc3 | 0xc5..=0xc7 | 0xc9..=0xcb | 0xcd..=0xcf => {
                    return Err(ScaleError::Unsupported(
                        "it is coded without loss, in layers or arithmetically",
                    ));
                }
                0xda => return start.ok_or(ScaleError::Broken("it has no frame header"))?.frame(segment),
                _ => {}
            }
        }
        Err(ScaleError::Broken("it ends before its first scan"))
    }
}

/// The picture with nothing in it that its decoder does not need.
pub(super) fn bare(jpeg: &[u8]) -> Result<Vec<u8>, ScaleError> {
    let (mut segments, mut scans, mut needed) = (Segments::new(jpeg)?, 0, 2 + END.len());
    while let Some(segment) = segments.next()? {
        scans += usize::from(segment.marker == 0xda);
        if scans > SCANS {
            return Err(ScaleError::Unsupported("it has too many scans"));
        }
        needed += if segment.is_needed() { segment.whole.len() } else { 0 };
    }
    let (mut segments, mut bare) = (Segments::new(jpeg)?, Vec::with_capacity(needed));
    bare.extend_from_slice(BEGIN);
    while let Some(segment) = segments.next()? {
        if segment.is_needed() {
            bare.extend_from_slice(segment.whole);
        }
    }
    bare.extend_from_slice(END);
    Ok(bare)
}

/// How a picture begins and ends.
const BEGIN: &[u8] = &[0xff, 0xd8];
const END: &[u8] = &[0xff, 0xd9];

/// One marker of a picture with what belongs to it.
#[derive(Clone, Copy, Debug)]
struct Segment<'a> {
    marker: u8,
    /// From the marker to before the next one: behind the start of a scan that is the coded picture.
    whole: &'a [u8],
    /// What the declared length spans, without that length.
    body: &'a [u8],
}

impl Segment<'_> {
    /// Whether the decoder needs it: tables, frame and scans; that Huffman tables are left out, as in films of
    /// pictures; and what the colours are.
    fn is_needed(&self) -> bool {
        match self.marker {
            0xc0..=0xc2 | 0xc4 | 0xda | 0xdb | 0xdd => true,
            0xe0 => self.body.starts_with(b"AVI1\0"),
            0xee => self.body.starts_with(b"Adobe") && self.body.len() == 12,
            _ => false,
        }
    }
}

/// Walks over the segments of a picture.
#[derive(Debug)]
struct Segments<'a> {
    jpeg: &'a [u8],
    at: usize,
}

impl<'a> Segments<'a> {
    fn new(jpeg: &'a [u8]) -> Result<Self, ScaleError> {
        // A JPEG's first two bytes alone are too few to tell one by.
        if !jpeg.starts_with(&[0xff, 0xd8, 0xff]) {
            return Err(ScaleError::NotAJpeg);
        }
        Ok(Self { jpeg, at: 2 })
    }

    /// The next one, without the coded picture behind the start of a scan; `None` at the end of the picture.
    fn next_head(&mut self) -> Result<Option<Segment<'a>>, ScaleError> {
        let rest = &self.jpeg[self.at..];
        let fill = rest.iter().take_while(|byte| **byte == 0xff).count();
        let Some(marker) = rest.get(fill).copied() else { return Err(CUT) };
        if fill == 0 {
            return Err(ScaleError::Broken("there is something between its segments"));
        }
        let rest = &rest[fill - 1..];
        match marker {
            0xd9 => return Ok(None),
            0xc0..=0xcf | 0xda..=0xfe => {}
            _ => return Err(ScaleError::Broken("a marker stands where none may")),
        }
        let declared = rest.get(2..4).map(|length| usize::from(u16::from_be_bytes([length[0], length[1]])));
        let length = 2 + declared.ok_or(CUT)?;
        let whole = rest.get(..length).ok_or(CUT)?;
        let body = whole.get(4..).ok_or(ScaleError::Broken("a segment is shorter than its own length"))?;
        self.at += fill - 1 + length;
        Ok(Some(Segment { marker, whole, body }))
    }

    /// The next one; `None` at the end of the picture.
    fn next(&mut self) -> Result<Option<Segment<'a>>, ScaleError> {
        let Some(head) = self.next_head()? else { return Ok(None) };
        if head.marker != 0xda {
            return Ok(Some(head));
        }
        let begin = self.at - head.whole.len();
        self.at += coded(&self.jpeg[self.at..]).ok_or(CUT)?;
        Ok(Some(Segment { whole: &self.jpeg[begin..self.at], ..head }))
    }
}

/// A picture that ends too early.
const CUT: ScaleError = ScaleError::Broken("it ends in the middle");

/// How long the coded picture is that `bytes` begin with; `None` when no marker ends it.
fn coded(bytes: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        at += bytes[at..].iter().position(|byte| *byte == 0xff)?;
        match bytes.get(at + 1)? {
            0x00 | 0xd0..=0xd7 => at += 2,
            0xff => at += 1,
            _ => return Some(at),
        }
    }
}

/// Whether the decoder gives the right colours, as compared with another one: it does where nothing has more samples in a
/// row than the first colour, which is brightness, and where four colours have as many each. It may fail over more than two.
fn is_decoded_well(sampling: &[(usize, usize)]) -> bool {
    let first = sampling[0].0;
    sampling.iter().all(|each| match sampling.len() {
        4 => *each == (1, 1),
        _ => matches!(each, (1 | 2, 1 | 2)) && each.0 <= first,
    })
}

/// A frame header.
#[derive(Clone, Copy, Debug)]
struct Start {
    width: u16,
    height: u16,
    components: usize,
    /// Samples of each component along and across one unit of coding.
    sampling: [(usize, usize); 4],
    progressive: bool,
}

impl Start {
    fn read(segment: Segment<'_>) -> Result<Self, ScaleError> {
        let &[precision, h1, h2, w1, w2, components, ref of_each @ ..] = segment.body else {
            return Err(CUT);
        };
        let (width, height) = (u16::from_be_bytes([w1, w2]), u16::from_be_bytes([h1, h2]));
        if width == 0 || height == 0 {
            return Err(ScaleError::Empty { width, height });
        }
        if u32::from(width) * u32::from(height) > IMAGE_PIXELS {
            return Err(ScaleError::TooLarge { width, height });
        }
        if precision != 8 {
            return Err(ScaleError::Unsupported("its samples have other than 8 bits"));
        }
        let components = usize::from(components);
        if !matches!(components, 1 | 3 | 4) {
            return Err(ScaleError::Unsupported("it has neither one, three nor four colours"));
        }
        if of_each.len() != components * 3 {
            return Err(ScaleError::Broken("its frame header has the wrong length"));
        }
        let mut sampling = [(0, 0); 4];
        for (each, place) in of_each.chunks_exact(3).zip(&mut sampling) {
            *place = (usize::from(each[1] >> 4), usize::from(each[1] & 15));
        }
        if !is_decoded_well(&sampling[..components]) {
            return Err(ScaleError::Unsupported("its colours are sampled in a way that cameras do not use"));
        }
        Ok(Self { width, height, components, sampling, progressive: segment.marker == 0xc2 })
    }

    /// The frame, now that its first scan begins: where that one has not all of the picture, all is kept until the last.
    fn frame(self, first_scan: Segment<'_>) -> Result<Frame, ScaleError> {
        let in_scan = usize::from(*first_scan.body.first().ok_or(CUT)?);
        let sampling = &self.sampling[..self.components];
        let (along, across) =
            sampling.iter().fold((1, 1), |most, each| (most.0.max(each.0), most.1.max(each.1)));
        let units_along = usize::from(self.width).div_ceil(8 * along);
        let units = units_along * usize::from(self.height).div_ceil(8 * across);
        let mut working = units_along * 8 * along * across * self.components * ROW_BYTES + TABLES;
        if self.progressive || in_scan != self.components {
            working += units * sampling.iter().map(|each| each.0 * each.1 * 64 * 2).sum::<usize>();
        }
        Ok(Frame { width: self.width, height: self.height, components: self.components, working })
    }
}
