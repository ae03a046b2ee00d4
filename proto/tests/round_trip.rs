//! Whatever either end can say arrives as it was said.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, reason = "this is a test")]

mod common;

use common::{arbitrary, samples};
use oriel_proto::{
    EncodeError, FailureCode, ImageClass, Kind, Severity,
    call::{ImageMatch, Order},
    codec::{Frame, encoded_len},
    decode, encode,
    event::LossReason,
    frame::{Ability, Feature, NoticeCode, RefusalCode, SourceState, Upload},
    limits::FRAME_BYTES,
};
use proptest::prelude::*;

/// A frame either arrives as it was, or is too large and says so before it leaves.
fn arrives<F: Frame + PartialEq + std::fmt::Debug>(frame: &F) -> Result<(), TestCaseError> {
    match encode(frame) {
        Ok(bytes) => {
            prop_assert!(bytes.len() <= FRAME_BYTES);
            prop_assert_eq!(encoded_len(frame), bytes.len());
            let arrived = decode::<F>(&bytes);
            prop_assert_eq!(arrived.as_ref(), Ok(frame));
        }
        Err(EncodeError::TooLarge { tag, bytes }) => {
            prop_assert!(bytes > FRAME_BYTES);
            prop_assert_eq!((tag, encoded_len(frame)), (frame.name(), bytes));
        }
        Err(error) => prop_assert!(false, "{}", error),
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_frame_of_an_agent_arrives_as_it_was(frame in arbitrary::agent_frame()) {
        arrives(&frame)?;
    }

    #[test]
    fn any_frame_of_a_gateway_arrives_as_it_was(frame in arbitrary::gateway_frame()) {
        arrives(&frame)?;
    }

    #[test]
    fn a_frame_of_one_end_is_unknown_to_the_other(frame in arbitrary::agent_frame()) {
        if let Ok(bytes) = encode(&frame) {
            prop_assert!(decode::<oriel_proto::GatewayFrame>(&bytes).is_err());
        }
    }
}

macro_rules! keeps_words {
    ($($name:ident: $type:ty,)+) => {$(
        #[test]
        fn $name() {
            for word in <$type>::WORDS.iter().copied().chain(["", "a word of a later version", "ünïcode"]) {
                let value = <$type>::from(word);
                type Words = $type;
                let known = Words::WORDS.contains(&word);
                assert_eq!(matches!(&value, Words::Other(_)), !known, "{word}");
                assert_eq!((value.as_str(), value.to_string().as_str()), (word, word));
                assert_eq!(serde_json::to_value(&value).unwrap(), word);
                assert_eq!(serde_json::from_value::<$type>(word.into()).unwrap(), value);
            }
        }
    )+};
}

keeps_words! {
    kind_keeps_unknown_words: Kind,
    severity_keeps_unknown_words: Severity,
    image_class_keeps_unknown_words: ImageClass,
    failure_code_keeps_unknown_words: FailureCode,
    order_keeps_unknown_words: Order,
    image_match_keeps_unknown_words: ImageMatch,
    loss_reason_keeps_unknown_words: LossReason,
    ability_keeps_unknown_words: Ability,
    feature_keeps_unknown_words: Feature,
    upload_keeps_unknown_words: Upload,
    source_state_keeps_unknown_words: SourceState,
    refusal_code_keeps_unknown_words: RefusalCode,
    notice_code_keeps_unknown_words: NoticeCode,
}

#[test]
fn a_frame_of_exactly_the_limit_leaves_and_arrives_and_one_byte_more_does_not() {
    let of = |n: usize| oriel_proto::GatewayFrame::Token { token: "x".repeat(n).into() };
    let overhead = encoded_len(&of(FRAME_BYTES / 2)) - FRAME_BYTES / 2;
    let largest = of(FRAME_BYTES - overhead);
    let bytes = encode(&largest).unwrap();
    assert_eq!(bytes.len(), FRAME_BYTES);
    assert_eq!(decode(&bytes), Ok(largest));
    assert!(matches!(
        encode(&of(FRAME_BYTES - overhead + 1)),
        Err(EncodeError::TooLarge { tag: "Token", .. })
    ));
}

#[test]
fn no_secret_stands_in_the_debug_form_of_a_frame() {
    for (name, frame) in samples::gateway() {
        assert!(!format!("{frame:?}").contains("oat_"), "{name}");
    }
}
