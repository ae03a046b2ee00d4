//! Keys and codes made in the data folder itself, before and while a gateway runs there.

use std::{fs, os::unix::fs::PermissionsExt, path::Path};

use super::{
    device::Device,
    gateway::{Gateway, text},
    http::Http,
    process::{Process, Stream, oriel, run_oriel},
};

#[test]
fn a_key_and_a_code_made_before_the_first_start_are_good() {
    let folder = tempfile::tempdir().unwrap();
    let (data, device) = (text(&folder.path().join("data")), Device::new());
    let key = run_oriel(&["keys", "add", "--role", "admin", "--data", &data]).fine();
    let code = device.path("code");
    let made = run_oriel(&["enroll", "--camera", "porch", "--data", &data, "--out", &text(&code)]);
    assert!(!made.fine().contains("oen_"));
    assert_eq!(mode(&code), 0o600);
    code_at_each_start(&data, &code, "another open enrollment");

    let args = ["serve", "--listen", "127.0.0.2:0", "--metrics-listen", "off", "--data", &data];
    let mut gateway = Process::start(oriel(&args));
    let url = gateway.says("serving").split('"').nth(1).unwrap().to_owned();
    let http = Http::new(&url, key.trim(), None);
    // It has a key, so it makes and prints none.
    assert_eq!(http.get("/v1/keys").body["keys"].as_array().unwrap().len(), 1);

    let mut agent = runs_by_itself(&device, &url);
    http.until_status("porch", "online");
    code_at_each_start(&data, &code, "belongs to an agent already");
    agent.signal("TERM");
    assert_eq!(agent.end().code(), Some(0));
    // The token is kept, so the code file may stay or go.
    fs::remove_file(code).unwrap();
    runs_again(&device, &url);
    gateway.signal("TERM");
    let ran = gateway.finish();
    assert_eq!((ran.code, ran.out.as_str()), (0, ""), "{}", ran.err);
}

/// What a script does at each start: while no code is needed, the one that was made stays.
#[track_caller]
fn code_at_each_start(data: &str, file: &Path, why: &str) {
    let before = fs::read(file).unwrap();
    let path = text(file);
    let enroll = ["enroll", "--camera", "porch", "--data", data, "--out", &path];
    run_oriel(&enroll).fails(1, why);
    let ran = run_oriel(&[&enroll[..], &["--if-needed"]].concat());
    assert!(ran.code == 0 && ran.err.contains(why), "{ran:?}");
    assert_eq!(fs::read(file).unwrap(), before);
}

#[test]
fn a_key_and_a_code_made_beside_a_running_gateway_are_good_within_a_moment() {
    let gateway = Gateway::start();
    let device = Device::new();
    let (data, code) = (gateway.data(), device.path("code"));
    let key = run_oriel(&["keys", "add", "--role", "viewer", "--all", "--data", &data]).fine();
    let http = Http::new(&gateway.url, key.trim(), None);
    http.until("/v1/cameras", |_| true);
    let file = text(&device.path("key"));
    run_oriel(&["keys", "add", "--role", "admin", "--data", &data, "--out", &file]).fine();
    assert_eq!(mode(Path::new(&file)), 0o600);
    run_oriel(&["enroll", "--camera", "porch", "--data", &data, "--out", &text(&code)]).fine();
    let _agent = runs_by_itself(&device, &gateway.url);
    http.until_status("porch", "online");
    let listed = run_oriel(&["keys", "list", "--data", &data]).fine();
    assert_eq!(listed.lines().count(), 4, "{listed}");
}

#[test]
fn a_code_is_good_once() {
    let gateway = Gateway::start();
    let command = super::device::printed(&gateway, &["porch"]);
    let [first, second] = [Device::new(), Device::new()];
    first.run_printed(&gateway, &command).fine();
    second.run_printed(&gateway, &command).fails(1, "401: this code was used before, has expired");
    // A letter that was copied wrong is told apart.
    let last = if command.ends_with('0') { "1" } else { "0" };
    let mistyped = format!("{}{last}", &command[..command.len() - 1]);
    second.run_printed(&gateway, &mistyped).fails(1, "cut or mistyped");
    assert!(!second.path("agent.toml").exists());
    let agents = gateway.http().get("/v1/agents").body;
    assert_eq!(agents["agents"].as_array().unwrap().len(), 1);
}

/// Starts an agent without a configuration file, with a code file beside it.
fn runs_by_itself(device: &Device, url: &str) -> Process {
    let mut agent =
        device.start_with(&["run", "--gateway", url, "--simulate", "porch", "--code-file", "code"]);
    agent.says("enrolled");
    agent.says("the camera is taken");
    agent
}

fn runs_again(device: &Device, url: &str) {
    device.start_with(&["run", "--gateway", url, "--simulate", "porch"]).says("the camera is taken");
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn the_first_key_is_printed_once_and_alone_on_its_line() {
    let mut gateway = Gateway::start();
    assert!(gateway.key.starts_with("oak_") && !gateway.key.contains(' '));
    gateway.process.kill();
    gateway.restart();
    gateway.process.signal("TERM");
    gateway.process.says("stopping");
    gateway.process.end();
    assert_eq!(gateway.process.waiting(Stream::Out), "");
}
