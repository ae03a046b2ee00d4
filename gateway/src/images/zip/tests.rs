//! Archives are read back by another library.

use std::io::{Cursor, Read};

use proptest::{collection::vec, prelude::*};
use zip::ZipArchive;

use super::*;

const MIDDAY: i64 = 1_795_335_330_123;

fn camera() -> CameraId {
    "porch".parse().unwrap()
}

/// An archive of these pictures, each in pieces, one second apart.
fn archive(mut zip: Zip, pictures: &[Vec<Vec<u8>>]) -> Vec<u8> {
    let mut all = Vec::new();
    for (second, pieces) in (0..).zip(pictures) {
        let (before, mut entry) = zip.start(&camera(), time(second)).unwrap();
        all.extend_from_slice(&before);
        for piece in pieces {
            entry.piece(piece).unwrap();
            all.extend_from_slice(piece);
        }
        all.extend_from_slice(&entry.end().unwrap());
    }
    all.extend_from_slice(&zip.finish().unwrap());
    all
}

fn time(second: i64) -> Timestamp {
    Timestamp::from_millis(MIDDAY + second * 1_000)
}

/// The length that is told before the first byte.
fn told(offset: u64, pictures: &[Vec<Vec<u8>>]) -> u64 {
    let camera = camera();
    let sizes =
        (0..).zip(pictures).map(|(second, pieces)| (&camera, time(second), pieces.concat().len() as u64));
    length_behind(offset, sizes)
}

#[test]
fn an_archive_holds_the_pictures_with_their_names_and_times() {
    let pictures = [vec![vec![1; 10], vec![2; 20]], vec![], vec![vec![3; 70_000]]];
    let bytes = archive(Zip::new(), &pictures);
    let mut read = ZipArchive::new(Cursor::new(&bytes)).unwrap();
    let names: Vec<_> = read.file_names().map(|name| name.unwrap().into_owned()).collect();
    assert_eq!(
        names,
        ["porch-20261122081530.123.jpeg", "porch-20261122081531.123.jpeg", "porch-20261122081532.123.jpeg"]
    );
    for (n, pieces) in pictures.iter().enumerate() {
        let mut file = read.by_index(n).unwrap();
        let mut content = Vec::new();
        file.read_to_end(&mut content).unwrap();
        assert_eq!(content, pieces.concat(), "the checksum is checked while reading");
        let modified = file.last_modified().unwrap();
        assert_eq!((modified.hour(), modified.minute()), (8, 15), "in UTC");
        assert_eq!(file.compression(), zip::CompressionMethod::Stored);
    }
}

#[test]
fn an_archive_may_be_empty() {
    let bytes = archive(Zip::new(), &[]);
    assert_eq!(bytes.len() as u64, length([]));
    assert_eq!(ZipArchive::new(Cursor::new(&bytes)).unwrap().len(), 0);
}

#[test]
fn an_archive_may_hold_more_than_65535_pictures() {
    let pictures = vec![vec![vec![7; 3]]; 70_000];
    let bytes = archive(Zip::new(), &pictures);
    assert_eq!(bytes.len() as u64, told(0, &pictures));
    let mut read = ZipArchive::new(Cursor::new(&bytes)).unwrap();
    assert_eq!(read.len(), 70_000);
    let mut last = Vec::new();
    read.by_index(69_999).unwrap().read_to_end(&mut last).unwrap();
    assert_eq!(last, [7; 3]);
}

#[test]
fn an_archive_has_an_end() {
    let mut zip = Zip::new();
    for n in 0..ENTRIES {
        let (_, entry) = zip.start(&camera(), Timestamp::from_millis(n as i64)).unwrap();
        entry.end().unwrap();
    }
    assert_eq!(zip.start(&camera(), time(0)).map(|_| ()), Err(ZipError::Full));
}

#[test]
fn what_was_cut_off_is_no_archive() {
    let bytes = archive(Zip::new(), &[vec![vec![1; 10_000]], vec![vec![2; 10_000]]]);
    for cut in [0, 1, 40, 10_100, 20_100, bytes.len() - 1] {
        assert!(ZipArchive::new(Cursor::new(&bytes[..cut])).is_err(), "{cut} of {}", bytes.len());
    }
}

#[test]
fn times_outside_the_calendar_of_zip_are_held_at_its_ends() {
    for time in [Timestamp::MIN, Timestamp::MAX] {
        let mut zip = Zip::new();
        let (before, entry) = zip.start(&camera(), time).unwrap();
        let all = [before, entry.end().unwrap(), zip.finish().unwrap()].concat();
        assert_eq!(all.len() as u64, length([(&camera(), time, 0)]));
        assert_eq!(ZipArchive::new(Cursor::new(&all)).unwrap().len(), 1);
    }
}

proptest! {
    #[test]
    fn the_length_is_known_before_the_first_byte(
        pictures in vec(vec(vec(any::<u8>(), 0..300), 0..4), 0..20),
        before_4_gib in 0..8_000_u64,
    ) {
        prop_assert_eq!(archive(Zip::new(), &pictures).len() as u64, told(0, &pictures));
        let offset = u64::from(u32::MAX) - before_4_gib;
        prop_assert_eq!(archive(Zip::behind(offset), &pictures).len() as u64, told(offset, &pictures));
    }
}
