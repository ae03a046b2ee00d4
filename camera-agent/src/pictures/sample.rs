//! Pictures for tests: real ones, of any size.

use bytes::Bytes;

/// A gray picture of 8 by 8 pixels.
const GRAY: &[u8] = include_bytes!("../../tests/common/picture.jpg");

/// The bytes of the smallest one.
pub(crate) const LEAST: usize = GRAY.len() + 4;

/// A whole picture of exactly so many bytes, at least [`LEAST`], which `mark` makes unlike others.
pub(crate) fn picture(bytes: usize, mark: u8) -> Bytes {
    let (begin, rest) = GRAY.split_at(2);
    let mut jpeg = begin.to_vec();
    let mut left = bytes - GRAY.len();
    while left > 0 {
        // A comment; what is left must have room for the head of another one.
        let mut size = left.min(60_000);
        if (1..4).contains(&(left - size)) {
            size -= 4;
        }
        jpeg.extend([0xff, 0xfe]);
        jpeg.extend(((size - 2) as u16).to_be_bytes());
        jpeg.resize(jpeg.len() + size - 4, mark);
        left -= size;
    }
    jpeg.extend(rest);
    jpeg.into()
}
