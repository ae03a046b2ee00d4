//! Each program as a service: what health checks and the service manager are told.

use std::{
    os::unix::net::UnixDatagram,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use super::{
    device::Device,
    gateway::{Gateway, LISTEN, text},
    process::{Process, Ran, Stream, WITHIN, oriel, run_oriel},
};

/// What the service manager allows between two signs of life.
const WATCHDOG: Duration = Duration::from_millis(200);

#[test]
fn each_program_says_whether_it_is_connected_and_a_health_check_sees_it_by_the_exit_code() {
    let mut gateway = Gateway::start();
    let url = gateway.url.clone();
    let device = Device::enrolled(&gateway, &["porch"]);
    device.run(&["status"]).fails(1, "no agent runs on the state folder");
    assert_eq!(run_oriel(&["status", "--url", &url]).fine(), "ready\n", "without a key");

    let mut agent = device.start();
    let connected = until(&device, |ran| ran.code == 0);
    assert!(connected.out.contains(&format!("connected to {url}")), "{connected:?}");
    let json: serde_json::Value = serde_json::from_str(&device.run(&["status", "--json"]).fine()).unwrap();
    assert_eq!((json["cameras"][0]["camera"].as_str(), json["why"].as_str()), (Some("porch"), None));

    gateway.process.kill();
    agent.says("not connected");
    let alone = until(&device, |ran| ran.err.contains("not connected"));
    assert!(alone.code == 1 && alone.last().contains(&url), "{alone:?}");
    let gone = run_oriel(&["status", "--url", &url]);
    assert!(gone.code != 0 && gone.err.contains(&url), "{gone:?}");
    agent.kill();
    device.run(&["status"]).fails(1, "no agent runs on the state folder");

    gateway.restart();
    let _agent = device.start();
    until(&device, |ran| ran.code == 0);
}

/// Asks the agent until its answer is as wanted.
#[track_caller]
fn until(device: &Device, wanted: impl Fn(&Ran) -> bool) -> Ran {
    let by = Instant::now() + WITHIN;
    loop {
        let ran = device.run(&["status"]);
        if wanted(&ran) {
            return ran;
        }
        assert!(Instant::now() < by, "{ran:?}");
    }
}

#[test]
fn a_service_manager_hears_that_each_program_has_started_that_it_lives_and_that_it_stops() {
    let folder = tempfile::tempdir().unwrap();
    let data = text(&folder.path().join("data"));
    let mut gateway = oriel(&["serve", "--listen", LISTEN, "--metrics-listen", "off", "--data", &data]);
    let heard = Manager::of(&mut gateway, folder.path());
    let mut gateway = Process::start(gateway);
    heard.a_life(&gateway);
    assert_eq!(gateway.end().code(), Some(0));
    assert!(gateway.waiting(Stream::Out).contains("oak_"));

    let device = Device::new();
    let mut agent = device.agent(&["run", "--gateway", "http://127.0.0.1:1", "--simulate", "porch"]);
    let heard = Manager::of(&mut agent, &device.path("."));
    let mut agent = Process::start(agent);
    heard.a_life(&agent);
    assert_eq!(agent.end().code(), Some(0));
}

/// The socket on which a service manager listens.
struct Manager(UnixDatagram);

impl Manager {
    /// The one of this command.
    fn of(command: &mut Command, folder: &Path) -> Self {
        let path = folder.join("manager");
        let socket = UnixDatagram::bind(&path).unwrap();
        socket.set_read_timeout(Some(WITHIN)).unwrap();
        let within = WATCHDOG.as_micros().to_string();
        command.env("NOTIFY_SOCKET", path).env("WATCHDOG_USEC", within).env_remove("WATCHDOG_PID");
        Self(socket)
    }

    fn hears(&self) -> String {
        let mut message = [0; 256];
        let length = self.0.recv(&mut message).unwrap();
        String::from_utf8_lossy(&message[..length]).trim().to_owned()
    }

    /// Listens to a program from its start to its end.
    fn a_life(&self, program: &Process) {
        assert_eq!(self.hears(), "READY=1");
        for _ in 0..3 {
            assert_eq!(self.hears(), "WATCHDOG=1");
        }
        program.signal("TERM");
        while self.hears() != "STOPPING=1" {}
    }
}
