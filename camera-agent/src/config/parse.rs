//! How single values are read, and how a refusal is put into words.

use std::time::Duration;

use oriel_proto::frame::Upload;
use serde::{Deserialize, Deserializer};
use url::Url;

use super::{check::parse_gateway_url, wrong};

/// A wrong word less like an option than this is not taken for a slip of the finger.
const SIMILAR: f64 = 0.7;

pub(super) const fn live() -> Upload {
    Upload::Live
}

pub(super) const fn spool_bytes() -> u64 {
    256 << 20
}

pub(super) const fn preview_bytes() -> u64 {
    256 << 20
}

pub(super) const fn main_bytes() -> u64 {
    1 << 30
}

pub(super) const fn seven_days() -> Duration {
    Duration::from_secs(7 * 86_400)
}

pub(super) const fn thirty_days() -> Duration {
    Duration::from_secs(30 * 86_400)
}

pub(super) fn gateway_url<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Url, D::Error> {
    parse_gateway_url(&String::deserialize(deserializer)?).map_err(wrong::<D>)
}

pub(super) fn upload<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Upload, D::Error> {
    match Upload::from(String::deserialize(deserializer)?.as_str()) {
        Upload::Other(word) => {
            Err(wrong::<D>(format_args!("upload = {word:?}: expected \"live\" or \"on_demand\"")))
        }
        known => Ok(known),
    }
}

pub(super) fn span<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    span_of("retention", deserializer)
}

pub(super) fn images_span<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    span_of("images_retention", deserializer)
}

fn span_of<'de, D: Deserializer<'de>>(option: &str, deserializer: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(deserializer)?;
    parse_span(&text).ok_or_else(|| {
        wrong::<D>(format_args!(
            "{option} = {text:?}: expected a number and one of s, m, h, d, w, for example \"30d\""
        ))
    })
}

/// A whole number of seconds, minutes, hours, days or weeks.
fn parse_span(text: &str) -> Option<Duration> {
    let text = text.trim();
    let unit = text.chars().next_back()?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        'w' => 604_800,
        _ => return None,
    };
    let number: u64 = text[..text.len() - unit.len_utf8()].trim().parse().ok()?;
    number.checked_mul(seconds).map(Duration::from_secs)
}

/// What is wrong and in which line, with a guess when an option is unknown; never the line itself, which may hold a secret.
pub(super) fn explained(text: &str, error: &toml::de::Error) -> String {
    let line =
        error.span().and_then(|span| text.get(..span.start)).map(|before| before.matches('\n').count() + 1);
    let message = error.message().trim();
    let guess = nearest(message).map(|guess| format!("; did you mean `{guess}`?")).unwrap_or_default();
    match line {
        Some(line) => format!("line {line}: {message}{guess}"),
        None => format!("{message}{guess}"),
    }
}

/// The known option most like the unknown one that serde's message names first.
fn nearest(message: &str) -> Option<&str> {
    let rest = message.strip_prefix("unknown field ").or_else(|| message.strip_prefix("unknown variant "))?;
    let mut words = rest.split('`').skip(1).step_by(2);
    let unknown = words.next()?;
    words
        .map(|word| (strsim::jaro_winkler(unknown, word), word))
        .filter(|(likeness, _)| *likeness >= SIMILAR)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, word)| word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_is_a_number_and_a_unit() {
        assert_eq!(parse_span("30d"), Some(thirty_days()));
        assert_eq!(parse_span("90 s"), Some(Duration::from_secs(90)));
        for wrong in ["", "d", "30", "-1d", "1.5h", "30x", "99999999999999999w", "5ä"] {
            assert_eq!(parse_span(wrong), None, "{wrong}");
        }
    }
}
