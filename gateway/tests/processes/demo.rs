//! `oriel demo`: ready without anything set up, and gone without a trace.

use std::{
    net::TcpListener,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use serde_json::Value;

use super::{
    http::Http,
    process::{Process, Stream, oriel, run_oriel},
};

/// How long a demo takes at most until all cameras are connected.
const READY_WITHIN: Duration = Duration::from_secs(2);

/// Free ports of an address where no other test listens.
const PORTS: [&str; 6] =
    ["--listen", "127.0.0.2:0", "--metrics-listen", "127.0.0.2:0", "--legacy-listen", "127.0.0.2:0"];

/// A demo that says it is ready, with what it said.
pub(crate) struct Demo {
    process: Process,
    said: Value,
}

impl Demo {
    /// Starts one on free ports.
    pub(crate) fn start(args: &[&str]) -> Self {
        Self::start_with(&[args, &PORTS].concat())
    }

    fn start_with(args: &[&str]) -> Self {
        let started = Instant::now();
        let mut process = Process::start(oriel(&[&["demo", "--json"], args].concat()));
        let line = process.line(Stream::Out, "{");
        let took = started.elapsed();
        // What is built to be fast must be; what is built to be looked into must get there.
        assert!(cfg!(debug_assertions) || took < READY_WITHIN, "ready after {took:?}");
        Self { process, said: serde_json::from_str(&line).unwrap() }
    }

    pub(crate) fn text(&self, field: &str) -> &str {
        self.said[field].as_str().unwrap()
    }

    pub(crate) fn list(&self, field: &str) -> Vec<String> {
        let list = self.said[field].as_array().unwrap();
        list.iter().map(|text| text.as_str().unwrap().to_owned()).collect()
    }

    pub(crate) fn http(&self) -> Http {
        Http::new(self.text("url"), self.text("key"), None)
    }

    /// Interrupts it as Ctrl-C does; it writes nothing more than its one line.
    pub(crate) fn stop(self) {
        self.process.signal("INT");
        let ran = self.process.finish();
        assert_eq!((ran.code, ran.out.as_str()), (0, ""), "{}", ran.err);
    }
}

#[test]
fn one_line_tells_a_program_all_it_needs() {
    let demo = Demo::start(&[]);
    let names: Vec<_> = demo.said.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(names, ["cameras", "data", "key", "legacy_url", "metrics_url", "pid", "url"]);
    assert_eq!(demo.said["pid"], demo.process.id());
    assert_eq!(demo.said["cameras"].as_array().unwrap().len(), 9);
    let http = demo.http();
    // It speaks once all are connected, so nothing is waited for here.
    let list = http.get("/v1/cameras?status=online").body;
    assert_eq!(list["cameras"].as_array().unwrap().len(), 9);
    for camera in demo.said["cameras"].as_array().unwrap() {
        let log = http.get(&format!("/v1/cameras/{}/events?limit=5", camera.as_str().unwrap()));
        assert_eq!(log.body["events"].as_array().unwrap().len(), 5);
    }
    let metrics = Http::new(demo.text("metrics_url"), "", None);
    assert_eq!((metrics.get("/metrics").status, metrics.get("").status), (200, 200));
    let data = demo.text("data").to_owned();
    assert!(Path::new(&data).join("oriel.db").is_file());
    demo.stop();
    assert!(!Path::new(&data).exists(), "{data} is left behind");
}

#[test]
fn the_printed_curl_lines_work_as_they_stand() {
    let mut demo = Process::start(oriel(&[&["demo"][..], &PORTS].concat()));
    for part in ["cameras", "events"] {
        let line = demo.line(Stream::Out, "curl ");
        // The words as a shell would read them: quoted ones, and one without quotes at the end.
        let header = line.split('\'').nth(1).unwrap();
        let url = line.trim_end_matches('\'').rsplit([' ', '\'']).next().unwrap();
        let answer = Http::new(url, header.strip_prefix("Authorization: Bearer ").unwrap(), None).get("");
        assert_eq!(answer.status, 200, "{line}");
        assert!(!answer.body[part].as_array().unwrap().is_empty(), "{line}");
    }
    let line = demo.line(Stream::Out, "curl ");
    let answer = Http::new(line.rsplit(' ').next().unwrap(), "", None).get("");
    assert_eq!(answer.status, 200, "{line}");
    assert!(!answer.body["events"].as_array().unwrap().is_empty(), "{line}");
    demo.line(Stream::Out, "leaves nothing behind");
    demo.signal("INT");
    assert_eq!(demo.end().code(), Some(0));
}

#[test]
fn every_curl_line_of_the_guide_to_events_runs_as_it_stands() {
    let guide = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/guide/events.md");
    let guide = std::fs::read_to_string(guide).unwrap();
    let lines: Vec<_> = guide.lines().filter(|line| line.starts_with("curl ")).collect();
    assert!(lines.len() >= 12, "{lines:?}");
    let demo = Demo::start(&[]);
    for line in lines {
        if line.contains("text/event-stream") {
            follows(&demo, line);
            continue;
        }
        // As it stands, but that a refusal fails and that nothing waits for ever.
        let script =
            format!("curl() {{ command curl --silent --show-error --fail --max-time 20 \"$@\"; }}; {line}");
        let mut shell = Command::new("sh");
        shell.arg("-c").arg(script).env("ORIEL_URL", demo.text("url")).env("ORIEL_KEY", demo.text("key"));
        let ran = shell.output().unwrap();
        assert!(ran.status.success(), "{line}: {}", String::from_utf8_lossy(&ran.stderr));
        let said = String::from_utf8(ran.stdout).unwrap();
        let last = said.lines().last().unwrap();
        if line.contains("text/csv") {
            assert!(said.starts_with("id,camera,at,") && last.starts_with(",,,,end,"), "{line}: {said}");
            assert!(said.contains(",porch,2"), "{line}: {said}");
            continue;
        }
        let last: Value = serde_json::from_str(last).unwrap();
        let end = if last["end"].is_null() { &last } else { &last["end"] };
        assert!(end["complete"].is_boolean(), "{line}: {said}");
        assert!(said.contains("\"at\":"), "{line}: {said}");
    }
    demo.stop();
}

/// Runs a line that never ends, until it has told of an event.
fn follows(demo: &Demo, line: &str) {
    let mut shell = Command::new("sh");
    shell.arg("-c").arg(format!("exec {line}"));
    shell.env("ORIEL_URL", demo.text("url")).env("ORIEL_KEY", demo.text("key"));
    Process::start(shell).line(Stream::Out, "data:{\"id\":");
}

#[test]
fn taken_ports_are_moved_from_unless_they_were_asked_for() {
    // Where something else listens on a usual port, that is just as good.
    let _taken = [8080, 9464, 5000].map(|port| TcpListener::bind(("127.0.0.1", port)));
    let mut demo = Demo::start_with(&[]);
    for (field, port) in [("url", ":8080"), ("metrics_url", ":9464"), ("legacy_url", ":5000")] {
        assert!(demo.text(field).starts_with("http://127.0.0.1:") && !demo.text(field).ends_with(port));
        demo.process.says(&format!("port {} is taken: using a free one", &port[1..]));
    }
    assert_eq!(demo.http().get("/healthz").status, 200);
    let url = demo.text("url").strip_prefix("http://").unwrap().to_owned();
    for option in ["--listen", "--metrics-listen", "--legacy-listen"] {
        let others = PORTS.chunks(2).filter(|other| other[0] != option).flatten();
        let args: Vec<_> = ["demo", option, &url].iter().chain(others).copied().collect();
        let ran = run_oriel(&args);
        ran.fails(1, &format!("cannot listen on {url}"));
    }
    demo.stop();
}

#[test]
fn as_many_cameras_as_wanted_are_connected() {
    let demo = Demo::start(&["--cameras", "30"]);
    let list = demo.http().get("/v1/cameras?status=online&limit=1000").body;
    assert_eq!(list["cameras"].as_array().unwrap().len(), 30);
    assert_eq!(demo.said["cameras"].as_array().unwrap().len(), 30);
    demo.stop();
}

#[test]
fn a_kept_folder_keeps_the_logs() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("demo");
    let args = ["--cameras", "4", "--data", data.to_str().unwrap()];
    let oldest = |demo: &Demo| {
        let log = demo.http().get("/v1/cameras/porch/events?source=camera&order=asc&limit=200").body;
        log["events"].as_array().unwrap().clone()
    };
    let demo = Demo::start(&args);
    let before = oldest(&demo);
    assert_eq!(before.len(), 200);
    demo.stop();
    let demo = Demo::start(&args);
    assert_eq!(oldest(&demo), before);
    demo.stop();
    assert!(data.join("oriel.db").is_file());
}
