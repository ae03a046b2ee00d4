//! The agent in Python that stands beside the description of the protocol, with a real gateway: what it wrote comes back, whoever
//! is killed. `./check` installs the packages that it needs.

use std::{
    collections::HashSet,
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

/// The camera that it serves.
const CAMERA: &str = "shed";

/// A folder of state, and the agent that runs in it.
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
    fn start(gateway: &Gateway, options: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let command = printed(gateway, &[CAMERA]);
        let code = command.split_whitespace().find(|word| word.starts_with("oen_")).unwrap().to_owned();
        let (process, input) = Process::start_fed(agent(folder.path(), &gateway.url, &code, options));
        let mut agent = Self { folder, gateway: gateway.url.clone(), code, process, input };
        agent.process.says("the camera is taken");
        agent
    }

    /// Kills it, and starts it again in its folder.
    fn restart(&mut self, options: &[&str]) {
        self.process.kill();
        let command = agent(self.folder.path(), &self.gateway, &self.code, options);
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
    let mut agent = PythonAgent::start(&gateway, &[]);
    let motion = r#"{"kind":"motion","severity":"notice","description":"über 1 m","data":{"z":[1,-2.5,null],"a":{"b":true}}}"#;
    let lines = numbered("line", 60);
    let written = agent.write([motion].into_iter().chain(lines.iter().map(String::as_str)));
    until_stored(&gateway, &written);
    for source in ["camera", "store"] {
        assert_eq!(pages(&gateway, &format!("source={source}&order=asc&limit=7")), written, "{source}");
        let mut newest_first = pages(&gateway, &format!("source={source}&order=desc&limit=7"));
        newest_first.reverse();
        assert_eq!(newest_first, written, "{source}");
        let found = gateway.http().get(&format!("/v1/cameras/{CAMERA}/events?source={source}&q=%C3%9CBER"));
        let [event] = found.body["events"].as_array().unwrap().as_slice() else { panic!("{found:?}") };
        assert_eq!((&event["kind"], &event["severity"]), (&"motion".into(), &"notice".into()), "{source}");
        assert_eq!(event["data"], serde_json::json!({"a": {"b": true}, "z": [1, -2.5, null]}), "{source}");
    }
    let middle =
        gateway.http().get(&format!("/v1/cameras/{CAMERA}/events?source=camera&kind=log&limit=1")).body;
    let from = middle["events"][0]["at"].as_str().unwrap();
    assert_eq!(pages(&gateway, &format!("source=camera&from={from}")), written[60..]);
    assert_eq!(pages(&gateway, &format!("source=camera&order=asc&limit=9&to={from}")), written[..60]);
}

#[test]
fn what_the_python_agent_cannot_do_it_says() {
    let gateway = Gateway::start();
    let _agent = PythonAgent::start(&gateway, &[]);
    for path in ["images", "images/latest", "timeline?source=camera"] {
        let answer = gateway.http().get(&format!("/v1/cameras/{CAMERA}/{path}"));
        assert_eq!((answer.status, answer.code()), (501, "camera_unsupported"), "{path}");
    }
}

#[test]
fn a_killed_python_agent_and_a_killed_gateway_lose_and_double_nothing() {
    let mut gateway = Gateway::start();
    let mut agent = PythonAgent::start(&gateway, &[]);
    let mut written = agent.write(numbered("before", 20).iter().map(String::as_str));

    // Killed while lines come: those that it said to have are there, and of the others whole ones or nothing.
    for line in numbered("meanwhile", 100) {
        writeln!(agent.input, "{line}").unwrap();
    }
    written.push(agent.process.line(Stream::Out, "-"));
    agent.restart(&[]);
    written.extend(agent.write(["after the agent"]));
    until_stored(&gateway, &written);
    let all = pages(&gateway, "source=store&order=asc");
    assert_eq!(pages(&gateway, "source=camera&order=asc"), all);
    nothing_missing(&all);
    assert!(written.iter().all(|id| all.contains(id)), "{written:?} {all:?}");

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
    let mut agent = PythonAgent::start(&gateway, &[]);
    let long = "x".repeat(1_900);
    let written = thread::scope(|scope| {
        let writing = scope.spawn(|| agent.write(numbered(&long, 60).iter().map(String::as_str)));
        let mut before = 0;
        while !writing.is_finished() {
            let now = pages(&gateway, "source=camera&order=asc&limit=1000");
            nothing_missing(&now);
            assert!(now.len() >= before, "{before} {}", now.len());
            before = now.len();
        }
        writing.join().unwrap()
    });
    until_stored(&gateway, &written);
    assert_eq!(pages(&gateway, "source=camera&order=asc&limit=1000"), written);
    assert_eq!(pages(&gateway, "source=store&order=asc"), written);
}

#[test]
fn what_the_python_agent_had_to_drop_is_said_to_be_lost() {
    let mut gateway = Gateway::start();
    let mut agent = PythonAgent::start(&gateway, &["--keep", "20"]);
    let first = agent.write(["first"]);
    until_stored(&gateway, &first);
    gateway.process.kill();
    let offline = agent.write(numbered("without a gateway", 50).iter().map(String::as_str));
    gateway.restart();
    until_stored(&gateway, &offline);
    assert_eq!(pages_of(&gateway, "source=store&order=asc").0, [first, offline[30..].to_vec()].concat());
    let list = gateway.http().get(&format!("/v1/cameras/{CAMERA}/events?order=asc")).body;
    let missing: Vec<&Value> =
        list["coverage"].as_array().unwrap().iter().filter_map(|part| part.get("missing")).collect();
    assert_eq!(missing, ["lost_on_camera"], "{list}");
}

#[test]
fn a_restored_copy_of_the_python_agents_folder_doubles_nothing() {
    let gateway = Gateway::start();
    let mut agent = PythonAgent::start(&gateway, &[]);
    let mut written = agent.write(["one", "two"]);
    until_stored(&gateway, &written);
    agent.process.kill();
    let copy = tempfile::tempdir().unwrap();
    copy_files(agent.folder.path(), copy.path());
    agent.restart(&[]);
    written.extend(agent.write(["three", "four", "five"]));
    until_stored(&gateway, &written);

    agent.process.kill();
    agent.folder = copy;
    agent.restart(&[]);
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
fn a_second_python_agent_in_the_same_folder_ends_and_says_why() {
    let gateway = Gateway::start();
    let first = PythonAgent::start(&gateway, &[]);
    let second = Process::start(agent(first.folder.path(), &gateway.url, &first.code, &[])).finish();
    assert_eq!((second.code, second.last().ends_with("database is locked")), (1, true), "{}", second.err);
}

/// A run of the agent, with what `./check` installed.
fn agent(folder: &Path, gateway: &str, code: &str, options: &[&str]) -> Command {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut command = Command::new(python(root));
    command.arg(root.join("docs/reference/agent/agent.py")).env("PYTHONDONTWRITEBYTECODE", "1");
    command
        .args(["--gateway", gateway, "--code", code, "--camera", CAMERA, "--state", &text(folder)])
        .args(options);
    command
}

/// The Python that has the packages of `requirements.txt`.
fn python(root: &Path) -> PathBuf {
    let python = root.join(".venv/bin/python");
    let imported = Command::new(&python).args(["-c", "import msgpack, websockets"]).output();
    let has_packages = imported.is_ok_and(|imported| imported.status.success());
    assert!(has_packages, "missing in .venv: what gateway/tests/requirements.txt names; ./check installs it");
    python
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

/// The identities of all events that the camera itself wrote, from a list that is complete.
#[track_caller]
fn pages(gateway: &Gateway, query: &str) -> Vec<String> {
    let (ids, complete) = pages_of(gateway, query);
    assert!(complete, "{query} is not complete");
    ids
}

/// The identities of all events that the camera itself wrote, page by page, and whether all pages are complete.
#[track_caller]
fn pages_of(gateway: &Gateway, query: &str) -> (Vec<String>, bool) {
    let (mut ids, mut complete, mut cursor) = (Vec::new(), true, String::new());
    loop {
        let page = gateway.http().get(&format!("/v1/cameras/{CAMERA}/events?{query}{cursor}"));
        assert_eq!(page.status, 200, "{page:?}");
        let own =
            page.body["events"].as_array().unwrap().iter().filter(|event| event["data"]["by"] != "gateway");
        ids.extend(own.map(|event| event["id"].as_str().unwrap().to_owned()));
        complete &= page.body["complete"] == true;
        match page.body["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return (ids, complete),
        }
    }
}

/// Checks that the numbers of one epoch come one after the other.
#[track_caller]
fn nothing_missing(ids: &[String]) {
    let numbers = ids.iter().map(|id| id.rsplit_once('-').unwrap().1.parse::<usize>().unwrap());
    assert!(numbers.eq(1..=ids.len()), "{ids:?}");
    let epochs: HashSet<&str> = ids.iter().map(|id| id.rsplit_once('-').unwrap().0).collect();
    assert!(epochs.len() <= 1, "{epochs:?}");
}

fn copy_files(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}
