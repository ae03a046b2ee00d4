//! What the command line promises without a gateway: options, keys and codes in a data folder, completions.

use std::os::unix::fs::PermissionsExt;

use serde_json::Value;

use super::run::{command, finish, oriel};

#[test]
fn wrong_usage_is_one_line_and_exit_code_2() {
    for (args, part) in [
        (&["events", "--source", "camera"][..], "are about one camera"),
        (&["events", "porch", "--kindd", "x"], "similar argument exists: '--kind'"),
        (&["events", "Porch"], "not a camera id"),
        (&["events", "porch", "--follow", "--order", "asc"], "cannot be used with"),
        (&["keys", "add", "--role", "boss"], "not a role"),
        (&["enroll"], "--camera"),
        (&["cameras", "list"], "no key given"),
        (&["cameras", "list", "--key", "oak_x", "--url", "ftp://a"], "not an http or https address"),
        (&["enroll", "--camera", "a", "--data", "/tmp"], "--out"),
        (&["cameras", "set", "porch", "--key", "k"], "nothing to change"),
        (&["demo", "--listen", "0.0.0.0:8080"], "stays on this machine"),
        (&["demo", "--metrics-listen", "[::]:0"], "stays on this machine"),
    ] {
        let ran = oriel(args);
        let last = ran.err.lines().last().unwrap_or_default();
        assert_eq!((ran.code, ran.out.as_str()), (2, ""), "{args:?}");
        assert!(last.starts_with("oriel: ") && last.contains(part), "{args:?}: {}", ran.err);
    }
}

#[test]
fn help_and_version_are_no_failures() {
    for args in [&["--help"][..], &["--version"], &["keys", "add", "--help"]] {
        let ran = oriel(args);
        assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{args:?}");
        assert!(ran.out.contains("oriel"), "{args:?}");
    }
    assert!(oriel(&[]).err.contains("Usage: oriel <COMMAND>"));
}

#[test]
fn the_environment_wins_over_the_file_and_a_flag_over_both() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("oriel.toml");
    std::fs::write(&file, "listen = '127.0.0.1:1'\nheartbeat = '5s'\nlog = 'debug'\n").unwrap();
    let mut check = command(&["check-config", "--listen", "127.0.0.1:3"]);
    check.env("ORIEL_CONFIG", &file).env("ORIEL_LISTEN", "127.0.0.1:2").env("ORIEL_HEARTBEAT", "7s");
    let shown = finish(check).out;
    for line in ["listen = \"127.0.0.1:3\"", "heartbeat = \"7s\"", "log = \"debug\"", "agents = 100000"] {
        assert!(shown.contains(line), "{line}: {shown}");
    }
}

#[test]
fn check_config_refuses_what_serve_would() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("oriel.toml");
    std::fs::write(&file, "lisen = '127.0.0.1:1'\n").unwrap();
    let ran = oriel(&["check-config", "--config", file.to_str().unwrap()]);
    assert_eq!(ran.code, 2);
    assert!(
        ran.err.ends_with("has an unknown key \"lisen\"; the nearest known one is \"listen\"\n"),
        "{}",
        ran.err
    );
    let ran = oriel(&["check-config", "--listen", "0.0.0.0:80"]);
    assert_eq!((ran.code, ran.err.lines().count()), (2, 1));
}

#[test]
fn the_first_key_is_made_in_the_folder_and_can_be_taken_away() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let data = data.to_str().unwrap();
    assert_eq!(oriel(&["keys", "list", "--data", data]).code, 2);
    let added = oriel(&["keys", "add", "--role", "admin", "--data", data]);
    assert_eq!(added.code, 0, "{}", added.err);
    assert!(added.out.starts_with("oak_") && added.out.lines().count() == 1 && !added.err.contains("oak_"));
    let none = oriel(&["keys", "add", "--role", "admin", "--if-none", "--data", data]);
    assert_eq!((none.code, none.out.as_str()), (0, ""), "{}", none.err);
    let list: Value = serde_json::from_str(&oriel(&["keys", "list", "--json", "--data", data]).out).unwrap();
    assert_eq!(list["keys"].as_array().unwrap().len(), 1);
    let key = &list["keys"][0];
    assert_eq!((&key["name"], &key["role"], &key["all"]), (&"admin".into(), &"admin".into(), &true.into()));
    let revoked = oriel(&["keys", "revoke", key["id"].as_str().unwrap(), "--data", data]);
    assert_eq!(revoked.code, 0);
    let none = oriel(&["keys", "list", "--data", data]);
    assert_eq!((none.out.as_str(), none.err.as_str()), ("", "no keys\n"));
    let added = oriel(&["keys", "add", "--role", "admin", "--if-none", "--data", data]);
    assert!(added.out.starts_with("oak_"), "{}", added.err);
}

#[test]
fn a_key_that_sees_nothing_is_not_made() {
    let folder = tempfile::tempdir().unwrap();
    let ran = oriel(&["keys", "add", "--role", "viewer", "--data", folder.path().to_str().unwrap()]);
    assert_eq!((ran.code, ran.err.contains("--camera, --tag or --all")), (2, true));
}

#[test]
fn a_code_goes_to_a_file_for_its_owner_alone() {
    let folder = tempfile::tempdir().unwrap();
    let (data, file) = (folder.path().join("data"), folder.path().join("code"));
    let ran = oriel(&[
        "enroll",
        "--camera",
        "porch",
        "--new-cameras",
        "site7-*",
        "--json",
        "--data",
        data.to_str().unwrap(),
        "--out",
        file.to_str().unwrap(),
    ]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    let answer: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(answer["enrollment"]["new_cameras"], "site7-*");
    assert_eq!(answer["code"], Value::Null);
    assert!(std::fs::read_to_string(&file).unwrap().starts_with("oen_"));
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn a_reader_that_has_seen_enough_is_no_failure() {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut completions = command(&["completions", "zsh"]);
    completions.stdout(writer);
    let output = completions.output().unwrap();
    assert_eq!((output.status.code(), output.stderr.len()), (Some(0), 0));
}

#[test]
fn every_shell_gets_completions() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let script = oriel(&["completions", shell]).out;
        assert!(script.contains("check-config") && script.contains("backup"), "{shell}");
    }
}
