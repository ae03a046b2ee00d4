//! Text from outside made fit for terminals and people.

use std::borrow::Cow;

use jiff::{Timestamp, tz::TimeZone};

/// The same text with every character shown that would move the cursor, colour the screen or turn the direction.
pub(super) fn visible(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_hidden) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 8);
    for char in text.chars() {
        if is_hidden(char) {
            shown.extend(char.escape_default());
        } else {
            shown.push(char);
        }
    }
    Cow::Owned(shown)
}

/// Control characters, line and paragraph separators, marks that change the direction of writing, invisible joiners.
fn is_hidden(char: char) -> bool {
    char.is_control()
        || matches!(char, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

/// Where times are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Zone {
    /// In the zone of this machine.
    Local,
    /// In UTC, which they say.
    Utc,
}

impl Zone {
    /// A time of the API in this zone; anything else stays as it came.
    pub(super) fn show(self, text: &str) -> String {
        self.show_as("%Y-%m-%d %H:%M:%S", text)
    }

    /// The same to the millisecond.
    pub(super) fn show_exact(self, text: &str) -> String {
        self.show_as("%Y-%m-%d %H:%M:%S.%3f", text)
    }

    fn show_as(self, format: &str, text: &str) -> String {
        match (text.parse::<Timestamp>(), self) {
            (Ok(time), Self::Local) => in_zone(format, time, TimeZone::system()),
            (Ok(time), Self::Utc) => in_zone(format, time, TimeZone::UTC) + "Z",
            (Err(_), _) => text.to_owned(),
        }
    }
}

/// A time of the API in the zone of this machine; anything else stays as it came.
pub(super) fn local_time(text: &str) -> String {
    Zone::Local.show(text)
}

fn in_zone(format: &str, time: Timestamp, zone: TimeZone) -> String {
    time.to_zoned(zone).strftime(format).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hostile_log_cannot_steer_the_terminal() {
        assert_eq!(visible("a\x1b[2Jb\r\n\u{9b}1m"), "a\\u{1b}[2Jb\\r\\n\\u{9b}1m");
        assert_eq!(visible("abc\u{202e}fed"), "abc\\u{202e}fed");
        assert!(matches!(visible("Tür öffnet \"weit\" \\"), Cow::Borrowed(_)));
    }

    #[test]
    fn people_read_times_in_their_own_zone() {
        let time: Timestamp = "2026-11-22T08:15:30.123456Z".parse().unwrap();
        let zone = TimeZone::fixed(jiff::tz::offset(-5));
        assert_eq!(in_zone("%H:%M", time, zone), "03:15");
        assert_eq!(Zone::Utc.show_exact("2026-11-22T08:15:30.1Z"), "2026-11-22 08:15:30.100Z");
        assert_eq!(local_time("never"), "never");
        assert_eq!(Zone::Utc.show("2026-11-22T03:15:30-05:00"), "2026-11-22 08:15:30Z");
    }
}
