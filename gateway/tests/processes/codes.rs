//! What the command line says, and with which exit code, against a gateway that runs.

use super::{
    device::Device,
    gateway::Gateway,
    process::{Process, oriel, run_oriel},
};

#[test]
fn each_reason_to_fail_has_an_exit_code_of_its_own() {
    let gateway = Gateway::start();
    gateway.oriel(&["cameras", "add", "porch"]).fine();
    for (args, code, why) in [
        (&["events", "porch", "--from", "yesterday"][..], 1, "yesterday"),
        (&["events", "porch", "--limit", "0"], 2, "--limit"),
        (&["events", "porch", "--timeout", "2m"], 2, "100ms to 60s"),
        (&["enroll", "--camera", "yard", "--expires", "10s"], 2, "1m to 24h"),
        (&["cameras", "list", "--url", "127.0.0.2:1"], 2, "not an address such as https://gateway:8443"),
        (&["cameras", "list", "--url", "http://127.0.0.2:1"], 1, "connection refused"),
        (&["cameras", "list", "--key-file", "/no/such/file"], 1, "cannot read /no/such/file"),
        (&["cameras", "add", "porch"], 1, "(conflict)"),
        (&["cameras", "show", "garden"], 1, "(not_found)"),
        (&["events", "garden"], 1, "(not_found)"),
        (&["agents", "revoke", "01a20216-b971-711f-b438-9afc25c2f3af"], 1, "(not_found)"),
        (&["events", "porch", "--source", "camera"], 4, "camera porch is not connected"),
    ] {
        gateway.oriel(args).fails(code, why);
    }
    let url = gateway.url.as_str();
    let unknown = with_key(url, "oak_0000000000000000000000000000000000000000", &["cameras", "list"]);
    unknown.fails(3, "refused: ");
}

#[test]
fn a_key_that_may_not_is_refused_and_sees_nothing_foreign() {
    let gateway = Gateway::start();
    let device = Device::enrolled(&gateway, &["porch", "yard"]);
    let _agent = device.start_connected();
    gateway.http().until_status("porch", "online");
    let key = gateway.oriel(&["keys", "add", "--role", "viewer", "--camera", "porch"]).fine();
    let ask = |args: &[&str]| with_key(&gateway.url, key.trim(), args);
    assert!(!ask(&["cameras", "list"]).fine().contains("yard"));
    ask(&["events", "porch"]).fine();
    ask(&["events", "yard"]).fails(1, "(not_found)");
    ask(&["enroll", "--camera", "garden"]).fails(3, "refused: this needs the role admin");
    ask(&["keys", "list"]).fails(3, "refused: this needs the role admin");
}

#[test]
fn of_several_cameras_those_that_lack_something_are_named() {
    let gateway = Gateway::start();
    let device = Device::enrolled(&gateway, &["porch"]);
    let _agent = device.start_connected();
    gateway.oriel(&["cameras", "add", "yard"]).fine();
    let ran = gateway.oriel(&["events", "porch", "yard", "--csv"]);
    assert!(ran.out.contains(",porch,") && ran.out.contains(",yard,,,missing,"), "{}", ran.out);
    assert!(ran.err.starts_with("missing: yard from the beginning to "), "{}", ran.err);
    assert!(ran.err.contains(": camera_offline") && ran.code == 0, "{}", ran.err);
    gateway.oriel(&["events", "porch", "yard", "--source", "camera"]).fails(2, "are about one camera");
}

#[test]
fn a_revoked_key_and_a_revoked_device_are_out() {
    let gateway = Gateway::start();
    let device = Device::enrolled(&gateway, &["porch"]);
    let mut agent = device.start_connected();
    let http = gateway.http();
    let id = http.get("/v1/agents").body["agents"][0]["id"].as_str().unwrap().to_owned();
    gateway.oriel(&["agents", "revoke", &id]).fine();
    agent.says("4003");
    http.until_status("porch", "offline");
    agent.kill();
    device.start().says("refused with status 403: this agent was revoked");
    let key = http.get("/v1/keys").body["keys"][0]["id"].as_str().unwrap().to_owned();
    gateway.oriel(&["keys", "revoke", &key]).fine();
    gateway.oriel(&["keys", "list"]).fails(3, "refused: ");
    // Locked out, the owner of the machine still gets in.
    let key = run_oriel(&["keys", "add", "--role", "admin", "--data", &gateway.data()]).fine();
    super::http::Http::new(&gateway.url, key.trim(), None).until("/v1/keys", |_| true);
}

/// Runs `oriel` with another key than the gateway's first.
fn with_key(url: &str, key: &str, args: &[&str]) -> super::process::Ran {
    let mut command = oriel(args);
    command.env("ORIEL_URL", url).env("ORIEL_KEY", key);
    Process::start(command).finish()
}
