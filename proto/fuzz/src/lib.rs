//! What must be true of any bytes that a camera socket may carry, and of any that may stand for a picture.

use std::fmt::Debug;

use oriel_proto::{
    DecodeError, EncodeError,
    codec::{Frame, decode, encode},
    jpeg,
    limits::{FRAME_BYTES, IMAGE_BYTES},
};

/// Decoding never panics, and what decodes can be encoded again and means the same.
///
/// Compared are the second and third reading, by their bytes: NaN is unlike itself as a value, and the first reading may have
/// been of bytes that no honest end writes.
pub fn decode_any<F: Frame + Debug>(bytes: &[u8]) {
    match decode::<F>(bytes) {
        Ok(frame) => encodes_again(&frame),
        Err(DecodeError::Unknown { tag, .. }) => assert!(!F::TAGS.contains(&tag.as_str())),
        Err(DecodeError::Unreadable { tag, .. }) => assert!(F::TAGS.contains(&tag.as_str())),
        Err(DecodeError::Violation(violation)) => assert!((1002..=1009).contains(&violation.close_code())),
    }
}

fn encodes_again<F: Frame + Debug>(frame: &F) {
    let bytes = match encode(frame) {
        Ok(bytes) => bytes,
        // Fields that were absent, or packed tighter than an honest end does, take room when they are written out.
        Err(EncodeError::TooLarge { bytes, .. }) => return assert!(bytes > FRAME_BYTES),
        Err(error) => panic!("{frame:?} does not encode: {error}"),
    };
    let again = decode::<F>(&bytes).unwrap_or_else(|error| panic!("{frame:?} does not decode: {error}"));
    assert_eq!(format!("{frame:?}"), format!("{again:?}"));
    assert_eq!(encode(&again).ok().as_ref(), Some(&bytes));
}

/// The walk never panics; what it takes begins as a JPEG and has a size, and the same picture ends at one place alone: shorter it
/// is refused or the same, and what stands behind it changes nothing.
pub fn walk_any(bytes: &[u8]) {
    let facts = jpeg::check(bytes);
    assert!(facts.is_err() || (jpeg::begins(bytes) && bytes.len() <= IMAGE_BYTES));
    if let Ok(facts) = facts {
        assert!(facts.width > 0 && facts.height > 0);
        assert_eq!(jpeg::check(&[bytes, b"x"].concat()).ok().unwrap_or(facts), facts);
    }
    for cut in [bytes.len() / 2, bytes.len().saturating_sub(1)] {
        if let Ok(shorter) = jpeg::check(&bytes[..cut]) {
            assert_eq!(facts.unwrap_or(shorter), shorter);
        }
    }
}
