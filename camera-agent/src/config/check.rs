//! What a configuration must be beside well-formed.

use std::{collections::HashSet, net::IpAddr};

use oriel_proto::limits::{CAMERAS_PER_AGENT, NAME_BYTES, TAG_BYTES, TAGS};
use url::{Host, Url};

use super::{CameraConfig, Config, ConfigError, GatewayConfig};

/// The smallest spool: what SQLite needs for its tables and a few events.
const LEAST_SPOOL_BYTES: u64 = 64 << 10;

/// The smallest ring of pictures: room for a few small ones.
const LEAST_RING_BYTES: u64 = 64 << 10;

/// The slowest uplink for pictures, in bytes per second: a Part of a picture then takes eight seconds.
const LEAST_UPLINK: u64 = 1 << 10;

impl Config {
    /// Refuses what makes no sense, naming the option and its value.
    pub fn check(&self) -> Result<(), ConfigError> {
        if self.gateways.is_empty() {
            return Err(ConfigError::Missing(
                "no gateway is configured: add [[gateway]] with its url, or give --gateway",
            ));
        }
        if self.cameras.is_empty() {
            return Err(ConfigError::Missing(
                "no camera is configured: add [[camera]] with an id and a source",
            ));
        }
        if self.cameras.len() > CAMERAS_PER_AGENT {
            let count = self.cameras.len();
            return Err(wrong("camera", count, format!("at most {CAMERAS_PER_AGENT} cameras per agent")));
        }
        self.gateways.iter().try_for_each(GatewayConfig::check)?;
        let mut urls = HashSet::new();
        if let Some(twice) = self.gateways.iter().find(|gateway| !urls.insert(gateway.url.as_str())) {
            return Err(wrong("gateway.url", &twice.url, "it is listed twice".into()));
        }
        self.cameras.iter().try_for_each(check_camera)?;
        let mut ids = HashSet::new();
        match self.cameras.iter().find(|camera| !ids.insert(&camera.id)) {
            Some(twice) => Err(wrong("camera.id", &twice.id, "two cameras have this id".into())),
            None => Ok(()),
        }
    }
}

impl GatewayConfig {
    /// Refuses what makes no sense or would send a secret in plain text unasked.
    pub fn check(&self) -> Result<(), ConfigError> {
        let (gateway, url) = (self, &self.url);
        if url.scheme() == "http" && !gateway.insecure && !host_is_loopback(url) {
            let why =
                "this would send the token in plain text; use https://, or insecure = true (--insecure)";
            return Err(wrong("gateway.url", url, why.into()));
        }
        if url.scheme() == "http"
            && let Some(ca) = &gateway.ca
        {
            return Err(wrong("gateway.ca", ca.display(), format!("{url} does not use TLS")));
        }
        if gateway.code.is_some()
            && let Some(file) = &gateway.code_file
        {
            return Err(wrong(
                "gateway.code_file",
                file.display(),
                "there is a code too; give one of them".into(),
            ));
        }
        Ok(())
    }
}

/// The address of a gateway, with its scheme brought to `http` or `https`; refuses user names and what is not an address.
pub fn parse_gateway_url(text: &str) -> Result<Url, String> {
    let refused = |why: &str| format!("gateway url = {:?}: {why}", presentable(text));
    let (scheme, rest) = text.split_once("://").ok_or_else(|| {
        refused("expected an address with its scheme, for example \"https://gateway.example\"")
    })?;
    let scheme = match scheme.to_ascii_lowercase().as_str() {
        "http" | "ws" => "http",
        "https" | "wss" => "https",
        _ => return Err(refused("expected https://, wss://, http:// or ws://")),
    };
    let url = Url::parse(&format!("{scheme}://{rest}")).map_err(|e| refused(&e.to_string()))?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(refused("a user name or password does not belong there; the agent uses its token"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(refused("expected no '?' and no '#'"));
    }
    Ok(url)
}

/// The text of an address without what may be a password.
pub(super) fn presentable(text: &str) -> String {
    let (begin, end) = text.split_at(text.find(['?', '#']).unwrap_or(text.len()));
    match begin.rsplit_once('@') {
        // Either a password has such a sign, or what follows it has an '@'.
        _ if end.contains('@') => "…".to_owned(),
        Some((_, host)) => format!("…@{host}"),
        None => begin.to_owned(),
    }
}

/// Whether an address means this machine, so that plain text never leaves it.
pub fn host_is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(ip)) => IpAddr::V4(ip).is_loopback(),
        Some(Host::Ipv6(ip)) => IpAddr::V6(ip).is_loopback(),
        None => false,
    }
}

fn check_camera(camera: &CameraConfig) -> Result<(), ConfigError> {
    let key = |name: &str| format!("camera {}: {name}", camera.id);
    if let Some(name) = camera.name.as_ref().filter(|name| name.len() > NAME_BYTES || name.trim().is_empty())
    {
        return Err(wrong(key("name"), name, format!("expected 1 to {NAME_BYTES} bytes")));
    }
    if camera.tags.len() > TAGS {
        return Err(wrong(key("tags"), camera.tags.len(), format!("at most {TAGS} tags")));
    }
    if let Some(tag) = camera.tags.iter().find(|tag| tag.len() > TAG_BYTES || tag.trim().is_empty()) {
        return Err(wrong(key("tags"), tag, format!("expected 1 to {TAG_BYTES} bytes each")));
    }
    if camera.spool_bytes < LEAST_SPOOL_BYTES {
        return Err(wrong(key("spool_bytes"), camera.spool_bytes, format!("at least {LEAST_SPOOL_BYTES}")));
    }
    for (name, span) in [("retention", camera.retention), ("images_retention", camera.images_retention)] {
        if span.is_zero() {
            return Err(wrong(key(name), "0", "expected a time above zero".into()));
        }
    }
    for (name, bytes) in [("preview_bytes", camera.preview_bytes), ("main_bytes", camera.main_bytes)] {
        if bytes < LEAST_RING_BYTES {
            return Err(wrong(key(name), bytes, format!("at least {LEAST_RING_BYTES}")));
        }
    }
    if let Some(uplink) = camera.uplink.filter(|uplink| *uplink < LEAST_UPLINK) {
        return Err(wrong(key("uplink"), uplink, format!("at least {LEAST_UPLINK} bytes per second")));
    }
    camera.source.check(|name| key(&format!("source.{name}")))
}

/// The refusal of an option's value.
pub(super) fn wrong(key: impl Into<String>, value: impl ToString, why: String) -> ConfigError {
    ConfigError::Value { key: key.into(), value: value.to_string(), why }
}
