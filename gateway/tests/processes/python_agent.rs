//! The agent in Python that stands beside the description of the protocol, with a real gateway: what it wrote comes back, whoever
//! is killed. `./check` installs the packages that it needs.

use std::{
    collections::{HashMap, HashSet},
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::{ChildStdin, Command},
    thread,
};

use serde_json::Value;
use tempfile::TempDir;

use super::{
    device::printed,
    gateway::{Gateway, text},
    process::{Process, Stream},
};

/// Its program.
const AGENT: &str = "docs/reference/agent.py";

/// The camera that it serves.
const CAMERA: &str = "shed";

/// A folder with the file of state, and the agent that has it open.
#[derive(Debug)]
struct PythonAgent {
    folder: TempDir,
    gateway: String,
    code: String,
    process: Process,
    input: ChildStdin,
}

impl PythonAgent {
    /// A new device, that is connected.
    fn start(gateway: &Gateway) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let command = printed(gateway, &[CAMERA]);
        let code = command.split_whitespace().find(|word| word.starts_with("oen_")).unwrap().to_owned();
        let (process, input) = Process::start_fed(agent(folder.path(), &gateway.url, &code));
        let mut agent = Self { folder, gateway: gateway.url.clone(), code, process, input };
        agent.process.says("the camera is taken");
        agent
    }

    /// Kills it, and starts it again with its file.
    fn restart(&mut self) {
        self.process.kill();
        let command = agent(self.folder.path(), &self.gateway, &self.code);
        (self.process, self.input) = Process::start_fed(command);
        self.process.says("the camera is taken");
    }

    /// Gives it lines, and takes the identity of each event once it is on the disk.
    fn write<'a>(&mut self, lines: impl IntoIterator<Item = &'a str>) -> Vec<String> {
        let mut written = 0;
        for line in lines {
            writeln!(self.input, "{line}").unwrap();
            written += 1;
        }
        (0..written).map(|_| self.process.line(Stream::Out, "-")).collect()
    }
}

#[test]
fn what_the_python_agent_wrote_comes_back_from_both_ends_page_by_page() {
    let gateway = Gateway::start();
    let mut agent = PythonAgent::start(&gateway);
    let lines = numbered("line", 60);
    let written = agent.write(["über 1 m"].into_iter().chain(lines.iter().map(String::as_str)));
    until_stored(&gateway, &written);
    for source in ["source=camera", "source=store", ""] {
        let ids = |query: &str| pages(&gateway, &format!("{source}&limit=7&order={query}"));
        assert_eq!(ids("asc"), written, "{source}");
        let mut newest_first = ids("desc");
        newest_first.reverse();
        assert_eq!(newest_first, written, "{source}");
        assert_eq!(ids("asc&q=%C3%9CBER"), written[..1], "{source}");
        assert_eq!(ids("asc&kind=log&severity=info"), written, "{source}");
        for nothing in ["asc&kind=motion", "asc&severity=error", "asc&q=under"] {
            assert_eq!(ids(nothing), [""; 0], "{source} {nothing}");
        }
        let last = events(&gateway, &format!("{source}&order=desc&kind=log")).swap_remove(0);
        assert_eq!(last["description"], "line 59", "{source}");
        let at = last["at"].as_str().unwrap();
        assert_eq!(ids(&format!("asc&from={at}")), written[60..], "{source}");
        assert_eq!(ids(&format!("asc&to={at}")), written[..60], "{source}");
    }
}

#[test]
fn what_the_python_agent_cannot_do_it_says() {
    let gateway = Gateway::start();
    let _agent = PythonAgent::start(&gateway);
    for path in ["images", "images/latest", "timeline?source=camera"] {
        let answer = gateway.http().get(&format!("/v1/cameras/{CAMERA}/{path}"));
        assert_eq!((answer.status, answer.code()), (501, "camera_unsupported"), "{path}");
    }
}

#[test]
fn a_killed_python_agent_and_a_killed_gateway_lose_and_double_nothing() {
    let mut gateway = Gateway::start();
    let mut agent = PythonAgent::start(&gateway);
    let mut written = agent.write(numbered("before", 20).iter().map(String::as_str));

    // Killed while lines come: those that it said to have are there, and of the others whole ones or nothing.
    for round in 0..4 {
        for line in numbered(&format!("round {round} line"), 100) {
            writeln!(agent.input, "{line}").unwrap();
        }
        written.extend((0..=10 * round).map(|_| agent.process.line(Stream::Out, "-")));
        agent.restart();
    }
    written.extend(agent.write(["after the agent"]));
    until_stored(&gateway, &written);
    let all = pages(&gateway, "source=store&order=asc");
    assert_eq!(pages(&gateway, "source=camera&order=asc"), all);
    nothing_missing(&all);
    assert!(written.iter().all(|id| all.contains(id)), "{written:?} {all:?}");
    let lines: Vec<_> =
        events(&gateway, "order=asc").iter().map(|event| event["description"].to_string()).collect();
    assert_eq!(HashSet::<&String>::from_iter(&lines).len(), all.len(), "{lines:?}");

    gateway.process.kill();
    let offline = agent.write(numbered("without a gateway", 40).iter().map(String::as_str));
    gateway.restart();
    until_stored(&gateway, &offline);
    let all = [all, offline].concat();
    for source in ["camera", "store"] {
        assert_eq!(pages(&gateway, &format!("source={source}&order=asc")), all, "{source}");
    }
}

