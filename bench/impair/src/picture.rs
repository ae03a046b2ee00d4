//! A picture of any size: what the agent takes for a JPEG, and would not decode.

/// What stands before the coded picture: a frame of 1,920 x 1,080 in one colour, and the start of its only scan.
const BEGIN: &[u8] = &[
    0xff, 0xd8, 0xff, 0xc0, 0, 11, 8, 0x04, 0x38, 0x07, 0x80, 1, 1, 0x11, 0, 0xff, 0xda, 0, 8, 1, 1, 0, 0,
    63, 0,
];

/// What stands behind it.
const END: &[u8] = &[0xff, 0xd9];

/// A picture of so many bytes.
pub(crate) fn jpeg(bytes: usize) -> Vec<u8> {
    let coded = bytes.saturating_sub(BEGIN.len() + END.len()).max(1);
    let mut jpeg = Vec::with_capacity(BEGIN.len() + coded + END.len());
    jpeg.extend_from_slice(BEGIN);
    // Whatever is no marker.
    jpeg.extend((0_u8..0x7f).cycle().take(coded));
    jpeg.extend_from_slice(END);
    jpeg
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_agent_takes_it_for_a_picture() {
        for bytes in [1_000, 2_000_000, 15_000_000] {
            let jpeg = jpeg(bytes);
            let facts = oriel_proto::jpeg::check(&jpeg).unwrap();
            assert_eq!((jpeg.len(), facts.width, facts.height), (bytes, 1_920, 1_080));
        }
    }
}
