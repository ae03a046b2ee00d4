//! Either side killed and started again: clear answers in time, everybody back, no event lost.

use std::{
    collections::HashMap,
    thread,
    time::{Duration, Instant},
};

use super::{device::Device, gateway::Gateway, http::Answer, process::WITHIN};

/// How much later than its deadline an answer may come on a busy machine.
const SLACK: Duration = Duration::from_secs(3);

/// Events of the past that each camera begins with: more than one page.
const BACKFILL: u32 = 1_500;

#[test]
fn a_killed_agent_leaves_clear_answers_and_comes_back_with_every_event() {
    let gateway = Gateway::start();
    let http = gateway.http();
    let device = Device::enrolled(&gateway, &["porch"]);
    device.write_fast(BACKFILL);
    assert_eq!(http.get("/v1/cameras/porch").body["status"], "never_seen");
    let mut agent = device.start_connected();
    let (before, dials) = (gateway.log("porch"), device.generation());
    assert!(before.len() > BACKFILL as usize);

    // Frozen, it holds the questions that are asked while it is killed.
    agent.signal("STOP");
    let answers = while_asking(&gateway, &["300ms", "2s", "6s"], || {
        assert_eq!(http.get("/v1/cameras/porch/events?source=camera&timeout=300ms").code(), "camera_timeout");
        agent.kill();
    });
    for (timeout, answer) in &answers {
        assert!(["camera_offline", "camera_timeout"].contains(&answer.code()), "{timeout}: {answer:?}");
        // The agent's next connection is waited for as long as the caller has time, and it does not come.
        let deadline = oriel_gateway::config::parse_duration(timeout).unwrap();
        assert!(answer.took < deadline + SLACK, "{timeout}: {answer:?}");
    }
    let offline = http.until_status("porch", "offline");
    assert!(offline["since"].as_str() > Some("2026"), "{offline}");
    assert_eq!(http.get("/v1/cameras/porch/events?source=camera").code(), "camera_offline");
    gateway.oriel(&["events", "porch", "--source", "camera"]).fails(4, "camera porch is not connected");

    let _agent = device.start_connected();
    let online = http.until_status("porch", "online");
    assert!(online["since"].as_str() > offline["since"].as_str(), "{offline} {online}");
    assert!(device.generation() > dials);
    nothing_lost(&before, &gateway.log("porch"));
}

#[test]
fn an_agent_killed_again_and_again_loses_nothing() {
    let gateway = Gateway::start();
    let device = Device::enrolled(&gateway, &["porch"]);
    device.write_fast(0);
    let mut before = Vec::new();
    for round in 1..=5 {
        let mut agent = device.start_connected();
        assert_eq!(device.generation(), round);
        let now = gateway.log("porch");
        nothing_lost(&before, &now);
        before = now;
        agent.kill();
    }
}

#[test]
fn a_killed_gateway_is_found_again_within_the_backoff() {
    let mut gateway = Gateway::start();
    let device = Device::enrolled(&gateway, &["porch"]);
    device.write_fast(BACKFILL);
    let mut agent = device.start_connected();
    let (before, dials) = (gateway.log("porch"), device.generation());

    agent.signal("STOP");
    let asking = thread::spawn({
        let http = gateway.http();
        move || {
            let asked = Instant::now();
            (http.try_get("/v1/cameras/porch/events?source=camera&timeout=20s").is_err(), asked.elapsed())
        }
    });
    assert_eq!(
        gateway.http().get("/v1/cameras/porch/events?source=camera&timeout=300ms").code(),
        "camera_timeout"
    );
    gateway.process.kill();
    let (failed, took) = asking.join().unwrap();
    assert!(failed && took < SLACK, "{took:?}");
    gateway.oriel(&["events", "porch"]).fails(1, "connection refused");
    agent.signal("CONT");

    let lost = Instant::now();
    let mut promised = wait(&agent.says("not connected"));
    gateway.restart();
    let http = gateway.http();
    assert_ne!(http.get("/v1/cameras/porch").body["status"], "online");
    // Each wait that was written before the connection was one more reason to be late.
    loop {
        let line = agent.says("connected");
        if !line.contains("not connected") {
            break;
        }
        promised += wait(&line);
    }
    assert!(lost.elapsed() < promised + SLACK, "{:?} instead of {promised:?}", lost.elapsed());
    http.until_status("porch", "online");
    assert!(device.generation() > dials);
    nothing_lost(&before, &gateway.log("porch"));
}

#[test]
fn a_gateway_killed_right_after_a_cameras_first_connection_knows_that_it_was_there() {
    let mut gateway = Gateway::start();
    let device = Device::enrolled(&gateway, &["porch", "yard"]);
    gateway.oriel(&["cameras", "set", "yard", "--name", "Named ahead"]).fine();
    let mut agent = device.start_connected();
    agent.says("the camera is taken");
    gateway.process.kill();
    agent.kill();
    gateway.restart();
    for camera in ["porch", "yard"] {
        let found = gateway.http().get(&format!("/v1/cameras/{camera}")).body;
        assert_eq!(found["status"], "offline", "{found}");
        assert!(found["since"].as_str() > Some("2026"), "{found}");
    }
}

/// Asks for a camera's log with each of these timeouts, several times at once, while `doing` something.
fn while_asking<'a>(gateway: &Gateway, timeouts: &[&'a str], doing: impl FnOnce()) -> Vec<(&'a str, Answer)> {
    let ask = |timeout: &'a str| {
        let http = gateway.http();
        let path = format!("/v1/cameras/porch/events?source=camera&timeout={timeout}");
        (timeout, thread::spawn(move || http.get(&path)))
    };
    let asking: Vec<_> = (0..4).flat_map(|_| timeouts.iter().map(|timeout| ask(timeout))).collect();
    doing();
    asking.into_iter().map(|(timeout, answer)| (timeout, answer.join().unwrap())).collect()
}

/// Checks that a log still begins as it did, and that no number is missing or there twice.
#[track_caller]
fn nothing_lost(before: &[String], after: &[String]) {
    assert_eq!(after.get(..before.len()), Some(before), "the log no longer begins as it did");
    let mut next: HashMap<&str, u64> = HashMap::new();
    for id in after {
        let (epoch, seq) = id.rsplit_once('-').unwrap();
        let expected = next.entry(epoch).or_insert(1);
        assert_eq!(seq.parse(), Ok(*expected), "{id}");
        *expected += 1;
    }
}

/// The wait that an agent's line promises.
fn wait(line: &str) -> Duration {
    let (_, seconds) = line.split_once("wait_s=").unwrap();
    let wait = Duration::from_secs_f64(seconds.split_whitespace().next().unwrap().parse().unwrap());
    assert!(wait < WITHIN, "{line}");
    wait
}
