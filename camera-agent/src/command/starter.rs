//! The configuration that an enrolment leaves behind.

use std::{fmt::Write as _, path::Path};

use camera_agent::{Config, Enrolled, config::GatewayConfig};
use oriel_proto::CameraId;

/// A whole file.
pub(super) fn whole(state: &Path, gateway: &GatewayConfig, enrolled: &Enrolled) -> String {
    let state = quoted(&state.display().to_string());
    let mut text = format!(
        "# Written by `camera-agent enroll`. `camera-agent check-config` says whether a change is good.\n\n\
         # The folder that keeps the token and the cameras' logs.\nstate = {state}\n"
    );
    text += &gateway_table(gateway);
    for camera in &enrolled.cameras {
        text += &camera_table(camera);
    }
    if let Some(pattern) = &enrolled.new_cameras {
        // Writing to a String cannot fail.
        let _ =
            writeln!(text, "\n# This agent may also bring new cameras whose id matches {}.", quoted(pattern));
    }
    if enrolled.cameras.is_empty() {
        text += "\n# Name at least one camera, like this:\n";
        for line in "[[camera]]\nid = \"my-camera\"\nsource = { type = \"simulator\" }".lines() {
            text += &format!("# {line}\n");
        }
    }
    text
}

/// What an existing file lacks; none when it lacks nothing.
pub(super) fn missing(config: &Config, gateway: &GatewayConfig, enrolled: &Enrolled) -> Option<String> {
    let mut text = String::new();
    if !config.gateways.iter().any(|known| known.url == gateway.url) {
        text += &gateway_table(gateway);
    }
    for camera in &enrolled.cameras {
        if !config.cameras.iter().any(|known| known.id == *camera) {
            text += &camera_table(camera);
        }
    }
    (!text.is_empty()).then(|| text.trim_start().to_owned())
}

fn gateway_table(gateway: &GatewayConfig) -> String {
    let mut text =
        format!("\n# Gateways are tried in turn.\n[[gateway]]\nurl = {}\n", quoted(gateway.url.as_str()));
    if let Some(ca) = &gateway.ca {
        text += &format!("# The only authorities to trust.\nca = {}\n", quoted(&ca.display().to_string()));
    }
    if gateway.insecure {
        text += "# The token travels without TLS.\ninsecure = true\n";
    }
    text
}

fn camera_table(camera: &CameraId) -> String {
    format!(
        "\n[[camera]]\nid = {0}\n# name = {0}\n# tags = []\n# upload = \"live\"         # or \"on_demand\": only when somebody asks\n\
         # retention = \"30d\"\n# spool_bytes = 268435456\n\
         # A simulated camera, so that there is something to see at once: replace it with the real one's source.\n\
         source = {{ type = \"simulator\", interval_ms = 10000 }}\n",
        quoted(camera.as_str())
    )
}

/// A TOML string.
fn quoted(text: &str) -> String {
    toml::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn enrolled() -> Enrolled {
        let answer = r#"{"agent":"0191d0c0-0000-7000-8000-000000000001","token":"oat_x","cameras":["porch","yard"],"new_cameras":"site7-*"}"#;
        serde_json::from_str(answer).unwrap()
    }

    #[test]
    fn the_starter_file_is_a_good_configuration_without_a_secret() {
        let gateway = GatewayConfig::new("https://gateway.example/".parse().unwrap());
        let text = whole(Path::new("/var/lib/camera \"agent\""), &gateway, &enrolled());
        let config = Config::from_toml(&text).unwrap();
        config.check().unwrap();
        assert_eq!(config.cameras.len(), 2);
        assert!(!text.contains("oat_"));
    }

    #[test]
    fn an_existing_file_is_told_only_what_it_lacks() {
        let gateway = GatewayConfig::new("https://gateway.example/".parse().unwrap());
        let mut config = Config::from_toml(&whole(Path::new("x"), &gateway, &enrolled())).unwrap();
        assert_eq!(missing(&config, &gateway, &enrolled()), None);
        config.cameras.pop();
        let text = missing(&config, &gateway, &enrolled()).unwrap();
        assert!(text.contains("yard") && !text.contains("porch") && !text.contains("[[gateway]]"));
    }
}
