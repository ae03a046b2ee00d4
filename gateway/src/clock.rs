//! Wall-clock time as the API reads and writes it.

use std::{
    fmt,
    ops::Range,
    time::{Duration, SystemTime},
};

use oriel_proto::Timestamp;
use serde::{Serialize, Serializer};

/// Seconds and milliseconds are told apart here: 10^11 ms is March 1973, 10^11 s the year 5138.
const MILLIS_FROM: f64 = 1e11;

/// The time now.
pub fn now() -> Timestamp {
    SystemTime::now().into()
}

/// A time as RFC 3339 in UTC with microseconds; one outside the years 1 to 9999 is held at the nearest.
#[derive(Clone, Copy, Debug)]
pub struct Rfc3339(pub Timestamp);

impl fmt::Display for Rfc3339 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.6}", in_calendar(self.0))
    }
}

/// The time in the calendar; one outside is held at the nearest.
fn in_calendar(time: Timestamp) -> jiff::Timestamp {
    let micros = time.as_micros();
    let bound = if micros < 0 { jiff::Timestamp::MIN } else { jiff::Timestamp::MAX };
    jiff::Timestamp::from_microsecond(micros).unwrap_or(bound)
}

impl Serialize for Rfc3339 {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Microseconds of a day; UTC as computers keep it has no leap seconds.
const DAY: i64 = 86_400_000_000;

/// Writes times as [`Rfc3339`] shows them, and asks the calendar only for the first one of a day.
#[derive(Clone, Debug)]
pub struct Day {
    /// Its microseconds since 1970 that the calendar has: on the first and the last day not all.
    micros: Range<i64>,
    date: String,
}

impl Default for Day {
    fn default() -> Self {
        Self { micros: 0..DAY, date: "1970-01-01".into() }
    }
}

impl Day {
    /// The day of a time.
    fn of(time: jiff::Timestamp) -> Self {
        let begin = time.as_microsecond().div_euclid(DAY) * DAY;
        let last = jiff::Timestamp::MAX.as_microsecond();
        let first = jiff::Timestamp::MIN.as_microsecond();
        let date = jiff::tz::Offset::UTC.to_datetime(time).date().to_string();
        Self { micros: begin.max(first)..(begin + DAY).min(last + 1), date }
    }

    /// Appends a time.
    pub fn write(&mut self, time: Timestamp, text: &mut Vec<u8>) {
        let mut micros = time.as_micros();
        if !self.micros.contains(&micros) {
            let time = in_calendar(time);
            micros = time.as_microsecond();
            *self = Self::of(time);
        }
        let micros = micros.rem_euclid(DAY).unsigned_abs();
        let (seconds, micros) = (micros / 1_000_000, micros % 1_000_000);
        let pairs = [
            seconds / 3_600,
            seconds / 60 % 60,
            seconds % 60,
            micros / 10_000,
            micros / 100 % 100,
            micros % 100,
        ];
        let mut clock = *b"T00:00:00.000000Z";
        for (place, pair) in [1, 4, 7, 10, 12, 14].into_iter().zip(pairs) {
            clock[place..place + 2].copy_from_slice(&PAIRS[pair as usize]);
        }
        text.extend_from_slice(self.date.as_bytes());
        text.extend_from_slice(&clock);
    }
}

/// The numbers below 100 in two digits.
const PAIRS: [[u8; 2]; 100] = {
    let mut pairs = [[b'0'; 2]; 100];
    let mut number = 0_u8;
    while number < 100 {
        pairs[number as usize] = [b'0' + number / 10, b'0' + number % 10];
        number += 1;
    }
    pairs
};

/// A time as [`Rfc3339`] shows it.
pub fn format(time: Timestamp) -> String {
    Rfc3339(time).to_string()
}

/// A time in UTC as the names of pictures have it: `20261122081530.123`; one outside the calendar is held at the nearest.
pub fn compact(time: Timestamp) -> String {
    in_calendar(time).strftime("%Y%m%d%H%M%S.%3f").to_string()
}

/// Why a text is not a time.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is not a time: give RFC 3339 (2026-11-22T08:15:30Z), now, -15m, -2h, -7d, YYYYMMDDhhmmss[.mmm], or Unix seconds or milliseconds"
)]
pub struct TimeError(String);

/// Reads a time in any form that the API takes, seen from `now`.
pub fn parse(text: &str, now: Timestamp) -> Result<Timestamp, TimeError> {
    relative(text, now)
        .or_else(|| digits(text))
        .or_else(|| number(text))
        .or_else(|| rfc3339(text))
        .ok_or_else(|| TimeError(text.chars().take(80).collect()))
}

/// Reads a span such as `500ms`, `90s`, `15m`, `2h`, `7d`, `2w` or `1h30m`.
pub fn parse_span(text: &str) -> Option<Duration> {
    let mut total = Duration::ZERO;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let letters = rest[digits..].bytes().take_while(u8::is_ascii_alphabetic).count();
        let number: u64 = rest[..digits].parse().ok()?;
        let unit_ms: u64 = match &rest[digits..digits + letters] {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            "w" => 604_800_000,
            _ => return None,
        };
        total = total.checked_add(Duration::from_millis(number.checked_mul(unit_ms)?))?;
        rest = &rest[digits + letters..];
    }
    (!text.is_empty()).then_some(total)
}

