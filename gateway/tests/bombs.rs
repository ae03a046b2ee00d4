//! Pictures made to take much are refused before they do; one test, because the allocator counts for the whole process.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "this is a test")]

#[path = "common/picture.rs"]
mod picture;

use std::time::{Duration, Instant};

use oriel_gateway::images::scale::{ScaleError, Scaler};
use peak_alloc::PeakAlloc;
use picture::{USUAL, jpeg, kinds};

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

/// Memory that a refusal may take.
const REFUSED: usize = 16 << 20;

/// What scaling comes to, and the most bytes that it holds at any moment.
async fn peak(scaler: &Scaler, jpeg: &[u8], width: u16) -> (Result<usize, ScaleError>, usize, Duration) {
    let jpeg = jpeg.to_vec().into();
    let before = ALLOCATOR.current_usage();
    ALLOCATOR.reset_peak_usage();
    let begun = Instant::now();
    let result = scaler.scale(jpeg, width).await.map(|jpeg| jpeg.len());
    (result, ALLOCATOR.peak_usage().saturating_sub(before), begun.elapsed())
}

/// A segment that declares its true length.
fn segment(marker: u8, body: &[u8]) -> Vec<u8> {
    let length = u16::try_from(body.len() + 2).unwrap().to_be_bytes();
    [&[0xff, marker], &length[..], body].concat()
}

/// A frame header and the start of a scan, without what is needed to decode it.
fn headers(frame: u8, height: u16, width: u16, sampling: u8, scan: &[u8]) -> Vec<u8> {
    let sizes = [height.to_be_bytes(), width.to_be_bytes()].concat();
    let colors = [1, sampling, 0, 2, sampling, 0, 3, sampling, 0];
    let start = [&[8][..], &sizes, &[3], &colors].concat();
    let scan = [&[u8::try_from(scan.len()).unwrap() / 2], scan, &[0, 63, 0]].concat();
    [segment(frame, &start), segment(0xda, &scan)].concat()
}

/// The bombs, each with what it is.
fn bombs() -> Vec<(&'static str, Vec<u8>)> {
    const ALL: &[u8] = &[1, 0, 2, 0, 3, 0];
    let of = |parts: &[&[u8]]| [&[0xff, 0xd8], &parts.concat()[..], &[0xff, 0xd9]].concat();
    let whole = jpeg(640, 360, USUAL);
    let tables: Vec<_> = whole[2..whole.windows(2).position(|two| two == [0xff, 0xc0]).unwrap()].to_vec();
    let xmp =
        [&b"http://ns.adobe.com/xmp/extension/\0"[..], &[b'0'; 32], &[64, 0, 0, 0, 0, 0, 0, 0]].concat();
    vec![
        ("65,535 x 65,535", of(&[&tables, &headers(0xc0, 65_535, 65_535, 0x11, ALL)])),
        ("no rows", of(&[&tables, &headers(0xc0, 0, 640, 0x11, ALL)])),
        ("no columns", of(&[&tables, &headers(0xc0, 360, 0, 0x11, ALL)])),
        ("progressive", of(&[&tables, &headers(0xc2, 8_000, 8_000, 0x11, ALL)])),
        ("in three scans", of(&[&tables, &headers(0xc0, 8_000, 8_000, 0x11, &[1, 0])])),
        ("coarse samples", of(&[&tables, &headers(0xc2, 65_535, 1_000, 0x22, ALL)])),
        ("coarser samples", of(&[&tables, &headers(0xc0, 65_535, 1_000, 0x44, ALL)])),
        ("a gigabyte", of(&[&headers(0xc0, 32_768, 32_768, 0x11, ALL)])),
        ("a gigabyte of scans", of(&[&tables, &headers(0xc0, 360, 640, 0x11, ALL).repeat(100_000)])),
        (
            "many scans",
            of(&[&whole[2..whole.len() - 2], &segment(0xda, &[1, 1, 0, 0, 63, 0]).repeat(1_000_000)]),
        ),
        ("a declared gigabyte", of(&[&segment(0xe1, &xmp).repeat(150_000), &[0xff, 0xe1, 0xff, 0xff]])),
        ("too long", vec![0xff; (16 << 20) + 1]),
        ("cut off", whole[..whole.len() / 2].to_vec()),
        ("a PNG", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\xff\xff\xff\xff\xff\xff\xff\xff".to_vec()),
        ("nothing", Vec::new()),
    ]
}

#[tokio::test]
async fn a_picture_takes_no_more_than_it_is_let() {
    let scaler = Scaler::new();
    // What the runtime and the libraries keep from their first time is not the picture's.
    peak(&scaler, &jpeg(64, 64, USUAL), 16).await.0.unwrap();
    for (what, bomb) in bombs() {
        let (result, peak, took) = peak(&scaler, &bomb, 320).await;
        println!("{what}: {result:?}, {peak} bytes, {took:?}");
        assert!(result.is_err(), "{what}: {result:?}");
        assert!(peak <= REFUSED, "{what}: {peak} bytes");
    }
    for kind in kinds() {
        for ((width, height), to) in [((1_200, 800), 160), ((1_200, 800), 1_199), ((4_500, 16), 4_000)] {
            let picture = jpeg(width, height, kind);
            let (result, peak, _) = peak(&scaler, &picture, to).await;
            let counted = Scaler::memory(&picture, to).unwrap();
            assert!(result.is_ok() && peak <= counted, "{kind:?} {width}: {result:?}, {peak} of {counted}");
        }
    }
}
