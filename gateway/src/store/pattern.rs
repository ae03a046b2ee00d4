//! Patterns of camera ids: which new cameras an agent may bring by itself.

use std::{fmt, str::FromStr};

use oriel_proto::CameraId;
use serde::{Deserialize, Serialize};

/// Why a text is no pattern.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a camera pattern: 1 to 64 lower-case letters, digits, '-', '_' or '*'")]
pub struct PatternError(String);

/// Camera-id characters and `*`, which stands for any number of them: `site7-*`.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CameraPattern(String);

impl CameraPattern {
    /// The pattern as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the whole of `camera` matches.
    pub fn matches(&self, camera: &CameraId) -> bool {
        let (pattern, text) = (self.0.as_bytes(), camera.as_str().as_bytes());
        let (mut p, mut t) = (0, 0);
        // Behind the last star, and where in the text its match ends for now: only the last one needs trying again.
        let mut star = None;
        while t < text.len() {
            match pattern.get(p) {
                Some(b'*') => {
                    p += 1;
                    star = Some((p, t));
                }
                Some(byte) if *byte == text[t] => {
                    p += 1;
                    t += 1;
                }
                _ => match &mut star {
                    Some((behind, end)) => {
                        *end += 1;
                        (p, t) = (*behind, *end);
                    }
                    None => return false,
                },
            }
        }
        pattern[p..].iter().all(|byte| *byte == b'*')
    }
}

impl FromStr for CameraPattern {
    type Err = PatternError;

    fn from_str(text: &str) -> Result<Self, PatternError> {
        let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-_*".contains(&b);
        if (1..=CameraId::MAX_BYTES).contains(&text.len()) && text.bytes().all(allowed) {
            Ok(Self(text.to_owned()))
        } else {
            Err(PatternError(text.chars().take(80).collect()))
        }
    }
}

impl TryFrom<String> for CameraPattern {
    type Error = PatternError;
    fn try_from(text: String) -> Result<Self, PatternError> {
        text.parse()
    }
}

impl From<CameraPattern> for String {
    fn from(pattern: CameraPattern) -> Self {
        pattern.0
    }
}

impl fmt::Display for CameraPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for CameraPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn matches(pattern: &str, camera: &str) -> bool {
        pattern.parse::<CameraPattern>().unwrap().matches(&camera.parse().unwrap())
    }

    #[test]
    fn a_star_stands_for_any_number_of_characters() {
        for (pattern, camera) in
            [("site7-*", "site7-porch"), ("*", "a"), ("porch", "porch"), ("*-a*b", "x-aab-ab"), ("a**", "a")]
        {
            assert!(matches(pattern, camera), "{pattern} {camera}");
        }
        for (pattern, camera) in [("site7-*", "site70"), ("porch", "porch2"), ("*a", "ab"), ("a*a", "a")] {
            assert!(!matches(pattern, camera), "{pattern} {camera}");
        }
    }

    #[test]
    fn only_camera_id_characters_and_stars_make_a_pattern() {
        for wrong in ["", "Site*", "a/b", "a?", "a b", &"*".repeat(65)] {
            assert!(wrong.parse::<CameraPattern>().is_err(), "{wrong}");
        }
    }

    /// The definition, slow and plain.
    fn defined(pattern: &[u8], text: &[u8]) -> bool {
        match pattern.split_first() {
            None => text.is_empty(),
            Some((b'*', rest)) => (0..=text.len()).any(|n| defined(rest, &text[n..])),
            Some((byte, rest)) => text.first() == Some(byte) && defined(rest, &text[1..]),
        }
    }

    proptest! {
        #[test]
        fn matching_is_as_defined(pattern in "[ab*]{1,7}", camera in "[ab]{1,9}") {
            prop_assert_eq!(matches(&pattern, &camera), defined(pattern.as_bytes(), camera.as_bytes()));
        }
    }
}
