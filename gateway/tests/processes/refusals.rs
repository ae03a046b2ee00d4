//! Why `oriel serve` does not start, in one line.

use std::{fs, path::Path};

use super::{
    gateway::{Gateway, text},
    process::{Ran, run_oriel},
};

/// Starts a gateway that must not start.
fn serve(folder: &Path, args: &[&str]) -> Ran {
    let data = text(&folder.join("data"));
    let usual = ["serve", "--metrics-listen", "off", "--data", &data];
    run_oriel(&[&usual[..], args].concat())
}

#[test]
fn options_that_make_no_gateway_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("oriel.toml");
    let at = text(&config);
    fs::write(&config, "lisen = '127.0.0.1:1'\n").unwrap();
    serve(folder.path(), &["--config", &at])
        .fails(2, "unknown key \"lisen\"; the nearest known one is \"listen\"");
    fs::write(&config, "listen = [\n").unwrap();
    serve(folder.path(), &["--config", &at]).fails(2, "is not TOML");
    fs::write(&config, "heartbeat = '1h'\n").unwrap();
    serve(folder.path(), &["--config", &at]).fails(2, "heartbeat: ");
    serve(folder.path(), &["--config", "/no/such/file"]).fails(2, "cannot read /no/such/file");
    serve(folder.path(), &["--listen", "0.0.0.0:0"]).fails(2, "refusing plain HTTP on 0.0.0.0:0");
    serve(folder.path(), &["--tls-cert", &at]).fails(2, "tls_cert is set but tls_key is not");
    serve(folder.path(), &["--tls-key", &at]).fails(2, "tls_key is set but tls_cert is not");
    serve(folder.path(), &["--lisen", "127.0.0.1:1"]).fails(2, "--listen");
    assert!(!folder.path().join("data").exists(), "a refused gateway left a folder");
}

#[test]
fn a_folder_that_cannot_be_used_is_named() {
    let folder = tempfile::tempdir().unwrap();
    // Holds for root too, whom no mode keeps out.
    fs::write(folder.path().join("data"), "a file, not a folder").unwrap();
    serve(folder.path(), &["--listen", "127.0.0.2:0"]).fails(1, &text(&folder.path().join("data")));
    run_oriel(&["serve", "--data", "/proc/oriel", "--listen", "127.0.0.2:0", "--metrics-listen", "off"])
        .fails(1, "/proc/oriel");
}

#[test]
fn a_folder_of_a_newer_version_is_left_alone() {
    let mut gateway = Gateway::start();
    gateway.process.signal("TERM");
    gateway.process.end();
    let file = gateway.folder.path().join("data/oriel.db");
    let before = {
        let db = rusqlite::Connection::open(&file).unwrap();
        db.pragma_update(None, "user_version", 9_999).unwrap();
        db.close().unwrap();
        fs::read(&file).unwrap()
    };
    serve(gateway.folder.path(), &["--listen", "127.0.0.2:0"]).fails(1, "newer");
    run_oriel(&["keys", "add", "--role", "admin", "--data", &gateway.data()]).fails(1, "newer");
    assert_eq!(fs::read(&file).unwrap(), before);
}

#[test]
fn a_folder_has_one_gateway_at_a_time_however_the_last_one_ended() {
    let mut gateway = Gateway::start();
    serve(gateway.folder.path(), &["--listen", "127.0.0.2:0"]).fails(1, "another gateway uses ");
    run_oriel(&[
        "demo",
        "--listen",
        "127.0.0.2:0",
        "--metrics-listen",
        "127.0.0.2:0",
        "--legacy-listen",
        "127.0.0.2:0",
        "--data",
        &gateway.data(),
    ])
    .fails(1, "another gateway uses ");
    gateway.process.kill();
    gateway.restart();
    gateway.oriel(&["cameras", "list"]).fine();
}

#[test]
fn a_taken_port_is_named() {
    let gateway = Gateway::start();
    let other = tempfile::tempdir().unwrap();
    let (_, address) = gateway.url.split_once("://").unwrap();
    serve(other.path(), &["--listen", address]).fails(1, &format!("cannot listen on {address}"));
}
