//! Every option of the gateway: one documented field is a flag, an environment variable and a key of the file.
//!
//! A flag wins over the environment, the environment over the file, the file over the default. [`ConfigFile`] turns
//! the file's values into defaults, so one parser reads and checks all four.

mod file;
mod legacy;
mod log;
mod value;

use std::{
    ffi::OsString,
    net::{IpAddr, SocketAddr},
    num::NonZeroUsize,
    path::{Path, PathBuf},
    time::Duration,
};

use clap::{CommandFactory, FromArgMatches, Parser, ValueEnum};
use ipnet::IpNet;
use serde::Serialize;

pub use file::ConfigFile;
pub use legacy::{Legacy, LegacyCameras};
pub use log::log_filter;
pub use value::{Endpoint, PublicUrl, parse_duration};

/// Why the options do not make a gateway.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A flag or an environment variable is wrong, or help was asked for; clap says which.
    #[error(transparent)]
    Usage(#[from] clap::Error),
    /// The file cannot be read.
    #[error("cannot read {}: {why}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        why: std::io::Error,
    },
    /// The file is not TOML.
    #[error("{} is not TOML: {why}", path.display())]
    NotToml {
        /// The file.
        path: PathBuf,
        /// Where and what, on one line.
        why: String,
    },
    /// The file has a key that is no option.
    #[error("{} has an unknown key {key:?}{}", path.display(), offer(nearest))]
    UnknownKey {
        /// The file.
        path: PathBuf,
        /// The key, with its table.
        key: String,
        /// The known key that looks most like it.
        nearest: Option<String>,
    },
    /// A key of the file has a value that its option refuses.
    #[error("{}: {why}", path.display())]
    WrongValue {
        /// The file.
        path: PathBuf,
        /// The key, the value and what is allowed, on one line.
        why: String,
    },
    /// One half of the TLS pair is missing.
    #[error("{given} is set but {missing} is not: TLS needs both")]
    HalfTls {
        /// The key that is set.
        given: &'static str,
        /// The key that is missing.
        missing: &'static str,
    },
    /// Plain HTTP would be open to other machines.
    #[error(
        "refusing plain HTTP on {0}, where other machines can listen in: give tls_cert and tls_key, or behind_proxy, or insecure"
    )]
    PlainHttp(SocketAddr),
    /// The metrics would be open to other machines.
    #[error(
        "refusing metrics_listen on {0}, where other machines read /metrics without a key: give insecure if that is meant, or ask /metrics of listen with an admin's key"
    )]
    OpenMetrics(SocketAddr),
}

/// The options of a gateway.
#[derive(Clone, Debug, Parser, Serialize)]
#[command(name = "oriel serve", no_binary_name = true)]
pub struct Config {
    /// TOML file with any of these options; flags and environment variables win over it
    #[arg(long, env = "ORIEL_CONFIG", value_name = "FILE")]
    #[serde(skip)]
    pub config: Option<PathBuf>,
    /// Address and port to serve the API, the dashboard and the agents on
    #[arg(long, env = "ORIEL_LISTEN", value_name = "ADDR", default_value = "127.0.0.1:8080")]
    pub listen: SocketAddr,
    /// Folder that holds everything this gateway keeps; made when missing
    #[arg(long, env = "ORIEL_DATA", value_name = "DIR", default_value = "./oriel-data")]
    pub data: PathBuf,
    /// PEM file with the certificate chain to serve HTTPS with; needs tls_key
    #[arg(long, env = "ORIEL_TLS_CERT", value_name = "FILE")]
    pub tls_cert: Option<PathBuf>,
    /// PEM file with the private key of tls_cert
    #[arg(long, env = "ORIEL_TLS_KEY", value_name = "FILE")]
    pub tls_key: Option<PathBuf>,
    /// Allow plain HTTP, and /metrics without a key, on an address that other machines reach
    #[arg(long, env = "ORIEL_INSECURE", value_name = "BOOL", default_value = "false", default_missing_value = "true",
        num_args = 0..=1, require_equals = true, action = clap::ArgAction::Set)]
    pub insecure: bool,
    /// Networks of proxies whose X-Forwarded-For and -Proto are believed; also allows plain HTTP
    #[arg(long, env = "ORIEL_BEHIND_PROXY", value_name = "CIDR", value_delimiter = ',')]
    pub behind_proxy: Vec<IpNet>,
    /// Address and port to serve /metrics on without a key, or "off"
    #[arg(long, env = "ORIEL_METRICS_LISTEN", value_name = "ADDR", default_value = "127.0.0.1:9464")]
    pub metrics_listen: Endpoint,
    /// Address and port to serve clients and cameras of the older system on, or "off"; asks nobody for a key
    #[arg(long, env = "ORIEL_LEGACY_LISTEN", value_name = "ADDR", default_value = "off")]
    pub legacy_listen: Endpoint,
    /// Address that devices and people reach this gateway at, named in enrolment commands
    /// [default: made from listen]
    #[arg(long, env = "ORIEL_PUBLIC_URL", value_name = "URL")]
    pub public_url: Option<PublicUrl>,
    /// Threads that run the gateway [default: one per core]
    #[arg(long, env = "ORIEL_WORKERS", value_name = "N")]
    pub workers: Option<NonZeroUsize>,
    /// How often each agent says that it is there, 1s to 5m
    #[arg(long, env = "ORIEL_HEARTBEAT", value_name = "TIME", default_value = "30s", value_parser = value::heartbeat)]
    #[serde(serialize_with = "value::write_duration")]
    pub heartbeat: Duration,
    /// What to log: a level (error, warn, info, debug, trace) or a filter such as info,oriel_gateway::link=debug
    #[arg(long, env = "ORIEL_LOG", value_name = "FILTER", default_value = "info", value_parser = log::log_text)]
    pub log: String,
    /// How a line of the log is written
    #[arg(long, env = "ORIEL_LOG_FORMAT", value_name = "FORMAT", value_enum, default_value_t = LogFormat::Text)]
    pub log_format: LogFormat,
    /// How much is accepted from outside.
    #[command(flatten)]
    pub limits: Limits,
    /// How long and how much is kept.
    #[command(flatten)]
    pub retention: Retention,
    /// Who may use the older system's listener, and what they see there.
    #[command(flatten)]
    pub legacy: Legacy,
}

