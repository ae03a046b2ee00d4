//! How a command finds the gateway and its key.

use std::path::PathBuf;

use oriel_proto::Secret;

use super::ClientError;

/// The options that every command which asks a gateway has.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Gateway")]
pub(crate) struct ClientOptions {
    /// Address of the gateway
    #[arg(long, env = "ORIEL_URL", value_name = "URL", default_value = "http://127.0.0.1:8080")]
    pub(crate) url: String,
    /// File with the API key
    #[arg(long, env = "ORIEL_KEY_FILE", value_name = "FILE")]
    pub(crate) key_file: Option<PathBuf>,
    /// The API key itself; other users of this machine can see it on a command line
    #[arg(long, env = "ORIEL_KEY", value_name = "KEY", hide_env_values = true)]
    pub(crate) key: Option<Secret>,
    /// PEM file with the only authorities whose certificates are accepted [default: the platform's]
    #[arg(long, env = "ORIEL_CA", value_name = "FILE")]
    pub(crate) ca: Option<PathBuf>,
}

impl ClientOptions {
    /// The key: given itself, else in its file.
    pub(super) fn key(&self) -> Result<Secret, ClientError> {
        let text = match (&self.key, &self.key_file) {
            (Some(key), _) => key.expose().trim().to_owned(),
            (None, Some(path)) => {
                let text =
                    std::fs::read_to_string(path).map_err(|why| ClientError::file(path, &why.to_string()))?;
                text.trim().to_owned()
            }
            (None, None) => return Err(ClientError::NoKey),
        };
        let printable = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
        if printable { Ok(text.into()) } else { Err(ClientError::NotAKey) }
    }
}
