//! What the options promise: precedence, defaults, refusals.

use std::{collections::BTreeSet, path::Path};

use super::*;

fn file(text: &str) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("oriel.toml");
    std::fs::write(&path, text).unwrap();
    (folder, path)
}

fn load_file(text: &str, more: &[&str]) -> Result<Config, ConfigError> {
    let (_folder, path) = file(text);
    let args = [OsString::from("--config"), path.into()].into_iter();
    Config::load(args.chain(more.iter().map(Into::into)))
}

#[test]
fn without_anything_the_defaults_hold() {
    let config = Config::default();
    assert_eq!(config.listen.to_string(), "127.0.0.1:8080");
    assert_eq!(config.data, Path::new("./oriel-data"));
    assert_eq!(config.metrics_listen, Endpoint::At(([127, 0, 0, 1], 9464).into()));
    assert_eq!((config.heartbeat.as_secs(), config.workers, config.insecure), (30, None, false));
    assert_eq!((config.log.as_str(), config.log_format), ("info", LogFormat::Text));
    let Limits { connections, connections_per_address, agents, body_bytes, .. } = config.limits;
    let Limits { credit_bytes, image_bytes, ingest_bytes, .. } = config.limits;
    assert_eq!((connections, connections_per_address, agents), (10_000, 1_024, 100_000));
    assert_eq!((body_bytes, credit_bytes), (64 << 10, 4 << 20));
    assert_eq!((image_bytes, ingest_bytes), (32 << 20, 64 << 20));
    let Retention { age, events } = config.retention;
    assert_eq!((age.as_secs(), events), (90 * 86_400, 10_000_000));
    assert!(config.check().is_ok());
}

#[test]
fn a_flag_wins_over_the_file_and_the_file_over_the_default() {
    let text = "listen = '127.0.0.1:1'\nheartbeat = '5s'\n[limits]\nagents = 7\n";
    let config = load_file(text, &["--listen", "127.0.0.1:2"]).unwrap();
    assert_eq!(config.listen.port(), 2);
    assert_eq!(config.heartbeat.as_secs(), 5);
    assert_eq!((config.limits.agents, config.limits.connections), (7, 10_000));
}

#[test]
fn every_type_of_value_can_stand_in_the_file() {
    let text = "insecure = true\nworkers = 3\nbehind_proxy = ['10.0.0.0/8', '::1/128']\nmetrics_listen = 'off'\n\
                log_format = 'json'\npublic_url = 'https://cams.example'\n[limits]\nbody_bytes = '1MiB'\n";
    let config = load_file(text, &[]).unwrap();
    assert!(config.insecure);
    assert_eq!(config.workers.unwrap().get(), 3);
    assert_eq!(config.behind_proxy.len(), 2);
    assert_eq!((config.metrics_listen, config.log_format), (Endpoint::Off, LogFormat::Json));
    assert_eq!(config.base_url(config.listen), "https://cams.example");
    assert_eq!(config.limits.body_bytes, 1 << 20);
    assert!(!load_file("insecure = true", &["--insecure=false"]).unwrap().insecure);
}

#[test]
fn what_holds_can_be_written_as_a_file_and_read_back() {
    let given = [
        "--heartbeat",
        "1500ms",
        "--insecure",
        "--behind-proxy",
        "10.0.0.0/8,::1/128",
        "--metrics-listen=off",
    ];
    let shown = Config::load(given).unwrap().to_toml();
    assert_eq!(load_file(&shown, &[]).unwrap().to_toml(), shown);
    assert!(shown.contains("heartbeat = \"1500ms\"") && shown.contains("[limits]"));
}

#[test]
fn an_unknown_key_is_refused_and_the_nearest_named() {
    for (text, near) in [
        ("listn = 'x'", "\"listen\""),
        ("[limits]\nagent = 1", "\"limits.agents\""),
        ("tls-cert = 'a'", "\"tls_cert\""),
        ("[limit]\nagents = 1", "\"limits.agents\""),
        ("config = 'a'", "unknown key \"config\""),
    ] {
        let error = load_file(text, &[]).unwrap_err().to_string();
        assert!(error.contains("unknown key") && error.contains(near), "{text}: {error}");
    }
}

#[test]
fn a_wrong_value_in_the_file_names_file_and_key_on_one_line() {
    for (text, part) in [
        ("heartbeat = '1y'", "heartbeat: "),
        ("heartbeat = '10m'", "must be 1s to 5m"),
        ("listen = 8080", "listen: \"8080\": invalid socket address"),
        ("[limits]\nagents = 0", "limits.agents: "),
        ("limits = 3", "\"limits\""),
        ("log_format = 'xml'", "log_format: "),
        ("workers = 1.5", "workers cannot be 1.5"),
        ("data = 2020-01-01", "data cannot be"),
        ("listen = ", "line 1"),
    ] {
        let error = load_file(text, &[]).unwrap_err().to_string();
        assert!(
            error.contains("oriel.toml") && error.contains(part) && !error.contains('\n'),
            "{text}: {error}"
        );
    }
}

#[test]
fn plain_http_stays_on_loopback_unless_somebody_says_so() {
    let open = ["--listen", "0.0.0.0:8080"];
    assert!(matches!(Config::load(open), Err(ConfigError::PlainHttp(_))));
    for allowed in ["--insecure", "--behind-proxy=10.0.0.0/8"] {
        assert!(Config::load(open.iter().chain(&[allowed])).is_ok(), "{allowed}");
    }
    assert!(Config::load(["--listen", "[::1]:8080"]).is_ok());
}

#[test]
fn metrics_stay_on_loopback_unless_somebody_says_so() {
    let open = ["--metrics-listen", "0.0.0.0:9464"];
    for more in [&[][..], &["--behind-proxy=10.0.0.0/8"]] {
        let error = Config::load(open.iter().chain(more)).unwrap_err();
        assert!(matches!(error, ConfigError::OpenMetrics(_)) && error.to_string().contains("insecure"));
    }
    assert!(Config::load(open.iter().chain(&["--insecure"])).is_ok());
    assert!(Config::load(["--metrics-listen", "[::1]:9464"]).is_ok());
}

#[test]
fn tls_needs_both_files() {
    let half = Config::load(["--tls-cert", "a.pem"]).unwrap_err().to_string();
    assert_eq!(half, "tls_cert is set but tls_key is not: TLS needs both");
    let error = Config::load(["--tls-cert", "/none/a.pem", "--tls-key", "/none/b.pem"]).unwrap_err();
    assert!(error.to_string().starts_with("cannot read /none/a.pem: "));
}

#[test]
fn devices_are_told_an_address_that_is_not_0_0_0_0() {
    let config = Config::default();
    assert_eq!(config.base_url(([127, 0, 0, 1], 81).into()), "http://127.0.0.1:81");
    assert!(!config.base_url(([0, 0, 0, 0], 81).into()).contains("0.0.0.0"));
    assert_eq!(config.base_url("[::1]:81".parse().unwrap()), "http://[::1]:81");
}

#[test]
fn each_option_is_flag_variable_and_key_with_one_name() {
    let mut seen = BTreeSet::new();
    for arg in Config::command().get_arguments().filter(|arg| arg.get_id() != "help") {
        let key = arg.get_id().as_str().replace("limits.", "limit_").replace('.', "_");
        assert_eq!(arg.get_long().unwrap(), key.replace('_', "-"));
        let variable = arg.get_env().unwrap().to_str().unwrap();
        assert_eq!(variable, format!("ORIEL_{}", key.to_uppercase()));
        assert!(arg.get_help().is_some() && seen.insert(variable), "{key}");
    }
}
