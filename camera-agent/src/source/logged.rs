//! The time that a line of a log says of itself, in the forms that programs write.

use jiff::{
    Timestamp,
    civil::{DateTime, Time},
    tz::{Offset, TimeZone},
};

/// Where a line's own time begins at the latest, in bytes: further behind, it is something that the line is about.
const BEGINS_WITHIN: usize = 40;

/// The same of a time in brackets, before which web servers write who asked.
const BRACKET_WITHIN: usize = 256;

/// How far ahead of the clock a time without a year may be: a wrong time zone, but no other year.
const AHEAD_HOURS: i64 = 26;

const MONTHS: [&str; 12] =
    ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];

/// The time that a line was written, by itself; `zone` is that of times that name none, `now` tells the year of those without one.
pub(super) fn logged_at(line: &str, zone: &TimeZone, now: Timestamp) -> Option<Timestamp> {
    let bytes = line.as_bytes();
    let starts = |at: &usize| *at == 0 || !bytes[at - 1].is_ascii_alphanumeric();
    let early = (0..bytes.len().min(BEGINS_WITHIN)).filter(starts);
    let mut found =
        early.filter_map(|at| year_first(bytes, at, zone).or_else(|| month_first(bytes, at, zone, now)));
    let bracketed = || {
        let end = bytes.len().min(BRACKET_WITHIN);
        let mut brackets = (0..end).filter(|at| bytes[*at] == b'[');
        brackets.find_map(|at| day_first(bytes, at + 1, zone))
    };
    found.next().or_else(bracketed)
}

/// `2026-11-28T17:45:30.123+01:00`, also with slashes, a blank, a comma, or without a zone.
fn year_first(bytes: &[u8], at: usize, zone: &TimeZone) -> Option<Timestamp> {
    let mut scan = Scan { bytes, at };
    let year = scan.number(4, 4)?;
    let separator = scan.one_of(b"-/.")?;
    let month = scan.number(2, 2)?;
    scan.one_of(&[separator])?;
    let day = scan.number(2, 2)?;
    scan.one_of(b"T ")?;
    let time = scan.time()?;
    let offset = scan.offset();
    in_zone(year, month, day, time, offset, zone)
}

/// `Nov 28 17:45:30`, with a year before the time, behind it or nowhere.
fn month_first(bytes: &[u8], at: usize, zone: &TimeZone, now: Timestamp) -> Option<Timestamp> {
    let mut scan = Scan { bytes, at };
    let month = scan.month()?;
    scan.blanks()?;
    let day = scan.number(1, 2)?;
    scan.blanks()?;
    let mut ahead = Scan { ..scan };
    let mut year = ahead.number(4, 4).filter(|_| ahead.blanks().is_some());
    if year.is_some() {
        scan = ahead;
    }
    let time = scan.time()?;
    if year.is_none() {
        year = scan.blanks().and_then(|()| scan.number(4, 4));
    }
    if let Some(year) = year {
        return in_zone(year, month, day, time, None, zone);
    }
    let this_year = zone.to_datetime(now).year();
    let latest = now + jiff::SignedDuration::from_hours(AHEAD_HOURS);
    let years = [this_year + 1, this_year, this_year - 1];
    let mut times = years.into_iter().filter_map(|year| in_zone(year, month, day, time, None, zone));
    times.find(|at| *at <= latest)
}

/// `28/Nov/2026:17:45:30 +0100`
fn day_first(bytes: &[u8], at: usize, zone: &TimeZone) -> Option<Timestamp> {
    let mut scan = Scan { bytes, at };
    let day = scan.number(2, 2)?;
    scan.one_of(b"/")?;
    let month = scan.month()?;
    scan.one_of(b"/")?;
    let year = scan.number(4, 4)?;
    scan.one_of(b":")?;
    let time = scan.time()?;
    let offset = scan.offset();
    in_zone(year, month, day, time, offset, zone)
}

fn in_zone(
    year: i16,
    month: i16,
    day: i16,
    time: Time,
    offset: Option<Offset>,
    zone: &TimeZone,
) -> Option<Timestamp> {
    let (month, day) = (i8::try_from(month).ok()?, i8::try_from(day).ok()?);
    let date = jiff::civil::Date::new(year, month, day).ok()?;
    let at = DateTime::from_parts(date, time);
    match offset {
        Some(offset) => offset.to_timestamp(at).ok(),
        None => zone.to_timestamp(at).ok(),
    }
}

