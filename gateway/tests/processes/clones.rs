//! Two agents that claim to be one: on one folder, or on copies of it.

use super::{device::Device, gateway::Gateway};

#[test]
fn a_second_agent_on_one_folder_is_refused() {
    let gateway = Gateway::start();
    let device = Device::enrolled(&gateway, &["porch"]);
    let _first = device.start_connected();
    device.run(&["run"]).fails(1, "is used by another camera-agent");
    assert_eq!(gateway.http().get("/v1/cameras/porch/events").status, 200);
}

#[test]
fn a_copied_device_is_shown_and_disturbs_nobody() {
    let gateway = Gateway::start();
    let device = Device::enrolled(&gateway, &["porch"]);
    device.start_connected().kill();
    let copy = device.copy();
    let http = gateway.http();
    let _first = device.start_connected();
    let before = http.until_status("porch", "online");
    assert_eq!(warning(&gateway), "");

    let mut second = copy.start();
    second.says("4409");
    assert_eq!(warning(&gateway), "two devices use one token");
    assert_eq!(http.get("/v1/cameras/porch").body["since"], before["since"]);
    assert_eq!(http.get("/v1/cameras/porch/events").status, 200);
}

#[test]
fn a_copy_that_comes_later_makes_the_first_one_somebody_else() {
    let gateway = Gateway::start();
    let device = Device::enrolled(&gateway, &["porch"]);
    device.start_connected().kill();
    let copy = device.copy();
    // Two dials in a row: higher than the one that the first device makes.
    copy.start_connected().kill();
    let mut first = device.start_connected();
    let _second = copy.start_connected();
    first.says("another device uses a copy of this agent's state folder");
    first.kill();
    device.start().says("4409");
    assert_eq!(warning(&gateway), "two devices use one token");
    assert_eq!(gateway.http().get("/v1/cameras/porch/events").status, 200);
}

/// What the only agent's entry warns of.
fn warning(gateway: &Gateway) -> String {
    let agents = gateway.http().get("/v1/agents").body;
    assert_eq!(agents["agents"].as_array().unwrap().len(), 1);
    agents["agents"][0]["warning"].as_str().unwrap_or_default().to_owned()
}
