//! One line of a log as text that fits an event.

use jiff::tz::TimeZone;
use oriel_proto::{Kind, Severity, event::Data, limits::DESCRIPTION_BYTES};

use crate::{source::logged::logged_at, spool::Draft};

/// The most bytes of a line that are looked at; of the rest only the number counts.
pub(super) const HEAD_BYTES: usize = 8 << 10;

/// A line, cut to what an event may hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Line {
    text: String,
    cut_bytes: u64,
}

impl Line {
    /// The line of `bytes` bytes that begins with `head`; none when it is empty. Zeros before it are no part of it: a file has a
    /// hole there that was emptied under a program that does not append.
    pub(super) fn new(head: &[u8], bytes: u64) -> Option<Self> {
        let zeros = zeros(head);
        let (head, bytes) = (&head[zeros..], bytes - zeros as u64);
        let head = &head[..head.len().min(HEAD_BYTES)];
        let behind = bytes.saturating_sub(head.len() as u64);
        let mut text = String::from_utf8_lossy(head).into_owned();
        if behind == 0 {
            text.truncate(text.trim_end_matches('\r').len());
        }
        let kept = text.floor_char_boundary(DESCRIPTION_BYTES);
        let cut_bytes = (text.len() - kept) as u64 + behind;
        text.truncate(kept);
        (!text.trim().is_empty() || cut_bytes > 0).then_some(Self { text, cut_bytes })
    }

    /// The event that it becomes.
    pub(super) fn draft(self, kind: &str, zone: &TimeZone, now: jiff::Timestamp) -> Draft {
        let mut data = Data::new();
        if let Some(at) = logged_at(&self.text, zone, now) {
            data.insert("logged_at".into(), at.to_string().into());
        }
        if self.cut_bytes > 0 {
            data.insert("cut_bytes".into(), self.cut_bytes.into());
        }
        Draft {
            at: None,
            kind: Kind::from(kind),
            severity: Severity::Info,
            description: self.text,
            data,
            image_at: None,
        }
    }
}

/// How many zeros bytes begin with.
pub(super) fn zeros(bytes: &[u8]) -> usize {
    bytes.iter().take_while(|byte| **byte == 0).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(bytes: &[u8]) -> Option<(String, u64)> {
        Line::new(bytes, bytes.len() as u64).map(|line| (line.text, line.cut_bytes))
    }

    #[test]
    fn a_line_is_text_without_its_end() {
        assert_eq!(line(b"up\r"), Some(("up".into(), 0)));
        assert_eq!(line(b" zu sp\xe4t"), Some((" zu sp\u{fffd}t".into(), 0)));
        assert_eq!(line(b"\0\0up"), Some(("up".into(), 0)));
        for empty in [&b""[..], b"\r", b" \t", b"\0\0"] {
            assert_eq!(line(empty), None);
        }
    }

    #[test]
    fn a_long_line_is_cut_at_a_character_and_says_how_much_is_missing() {
        let (text, cut) = line("ä".repeat(3_000).as_bytes()).unwrap();
        assert_eq!((text.len(), cut), (DESCRIPTION_BYTES, 4_000));
        let behind_zeros = [&[0; HEAD_BYTES], [b'x'; 3_000].as_slice()].concat();
        assert_eq!(
            line(&behind_zeros).map(|(text, cut)| (text.len(), cut)),
            Some((DESCRIPTION_BYTES, 1_000))
        );
        let longer = Line::new(&[b'x'; HEAD_BYTES], 1 << 40).unwrap();
        assert_eq!((longer.text.len(), longer.cut_bytes), (DESCRIPTION_BYTES, (1 << 40) - 2_000));
    }

    #[test]
    fn an_event_of_a_line_is_within_the_limits_as_it_is() {
        let line = Line::new(&[b'x'; HEAD_BYTES], 9_000).unwrap();
        let draft = line.draft("log", &TimeZone::UTC, jiff::Timestamp::UNIX_EPOCH);
        assert_eq!((draft.kind, draft.data["cut_bytes"].as_u64()), (Kind::Log, Some(7_000)));
        assert!(draft.description.len() <= DESCRIPTION_BYTES);
    }
}
