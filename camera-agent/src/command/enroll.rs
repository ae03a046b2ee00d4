//! `camera-agent enroll`: a code becomes a token, and a configuration to start with.

use std::{
    fs::File,
    io::{ErrorKind, Write as _},
    path::{Path, PathBuf},
};

use camera_agent::{
    Config,
    config::{ConfigError, GatewayConfig},
    enroll_at,
};

use super::{Enroll, say, starter};

/// Enrols this device.
pub(super) async fn run(options: Enroll) -> Result<(), String> {
    let Enroll { files, trust, gateway: url, code } = options;
    // What is relative here is not so in a file that lies elsewhere.
    let absolute = |path: PathBuf| std::path::absolute(&path).unwrap_or(path);
    let ca = trust.ca.map(absolute);
    let mut gateway = GatewayConfig { ca, insecure: trust.insecure, ..GatewayConfig::new(url) };
    (gateway.code, gateway.code_file) = (code.code, code.code_file);
    if gateway.code.is_none() && gateway.code_file.is_none() {
        return Err("give the code with --code, --code-file or CAMERA_AGENT_CODE".into());
    }
    gateway.check().map_err(|e| e.to_string())?;
    // What the file says must be known before the code is used up.
    let existing = match Config::read(&files.config) {
        Ok(config) => Some(config),
        Err(ConfigError::Read { source, .. }) if source.kind() == ErrorKind::NotFound => None,
        Err(e) => return Err(e.to_string()),
    };
    let state = files.state.or_else(|| existing.as_ref().map(|config| config.state.clone()));
    let state = state.unwrap_or_else(|| Config::beside(&files.config, &Config::default().state));
    let enrolled = enroll_at(&gateway, &state).await.map_err(|e| e.to_string())?;
    say(&format!(
        "enrolled at {} as agent {}; the token is kept in {}",
        gateway.url,
        enrolled.agent,
        state.display()
    ))?;
    match existing {
        Some(config) => match starter::missing(&config, &gateway, &enrolled) {
            Some(text) => say(&format!("add to {}:\n\n{text}", files.config.display())),
            None => say(&format!("{} names this gateway and its cameras already", files.config.display())),
        },
        None => {
            write_new(&files.config, &starter::whole(&absolute(state), &gateway, &enrolled))?;
            say(&format!("wrote {}; now run: camera-agent run --config {0}", files.config.display()))
        }
    }
}

fn write_new(path: &Path, text: &str) -> Result<(), String> {
    let written = File::create_new(path).and_then(|mut file| file.write_all(text.as_bytes()));
    written.map_err(|e| format!("enrolled, but {} cannot be written: {e}", path.display()))
}
