//! The time in a file's name: fourteen digits from the year to the second, with separators or without.

use jiff::{civil::DateTime, tz::TimeZone};
use oriel_proto::Timestamp;

/// Digits of year, month, day, hour, minute and second.
const GROUPS: [usize; 6] = [4, 2, 2, 2, 2, 2];

/// What may stand between two of them, once.
const SEPARATORS: &[u8] = b"-_.: T";

/// The first time in `name`, as a clock in `zone` shows it; milliseconds may follow, with a dot or a comma before them or not.
pub(super) fn time_in(name: &str, zone: &TimeZone) -> Option<Timestamp> {
    let bytes = name.as_bytes();
    let is_digit = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_digit);
    let starts = (0..bytes.len()).filter(|at| is_digit(*at) && (*at == 0 || !is_digit(at - 1)));
    starts.into_iter().find_map(|start| {
        let (time, _) = read(bytes, start)?;
        let micros = zone.to_timestamp(time).ok()?.as_microsecond();
        Some(Timestamp::from_micros(micros))
    })
}

/// The time that begins at a byte, and where it ends.
fn read(bytes: &[u8], start: usize) -> Option<(DateTime, usize)> {
    let mut at = start;
    let mut parts = [0_i16; GROUPS.len()];
    for (n, (part, digits)) in parts.iter_mut().zip(GROUPS).enumerate() {
        if n > 0 && bytes.get(at).is_some_and(|byte| SEPARATORS.contains(byte)) {
            at += 1;
        }
        *part = number(bytes.get(at..at + digits)?)?;
        at += digits;
    }
    let (millis, end) = millis(bytes, at)?;
    let [year, rest @ ..] = parts;
    let [month, day, hour, minute, second] = rest.map(|part| part as i8);
    // What no camera writes is another number.
    let year = Some(year).filter(|year| (1970..2200).contains(year))?;
    let time = DateTime::new(year, month, day, hour, minute, second, i32::from(millis) * 1_000_000);
    Some((time.ok()?, end))
}

/// The milliseconds behind a time, and where they end; none when the digits go on otherwise.
fn millis(bytes: &[u8], at: usize) -> Option<(i16, usize)> {
    let is_digit = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_digit);
    let from = if bytes.get(at).is_some_and(|byte| b".,".contains(byte)) { at + 1 } else { at };
    let digits = (from..).take_while(|at| is_digit(*at)).count();
    match digits {
        3 => Some((number(&bytes[from..from + 3])?, from + 3)),
        // A number behind a dot is another one.
        _ if digits == 0 || from > at => Some((0, at)),
        _ => None,
    }
}

fn number(digits: &[u8]) -> Option<i16> {
    digits
        .iter()
        .try_fold(0_i16, |sum, digit| digit.is_ascii_digit().then(|| sum * 10 + i16::from(digit - b'0')))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-11-28 17:45:30 UTC, in milliseconds.
    const AT_MS: i64 = 1_795_887_930_000;

    fn utc(name: &str) -> Option<i64> {
        time_in(name, &TimeZone::UTC).map(|at| at.as_micros() / 1_000)
    }

    #[test]
    fn fourteen_digits_are_a_time_however_they_are_parted() {
        for name in [
            "20261128174530.jpg",
            "porch_20261128_174530_motion.jpg",
            "2026-11-28_17-45-30.jpg",
            "cam-01 2026-11-28T17.45.30.JPG",
            "192.168.1.64_01_20261128174530.jpg",
            "A26112817453001_2026-11-28 17:45:30.jpg",
            "20261128174530-0007.jpg",
            "20261128174530.12.jpg",
        ] {
            assert_eq!(utc(name), Some(AT_MS), "{name}");
        }
    }

    #[test]
    fn milliseconds_may_follow() {
        for name in ["20261128174530.123.jpg", "20261128174530123.jpg", "2026-11-28_17-45-30,123.jpg"] {
            assert_eq!(utc(name), Some(AT_MS + 123), "{name}");
        }
    }

    #[test]
    fn other_numbers_are_no_time() {
        for name in [
            "",
            "image.jpg",
            "0001.jpg",
            "20261328174530.jpg",
            "20261128254530.jpg",
            "2026112817453.jpg",
            "2026112817453012.jpg",
            "202611281745301234.jpg",
            "99991128174530.jpg",
            "2026--11-28_17-45-30.jpg",
            "２０２６1128174530.jpg",
        ] {
            assert_eq!(utc(name), None, "{name}");
        }
    }

    #[test]
    fn a_time_zone_moves_it_also_where_the_clock_is_set_back() {
        let berlin = TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap();
        let at = |name| time_in(name, &berlin).unwrap();
        assert_eq!(at("20261128184530"), Timestamp::from_millis(AT_MS));
        assert_eq!(at("20261025013000"), Timestamp::from_millis(1_792_884_600_000));
        assert!(at("20261025023000") > at("20261025013000"));
        assert!(at("20260329023000") > at("20260329013000"));
    }
}
