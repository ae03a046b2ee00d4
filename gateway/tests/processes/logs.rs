//! What an agent promises of logs: those that real programs write and logrotate rotates, and what they send by syslog.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::{Shutdown, TcpListener, TcpStream},
    path::PathBuf,
    process::Command,
    thread,
};

use super::{
    counterparts::{ADDRESS, started},
    device::Device,
    gateway::{Gateway, text},
    process::{Process, Stream},
};

/// Lines that a program writes while everything happens to its log.
const LINES: usize = 40_000;

/// A gateway, and a device whose camera `log` reads a file.
struct Place {
    gateway: Gateway,
    device: Device,
}

impl Place {
    fn new() -> Self {
        let gateway = Gateway::start();
        let device = Device::enrolled(&gateway, &["log"]);
        fs::create_dir(device.path("logs")).unwrap();
        let place = Self { gateway, device };
        let source = format!("{{ type = \"tail\", path = {:?} }}", text(&place.path("app.log")));
        place.device.set_cameras(&[("log", &source)]);
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.device.path("logs").join(name)
    }

    /// Starts the agent, and waits until it reads.
    fn start(&self) -> Process {
        let agent = self.device.start_connected();
        self.gateway.http().until_status("log", "online");
        agent
    }

    /// Rotates the log at once, in this way.
    fn rotate(&self, how: &str) {
        let config = self.path("logrotate.conf");
        fs::write(
            &config,
            format!("{} {{\n rotate 1000\n missingok\n {how}\n}}\n", text(&self.path("app.log"))),
        )
        .unwrap();
        let mut command = Command::new("/usr/sbin/logrotate");
        command.arg("--force").arg("--state").arg(self.path("logrotate.state")).arg(config);
        started(command, "logrotate").finish().fine();
    }

    /// Waits until the newest event of the log contains this, and gives the words of all.
    #[track_caller]
    fn read_up_to(&self, last: &str) -> Vec<String> {
        let newest = "/v1/cameras/log/events?order=desc&limit=1";
        let http = self.gateway.http();
        http.until(newest, |page| {
            page["events"][0]["description"].as_str().is_some_and(|line| line.contains(last))
        });
        words(&self.gateway, "log").into_iter().map(|(line, _)| line).collect()
    }
}

/// The words of a camera's events, oldest first, and their data.
#[track_caller]
fn words(gateway: &Gateway, camera: &str) -> Vec<(String, serde_json::Value)> {
    let ran = gateway.oriel(&["events", camera, "--order", "asc", "--limit", "100000", "--json"]);
    let list: serde_json::Value = serde_json::from_str(&ran.fine()).unwrap();
    assert_eq!(list["complete"], true, "{list}");
    let events = list["events"].as_array().unwrap().iter().filter(|event| event["kind"] == "log");
    events.map(|event| (event["description"].as_str().unwrap().to_owned(), event["data"].clone())).collect()
}

fn numbered(lines: usize) -> Vec<String> {
    (1..=lines).map(|n| format!("line {n}")).collect()
}

/// A shell that writes numbered lines, opening the log for each.
fn writer(place: &Place, from: usize, to: usize) -> Process {
    let mut command = Command::new("sh");
    command.args([
        "-c",
        "n=$1; while [ $n -le $2 ]; do echo \"line $n\" >> \"$3\"; n=$((n + 1)); done; echo done",
        "sh",
    ]);
    command.args([&from.to_string(), &to.to_string()]).arg(place.path("app.log"));
    Process::start(command)
}

#[test]
fn each_line_comes_once_while_logrotate_renames_and_the_agent_is_killed() {
    let place = Place::new();
    fs::write(place.path("app.log"), "before the first start\n").unwrap();
    let mut agent = place.start();
    for part in 0..4 {
        let mut writing = writer(&place, part * LINES / 4 + 1, (part + 1) * LINES / 4);
        place.rotate("nocreate");
        agent.kill();
        place.rotate("nocreate");
        agent = place.device.start();
        place.rotate("nocreate");
        writing.line(Stream::Out, "done");
    }
    assert_eq!(place.read_up_to(&format!("line {LINES}")), numbered(LINES));
}

