//! Takes secrets out of text that somebody put them into by mistake: a key in a path, a code where a name belongs.

use std::borrow::Cow;

use super::TokenKind;

/// A run of so many letters and digits behind a token's prefix may be a token; a camera called `oak_tree` is none.
const SUSPICIOUS: usize = 12;

/// `text` without what may be a token: its kind stays, its characters do not.
pub fn masked(text: &str) -> Cow<'_, str> {
    let mut clean = String::new();
    let mut rest = text;
    while let Some(end) = next_kind(rest) {
        let (before, behind) = rest.split_at(end);
        let letters = behind.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(behind.len());
        clean.push_str(before);
        rest = behind;
        if letters >= SUSPICIOUS {
            clean.push('…');
            // With what is pasted to it, which may be another one.
            rest = behind.trim_start_matches(|c: char| c.is_ascii_alphanumeric() || c == '_');
        }
    }
    if clean.is_empty() {
        return Cow::Borrowed(text);
    }
    clean.push_str(rest);
    Cow::Owned(clean)
}

/// Where the next prefix of a token ends.
fn next_kind(text: &str) -> Option<usize> {
    let kinds = [TokenKind::Agent, TokenKind::Enrollment, TokenKind::Key];
    let places = kinds.iter().filter_map(|kind| Some(text.find(kind.prefix())? + kind.prefix().len()));
    places.min()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_a_token_is_taken_out() {
        let token = "oak_0123456789abcdefghjkmnpqrstvwxyz012345";
        assert_eq!(masked(&format!("/v1/keys/{token}")), "/v1/keys/oak_…");
        assert_eq!(masked(&format!("{token}{token}!")), "oak_…!");
        assert_eq!(masked("a \"oen_0123456789abc\" b oat_0123456789abc"), "a \"oen_…\" b oat_…");
        for harmless in ["", "oak_", "/v1/cameras/oak_tree", "boat_house", "ö oak_ö oat_"] {
            assert_eq!(masked(harmless), harmless);
        }
    }
}
