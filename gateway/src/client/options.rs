//! How a command finds the gateway and its key.

use std::{path::PathBuf, time::Duration};

use clap::{ArgMatches, Args, Command, FromArgMatches, parser::ValueSource};
use oriel_gateway::config::parse_duration;
use oriel_proto::Secret;

use super::ClientError;

/// The options that every command which asks a gateway with a key has.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Gateway")]
pub(crate) struct ClientOptions {
    #[command(flatten)]
    pub(crate) gateway: GatewayOptions,
    #[command(flatten)]
    pub(super) key: KeyOptions,
}

/// Where the gateway is, and how it is talked to.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Gateway")]
pub(crate) struct GatewayOptions {
    /// Address of the gateway
    #[arg(long, env = "ORIEL_URL", value_name = "URL", default_value = "http://127.0.0.1:8080")]
    pub(super) url: String,
    /// PEM file with the only authorities whose certificates are accepted [default: the platform's]
    #[arg(long, env = "ORIEL_CA", value_name = "FILE")]
    pub(super) ca: Option<PathBuf>,
    /// How long to wait for an answer to begin, 100ms to 60s
    #[arg(long, env = "ORIEL_TIMEOUT", value_name = "TIME", default_value = "10s", value_parser = answer_within)]
    pub(crate) timeout: Duration,
}

impl ClientOptions {
    /// The same, but that the next byte is waited for at least this long.
    pub(crate) fn waiting(&self, least: Duration) -> Self {
        let mut longer = self.clone();
        longer.gateway.timeout = longer.gateway.timeout.max(least);
        longer
    }

    /// How long a camera may take, as a parameter of a question.
    pub(crate) fn patience(&self) -> (&'static str, String) {
        ("timeout", format!("{}ms", self.gateway.timeout.as_millis()))
    }
}

/// The times that the API lets a camera take.
fn answer_within(text: &str) -> Result<Duration, String> {
    let time = parse_duration(text)?;
    let allowed = Duration::from_millis(100)..=Duration::from_secs(60);
    if allowed.contains(&time) { Ok(time) } else { Err("must be 100ms to 60s".into()) }
}

/// Where the key is: a flag wins over the environment, and of two flags the key itself over its file.
#[derive(Clone, Debug)]
pub(super) enum KeyOptions {
    None,
    File(PathBuf),
    Environment(Secret),
    CommandLine(Secret),
}

/// The flags and variables behind [`KeyOptions`].
#[derive(clap::Args)]
struct KeyArgs {
    /// File with the API key
    #[arg(long, env = "ORIEL_KEY_FILE", value_name = "FILE")]
    key_file: Option<PathBuf>,
    /// The API key itself; other users of this machine can see it on a command line
    #[arg(long, env = "ORIEL_KEY", value_name = "KEY", hide_env_values = true)]
    key: Option<Secret>,
}

impl KeyOptions {
    /// The key itself; says so when it stands where other users of this machine can read it.
    pub(super) fn read(&self) -> Result<Secret, ClientError> {
        let text = match self {
            Self::None => return Err(ClientError::NoKey),
            Self::File(path) => {
                std::fs::read_to_string(path).map_err(|why| ClientError::file(path, &why.to_string()))?
            }
            Self::Environment(key) => key.expose().to_owned(),
            Self::CommandLine(key) => {
                tracing::warn!(
                    "other users of this machine can see the key on the command line; use --key-file"
                );
                key.expose().to_owned()
            }
        };
        let key = text.trim();
        let is_word = !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_graphic());
        if is_word { Ok(key.into()) } else { Err(ClientError::NotAKey) }
    }
}

impl FromArgMatches for KeyOptions {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let KeyArgs { key_file, key } = KeyArgs::from_arg_matches(matches)?;
        let flag = |id| matches.value_source(id) == Some(ValueSource::CommandLine);
        Ok(match (key, key_file) {
            (Some(key), _) if flag("key") => Self::CommandLine(key),
            (_, Some(path)) if flag("key_file") => Self::File(path),
            (Some(key), _) => Self::Environment(key),
            (None, Some(path)) => Self::File(path),
            (None, None) => Self::None,
        })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl Args for KeyOptions {
    fn augment_args(command: Command) -> Command {
        KeyArgs::augment_args(command)
    }

    fn augment_args_for_update(command: Command) -> Command {
        KeyArgs::augment_args_for_update(command)
    }
}