#[test]
fn each_line_comes_once_through_copytruncate_as_far_as_logrotate_itself_loses_none() {
    let place = Place::new();
    fs::write(place.path("app.log"), "before the first start\n").unwrap();
    let mut agent = place.start();
    for part in 0..4 {
        let (from, to) = (part * LINES / 4 + 1, (part + 1) * LINES / 4);
        assert!(writer(&place, from, to).end().success());
        if part == 1 {
            // What it has not read is in the copy alone.
            agent.kill();
        }
        // Nobody writes between its copy and the truncation.
        place.rotate("copytruncate");
        if part == 1 {
            agent = place.device.start();
        }
    }
    assert_eq!(place.read_up_to(&format!("line {LINES}")), numbered(LINES));
}

#[test]
fn a_web_server_whose_log_is_rotated_has_every_request_in_the_log_of_the_camera() {
    let place = Place::new();
    let port = TcpListener::bind((ADDRESS, 0)).unwrap().local_addr().unwrap().port();
    let (pid, log) = (text(&place.path("nginx.pid")), text(&place.path("app.log")));
    let config = format!(
        "daemon off;\nmaster_process off;\npid {pid};\nerror_log stderr notice;\nevents {{}}\nhttp {{\n access_log {log};\n \
         client_body_temp_path {t}/b; proxy_temp_path {t}/p; fastcgi_temp_path {t}/f; uwsgi_temp_path {t}/u; scgi_temp_path {t}/s;\n \
         server {{ listen {ADDRESS}:{port}; location / {{ return 204; }} }}\n}}\n",
        t = text(&place.device.path("logs"))
    );
    fs::write(place.path("nginx.conf"), config).unwrap();
    let mut command = Command::new("/usr/sbin/nginx");
    command.arg("-c").arg(place.path("nginx.conf")).args(["-e", "stderr"]);
    let mut nginx = started(command, "nginx");
    nginx.says("getrlimit");
    let mut agent = place.start();
    let ask = |from: usize, to: usize| {
        let mut command = Command::new("curl");
        command.args([
            "--silent",
            "--show-error",
            "--fail",
            &format!("http://{ADDRESS}:{port}/n[{from}-{to}]"),
        ]);
        Process::start(command)
    };
    let how = format!("create\n postrotate\n kill -s USR1 $(cat {pid})\n endscript");
    for part in 0..4 {
        let asking = ask(part * 250 + 1, (part + 1) * 250);
        place.rotate(&how);
        if part == 2 {
            agent.kill();
            place.rotate(&how);
            agent = place.device.start();
        }
        asking.finish().fine();
    }
    ask(1_001, 1_001).finish().fine();
    let lines = place.read_up_to("/n1001 ");
    let asked: Vec<usize> = lines
        .iter()
        .map(|line| line.split("GET /n").nth(1).unwrap().split(' ').next().unwrap().parse().unwrap())
        .collect();
    let mut sorted = asked.clone();
    sorted.sort_unstable();
    assert_eq!(sorted, (1..=1_001).collect::<Vec<_>>());
    let (_, data) = &words(&place.gateway, "log")[0];
    assert!(data["logged_at"].as_str().is_some_and(|at| at.ends_with('Z')), "{data}");
}

/// Where an agent takes syslog.
fn taken_at(agent: &mut Process) -> String {
    let line = agent.says("syslog is taken at ");
    line.split("taken at ").nth(1).unwrap().split_whitespace().next().unwrap().to_owned()
}

