//! Every option of the agent: what the file may say, what holds when it says nothing, and what makes no sense.

mod check;
mod logs;
mod parse;
mod source;
#[cfg(test)]
mod tests;

use std::{
    fmt, fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use oriel_proto::{CameraId, Secret, frame::Upload};
use serde::{Deserialize, Deserializer, de::Error as _};
use url::Url;

pub use self::{
    check::{host_is_loopback, parse_gateway_url},
    logs::{SyslogConfig, TailConfig},
    source::{CameraUrl, FolderConfig, Offers, SimulatorConfig, SnapshotConfig, SourceConfig, Times},
};

/// What the agent is to do. Files and folders that are named by relative paths lie beside the file that names them.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The folder that keeps tokens, the agent's identity and the cameras' logs; default `camera-agent`. Belongs to one agent.
    pub state: PathBuf,
    /// The gateways to connect to, tried in turn; at least one.
    #[serde(rename = "gateway")]
    pub gateways: Vec<GatewayConfig>,
    /// The cameras that this agent serves; at least one, at most 1,024.
    #[serde(rename = "camera")]
    pub cameras: Vec<CameraConfig>,
}

/// A gateway and how to trust it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GatewayConfig {
    /// Its address: `https://…` or `wss://…`; `http://…` and `ws://…` on this machine, or with `insecure`.
    #[serde(deserialize_with = "parse::gateway_url")]
    pub url: Url,
    /// A PEM file of the only authorities to trust; default: those of the operating system.
    #[serde(default)]
    pub ca: Option<PathBuf>,
    /// Send the token without TLS to another machine; default false.
    #[serde(default)]
    pub insecure: bool,
    /// An enrolment code (`oen_…`) to use when there is no token for this gateway yet.
    #[serde(default)]
    pub code: Option<Secret>,
    /// A file that holds the enrolment code.
    #[serde(default)]
    pub code_file: Option<PathBuf>,
    /// A token from elsewhere to start with, for agents inside another program.
    #[serde(skip)]
    pub token: Option<Secret>,
}

/// A camera and what feeds it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CameraConfig {
    /// Its name in URLs and files: 1 to 64 of `a-z`, `0-9`, `-`, `_`.
    pub id: CameraId,
    /// Its display name, at most 200 bytes; default: its id.
    #[serde(default)]
    pub name: Option<String>,
    /// Words to group it by, at most 32 of 64 bytes.
    #[serde(default)]
    pub tags: Vec<String>,
    /// When its events travel to the gateway: `live` (default), or `on_demand`: only when somebody asks, or while somebody follows it.
    #[serde(default = "parse::live", deserialize_with = "parse::upload")]
    pub upload: Upload,
    /// The most bytes of its log on disk, at least 65,536; default 268,435,456 (256 MiB). The oldest events go first.
    #[serde(default = "parse::spool_bytes")]
    pub spool_bytes: u64,
    /// How long its log is kept: a number and `s`, `m`, `h`, `d` or `w`; default `30d`. What waits for the gateway stays longer.
    #[serde(default = "parse::thirty_days", deserialize_with = "parse::span")]
    pub retention: Duration,
    /// The most bytes of small pictures on disk, at least 65,536; default 268,435,456 (256 MiB). The oldest go first.
    #[serde(default = "parse::preview_bytes")]
    pub preview_bytes: u64,
    /// The most bytes of full-size pictures on disk, at least 65,536; default 1,073,741,824 (1 GiB). The oldest go first.
    #[serde(default = "parse::main_bytes")]
    pub main_bytes: u64,
    /// How long its pictures are kept: a number and `s`, `m`, `h`, `d` or `w`; default `7d`.
    #[serde(default = "parse::seven_days", deserialize_with = "parse::images_span")]
    pub images_retention: Duration,
    /// Bytes per second that its pictures may take of the connection, at least 1,024; default: no bound.
    #[serde(default)]
    pub uplink: Option<u64>,
    /// Write events about what moves in its pictures; default false.
    #[serde(default)]
    pub motion: bool,
    /// Where its events and pictures come from.
    pub source: SourceConfig,
}

/// Why a configuration is refused.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file is not what it should be.
    #[error("{}: {why}", path.display())]
    Parse {
        /// The file.
        path: PathBuf,
        /// Where and what.
        why: String,
    },
    /// A value makes no sense.
    #[error("{key} = {value}: {why}")]
    Value {
        /// The option.
        key: String,
        /// Its value.
        value: String,
        /// What is wrong.
        why: String,
    },
    /// Something necessary is not there.
    #[error("{0}")]
    Missing(&'static str),
}

impl Config {
    /// Reads the file at `path`; does not check values against each other, see [`check`](Self::check).
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let text =
            fs::read_to_string(path).map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
        let mut config =
            Self::from_toml(&text).map_err(|why| ConfigError::Parse { path: path.to_owned(), why })?;
        for file in config.files() {
            *file = Self::beside(path, file);
        }
        Ok(config)
    }

    /// What `file` means in the file at `path`: a relative one lies beside that, wherever the program is started.
    pub fn beside(path: &Path, file: &Path) -> PathBuf {
        path.parent().map_or_else(|| file.to_owned(), |folder| folder.join(file))
    }

    /// All files and folders that it names.
    fn files(&mut self) -> impl Iterator<Item = &mut PathBuf> {
        let gateways = self.gateways.iter_mut().flat_map(|gateway| [&mut gateway.ca, &mut gateway.code_file]);
        let cameras = self.cameras.iter_mut().flat_map(|camera| camera.source.files());
        std::iter::once(&mut self.state).chain(gateways.flatten()).chain(cameras)
    }

    /// Reads a configuration from its text; the error says where and what, and guesses what an unknown option should have been.
    pub fn from_toml(text: &str) -> Result<Self, String> {
        toml::from_str(text).map_err(|e| parse::explained(text, &e))
    }
}

impl Default for Config {
    fn default() -> Self {
        Self { state: PathBuf::from("camera-agent"), gateways: Vec::new(), cameras: Vec::new() }
    }
}

impl GatewayConfig {
    /// A gateway at `url`, trusted as the operating system does.
    pub const fn new(url: Url) -> Self {
        Self { url, ca: None, insecure: false, code: None, code_file: None, token: None }
    }
}

impl CameraConfig {
    /// A simulated camera with the defaults.
    pub fn simulated(id: CameraId) -> Self {
        Self {
            id,
            name: None,
            tags: Vec::new(),
            upload: Upload::Live,
            spool_bytes: parse::spool_bytes(),
            retention: parse::thirty_days(),
            preview_bytes: parse::preview_bytes(),
            main_bytes: parse::main_bytes(),
            images_retention: parse::seven_days(),
            uplink: None,
            motion: false,
            source: SourceConfig::Simulator(SimulatorConfig::default()),
        }
    }
}

/// A deserializer's error for a text that is not what it should be.
fn wrong<'de, D: Deserializer<'de>>(why: impl fmt::Display) -> D::Error {
    D::Error::custom(why)
}
