//! `camera-agent status`: where the agent stands that runs beside this command.

use std::{io::ErrorKind, path::PathBuf};

use camera_agent::{Config, config::ConfigError, status_of};
use oriel_proto::frame::SourceState;

use super::{Files, Status, say};

/// Says where it stands; an error when it is not connected, or not there.
pub(super) async fn run(options: Status) -> Result<(), String> {
    let status = status_of(&state(options.files)?).await.map_err(|e| e.to_string())?;
    if options.json {
        say(&serde_json::to_string(&status).map_err(|e| e.to_string())?)?;
    } else {
        for camera in status.cameras.iter().filter(|camera| camera.source != SourceState::Ok) {
            let why = camera.why.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
            say(&format!("camera {}: {}{why}", camera.camera, camera.source))?;
        }
    }
    let Some(gateway) = status.gateway else {
        let why = status.why.as_deref().unwrap_or("no try has ended yet");
        return Err(format!("not connected for {} s; {why}", status.for_s));
    };
    if options.json { Ok(()) } else { say(&format!("connected to {gateway} for {} s", status.for_s)) }
}

/// The state folder: as it is given, or as the configuration says.
fn state(files: Files) -> Result<PathBuf, String> {
    if let Some(state) = files.state {
        return Ok(state);
    }
    match Config::read(&files.config) {
        Ok(config) => Ok(config.state),
        Err(ConfigError::Read { source, .. }) if source.kind() == ErrorKind::NotFound => {
            Ok(Config::default().state)
        }
        Err(e) => Err(e.to_string()),
    }
}
