//! Text from outside made fit for terminals, CSV files and people.

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

/// One line of CSV, after RFC 4180; a cell that a spreadsheet would run as a formula gets a leading `'`.
pub(super) fn csv_line(cells: &[&str]) -> String {
    let cells: Vec<_> = cells.iter().map(|cell| csv_cell(cell)).collect();
    format!("{}\r\n", cells.join(","))
}

fn csv_cell(cell: &str) -> String {
    let formula = cell.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let cell = if formula { format!("'{cell}") } else { cell.to_owned() };
    if cell.contains([',', '"', '\n', '\r']) { format!("\"{}\"", cell.replace('"', "\"\"")) } else { cell }
}

/// A time of the API in the zone of this machine; anything else stays as it came.
pub(super) fn local_time(text: &str) -> String {
    match text.parse::<Timestamp>() {
        Ok(time) => in_zone(time, TimeZone::system()),
        Err(_) => text.to_owned(),
    }
}

fn in_zone(time: Timestamp, zone: TimeZone) -> String {
    time.to_zoned(zone).strftime("%Y-%m-%d %H:%M:%S").to_string()
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
    fn a_cell_is_never_a_formula() {
        assert_eq!(csv_line(&["=1+1", "+a", "-b", "@c", "d"]), "'=1+1,'+a,'-b,'@c,d\r\n");
        assert_eq!(csv_line(&["a,b", "say \"hi\"", "=x,y"]), "\"a,b\",\"say \"\"hi\"\"\",\"'=x,y\"\r\n");
    }

    #[test]
    fn people_read_times_in_their_own_zone() {
        let time: Timestamp = "2026-11-22T08:15:30.123456Z".parse().unwrap();
        let zone = TimeZone::fixed(jiff::tz::offset(-5));
        assert_eq!(in_zone(time, zone), "2026-11-22 03:15:30");
        assert_eq!(local_time("never"), "never");
    }
}
