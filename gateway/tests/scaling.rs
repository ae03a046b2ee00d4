//! Pictures are made smaller: sizes, proportions, every kind of JPEG, and whatever else a camera may send.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::cast_possible_truncation,
    reason = "this is a test"
)]

#[path = "common/picture.rs"]
mod picture;

use std::sync::{Arc, LazyLock};

use bytes::Bytes;
use futures_util::{FutureExt, future::join_all};
use jpeg_encoder::{ColorType, SamplingFactor};
use oriel_gateway::images::scale::{ScaleError, Scaler};
use picture::{Kind, USUAL, jpeg, kinds};
use proptest::{collection::vec, prelude::*};
use tokio::runtime::Runtime;
use zune_jpeg::{JpegDecoder, zune_core::bytestream::ZCursor};

async fn scale(jpeg: Vec<u8>, width: u16) -> Result<Vec<u8>, ScaleError> {
    Scaler::new().scale(jpeg.into(), width).await.map(Vec::from)
}

#[tokio::test]
async fn a_picture_keeps_its_proportions() {
    for ((width, height), to, expected) in [
        ((640, 360), 320, (320, 180)),
        ((640, 360), 100, (100, 56)),
        ((640, 360), 1, (1, 1)),
        ((1_000, 1), 10, (10, 1)),
        ((3, 999), 2, (2, 666)),
        ((641, 359), 640, (640, 358)),
    ] {
        let scaled = scale(jpeg(width, height, USUAL), to).await.unwrap();
        let (width, height, _) = pixels(&scaled);
        assert_eq!((width, height), expected);
    }
}

#[tokio::test]
async fn a_picture_is_never_made_larger() {
    let small = jpeg(64, 48, USUAL);
    for width in [64, 65, u16::MAX] {
        assert_eq!(scale(small.clone(), width).await.unwrap(), small);
    }
    assert_eq!(scale(small, 0).await, Err(ScaleError::NoWidth));
}

#[tokio::test]
async fn every_kind_of_jpeg_shows_what_it_showed() {
    for kind in kinds() {
        let scaled =
            scale(jpeg(480, 272, kind), 120).await.unwrap_or_else(|error| panic!("{kind:?}: {error}"));
        let (width, height, pixels) = pixels(&scaled);
        assert_eq!((width, height), (120, 68), "{kind:?}");
        let at = |x: usize, y: usize| &pixels[(y * width + x) * 3..][..3];
        let near = |color: &[u8], expected: [u8; 3]| {
            color.iter().zip(expected).all(|(is, should)| is.abs_diff(should) < 30)
        };
        assert!(near(at(2, 5), [4; 3]) && near(at(117, 60), [249; 3]), "{kind:?}");
        let middle = if matches!(kind.colors, ColorType::Luma) { [127; 3] } else { [220, 20, 20] };
        assert!(near(at(60, 34), middle), "{kind:?}: {:?}", at(60, 34));
    }
}

#[tokio::test]
async fn what_would_get_wrong_colours_is_refused_with_a_reason() {
    for (colors, sampling) in [
        (ColorType::Rgb, SamplingFactor::F_4_1),
        (ColorType::Rgb, SamplingFactor::F_1_4),
        (ColorType::Cmyk, SamplingFactor::R_4_2_0),
    ] {
        let refused = scale(jpeg(480, 272, Kind { colors, sampling, ..USUAL }), 120).await;
        assert!(
            matches!(refused, Err(ScaleError::Unsupported(why)) if why.contains("sampled")),
            "{refused:?}"
        );
    }
}

#[tokio::test]
async fn what_a_camera_wrote_about_the_picture_is_left_out() {
    let mut told = jpeg(640, 360, USUAL);
    let extended =
        [&b"http://ns.adobe.com/xmp/extension/\0"[..], &[b'0'; 32], &[0, 0, 255, 255], &[0; 4]].concat();
    let mut segment = vec![0xff, 0xe1, 0, extended.len() as u8 + 2];
    segment.extend_from_slice(&extended);
    told.splice(2..2, segment.repeat(2_000));
    let scaled = scale(told, 320).await.unwrap();
    assert_eq!(scaled, scale(jpeg(640, 360, USUAL), 320).await.unwrap());
}

#[tokio::test]
async fn what_is_cut_off_is_refused_wherever_it_is_cut() {
    let whole = jpeg(96, 64, USUAL);
    for cut in 0..whole.len() - 1 {
        assert!(scale(whole[..cut].to_vec(), 48).await.is_err(), "{cut} of {}", whole.len());
    }
    assert!(scale([&whole[..], b"behind the end"].concat(), 48).await.is_ok());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_leaves_the_queue_makes_room_for_the_next() {
    let (scaler, picture) = (Scaler::new(), Bytes::from(jpeg(1_600, 900, USUAL)));
    let left: Vec<_> = (0..200).map(|_| scaler.scale(picture.clone(), 16).now_or_never()).collect();
    assert!(left.iter().any(Option::is_none));
    let all = join_all((0..20).map(|_| scaler.scale(picture.clone(), 16))).await;
    assert!(all.iter().all(Result::is_ok));
}

/// The size of a picture and its pixels, red, green and blue, as another decoder setting reads them.
fn pixels(jpeg: &[u8]) -> (usize, usize, Vec<u8>) {
    let mut decoder = JpegDecoder::new(ZCursor::new(jpeg));
    let pixels = decoder.decode().unwrap();
    let (width, height) = decoder.dimensions().unwrap();
    (width, height, pixels)
}

/// A small picture of each kind, as cases of a property begin with.
static ORIGINALS: LazyLock<Arc<Vec<Vec<u8>>>> =
    LazyLock::new(|| Arc::new(kinds().map(|kind| jpeg(72, 40, kind)).collect()));

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]
    #[test]
    fn no_picture_makes_the_decoder_panic(
        original in 0..ORIGINALS.len(),
        changes in vec((any::<prop::sample::Index>(), any::<u8>()), 1..12),
        cut in any::<Option<prop::sample::Index>>(),
        width in 1..72_u16,
    ) {
        let mut jpeg = ORIGINALS[original].clone();
        for (place, byte) in changes {
            let place = place.index(jpeg.len());
            jpeg[place] = byte;
        }
        if let Some(cut) = cut {
            jpeg.truncate(cut.index(jpeg.len()));
            jpeg.extend_from_slice(&[0xff, 0xd9]);
        }
        let scaled = Runtime::new().unwrap().block_on(scale(jpeg, width));
        prop_assert_ne!(scaled, Err(ScaleError::Failed("the decoder gave up".into())));
    }
}