#[test]
fn a_question_beside_an_upload_is_answered_by_the_python_agent() {
    let gateway = Gateway::start();
    let mut agent = PythonAgent::start(&gateway);
    // With a number of three digits this is the longest line that is one event.
    let long = "ä".repeat(396);
    let written = thread::scope(|scope| {
        let writing = scope.spawn(|| agent.write(numbered(&long, 200).iter().map(String::as_str)));
        let mut before = 0;
        while !writing.is_finished() {
            let now = pages(&gateway, "source=camera&order=asc&limit=1000");
            nothing_missing(&now);
            assert!(now.len() >= before, "{before} {}", now.len());
            before = now.len();
            nothing_missing(&pages(&gateway, "order=asc&limit=9"));
        }
        writing.join().unwrap()
    });
    until_stored(&gateway, &written);
    assert_eq!(pages(&gateway, "source=camera&order=asc&limit=1000"), written);
    assert_eq!(pages(&gateway, "source=store&order=asc"), written);
}

#[test]
fn a_restored_copy_of_the_python_agents_file_doubles_nothing() {
    let gateway = Gateway::start();
    let mut agent = PythonAgent::start(&gateway);
    let mut written = agent.write(["one", "two"]);
    until_stored(&gateway, &written);
    agent.process.kill();
    let copy = tempfile::tempdir().unwrap();
    copy_files(agent.folder.path(), copy.path());
    agent.restart();
    written.extend(agent.write(["three", "four", "five"]));
    until_stored(&gateway, &written);

    agent.process.kill();
    agent.folder = copy;
    agent.restart();
    agent.write(["six"]);
    let path = format!("/v1/cameras/{CAMERA}/events?source=store&order=asc&kind=log");
    let list =
        gateway.http().until(&path, |list| list["events"].as_array().is_some_and(|all| all.len() >= 6));
    let said: Vec<&Value> =
        list["events"].as_array().unwrap().iter().map(|event| &event["description"]).collect();
    assert_eq!(said, ["one", "two", "three", "four", "five", "six"]);
    assert_eq!(pages(&gateway, "order=asc")[..5], written);
}

#[test]
fn a_second_python_agent_with_the_same_file_ends_and_says_why() {
    let gateway = Gateway::start();
    let first = PythonAgent::start(&gateway);
    let second = Process::start(agent(first.folder.path(), &gateway.url, &first.code)).finish();
    assert_eq!((second.code, second.last().ends_with("database is locked")), (1, true), "{}", second.err);
}

#[test]
fn the_python_agent_is_read_in_one_sitting() {
    let text = fs::read_to_string(root().join(AGENT)).unwrap();
    assert!(text.lines().count() < 200, "{} lines", text.lines().count());
    let wide: Vec<_> = text.lines().filter(|line| line.chars().count() > 120).collect();
    assert!(wide.is_empty(), "{wide:?}");
}

/// A run of the agent, with what `./check` installed.
fn agent(folder: &Path, gateway: &str, code: &str) -> Command {
    let mut command = Command::new(python());
    command.arg(root().join(AGENT));
    command.args([gateway, code, CAMERA, &text(&folder.join("agent.db"))]);
    command
}

/// The Python that has the packages of `requirements.txt`.
fn python() -> PathBuf {
    let python = root().join(".venv/bin/python");
    let imported = Command::new(&python).args(["-c", "import msgpack, websockets"]).output();
    let has_packages = imported.is_ok_and(|imported| imported.status.success());
    assert!(has_packages, "missing in .venv: what gateway/tests/requirements.txt names; ./check installs it");
    python
}

/// The workspace.
fn root() -> &'static Path {
    let gateway = Path::new(env!("CARGO_MANIFEST_DIR"));
    gateway.parent().unwrap_or(gateway)
}

fn numbered(what: &str, count: usize) -> Vec<String> {
    (0..count).map(|n| format!("{what} {n}")).collect()
}

/// Waits until the gateway itself has the last of these events.
#[track_caller]
fn until_stored(gateway: &Gateway, ids: &[String]) {
    let path = format!("/v1/cameras/{CAMERA}/events?source=store&kind=log&limit=1");
    gateway.http().until(&path, |list| list["events"][0]["id"].as_str() == ids.last().map(String::as_str));
}

/// The identities of all events that the camera itself wrote.
#[track_caller]
fn pages(gateway: &Gateway, query: &str) -> Vec<String> {
    events(gateway, query).iter().map(|event| event["id"].as_str().unwrap().to_owned()).collect()
}

/// All events that the camera itself wrote, page by page, from a list that is complete.
#[track_caller]
fn events(gateway: &Gateway, query: &str) -> Vec<Value> {
    let (mut events, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = gateway.http().get(&format!("/v1/cameras/{CAMERA}/events?{query}{cursor}"));
        assert_eq!((page.status, &page.body["complete"]), (200, &true.into()), "{query}: {page:?}");
        let all = page.body["events"].as_array().unwrap().iter();
        events.extend(all.filter(|event| event["data"]["by"] != "gateway").cloned());
        match page.body["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return events,
        }
    }
}

/// Checks that the numbers of each epoch come one after the other.
#[track_caller]
fn nothing_missing(ids: &[String]) {
    let mut last = HashMap::new();
    for id in ids {
        let (epoch, number) = id.rsplit_once('-').unwrap();
        let last = last.entry(epoch).or_insert(0);
        *last += 1;
        assert_eq!(number.parse(), Ok(*last), "{ids:?}");
    }
}

fn copy_files(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}
