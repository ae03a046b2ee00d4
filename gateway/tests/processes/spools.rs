//! Logs on devices that are restored, cloned, wiped, broken or full, or whose clock is set: what was acknowledged stays, and
//! nothing is passed over silently.

use std::{collections::HashSet, fs, path::Path};

use serde_json::Value;

use super::{device::Device, gateway::Gateway, http::Http};

/// Events of the past that a camera writes at its first start.
const BACKFILL: u32 = 200;

/// What the store holds of what the camera wrote, by identity.
#[derive(Debug)]
struct Stored(Vec<(String, String)>);

impl Stored {
    /// Asks until there are at least so many.
    #[track_caller]
    fn at_least(http: &Http, count: usize) -> Self {
        let path = "/v1/cameras/porch/events?source=store&order=asc&limit=1000";
        let page = http.until(path, |page| written(page).len() >= count);
        Self(written(&page))
    }

    fn epochs(&self) -> HashSet<String> {
        self.0.iter().map(|(id, _)| id[..36].to_owned()).collect()
    }

    /// Everything of `before` is there as it was, and nothing twice.
    #[track_caller]
    fn keeps(&self, before: &Self) {
        let ids: HashSet<_> = self.0.iter().map(|(id, _)| id).collect();
        assert_eq!(ids.len(), self.0.len(), "an identity stands there twice");
        let all: HashSet<_> = self.0.iter().collect();
        assert!(before.0.iter().all(|event| all.contains(event)), "something acknowledged is gone");
    }
}

/// Identity, and time with description, of what the camera wrote itself.
fn written(page: &Value) -> Vec<(String, String)> {
    let events = page["events"].as_array().unwrap().iter().filter(|event| event["data"]["by"].is_null());
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    events.map(|event| (text(&event["id"]), text(&event["at"]) + &text(&event["description"]))).collect()
}

/// The reasons for which something of the log is missing.
fn missing(http: &Http) -> HashSet<String> {
    let page = http.get("/v1/cameras/porch/events?source=store&limit=1000").body;
    let coverage = page["coverage"].as_array().unwrap().iter();
    coverage.filter_map(|stretch| Some(stretch["missing"].as_str()?.to_owned())).collect()
}

/// A device that writes twenty events a second, of which the first ones are stored.
fn writing(gateway: &Gateway) -> (Device, Stored) {
    let device = Device::enrolled(gateway, &["porch"]);
    device.write_fast(BACKFILL);
    let mut agent = device.start_connected();
    let stored = Stored::at_least(&gateway.http(), BACKFILL as usize);
    // Ended well, so that everything is in the file itself.
    agent.signal("TERM");
    agent.end();
    (device, stored)
}

/// Puts the log of `from` in the place of that of `to`.
fn restore(from: &Device, to: &Device) {
    wipe(to);
    for name in ["porch.db", "porch.db-wal"] {
        let file = Path::new("camera-agent/cameras").join(name);
        let file = file.to_str().unwrap();
        if from.path(file).exists() {
            fs::copy(from.path(file), to.path(file)).unwrap();
        }
    }
}

fn wipe(device: &Device) {
    for name in ["porch.db", "porch.db-wal", "porch.db-shm"] {
        // Not every one of them is always there.
        _ = fs::remove_file(device.path("camera-agent/cameras").join(name));
    }
}

#[test]
fn a_spool_restored_from_an_old_copy_goes_on_under_a_new_epoch() {
    let gateway = Gateway::start();
    let (device, first) = writing(&gateway);
    let old = device.copy();
    let mut agent = device.start_connected();
    let before = Stored::at_least(&gateway.http(), first.0.len() + 20);
    agent.kill();
    restore(&old, &device);
    let _agent = device.start_connected();
    let after = Stored::at_least(&gateway.http(), before.0.len() + 20);
    after.keeps(&before);
    assert_eq!((before.epochs().len(), after.epochs().len()), (1, 2));
}

