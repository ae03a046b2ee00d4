//! Text from somebody else, made fit for a log or a terminal.

/// The longest that is shown, in bytes.
const BYTES: usize = 300;

/// `text` on one line, without what moves a terminal, and not too long.
pub(crate) fn tame(text: &str) -> String {
    let cut = &text[..text.floor_char_boundary(BYTES)];
    let end = if cut.len() < text.len() { "…" } else { "" };
    let moves = |c: char| {
        c.is_control()
            || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    cut.chars().map(|c| if moves(c) { '\u{fffd}' } else { c }).chain(end.chars()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_strangers_text_cannot_move_a_terminal_or_fill_a_log() {
        assert_eq!(tame("zu spät"), "zu spät");
        assert_eq!(tame("a\x1b[2J\nb\u{202e}"), "a\u{fffd}[2J\u{fffd}b\u{fffd}");
        assert!(tame(&"ä".repeat(9_000)).len() <= BYTES + 3);
    }
}
