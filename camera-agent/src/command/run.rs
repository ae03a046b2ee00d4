//! `camera-agent run` and `check-config`.

use camera_agent::{
    Config, Standing,
    config::{CameraConfig, ConfigError, GatewayConfig},
};
use sd_notify::NotifyState;
use tokio::signal;
use tokio_util::sync::CancellationToken;

use super::{Code, Files, Run, say, service};

/// Runs the agent until SIGINT or SIGTERM; a second one does not wait for anything.
pub(super) async fn run(options: Run) -> Result<(), String> {
    let config = configured(options)?;
    let stop = CancellationToken::new();
    let stopped = async {
        stop_asked().await;
        tracing::info!("stopping; once more ends at once");
        service::tell(NotifyState::Stopping);
        stop.cancel();
        stop_asked().await;
    };
    let opened = |standing: Standing| {
        tokio::spawn(standing.tell(stop.clone()));
        service::started();
    };
    tokio::select! {
        ended = camera_agent::run_then(config, stop.clone(), opened) => ended.map_err(|e| e.to_string()),
        () = stopped => Ok(()),
    }
}

/// Checks the configuration.
pub(super) fn check(files: &Files) -> Result<(), String> {
    let config = read(files)?;
    config.check().map_err(|e| format!("{}: {e}", files.config.display()))?;
    say(&format!(
        "{}: good; {} gateway(s), {} camera(s), state in {}",
        files.config.display(),
        config.gateways.len(),
        config.cameras.len(),
        config.state.display()
    ))
}

fn read(files: &Files) -> Result<Config, String> {
    let mut config = Config::read(&files.config).map_err(|e| e.to_string())?;
    if let Some(state) = &files.state {
        config.state.clone_from(state);
    }
    Ok(config)
}

/// The file, changed by the options; without a file, the options alone when they say enough.
fn configured(options: Run) -> Result<Config, String> {
    let Run { files, trust, gateways, simulated, code } = options;
    let enough = !gateways.is_empty() && !simulated.is_empty();
    let mut config = match Config::read(&files.config) {
        Ok(config) => config,
        Err(ConfigError::Read { source, .. }) if source.kind() == std::io::ErrorKind::NotFound && enough => {
            Config::default()
        }
        Err(e @ ConfigError::Read { .. }) => {
            return Err(format!("{e}; `camera-agent enroll` writes one, or give --gateway and --simulate"));
        }
        Err(e) => return Err(e.to_string()),
    };
    config.state = files.state.unwrap_or(config.state);
    if !gateways.is_empty() {
        let mut known = std::mem::take(&mut config.gateways);
        config.gateways = gateways
            .into_iter()
            .map(|url| match known.iter().position(|gateway| gateway.url == url) {
                Some(place) => known.swap_remove(place),
                None => GatewayConfig::new(url),
            })
            .collect();
    }
    for gateway in &mut config.gateways {
        gateway.insecure |= trust.insecure;
        if gateway.url.scheme() == "https" && trust.ca.is_some() {
            gateway.ca.clone_from(&trust.ca);
        }
    }
    give_code(&mut config, code)?;
    config.cameras.extend(simulated.into_iter().map(CameraConfig::simulated));
    Ok(config)
}

/// A code is one gateway's, and a stranger must not see it: with several it is not guessed whose.
fn give_code(config: &mut Config, code: Code) -> Result<(), String> {
    if code.code.is_none() && code.code_file.is_none() {
        return Ok(());
    }
    let [gateway] = config.gateways.as_mut_slice() else {
        return Err(format!(
            "a code is for one gateway, and there are {}: use camera-agent enroll, or code of [[gateway]]",
            config.gateways.len()
        ));
    };
    (gateway.code, gateway.code_file) = (code.code, code.code_file);
    Ok(())
}

/// Waits for SIGINT or SIGTERM.
async fn stop_asked() {
    #[cfg(unix)]
    {
        let Ok(mut terminate) = signal::unix::signal(signal::unix::SignalKind::terminate()) else {
            return std::future::pending().await;
        };
        tokio::select! {
            _ = signal::ctrl_c() => {}
            _ = terminate.recv() => {}
        }
    }
    #[cfg(not(unix))]
    {
        let _ = signal::ctrl_c().await;
    }
}