#[test]
fn of_two_devices_with_one_spool_both_keep_their_events() {
    let gateway = Gateway::start();
    let (device, first) = writing(&gateway);
    let clone = device.copy();
    let mut agent = device.start_connected();
    let before = Stored::at_least(&gateway.http(), first.0.len() + 20);
    agent.kill();
    let mut agent = clone.start_connected();
    let between = Stored::at_least(&gateway.http(), before.0.len() + 20);
    agent.kill();
    let _agent = device.start_connected();
    let after = Stored::at_least(&gateway.http(), between.0.len() + 20);
    between.keeps(&before);
    after.keeps(&between);
    assert!(after.epochs().len() >= 2, "{:?}", after.epochs());
}

#[test]
fn a_wiped_spool_begins_an_epoch_and_what_was_stored_stays() {
    let gateway = Gateway::start();
    let (device, before) = writing(&gateway);
    wipe(&device);
    let _agent = device.start_connected();
    let after = Stored::at_least(&gateway.http(), before.0.len() + 20);
    after.keeps(&before);
    assert_eq!(after.epochs().len(), 2);
}

#[test]
fn a_spool_that_is_broken_in_the_middle_is_said_to_be_and_its_camera_goes_on() {
    let gateway = Gateway::start();
    let (device, before) = writing(&gateway);
    let file = device.path("camera-agent/cameras/porch.db");
    let mut bytes = fs::read(&file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle - 4_096..middle + 4_096].fill(0xa5);
    fs::write(&file, bytes).unwrap();
    _ = fs::remove_file(device.path("camera-agent/cameras/porch.db-wal"));
    let mut agent = device.start();
    agent.says("the spool failed its check");
    let after = Stored::at_least(&gateway.http(), before.0.len() + 20);
    after.keeps(&before);
    assert!(after.epochs().len() >= 2, "{:?}", after.epochs());
}

#[test]
fn what_a_full_spool_had_to_drop_is_named_and_the_rest_arrives() {
    let mut gateway = Gateway::start();
    let device = Device::enrolled(&gateway, &["porch"]);
    gateway.process.signal("TERM");
    gateway.process.end();
    device.configure("interval_ms = 10000", "interval_ms = 20, backfill = 3000");
    device.configure("[[camera]]", "[[camera]]\nspool_bytes = 65536");
    let mut agent = device.start();
    agent.says("not connected");
    gateway.restart();
    let http = gateway.http();
    http.until("/v1/cameras/porch/events?source=store", |page| !written(page).is_empty());
    assert!(missing(&http).contains("lost_on_camera"), "{:?}", missing(&http));
    let stored = Stored::at_least(&http, 50);
    let lowest = stored.0.iter().map(|(id, _)| id[37..].parse::<u64>().unwrap()).min();
    assert!(lowest > Some(1), "the oldest ones went");
}

#[test]
fn a_clock_that_goes_back_a_day_begins_an_epoch_and_everything_is_kept() {
    let gateway = Gateway::start();
    let (device, first) = writing(&gateway);
    let _agent = device.start_with_own_clock();
    let before = Stored::at_least(&gateway.http(), first.0.len() + 20);
    device.set_clock("-1d");
    let after = Stored::at_least(&gateway.http(), before.0.len() + 20);
    after.keeps(&before);
    assert_eq!((before.epochs().len(), after.epochs().len()), (1, 2));
    gateway.http().until("/v1/cameras/porch/events?source=store&limit=1000", |page| page["complete"] == true);
}

#[test]
fn a_clock_that_goes_forward_a_day_stays_in_its_epoch_until_it_is_put_right() {
    let gateway = Gateway::start();
    let (device, first) = writing(&gateway);
    let _agent = device.start_with_own_clock();
    let before = Stored::at_least(&gateway.http(), first.0.len() + 20);
    device.set_clock("+1d");
    let ahead = Stored::at_least(&gateway.http(), before.0.len() + 20);
    ahead.keeps(&before);
    assert_eq!(ahead.epochs(), before.epochs());
    device.set_clock("+0");
    let after = Stored::at_least(&gateway.http(), ahead.0.len() + 20);
    after.keeps(&ahead);
    assert_eq!(after.epochs().len(), 2);
    gateway.http().until("/v1/cameras/porch/events?source=store&limit=1000", |page| page["complete"] == true);
}
