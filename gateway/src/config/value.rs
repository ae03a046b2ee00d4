//! The values that options take: durations, sizes, endpoints, public addresses.

use std::{fmt, net::SocketAddr, str::FromStr, time::Duration};

use http::Uri;
use serde::{Serialize, Serializer};

use crate::clock;

/// The largest `limits.credit_bytes` and `limits.image_bytes`: more than a machine would give to what nobody has read yet.
const ROOM_BYTES_MAX: u64 = 4 << 30;

/// The largest `limits.ingest_bytes`: more than a disk writes in a minute.
const INGEST_BYTES_MAX: usize = 4 << 30;

/// The largest `limits.body_bytes`: a request of this API is a small JSON object.
const BODY_BYTES_MAX: usize = 16 << 20;

/// Where something listens, if it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// Nowhere; written `off`.
    Off,
    /// On this address and port.
    At(SocketAddr),
}

impl Endpoint {
    /// The address, if there is one.
    pub const fn address(self) -> Option<SocketAddr> {
        match self {
            Self::Off => None,
            Self::At(address) => Some(address),
        }
    }
}

impl Serialize for Endpoint {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Off => serializer.serialize_str("off"),
            Self::At(address) => serializer.collect_str(address),
        }
    }
}

impl FromStr for Endpoint {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "off" => Ok(Self::Off),
            _ => text.parse().map(Self::At).map_err(|_| "neither an address with a port nor \"off\"".into()),
        }
    }
}

/// An `http` or `https` address without path, as devices and people use it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct PublicUrl(String);

impl PublicUrl {
    /// The address, without a slash at its end.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for PublicUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for PublicUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || "not of the form https://host or https://host:port".to_owned();
        let uri: Uri = text.parse().map_err(|_| wrong())?;
        let scheme =
            uri.scheme_str().filter(|scheme| ["http", "https"].contains(scheme)).ok_or_else(wrong)?;
        let host = uri.authority().filter(|host| !host.as_str().contains('@')).ok_or_else(wrong)?;
        if uri.query().is_some() || uri.path() != "/" {
            return Err(wrong());
        }
        Ok(Self(format!("{scheme}://{host}")))
    }
}

/// Reads a length of time such as `500ms`, `15m`, `2h`, `7d` or `1h30m`.
///
/// # Errors
/// Says what is allowed.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    clock::parse_span(text)
        .ok_or_else(|| format!("{text:?} is not a length of time such as 30s, 15m, 2h or 7d"))
}

/// A length of time as [`parse_duration`] reads it.
pub(super) fn write_duration<S: Serializer>(time: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    match time.subsec_millis() {
        0 => serializer.collect_str(&format_args!("{}s", time.as_secs())),
        _ => serializer.collect_str(&format_args!("{}ms", time.as_millis())),
    }
}

/// How often agents ping: faster than 1 s is noise, slower than 5 min is forgotten by NAT tables.
pub(super) fn heartbeat(text: &str) -> Result<Duration, String> {
    let time = parse_duration(text)?;
    let allowed = Duration::from_secs(1)..=Duration::from_secs(300);
    if allowed.contains(&time) { Ok(time) } else { Err("must be 1s to 5m".into()) }
}

/// A number of things, at least one.
pub(super) fn count(text: &str) -> Result<usize, String> {
    match text.replace('_', "").parse() {
        Ok(0) | Err(_) => Err(format!("{text:?} is not a number from 1")),
        Ok(number) => Ok(number),
    }
}

/// A size of bodies, 1 KiB to [`BODY_BYTES_MAX`].
pub(super) fn body_bytes(text: &str) -> Result<usize, String> {
    let bytes = bytes(text)?;
    if (1 << 10..=BODY_BYTES_MAX).contains(&bytes) { Ok(bytes) } else { Err("must be 1KiB to 16MiB".into()) }
}

/// Room for what waits here for its readers, 1 MiB to [`ROOM_BYTES_MAX`].
pub(super) fn room_bytes(text: &str) -> Result<u64, String> {
    let bytes = bytes(text)? as u64;
    if (1 << 20..=ROOM_BYTES_MAX).contains(&bytes) {
        Ok(bytes)
    } else {
        Err("must be 1MiB to 4096MiB".into())
    }
}

/// Room for what waits for the disk, 1 MiB to [`INGEST_BYTES_MAX`].
pub(super) fn ingest_bytes(text: &str) -> Result<usize, String> {
    let bytes = bytes(text)?;
    if (1 << 20..=INGEST_BYTES_MAX).contains(&bytes) {
        Ok(bytes)
    } else {
        Err("must be 1MiB to 4096MiB".into())
    }
}

/// How long something is kept: what is removed at once need not be kept at all.
pub(super) fn age(text: &str) -> Result<Duration, String> {
    let time = parse_duration(text)?;
    if time >= Duration::from_secs(60) { Ok(time) } else { Err("must be 1m or more".into()) }
}

/// A number of bytes, with KiB or MiB or alone.
fn bytes(text: &str) -> Result<usize, String> {
    let (number, unit) = match text {
        _ if text.ends_with("KiB") => (text.trim_end_matches("KiB"), 1 << 10),
        _ if text.ends_with("MiB") => (text.trim_end_matches("MiB"), 1 << 20),
        _ => (text, 1),
    };
    Ok(count(number.trim())?.saturating_mul(unit))
}

/// The name of this machine, for addresses that others are told.
pub(super) fn host_name() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    match name.trim() {
        "" | "(none)" => "localhost".into(),
        name => name.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_numbers_with_units() {
        for (text, seconds) in [("15m", 900), ("2h", 7_200), ("7d", 604_800), ("1h30m", 5_400), ("0s", 0)] {
            assert_eq!(parse_duration(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        for wrong in ["", "15", "m", "-2h", "2 h", "1y", "99999999999999999w", "2hä", "ä"] {
            assert!(parse_duration(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_public_address_has_a_scheme_and_a_host_alone() {
        assert_eq!("https://cams.example/".parse(), Ok(PublicUrl("https://cams.example".into())));
        for wrong in ["cams.example", "ftp://a", "https://a/b", "https://u:p@a", "https://a?x=1", "/"] {
            assert!(wrong.parse::<PublicUrl>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn sizes_are_bounded() {
        assert_eq!(body_bytes("64KiB"), Ok(65_536));
        assert_eq!(body_bytes("4_096"), Ok(4_096));
        for wrong in ["0", "1023", "17MiB", "x", "-1"] {
            assert!(body_bytes(wrong).is_err(), "{wrong}");
        }
        assert_eq!(room_bytes("16MiB"), Ok(16 << 20));
        for wrong in ["0", "1MB", "4097MiB", "1KiB"] {
            assert!(room_bytes(wrong).is_err() && ingest_bytes(wrong).is_err(), "{wrong}");
        }
        assert_eq!(age("90d"), Ok(Duration::from_secs(90 * 86_400)));
        assert!(age("59s").is_err());
    }
}
