//! Promises of the walker through JPEGs; the files are those that its fuzzer begins with.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failed step fails the test")]

use std::{fs, path::Path};

use oriel_proto::{
    jpeg::{Facts, JpegError, begins, check},
    limits::{IMAGE_BYTES, IMAGE_PIXELS, IMAGE_TRAILING_BYTES},
};

fn file(name: &str) -> Vec<u8> {
    fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus/jpeg").join(name)).unwrap()
}

/// A picture with one more segment behind its beginning.
fn with_segment(marker: u8, body: &[u8]) -> Vec<u8> {
    let length = u16::try_from(body.len() + 2).unwrap().to_be_bytes();
    let picture = file("one_pixel");
    [&picture[..2], &[0xff, marker], &length, body, &picture[2..]].concat()
}

#[test]
fn a_whole_picture_has_a_size() {
    for (name, width, height) in [
        ("one_pixel", 1, 1),
        ("baseline", 32, 24),
        ("progressive", 32, 24),
        ("restarts", 32, 24),
        ("comment_and_exif", 32, 24),
        ("four_components", 16, 8),
        ("padded", 1, 1),
    ] {
        assert_eq!(check(&file(name)), Ok(Facts { width, height }), "{name}");
    }
}

#[test]
fn what_is_broken_is_refused_with_its_reason() {
    for (name, why) in [
        ("broken_png", JpegError::Foreign),
        ("broken_half", JpegError::Cut(247)),
        ("broken_no_end", JpegError::Cut(492)),
        ("broken_no_size", JpegError::Empty),
        ("broken_no_scan", JpegError::NoScan),
        ("broken_two_frames", JpegError::Misplaced { marker: 0xc0, at: 102 }),
        ("broken_length", JpegError::Cut(331)),
    ] {
        assert_eq!(check(&file(name)), Err(why), "{name}");
    }
    assert_eq!(check(&with_segment(0xd8, b"")), Err(JpegError::Misplaced { marker: 0xd8, at: 2 }));
    assert_eq!(check(&with_segment(0xd0, b"")), Err(JpegError::Misplaced { marker: 0xd0, at: 2 }));
    assert_eq!(check(&with_segment(0xc0, &[8, 0, 1, 0, 1, 1])), {
        Err(JpegError::Length { marker: 0xc0, at: 2 })
    });
    assert_eq!(check(&with_segment(0xda, &[1, 1, 0, 0, 63, 0])), {
        Err(JpegError::Misplaced { marker: 0xda, at: 2 })
    });
    let mut junk = with_segment(0xfe, b"x");
    junk.insert(7, 0);
    assert_eq!(check(&junk), Err(JpegError::NoMarker(7)));
    let mut short = with_segment(0xfe, b"");
    short[5] = 1;
    assert_eq!(check(&short), Err(JpegError::Length { marker: 0xfe, at: 2 }));
}

#[test]
fn a_header_that_promises_too_much_is_told_by_its_pixels() {
    let facts = check(&file("broken_bomb")).unwrap();
    assert_eq!((facts.width, facts.height), (65_535, 65_535));
    assert!(facts.pixels() > IMAGE_PIXELS);
}

#[test]
fn a_picture_that_ends_anywhere_before_its_end_is_cut() {
    for name in ["one_pixel", "progressive", "restarts", "comment_and_exif"] {
        let whole = file(name);
        for end in 0..whole.len() {
            let cut = &whole[..end];
            match check(cut) {
                Err(JpegError::Cut(at)) => assert_eq!(at, end, "{name}"),
                Err(JpegError::Foreign) => assert!(!begins(cut), "{name} {end}"),
                other => panic!("{name} cut at {end}: {other:?}"),
            }
        }
    }
}

#[test]
fn a_picture_inside_a_segment_is_not_its_end() {
    let thumbnail = file("one_pixel");
    let mut whole = with_segment(0xe1, &thumbnail);
    assert!(check(&whole).is_ok());
    whole.truncate(2 + 4 + thumbnail.len());
    assert!(matches!(check(&whole), Err(JpegError::Cut(_))));
}

#[test]
fn any_number_of_fill_bytes_may_stand_before_a_marker() {
    let mut filled = with_segment(0xfe, b"x");
    filled.splice(2..2, [0xff; 5]);
    assert!(check(&filled).is_ok());
}

#[test]
fn little_may_stand_behind_the_end_and_nothing_may_be_larger_than_a_picture() {
    let mut padded = file("one_pixel");
    padded.resize(padded.len() + IMAGE_TRAILING_BYTES, 0);
    assert!(check(&padded).is_ok());
    padded.push(0);
    assert_eq!(check(&padded), Err(JpegError::Trailing(IMAGE_TRAILING_BYTES + 1)));
    padded.resize(IMAGE_BYTES + 1, 0);
    assert_eq!(check(&padded), Err(JpegError::TooLarge(IMAGE_BYTES + 1)));
}
