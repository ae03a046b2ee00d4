//! Tokens, codes and keys as text: a kind, 160 random bits and a check group.
//!
//! `oak_` + 32 characters of 5 bits + 6 characters of SHA-256 over all before them. The check group tells a typo from a
//! wrong token without asking anybody; it is no secret. The characters are digits and lower-case letters without `i`,
//! `l`, `o` and `u`.

use oriel_proto::Secret;
use rand::{TryRng, rngs::SysRng};
use sha2::{Digest, Sha256};

use super::AccessError;
use crate::store::TokenHash;

const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
const PREFIX_CHARS: usize = 4;
const RANDOM_BYTES: usize = 20;
const RANDOM_CHARS: usize = 32;
const CHECK_CHARS: usize = 6;

/// What a token is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenKind {
    /// `oat_`: an agent's token.
    Agent,
    /// `oen_`: a one-time enrollment code.
    Enrollment,
    /// `oak_`: an API key.
    Key,
}

impl TokenKind {
    /// How its text begins.
    pub const fn prefix(self) -> &'static str {
        match self {
            Self::Agent => "oat_",
            Self::Enrollment => "oen_",
            Self::Key => "oak_",
        }
    }

    const fn described(self) -> &'static str {
        match self {
            Self::Agent => "an agent token (oat_…)",
            Self::Enrollment => "an enrollment code (oen_…)",
            Self::Key => "an API key (oak_…)",
        }
    }
}

/// Why a text cannot be a credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// It is something else than what is wanted here.
    #[error("this is not {}", .0.described())]
    Kind(TokenKind),
    /// It begins rightly, but characters are missing, added or wrong.
    #[error("the credential is cut or mistyped")]
    Mistyped,
}

/// Makes a new token: its text, to be shown once, and the hash that is kept.
pub(super) fn make(kind: TokenKind) -> Result<(Secret, TokenHash), AccessError> {
    let mut random = [0; RANDOM_BYTES];
    SysRng.try_fill_bytes(&mut random).map_err(|_| AccessError::Random)?;
    let text = written(kind, &random);
    let hash = hash(&text);
    Ok((Secret::from(text), hash))
}

/// Reads a token and gives its hash.
pub(super) fn parse(kind: TokenKind, text: &str) -> Result<TokenHash, TokenError> {
    if !text.starts_with(kind.prefix()) {
        return Err(TokenError::Kind(kind));
    }
    if text.len() != PREFIX_CHARS + RANDOM_CHARS + CHECK_CHARS {
        return Err(TokenError::Mistyped);
    }
    match text.split_at_checked(PREFIX_CHARS + RANDOM_CHARS) {
        Some((body, check)) if check_group(body) == check => Ok(hash(text)),
        _ => Err(TokenError::Mistyped),
    }
}

fn written(kind: TokenKind, random: &[u8; RANDOM_BYTES]) -> String {
    let body = format!("{}{}", kind.prefix(), base32(random));
    let check = check_group(&body);
    body + &check
}

fn hash(text: &str) -> TokenHash {
    TokenHash::from_bytes(Sha256::digest(text).into())
}

fn check_group(body: &str) -> String {
    let mut check = base32(&Sha256::digest(body));
    check.truncate(CHECK_CHARS);
    check
}

/// The bits of `bytes` in groups of five; what is left over at the end is dropped.
fn base32(bytes: &[u8]) -> String {
    let (mut bits, mut held) = (0_u32, 0);
    let mut text = String::with_capacity(bytes.len() * 8 / 5);
    for byte in bytes {
        bits = bits << 8 | u32::from(*byte);
        held += 8;
        while held >= 5 {
            held -= 5;
            text.push(char::from(ALPHABET[(bits >> held & 31) as usize]));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_token_has_this_form() {
        assert_eq!(
            written(TokenKind::Key, &[0; 20]),
            "oak_00000000000000000000000000000000".to_owned()
                + &check_group(&format!("oak_{}", "0".repeat(32)))
        );
        assert_eq!(base32(&[0xff; 20]), "z".repeat(32));
        assert_eq!(base32(&[0x08, 0x42, 0x10, 0x84, 0x21]), "11111111");
    }

    #[test]
    fn every_token_is_another() {
        assert_ne!(make(TokenKind::Agent).unwrap().1, make(TokenKind::Agent).unwrap().1);
    }

    #[test]
    fn another_kind_is_said_to_be_one() {
        let (secret, _) = make(TokenKind::Agent).unwrap();
        assert_eq!(parse(TokenKind::Key, secret.expose()), Err(TokenError::Kind(TokenKind::Key)));
        for text in ["", "oak", "Bearer", "ö"] {
            assert_eq!(parse(TokenKind::Key, text), Err(TokenError::Kind(TokenKind::Key)), "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_made_is_read(random: [u8; 20]) {
            let text = written(TokenKind::Enrollment, &random);
            prop_assert_eq!(parse(TokenKind::Enrollment, &text), Ok(hash(&text)));
        }

        #[test]
        fn a_typo_is_told(random: [u8; 20], place in 4_usize..42, other in "[0-9a-zA-Zö]") {
            let right = written(TokenKind::Key, &random);
            let mut wrong = right.clone();
            wrong.replace_range(place..=place, &other);
            prop_assume!(wrong != right);
            prop_assert_eq!(parse(TokenKind::Key, &wrong), Err(TokenError::Mistyped));
        }

        #[test]
        fn anything_may_come_in(text in "\\PC*") {
            let _ = parse(TokenKind::Key, &text);
            let _ = parse(TokenKind::Key, &format!("oak_{text}"));
        }
    }
}
