//! A program that is there and says nothing: each side notices, says so, and goes on when the other does.

use std::time::{Duration, Instant};

use super::{device::Device, gateway::Gateway};

#[test]
fn a_frozen_gateway_is_given_up_on_in_time_and_answers_when_it_thaws() {
    let gateway = Gateway::start();
    let device = Device::enrolled(&gateway, &["porch"]);
    let _agent = device.start_connected();
    gateway.process.signal("STOP");
    let asked = Instant::now();
    let ran = gateway.oriel(&["events", "porch", "--timeout", "500ms"]);
    ran.fails(1, &format!("cannot reach {}: no answer in time", gateway.url));
    assert!(asked.elapsed() < Duration::from_secs(5), "{:?}", asked.elapsed());
    gateway.process.signal("CONT");
    gateway.oriel(&["events", "porch"]).fine();
}

#[test]
fn a_frozen_agent_is_offline_after_two_and_a_half_heartbeats_and_comes_back() {
    let gateway = Gateway::start_with(&["--heartbeat", "1s"]);
    let device = Device::enrolled(&gateway, &["porch"]);
    let mut agent = device.start_connected();
    agent.signal("STOP");
    let frozen = Instant::now();
    let ran = gateway.oriel(&["events", "porch", "--source", "camera", "--timeout", "500ms"]);
    ran.fails(1, "camera porch did not answer before the deadline (camera_timeout)");
    gateway.http().until_status("porch", "offline");
    // Two and a half intervals, and some for a busy machine.
    assert!(frozen.elapsed() < Duration::from_secs(5), "{:?}", frozen.elapsed());
    gateway.oriel(&["events", "porch", "--source", "camera"]).fails(4, "camera porch is not connected");
    agent.signal("CONT");
    agent.says("the camera is taken");
    gateway.oriel(&["events", "porch"]).fine();
}
