//! What holds behind a proxy: the guide's configuration of nginx lets everything through, and a wrong one is named.

use std::{fs, process::Command};

use super::{
    device::Device,
    gateway::Gateway,
    nginx::Nginx,
    process::{Process, Stream},
};

/// Asks with curl, which shows the headers too and passes lines on as they come.
fn curl(nginx: &Nginx, gateway: &Gateway, options: &[&str], path: &str) -> Process {
    let mut command = Command::new("curl");
    command.args(["--silent", "--no-buffer", "--include", "--cacert"]).arg(&nginx.ca).args(options);
    command.args(["--header", &format!("Authorization: Bearer {}", gateway.key)]);
    command.arg(format!("{}{path}", gateway.url));
    Process::start(command)
}

#[test]
fn everything_goes_through_nginx_as_the_guide_configures_it() {
    let (nginx, gateway) = Nginx::before_a_gateway();
    let (http, folder) = (gateway.http(), tempfile::tempdir().unwrap());
    let device = Device::enrolled(&gateway, &["porch"]);
    device.configure("interval_ms = 10000", "interval_ms = 1000, backfill = 20");
    let _agent = device.start_connected();
    http.until_status("porch", "online");
    // The device's own address, not the proxy's.
    assert_eq!(http.get("/v1/agents").body["agents"][0]["address"], "127.0.0.1");

    let mut stream = curl(&nginx, &gateway, &[], "/v1/stream?camera=porch");
    stream.line(Stream::Out, "HTTP/2 200");
    for message in ["event:hello", "event:status", "event:event", "event:image"] {
        stream.line(Stream::Out, message);
    }
    let mut follows = gateway.start_command(&["events", "porch", "--follow", "--json"]);
    follows.line(Stream::Out, "\"camera\":\"porch\"");

    let frames = folder.path().join("frames");
    let live = ["live", "porch", "--fps", "5", "--count", "3", "--out", frames.to_str().unwrap()];
    gateway.oriel(&live).fine();
    assert_eq!(fs::read_dir(&frames).unwrap().count(), 3);

    let file = folder.path().join("porch.zip");
    let whole = ["--no-include", "--fail", "--output", file.to_str().unwrap()];
    curl(&nginx, &gateway, &whole, "/v1/cameras/porch/images.zip?from=-1h&count=1000").finish().fine();
    let mut test = Command::new("/usr/bin/python3");
    test.args(["-m", "zipfile", "-t"]).arg(&file);
    Process::start(test).finish().fine();
    assert!(file.metadata().unwrap().len() > 100_000);
}

#[test]
fn nginx_passes_streams_on_as_they_come_also_where_it_buffers() {
    let (mut nginx, gateway) = Nginx::before_a_gateway();
    nginx.change("proxy_buffering off;", "");
    let mut stream = curl(&nginx, &gateway, &["--http1.1"], "/v1/stream");
    stream.line(Stream::Out, "event:hello");
}

#[test]
fn an_agent_names_what_is_wrong_with_the_proxy_before_its_gateway() {
    let (mut nginx, mut gateway) = Nginx::before_a_gateway();
    let device = Device::enrolled(&gateway, &["porch"]);
    let no_upgrade = "no WebSocket upgrade came with the request";
    for (from, to, says) in [
        ("proxy_set_header Upgrade $http_upgrade;", "", no_upgrade),
        ("proxy_set_header Connection $connection_upgrade;", "", no_upgrade),
        ("proxy_http_version 1.1;", "", no_upgrade),
        ("location / {", "location / { proxy_set_header Sec-WebSocket-Protocol '';", no_upgrade),
        ("location / {", "location / { proxy_set_header Authorization '';", "must pass Authorization on"),
        ("location / {", "location / { deny all;", "must ask for no login of its own"),
        ("proxy_read_timeout 150s;", "proxy_read_timeout 3s;", "cuts quiet connections"),
    ] {
        nginx.change(from, to);
        device.start().says(says);
    }
    nginx.change("", "");
    gateway.process.kill();
    device.start().says("a proxy is there, and does not get through to the gateway");
    let ran = gateway.oriel(&["cameras", "list"]);
    ran.fails(1, "status 502 from what is no gateway, such as a proxy that stands before it");
}
