//! The options of sources that turn the lines of logs into events.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::PathBuf,
};

use ipnet::IpNet;
use jiff::tz::TimeZone;
use oriel_proto::limits::WORD_BYTES;
use serde::{Deserialize, Deserializer};

use super::{
    ConfigError,
    check::wrong,
    source::{utc, zone},
};

/// This machine and the networks that nobody else can reach (RFC 1918, 3927, 4193, 4291).
const OWN_NETWORKS: [&str; 8] = [
    "127.0.0.0/8",
    "10.0.0.0/8",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "169.254.0.0/16",
    "::1/128",
    "fc00::/7",
    "fe80::/10",
];

/// The most networks that are looked through for each sender.
const MOST_NETWORKS: usize = 64;

/// A log file that a program writes line by line.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TailConfig {
    /// The file; it need not be there yet.
    pub path: PathBuf,
    /// Take also what the file holds at the first start; default false: only what is written from then on.
    #[serde(default)]
    pub from_start: bool,
    /// The kind of its events, 1 to 64 bytes; default `log`.
    #[serde(default = "log")]
    pub kind: String,
    /// The time zone of times in lines that name none, such as `Europe/Berlin`; default `UTC`.
    #[serde(default = "utc")]
    pub time_zone: String,
}

/// A port that takes syslog over UDP and TCP.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SyslogConfig {
    /// Where it listens, an address and a port; default `127.0.0.1:5514`.
    pub listen: SocketAddr,
    /// The networks that may send, 1 to 64, such as `192.168.1.0/24`; default: this machine and private networks.
    #[serde(deserialize_with = "networks")]
    pub allow: Vec<IpNet>,
    /// The kind of its events, 1 to 64 bytes; default `log`.
    pub kind: String,
    /// The time zone of times in messages that name none, such as `Europe/Berlin`; default `UTC`.
    pub time_zone: String,
}

impl Default for SyslogConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 5514),
            allow: OWN_NETWORKS.iter().filter_map(|network| network.parse().ok()).collect(),
            kind: log(),
            time_zone: utc(),
        }
    }
}

impl SyslogConfig {
    pub(super) fn check(&self, key: impl Fn(&str) -> String) -> Result<(), ConfigError> {
        if self.allow.is_empty() || self.allow.len() > MOST_NETWORKS {
            let why = format!("expected 1 to {MOST_NETWORKS} networks");
            return Err(wrong(key("allow"), self.allow.len(), why));
        }
        check_kind(&self.kind, &key)?;
        check_zone(&self.time_zone, &key)
    }

    /// The time zone of times in messages that name none.
    pub(crate) fn zone(&self) -> TimeZone {
        // One that is not known is refused before.
        zone(&self.time_zone).unwrap_or(TimeZone::UTC)
    }
}

fn networks<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<IpNet>, D::Error> {
    let network = |text: &String| {
        let alone = || text.parse::<IpAddr>().ok().map(IpNet::from);
        text.parse().ok().or_else(alone).ok_or_else(|| {
            super::wrong::<D>(format_args!(
                "allow = {text:?}: expected a network, for example \"192.168.1.0/24\""
            ))
        })
    };
    Vec::<String>::deserialize(deserializer)?.iter().map(network).collect()
}

impl TailConfig {
    pub(super) fn check(&self, key: impl Fn(&str) -> String) -> Result<(), ConfigError> {
        if self.path.file_name().is_none() {
            return Err(wrong(key("path"), self.path.display(), "expected a file".into()));
        }
        check_kind(&self.kind, &key)?;
        check_zone(&self.time_zone, &key)
    }

    /// The time zone of times in lines that name none.
    pub(crate) fn zone(&self) -> TimeZone {
        // One that is not known is refused before.
        zone(&self.time_zone).unwrap_or(TimeZone::UTC)
    }
}

fn check_kind(kind: &str, key: impl Fn(&str) -> String) -> Result<(), ConfigError> {
    if kind.trim().is_empty() || kind.len() > WORD_BYTES {
        return Err(wrong(key("kind"), kind, format!("expected 1 to {WORD_BYTES} bytes")));
    }
    Ok(())
}

fn check_zone(name: &str, key: impl Fn(&str) -> String) -> Result<(), ConfigError> {
    zone(name).map(|_| ()).map_err(|e| wrong(key("time_zone"), name, e.to_string()))
}

fn log() -> String {
    "log".into()
}
