//! Promises of the configuration.

use super::*;

const GOOD: &str = r#"
    [[gateway]]
    url = "wss://gateway.example"
    code = "oen_secret"

    [[camera]]
    id = "porch"
    upload = "on_demand"
    retention = "2w"
    source = { type = "simulator", interval_ms = 500 }
"#;

fn refused(text: &str) -> String {
    match Config::from_toml(text) {
        Ok(config) => config.check().unwrap_err().to_string(),
        Err(why) => why,
    }
}

#[test]
fn what_is_not_said_has_a_default() {
    let config = Config::from_toml(GOOD).unwrap();
    config.check().unwrap();
    let camera = &config.cameras[0];
    assert_eq!((camera.spool_bytes, camera.retention.as_secs()), (256 << 20, 14 * 86_400));
    assert_eq!((camera.preview_bytes, camera.main_bytes, camera.uplink), (256 << 20, 1 << 30, None));
    assert_eq!(camera.images_retention.as_secs(), 7 * 86_400);
    assert_eq!(config.gateways[0].url.as_str(), "https://gateway.example/");
}

#[test]
fn an_unknown_option_is_refused_with_its_line_and_the_nearest_known_one() {
    let why = refused(&GOOD.replace("retention", "retension"));
    assert!(why.contains("line 9") && why.contains("did you mean `retention`?"), "{why}");
    let why = refused(&GOOD.replace("interval_ms", "intervall_ms"));
    assert!(why.contains("did you mean `interval_ms`?"), "{why}");
}

#[test]
fn a_wrong_value_is_named_with_its_option() {
    for (from, to, words) in [
        ("on_demand", "sometimes", "upload = \"sometimes\""),
        ("2w", "2 fortnights", "retention = \"2 fortnights\""),
        ("\"porch\"", "\"Porch\"", "\"Porch\" is not a camera id"),
        ("500", "0", "camera porch: source.interval_ms = 0"),
        ("retention", "images_retention = \"2 months\"\nretention", "images_retention = \"2 months\""),
        ("retention", "images_retention = \"0d\"\nretention", "camera porch: images_retention = 0"),
        (
            "retention",
            "preview_bytes = 65535\nretention",
            "camera porch: preview_bytes = 65535: at least 65536",
        ),
        ("retention", "main_bytes = 1\nretention", "camera porch: main_bytes = 1: at least"),
        ("retention", "uplink = 1023\nretention", "camera porch: uplink = 1023: at least 1024"),
        ("wss://gateway.example", "gateway.example", "with its scheme"),
        ("wss://gateway.example", "http://gateway.example", "plain text"),
        ("wss://gateway.example", "https://me:pw@gateway.example", "user name"),
    ] {
        let why = refused(&GOOD.replace(from, to));
        assert!(why.contains(words), "{why}");
    }
}

#[test]
fn plain_text_stays_on_this_machine_unless_asked_for() {
    for url in ["ws://localhost:1", "http://127.0.0.5", "http://[::1]:8080"] {
        Config::from_toml(&GOOD.replace("wss://gateway.example", url)).unwrap().check().unwrap();
    }
    let insecure = GOOD.replace("code =", "insecure = true\ncode =");
    Config::from_toml(&insecure.replace("wss:", "ws:")).unwrap().check().unwrap();
}

#[test]
fn no_secret_shows_in_debug_output_or_errors() {
    let config = Config::from_toml(GOOD).unwrap();
    assert!(!format!("{config:?}").contains("oen_secret"));
    let broken = GOOD.replace("code = \"oen_secret\"", "code = \"oen_secret");
    assert!(!refused(&broken).contains("oen_secret"));
    let password = refused(&GOOD.replace("wss://gateway.example", "https://me:oen_secret@gateway.example"));
    assert!(!password.contains("oen_secret"), "{password}");
}

#[test]
fn a_relative_state_lies_beside_the_file_wherever_the_program_is_started() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("agent.toml");
    for (said, meant) in [("", "camera-agent"), ("state = \"kept\"", "kept")] {
        std::fs::write(&file, format!("{said}\n{GOOD}")).unwrap();
        assert_eq!(Config::read(&file).unwrap().state, dir.path().join(meant));
    }
    std::fs::write(&file, format!("state = \"/var/lib/kept\"\n{GOOD}")).unwrap();
    assert_eq!(Config::read(&file).unwrap().state, Path::new("/var/lib/kept"));
}