/// How long and how much is kept; the table `[retention]` of the file.
#[derive(Clone, Copy, Debug, clap::Args, Serialize)]
pub struct Retention {
    /// How long an event is kept, from when it came here: 1m or more
    #[arg(id = "retention.age", long = "retention-age", env = "ORIEL_RETENTION_AGE", value_name = "TIME",
        default_value = "90d", value_parser = value::age)]
    #[serde(serialize_with = "value::write_duration")]
    pub age: Duration,
    /// How many events are kept of all cameras together; those that came first go first
    #[arg(id = "retention.events", long = "retention-events", env = "ORIEL_RETENTION_EVENTS", value_name = "N",
        default_value = "10000000", value_parser = value::count)]
    pub events: usize,
}

/// How much is accepted from outside; the table `[limits]` of the file.
#[derive(Clone, Copy, Debug, clap::Args, Serialize)]
pub struct Limits {
    /// HTTP connections open at once; one more is answered 503
    #[arg(id = "limits.connections", long = "limit-connections", env = "ORIEL_LIMIT_CONNECTIONS", value_name = "N",
        default_value = "10000", value_parser = value::count)]
    pub connections: usize,
    /// HTTP connections open at once from one address
    #[arg(id = "limits.connections_per_address", long = "limit-connections-per-address",
        env = "ORIEL_LIMIT_CONNECTIONS_PER_ADDRESS", value_name = "N", default_value = "1024", value_parser = value::count)]
    pub connections_per_address: usize,
    /// Agents connected at once, beside the HTTP connections
    #[arg(id = "limits.agents", long = "limit-agents", env = "ORIEL_LIMIT_AGENTS", value_name = "N",
        default_value = "100000", value_parser = value::count)]
    pub agents: usize,
    /// The largest body of a request in bytes, or with KiB or MiB, up to 16MiB
    #[arg(id = "limits.body_bytes", long = "limit-body-bytes", env = "ORIEL_LIMIT_BODY_BYTES", value_name = "BYTES",
        default_value = "64KiB", value_parser = value::body_bytes)]
    pub body_bytes: usize,
    /// Bytes of long answers that may wait here for slow readers, beyond the first 32 KiB of each; in bytes, or with KiB or MiB
    #[arg(id = "limits.credit_bytes", long = "limit-credit-bytes", env = "ORIEL_LIMIT_CREDIT_BYTES", value_name = "BYTES",
        default_value = "4MiB", value_parser = value::room_bytes)]
    pub credit_bytes: u64,
    /// Bytes of pictures that may be here to be shared by those who ask for the same, and half as many for slow viewers of moving
    /// ones; beyond them pictures pass through for one reader each; in bytes, or with KiB or MiB
    #[arg(id = "limits.image_bytes", long = "limit-image-bytes", env = "ORIEL_LIMIT_IMAGE_BYTES", value_name = "BYTES",
        default_value = "32MiB", value_parser = value::room_bytes)]
    pub image_bytes: u64,
    /// Bytes of uploaded events that may wait for the disk; an agent whose events find no room keeps them and comes again;
    /// in bytes, or with KiB or MiB
    #[arg(id = "limits.ingest_bytes", long = "limit-ingest-bytes", env = "ORIEL_LIMIT_INGEST_BYTES", value_name = "BYTES",
        default_value = "64MiB", value_parser = value::ingest_bytes)]
    pub ingest_bytes: usize,
}