/// A place in a line from which on it is read.
struct Scan<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Scan<'_> {
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn one_of(&mut self, wanted: &[u8]) -> Option<u8> {
        let byte = self.peek().filter(|byte| wanted.contains(byte))?;
        self.at += 1;
        Some(byte)
    }

    fn blanks(&mut self) -> Option<()> {
        self.one_of(b" ")?;
        while self.one_of(b" ").is_some() {}
        Some(())
    }

    /// A number of `least` to `most` digits.
    fn number(&mut self, least: usize, most: usize) -> Option<i16> {
        let start = self.at;
        let mut number = 0;
        while let Some(digit) = self.peek().filter(u8::is_ascii_digit).filter(|_| self.at < start + most) {
            number = number * 10 + i16::from(digit - b'0');
            self.at += 1;
        }
        (self.at >= start + least).then_some(number)
    }

    fn month(&mut self) -> Option<i16> {
        let name = self.bytes.get(self.at..self.at + 3)?;
        let is_it = |month: &&str| month.as_bytes().eq_ignore_ascii_case(name);
        let month = MONTHS.iter().position(is_it)?;
        self.at += 3;
        i16::try_from(month + 1).ok()
    }

    /// `17:45:30`, with a fraction or not.
    fn time(&mut self) -> Option<Time> {
        let hour = self.number(2, 2)?;
        self.one_of(b":")?;
        let minute = self.number(2, 2)?;
        self.one_of(b":")?;
        let second = self.number(2, 2)?;
        let nanos = self.fraction();
        let [hour, minute, second] = [hour, minute, second].map(|part| part as i8);
        // A leap second has no time of its own.
        Time::new(hour, minute, second.min(59), nanos).ok().filter(|_| second <= 60)
    }

    /// The nanoseconds behind a dot or comma; none where no digit follows.
    fn fraction(&mut self) -> i32 {
        let is_digit = |at: usize| self.bytes.get(at).is_some_and(u8::is_ascii_digit);
        if !self.peek().is_some_and(|byte| b".,".contains(&byte)) || !is_digit(self.at + 1) {
            return 0;
        }
        let digits = (self.at + 1..).take_while(|at| is_digit(*at)).count();
        let shown = self.bytes[self.at + 1..].iter().take(digits).chain(std::iter::repeat(&b'0'));
        let nanos = shown.take(9).fold(0, |sum, digit| sum * 10 + i32::from(digit - b'0'));
        self.at += 1 + digits;
        nanos
    }

    /// `Z`, `+01:00` or ` +0100`.
    fn offset(&mut self) -> Option<Offset> {
        let _ = self.one_of(b" ");
        let sign = match self.one_of(b"Z+-")? {
            b'Z' => return Some(Offset::UTC),
            b'-' => -1,
            _ => 1,
        };
        let hours = self.number(2, 2)?;
        let _ = self.one_of(b":");
        let minutes = self.number(2, 2)?;
        let seconds = (i32::from(hours) * 60 + i32::from(minutes)) * 60;
        Offset::from_seconds(sign * seconds).ok()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// 2026-11-28 17:45:30 UTC.
    const AT: i64 = 1_795_887_930;

    fn read(line: &str, zone: &TimeZone) -> Option<String> {
        let now = Timestamp::from_second(AT + 600).unwrap();
        logged_at(line, zone, now).map(|at| at.to_string())
    }

    #[test]
    fn the_times_of_well_known_programs_are_read() {
        for line in [
            "2026-11-28T17:45:30Z porch",
            "2026-11-28T18:45:30+01:00 porch kernel: up",
            "2026-11-28 17:45:30 status installed adduser:all 3.134",
            "2026-11-28 12:45:30 -0500 [warn]: gone",
            "2026/11/28 17:45:30 [notice] 12#12: signal 15",
            "Nov 28 17:45:30 porch sshd[12]: hello",
            "Nov 28 2026 17:45:30 porch app: hello",
            "[Sat Nov 28 17:45:30 2026] [core:notice] [pid 1] up",
            "127.0.0.1 - - [28/Nov/2026:17:45:30 +0000] \"GET / HTTP/1.1\" 200 612",
            "INFO  [2026-11-28 17:45:30] up",
            "<34>1 2026-11-28T17:45:30Z porch su - - - hello",
            "<34>Nov 28 17:45:30 porch su: hello",
        ] {
            assert_eq!(read(line, &TimeZone::UTC).as_deref(), Some("2026-11-28T17:45:30Z"), "{line}");
        }
        let fractions = ["2026-11-28 17:45:30,120 up", "[Sat Nov 28 17:45:30.12 2026] up"];
        for line in fractions {
            assert_eq!(read(line, &TimeZone::UTC).as_deref(), Some("2026-11-28T17:45:30.12Z"), "{line}");
        }
    }

    #[test]
    fn a_time_without_a_zone_is_in_the_one_that_is_set() {
        let zone = TimeZone::fixed(jiff::tz::offset(1));
        assert_eq!(read("2026-11-28 18:45:30 up", &zone).as_deref(), Some("2026-11-28T17:45:30Z"));
        assert_eq!(read("2026-11-28 18:45:30Z up", &zone).as_deref(), Some("2026-11-28T18:45:30Z"));
    }

    #[test]
    fn a_time_without_a_year_is_the_last_such_day() {
        let year = |line: &str| read(line, &TimeZone::UTC).map(|at| at[..4].to_owned());
        assert_eq!(year("Nov 29 17:00:00 up").as_deref(), Some("2026"));
        assert_eq!(year("Dec 31 23:59:59 up").as_deref(), Some("2025"));
        let new_year = Timestamp::from_second(1_798_761_540).unwrap();
        let at = logged_at("Jan  1 00:30:00 up", &TimeZone::UTC, new_year).unwrap();
        assert_eq!(at.to_string(), "2027-01-01T00:30:00Z");
    }

    #[test]
    fn what_is_no_time_or_not_the_lines_own_is_none() {
        for line in [
            "",
            "up",
            "2026-13-28 17:45:30",
            "2026-11-28 25:45:30",
            "12026-11-28 17:45:30",
            "2026-11-28",
            "Nov 31 17:45:30 up",
            "the picture that somebody asked for, which is of 2020-01-01 00:00:00, is gone",
            "zu spät – ä",
        ] {
            assert_eq!(read(line, &TimeZone::UTC), None, "{line}");
        }
    }

    proptest! {
        #[test]
        fn no_line_is_too_strange(line in ".*", tail in "[0-9:/. TZ+-]{0,40}") {
            read(&format!("{tail}{line}"), &TimeZone::UTC);
            read(&format!("[{tail}"), &TimeZone::UTC);
        }
    }
}