fn relative(text: &str, now: Timestamp) -> Option<Timestamp> {
    if text == "now" {
        return Some(now);
    }
    Some(now.before(parse_span(text.strip_prefix('-')?)?))
}

/// `YYYYMMDDhhmmss` with optional `.mmm`, UTC.
fn digits(text: &str) -> Option<Timestamp> {
    let (whole, millis) = text.split_once('.').unwrap_or((text, ""));
    let all_digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
    if whole.len() != 14 || millis.len() > 3 || !all_digits(whole) || !all_digits(millis) {
        return None;
    }
    let field = |range: std::ops::Range<usize>| whole[range].parse::<i8>().ok();
    let date = jiff::civil::Date::new(whole[0..4].parse().ok()?, field(4..6)?, field(6..8)?).ok()?;
    let time = jiff::civil::Time::new(field(8..10)?, field(10..12)?, field(12..14)?, 0).ok()?;
    let seconds = date.to_datetime(time).to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp().as_second();
    let millis: i64 = format!("{millis:0<3}").parse().ok()?;
    Some(Timestamp::from_millis(seconds.checked_mul(1_000)?.checked_add(millis)?))
}

#[allow(clippy::cast_possible_truncation, reason = "the range was checked")]
fn number(text: &str) -> Option<Timestamp> {
    if !text.bytes().all(|b| b.is_ascii_digit() || b == b'.' || b == b'-') {
        return None;
    }
    // Fourteen digits are a date, and this one is in no calendar.
    if text.split('.').next().is_some_and(|whole| whole.len() == 14 && !whole.starts_with('-')) {
        return None;
    }
    let value: f64 = text.parse().ok()?;
    let micros = if value.abs() >= MILLIS_FROM { value * 1e3 } else { value * 1e6 };
    (micros.abs() < 9e17).then(|| Timestamp::from_micros(micros.round() as i64))
}

/// A `+` that arrived as a space is understood.
fn rfc3339(text: &str) -> Option<Timestamp> {
    // jiff reads more than RFC 3339 does; a date, a time and an offset must all be there.
    let text = text.replace(' ', "+");
    let time = text.get(10..11)?;
    if !time.eq_ignore_ascii_case("t") {
        return None;
    }
    let parsed: jiff::Timestamp = text.parse().ok()?;
    Some(Timestamp::from_micros(parsed.as_microsecond()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);

    fn millis(text: &str) -> Option<i64> {
        parse(text, NOW).ok().map(|time| time.as_micros() / 1_000)
    }

    #[test]
    fn every_form_of_time_is_read() {
        let same = 1_700_000_000_123;
        for text in [
            "2023-11-14T22:13:20.123Z",
            "2023-11-14T23:13:20.123+01:00",
            "2023-11-14T23:13:20.123 01:00",
            "20231114221320.123",
            "1700000000.123",
            "1700000000123",
        ] {
            assert_eq!(millis(text), Some(same), "{text}");
        }
        assert_eq!(millis("now"), Some(1_700_000_000_000));
        assert_eq!(millis("-15m"), Some(1_700_000_000_000 - 900_000));
        assert_eq!(millis("-7d"), Some(1_700_000_000_000 - 604_800_000));
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in [
            "",
            "-",
            "tomorrow",
            "Tue, 14 Nov 2023 22:13:20 GMT",
            "20231314221320",
            "1e400",
            "-5y",
            "2023-11-14",
        ] {
            assert!(parse(text, NOW).is_err(), "{text}");
        }
    }

    #[test]
    fn a_written_time_reads_back() {
        for micros in [0, 1, -1, 1_700_000_000_123_456] {
            let time = Timestamp::from_micros(micros);
            assert_eq!(parse(&format(time), NOW), Ok(time));
        }
        assert!(format(Timestamp::MAX).starts_with("9999-"));
    }

    #[test]
    fn the_time_in_a_name_reads_back() {
        let time = Timestamp::from_millis(1_700_000_000_023);
        assert_eq!(compact(time), "20231114221320.023");
        assert_eq!(parse(&compact(time), NOW), Ok(time));
    }

    #[test]
    fn times_are_written_alike_one_by_one_and_day_by_day() {
        let mut day = Day::default();
        let midnight = 1_700_006_400_000_000;
        for micros in [
            0,
            -1,
            midnight - 1,
            midnight,
            midnight + 86_399_999_999,
            1_709_164_800_000_000,
            i64::MIN,
            // The last one that the calendar has, and the next.
            253_402_207_200_999_999,
            253_402_207_201_000_000,
            i64::MAX,
        ] {
            let (time, mut text) = (Timestamp::from_micros(micros), Vec::new());
            day.write(time, &mut text);
            assert_eq!(String::from_utf8(text), Ok(format(time)));
        }
    }
}
