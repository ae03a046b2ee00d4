//! A gateway with TLS from files: an agent enrolled by the printed command answers, whoever lies about itself is refused.

use std::fs;

use serde_json::Value;

use super::{
    authority::Authority,
    device::{Device, printed},
    gateway::{Gateway, text},
    process::{Process, oriel},
};

#[test]
fn an_agent_enrolled_by_the_printed_command_answers_over_https() {
    let authority = Authority::new("one");
    let gateway = Gateway::start_tls(&authority);
    assert!(gateway.url.starts_with("https://127.0.0.2:"));
    let device = Device::enrolled(&gateway, &["porch", "yard"]);
    let _agent = device.start_connected();
    let http = gateway.http();
    for camera in ["porch", "yard"] {
        http.until_status(camera, "online");
        let answer = http.get(&format!("/v1/cameras/{camera}/events?source=camera&timeout=5s"));
        assert_eq!((answer.status, answer.body["complete"].as_bool()), (200, Some(true)));
        assert_eq!(answer.body["events"][0]["camera"], camera);
        let ran = gateway.oriel(&["events", camera, "--source", "camera", "--json"]);
        let list: Value = serde_json::from_str(&ran.fine()).unwrap();
        assert_eq!(
            list["events"].as_array().unwrap().last(),
            answer.body["events"].as_array().unwrap().last()
        );
    }
    let agents = http.get("/v1/agents").body;
    assert_eq!(agents["agents"][0]["address"], "127.0.0.1");
}

#[test]
fn the_command_line_names_what_is_wrong_with_a_certificate() {
    let authority = Authority::new("one");
    let mut gateway = Gateway::start_tls(&authority);
    let unreachable = |gateway: &Gateway, why: &str| {
        let ran = gateway.oriel(&["cameras", "list"]);
        ran.fails(1, &format!("cannot reach {}: its certificate {why}", gateway.url));
    };
    for (name, year, why) in [("127.0.0.9", 2099, "is for another name"), ("127.0.0.2", 2021, "has expired")]
    {
        authority.write_leaf(gateway.folder.path(), name, year);
        reload(&mut gateway);
        unreachable(&gateway, why);
    }
    authority.write_leaf(gateway.folder.path(), "127.0.0.2", 2099);
    reload(&mut gateway);
    gateway.oriel(&["cameras", "list"]).fine();
    // An authority that only has the same name is another one.
    for other in ["two", "one"].map(Authority::new) {
        gateway.ca = Some(other.file.clone());
        unreachable(&gateway, "is from an authority that is not trusted here");
    }
}

#[test]
fn a_device_sends_its_code_to_no_gateway_with_a_wrong_certificate() {
    let authority = Authority::new("one");
    let mut gateway = Gateway::start_tls(&authority);
    let command = printed(&gateway, &["porch"]);
    let device = Device::new();
    let other = Authority::new("two");
    let pinned = gateway.ca.replace(other.file.clone());
    device.run_printed(&gateway, &command).fails(1, "is signed by an authority that is not trusted here");
    gateway.ca = pinned;
    for (name, year, why) in [("127.0.0.9", 2099, "is for another name"), ("127.0.0.2", 2021, "has expired")]
    {
        authority.write_leaf(gateway.folder.path(), name, year);
        reload(&mut gateway);
        device.run_printed(&gateway, &command).fails(1, &format!("the certificate of 127.0.0.2 {why}"));
    }
    authority.write_leaf(gateway.folder.path(), "127.0.0.2", 2099);
    reload(&mut gateway);
    // The code was never sent, so it is still good.
    device.run_printed(&gateway, &command).fine();
}

#[test]
fn a_running_agent_names_what_is_wrong_with_a_certificate_and_connects_once_it_is_right() {
    let authority = Authority::new("one");
    let mut gateway = Gateway::start_tls(&authority);
    let device = Device::enrolled(&gateway, &["porch"]);
    authority.write_leaf(gateway.folder.path(), "127.0.0.2", 2021);
    reload(&mut gateway);
    let mut agent = device.start();
    agent.says("has expired");
    authority.write_leaf(gateway.folder.path(), "127.0.0.9", 2099);
    reload(&mut gateway);
    agent.says("is for another name");
    authority.write_leaf(gateway.folder.path(), "127.0.0.2", 2099);
    reload(&mut gateway);
    agent.says("the camera is taken");
    let other = Authority::new("two");
    device.configure(&text(&authority.file), &text(&other.file));
    agent.kill();
    device.start().says("is signed by an authority that is not trusted here");
}

#[test]
fn a_gateway_without_tls_is_told_apart_from_one_with_a_wrong_certificate() {
    let mut gateway = Gateway::start();
    let authority = Authority::new("one");
    gateway.ca = Some(authority.file.clone());
    gateway.url = gateway.url.replace("http:", "https:");
    gateway.oriel(&["cameras", "list"]).fails(1, "what answers there does not speak TLS");
}

#[test]
fn a_broken_certificate_file_leaves_the_old_one_in_use() {
    let authority = Authority::new("one");
    let mut gateway = Gateway::start_tls(&authority);
    fs::write(gateway.folder.path().join("cert.pem"), "half a certif").unwrap();
    gateway.process.signal("HUP");
    gateway.process.says("certificate not read again; the old one stays in use");
    gateway.oriel(&["cameras", "list"]).fine();
    gateway.process.kill();
    let folder = |name| text(&gateway.folder.path().join(name));
    let (data, cert, key) = (gateway.data(), folder("cert.pem"), folder("key.pem"));
    let args = ["serve", "--listen", "127.0.0.2:0", "--data", &data, "--tls-cert", &cert, "--tls-key", &key];
    Process::start(oriel(&args)).finish().fails(1, &format!("cannot read {cert}: it holds no certificate"));
}

/// Lets a gateway read its certificate again.
fn reload(gateway: &mut Gateway) {
    gateway.process.signal("HUP");
    gateway.process.says("certificate read again");
}