/// How a line of the log is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

impl Config {
    /// Reads and checks the options in `args`, which begin behind `serve`, the environment, and the file they name.
    ///
    /// # Errors
    /// [`ConfigError`] tells the first option that is wrong.
    pub fn load<I, T>(args: I) -> Result<Self, ConfigError>
    where
        I: IntoIterator<Item = T>,
        T: Into<OsString>,
    {
        let args: Vec<OsString> = args.into_iter().map(Into::into).collect();
        let mut matches = Self::command().try_get_matches_from(&args)?;
        if let Some(path) = matches.get_one::<PathBuf>("config") {
            let file = ConfigFile::read(path)?;
            matches = file.as_defaults(Self::command()).try_get_matches_from(&args)?;
        }
        let config = Self::from_arg_matches(&matches)?;
        config.check()?;
        Ok(config)
    }

    /// Checks what no single option can know.
    ///
    /// # Errors
    /// [`ConfigError`] tells which options do not go together, or which file cannot be read.
    pub fn check(&self) -> Result<(), ConfigError> {
        match (&self.tls_cert, &self.tls_key) {
            (Some(_), None) => Err(ConfigError::HalfTls { given: "tls_cert", missing: "tls_key" })?,
            (None, Some(_)) => Err(ConfigError::HalfTls { given: "tls_key", missing: "tls_cert" })?,
            (Some(cert), Some(key)) => {
                readable(cert)?;
                readable(key)?;
            }
            (None, None) => {
                let allowed =
                    self.listen.ip().is_loopback() || self.insecure || !self.behind_proxy.is_empty();
                if !allowed {
                    return Err(ConfigError::PlainHttp(self.listen));
                }
            }
        }
        match self.metrics_listen {
            Endpoint::At(address) if !address.ip().is_loopback() && !self.insecure => {
                Err(ConfigError::OpenMetrics(address))
            }
            _ => Ok(()),
        }
    }

    /// A file that says the same.
    pub fn to_toml(&self) -> String {
        toml::to_string(self).unwrap_or_else(|why| format!("# cannot be written: {why}\n"))
    }

    /// The certificate chain and the private key, when HTTPS is served.
    pub fn tls(&self) -> Option<(&Path, &Path)> {
        Some((self.tls_cert.as_deref()?, self.tls_key.as_deref()?))
    }

    /// The address that devices are told, without a slash at its end; `bound` is where the gateway really listens.
    pub fn base_url(&self, bound: SocketAddr) -> String {
        if let Some(url) = &self.public_url {
            return url.to_string();
        }
        let scheme = if self.tls().is_some() { "https" } else { "http" };
        let host = match bound.ip() {
            ip if ip.is_unspecified() => value::host_name(),
            IpAddr::V6(ip) => format!("[{ip}]"),
            IpAddr::V4(ip) => ip.to_string(),
        };
        format!("{scheme}://{host}:{}", bound.port())
    }
}

impl Default for Config {
    /// All defaults, whatever the environment says.
    fn default() -> Self {
        let command = Self::command().mut_args(|arg| arg.env(clap::builder::Resettable::Reset));
        let matches = command.get_matches_from([] as [OsString; 0]);
        Self::from_arg_matches(&matches).unwrap_or_else(|error| error.exit())
    }
}

/// The end of the sentence about an unknown key.
fn offer(nearest: &Option<String>) -> String {
    nearest.as_ref().map(|key| format!("; the nearest known one is {key:?}")).unwrap_or_default()
}

fn readable(path: &Path) -> Result<(), ConfigError> {
    match std::fs::File::open(path) {
        Ok(_) => Ok(()),
        Err(why) => Err(ConfigError::Unreadable { path: path.to_owned(), why }),
    }
}

#[cfg(test)]
mod tests;