#[test]
fn what_logger_and_rsyslog_send_are_events_with_their_severity_and_names() {
    let gateway = Gateway::start();
    let device = Device::enrolled(&gateway, &["log"]);
    device.set_cameras(&[("log", "{ type = \"syslog\", listen = \"127.0.0.1:0\" }")]);
    let mut agent = device.start();
    let address = taken_at(&mut agent);
    let port = address.rsplit(':').next().unwrap();
    let http = gateway.http();
    http.until_status("log", "online");
    let logger = |args: &[&str], words: &str| {
        let mut command = Command::new("/usr/bin/logger");
        command.args(["--tag", "nvr", "--id=12", "--priority", "local3.warning"]).args(args).arg(words);
        started(command, "bsdutils").finish().fine();
        let newest = "/v1/cameras/log/events?order=desc&limit=1";
        http.until(newest, |page| page["events"][0]["description"] == words)
    };
    let server = ["--server", "127.0.0.1", "--port", port];
    for (n, form) in ["--rfc3164", "--rfc5424"].into_iter().enumerate() {
        for way in [&["--udp"][..], &["--tcp"], &["--tcp", "--octet-count"]] {
            let words = format!("disk {n} is full");
            let page = logger(&[&server[..], &[form], way].concat(), &format!("{words} {way:?}"));
            let event = &page["events"][0];
            assert_eq!((&event["severity"], &event["kind"]), (&"warning".into(), &"log".into()), "{event}");
            let data = &event["data"];
            assert_eq!(
                (&data["app"], &data["pid"], &data["facility"]),
                (&"nvr".into(), &"12".into(), &"local3".into())
            );
            assert!(data["logged_at"].is_string() && data["host"].is_string(), "{data}");
        }
    }

    let socket = text(&device.path("log.sock"));
    let config = format!(
        "module(load=\"imuxsock\" SysSock.Use=\"off\")\ninput(type=\"imuxsock\" Socket=\"{socket}\")\n\
         *.* action(type=\"omfwd\" target=\"127.0.0.1\" port=\"{port}\" protocol=\"tcp\" TCP_Framing=\"octet-counted\")\n"
    );
    fs::write(device.path("rsyslog.conf"), config).unwrap();
    let mut command = Command::new("/usr/sbin/rsyslogd");
    command.arg("-n").arg("-f").arg(device.path("rsyslog.conf")).arg("-i").arg(device.path("rsyslog.pid"));
    let _rsyslog = started(command, "rsyslog");
    // Its socket is there a moment later.
    http.until("/v1/cameras/log", |_| device.path("log.sock").exists());
    let page = logger(&["--socket", &socket], "by way of rsyslog");
    assert_eq!(page["events"][0]["data"]["app"], "nvr", "{page}");
}

#[test]
fn what_was_taken_by_syslog_is_kept_by_an_agent_that_is_told_to_stop() {
    let gateway = Gateway::start();
    let device = Device::enrolled(&gateway, &["log"]);
    device.set_cameras(&[("log", "{ type = \"syslog\", listen = \"127.0.0.1:0\" }")]);
    let mut agent = device.start();
    let mut sender = TcpStream::connect(taken_at(&mut agent)).unwrap();
    let messages: String = numbered(1_400).iter().map(|line| format!("<13>{line}\n")).collect();
    sender.write_all(messages.as_bytes()).unwrap();
    sender.shutdown(Shutdown::Write).unwrap();
    // The connection ends when all of that is taken.
    sender.read_to_end(&mut Vec::new()).unwrap();
    agent.signal("TERM");
    assert!(agent.end().success());
    let _again = device.start();
    let newest = "/v1/cameras/log/events?kind=log&order=desc&limit=1";
    gateway.http().until(newest, |page| page["events"][0]["description"] == "<13>line 1400");
    assert_eq!(words(&gateway, "log").len(), 1_400);
}

#[test]
fn strangers_that_send_nonsense_by_syslog_disturb_nobody() {
    let gateway = Gateway::start();
    let device = Device::enrolled(&gateway, &["log"]);
    device.set_cameras(&[("log", "{ type = \"syslog\", listen = \"127.0.0.1:0\" }")]);
    let mut agent = device.start();
    let address = taken_at(&mut agent);
    gateway.http().until_status("log", "online");
    let sending: Vec<_> = (0..4_u8)
        .map(|n| {
            let address = address.clone();
            thread::spawn(move || {
                let mut sender = TcpStream::connect(address).unwrap();
                let nonsense: Vec<u8> =
                    (0..400_000_u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 13) as u8 ^ n).collect();
                sender.write_all(b"999999999 ").unwrap();
                sender.write_all(&nonsense).unwrap();
                sender.shutdown(Shutdown::Write).unwrap();
                let _ = sender.read_to_end(&mut Vec::new());
            })
        })
        .collect();
    sending.into_iter().for_each(|sender| sender.join().unwrap());
    let mut sender = TcpStream::connect(&address).unwrap();
    sender.write_all(b"<11>Nov 28 17:45:30 porch app: still here\n").unwrap();
    let newest = "/v1/cameras/log/events?order=desc&limit=1";
    gateway.http().until(newest, |page| page["events"][0]["description"] == "still here");
    let cut =
        words(&gateway, "log").into_iter().filter(|(_, data)| data["cut_bytes"].as_u64() > Some(900_000_000));
    assert_eq!(cut.count(), 4);
}
