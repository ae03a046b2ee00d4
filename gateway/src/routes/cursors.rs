//! Cursors: places in answers, signed so that nobody else makes or changes one, and masked so that nobody reads in one how much there
//! is that he may not see.
//!
//! A cursor grants nothing: whoever brings one is asked for a credential again, and sees no more than without it.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit, Mac};
use serde::{Serialize, de::DeserializeOwned};
use sha2::Sha256;

use crate::{problem::Problem, store::SigningKey};

/// The longest cursor that is looked at, in characters.
const LONGEST: usize = 2_048;

/// Bytes of the signature that a cursor begins with; its place stands behind them.
const SIGNATURE: usize = 16;

/// Makes cursors, and knows those that it made: of the same data folder, before and after a restart.
#[derive(Clone, Copy, Debug)]
pub struct Cursors(SigningKey);

impl Cursors {
    /// Those of this key.
    pub const fn new(key: SigningKey) -> Self {
        Self(key)
    }

    /// A cursor that continues `question` behind `place`; of the use that the word names, and of no other.
    pub(super) fn sign(
        &self,
        word: &str,
        question: &impl Serialize,
        place: &impl Serialize,
    ) -> Option<String> {
        let mut place = serde_json::to_vec(place).ok()?;
        let signature = self.signature(word, question, &place)?.finalize().into_bytes();
        let signature = signature.first_chunk::<SIGNATURE>()?;
        self.mask(signature, &mut place)?;
        Some(URL_SAFE_NO_PAD.encode([&signature[..], &place].concat()))
    }

    /// The place that a cursor of the same word and question holds.
    pub(super) fn place<P: DeserializeOwned>(
        &self,
        word: &str,
        question: &impl Serialize,
        cursor: &str,
    ) -> Result<P, Problem> {
        let read = || {
            let bytes = URL_SAFE_NO_PAD.decode(cursor.get(..LONGEST.min(cursor.len()))?).ok()?;
            let (signature, place) = bytes.split_first_chunk::<SIGNATURE>()?;
            let mut place = place.to_vec();
            self.mask(signature, &mut place)?;
            // Compares in constant time.
            self.signature(word, question, &place)?.verify_truncated_left(signature).ok()?;
            serde_json::from_slice(&place).ok()
        };
        read().ok_or_else(Problem::bad_cursor)
    }

    /// Masks a place, or unmasks it: by what only this key makes of its signature, which is another one for each place (RFC 5297 calls
    /// that a synthetic initialization vector).
    fn mask(&self, signature: &[u8; SIGNATURE], place: &mut [u8]) -> Option<()> {
        for (n, block) in place.chunks_mut(32).enumerate() {
            let mask = self.signature("mask", &(signature, n), &[])?.finalize().into_bytes();
            block.iter_mut().zip(mask).for_each(|(byte, mask)| *byte ^= mask);
        }
        Some(())
    }

    /// Over all three, each but the last with its length before it, so that none can lend the next its letters.
    fn signature(&self, word: &str, question: &impl Serialize, place: &[u8]) -> Option<Hmac<Sha256>> {
        let question = serde_json::to_vec(question).ok()?;
        let mut signature = Hmac::<Sha256>::new_from_slice(self.0.as_bytes()).ok()?;
        for part in [word.as_bytes(), &question] {
            signature.update(&(part.len() as u64).to_be_bytes());
            signature.update(part);
        }
        signature.update(place);
        Some(signature)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CURSORS: Cursors = Cursors(SigningKey::from_bytes([7; 32]));

    fn place_of(cursors: Cursors, word: &str, question: (&str, &str), cursor: &str) -> Option<u32> {
        cursors.place(word, &question, cursor).ok()
    }

    #[test]
    fn a_cursor_belongs_to_its_question_its_use_and_its_gateway() {
        let text = CURSORS.sign("page", &("porch", "desc"), &42_u32).unwrap();
        assert_eq!(place_of(CURSORS, "page", ("porch", "desc"), &text), Some(42));
        assert_eq!(place_of(CURSORS, "page", ("yard", "desc"), &text), None);
        assert_eq!(place_of(CURSORS, "follow", ("porch", "desc"), &text), None);
        let other = Cursors(SigningKey::from_bytes([8; 32]));
        assert_eq!(place_of(other, "page", ("porch", "desc"), &text), None);
    }

    #[test]
    fn no_letter_of_a_cursor_can_be_changed_added_or_left_out() {
        let text = CURSORS.sign("page", &("porch", "desc"), &1_234_u32).unwrap();
        let place = |text: &str| place_of(CURSORS, "page", ("porch", "desc"), text);
        assert_eq!(place(&text), Some(1_234));
        for at in 0..text.len() {
            let other = if &text[at..=at] == "A" { "B" } else { "A" };
            assert_eq!(place(&format!("{}{other}{}", &text[..at], &text[at + 1..])), None, "{at}");
            assert_eq!(place(&text[..at]), None, "{at}");
        }
        for nonsense in [format!("{text}A"), format!("{text}AAAA"), "ö".repeat(2_000)] {
            assert_eq!(place(&nonsense), None);
        }
    }

    #[test]
    fn a_cursor_does_not_show_its_place() {
        let place = "a place that is longer than one block of what masks it";
        let text = CURSORS.sign("follow", &(), &place).unwrap();
        let bytes = URL_SAFE_NO_PAD.decode(&text).unwrap();
        let words = place.split(' ').filter(|word| word.len() > 3);
        let shown: Vec<_> =
            words.filter(|word| bytes.windows(word.len()).any(|part| part == word.as_bytes())).collect();
        assert_eq!(shown, Vec::<&str>::new());
        assert_eq!(CURSORS.place::<String>("follow", &(), &text).ok().as_deref(), Some(place));
    }

    #[test]
    fn the_key_is_not_shown() {
        assert_eq!(format!("{CURSORS:?}"), "Cursors(SigningKey(…))");
    }
}
