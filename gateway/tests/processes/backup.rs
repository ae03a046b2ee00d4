//! Backups: taken while a gateway runs, whole or not there at all, and after a restore nothing is lost and nothing twice.

use std::{
    collections::HashSet,
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::Instant,
};

use rusqlite::Connection;
use serde_json::Value;
use tempfile::TempDir;

use super::{
    device::Device,
    gateway::{Gateway, text},
    process::{Process, Ran, WITHIN, oriel, run_oriel},
};

/// The cameras of each device.
const DEVICES: [[&str; 2]; 2] = [["porch", "yard"], ["gate", "lane"]];

/// Events of the past that each camera begins with, so that agents have a lot to upload.
const BACKFILL: u32 = 1_500;

/// Events that each camera writes between two steps.
const MORE: usize = 20;

/// Megabytes of a database that takes a while to copy.
const LARGE: u32 = 64;

#[test]
fn a_backup_taken_under_load_and_restored_elsewhere_loses_and_doubles_nothing() {
    let (mut gateway, out) = (Gateway::start(), tempfile::tempdir().unwrap());
    let devices = DEVICES.map(|cameras| Device::enrolled(&gateway, &cameras));
    devices.iter().for_each(|device| device.write_fast(BACKFILL));
    let _agents = devices.each_ref().map(Device::start_connected);
    let before: usize = cameras().map(|camera| stored_at_least(&gateway, camera, 1).len()).sum();

    let file = out.path().join("oriel.db");
    let held = held(&backup(&gateway.data(), &file).fine());
    assert!(held >= before, "{held} of {before} that were stored before it began");
    for camera in cameras() {
        let now = stored(&gateway, camera).len();
        stored_at_least(&gateway, camera, now + MORE);
    }
    gateway.process.kill();

    let killed = gateway.restore(&file);
    let acknowledged: Vec<_> = cameras().map(|camera| stored(&killed, camera)).collect();
    assert!(acknowledged.iter().map(Vec::len).sum::<usize>() > held);
    for (camera, acknowledged) in cameras().zip(acknowledged) {
        gateway.http().until_status(camera, "online");
        let log = written(&gateway.events(camera, "camera"));
        let stored = stored_at_least(&gateway, camera, log.len());
        assert_eq!(stored[..log.len()], log, "{camera}: its log and what is kept of it");
        let names: HashSet<_> = stored.iter().map(|(id, _)| id).collect();
        assert_eq!(names.len(), stored.len(), "{camera}: something is there twice");
        let all: HashSet<_> = stored.iter().collect();
        let gone = acknowledged.iter().filter(|event| !all.contains(event)).count();
        assert_eq!(gone, 0, "{camera}: of {} that were acknowledged", acknowledged.len());
    }
}

#[test]
fn a_backup_is_whole_and_its_owners_alone_whether_the_gateway_runs_was_killed_or_was_stopped() {
    let (mut gateway, out) = (Gateway::start(), tempfile::tempdir().unwrap());
    gateway.oriel(&["cameras", "add", "porch"]).fine();
    let taken = |data: &str, name: &str| {
        let folder = out.path().join(name);
        fs::create_dir(&folder).unwrap();
        let file = folder.join("oriel.db");
        let said = backup(data, &file).fine();
        let bytes = fs::metadata(&file).unwrap().len();
        assert_eq!(said, format!("{}: {bytes} bytes, 0 events, 1 cameras\n", file.display()));
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(names(&folder), ["oriel.db"]);
        assert!(run_oriel(&["keys", "list", "--data", &text(&folder)]).fine().contains("admin"));
    };
    taken(&gateway.data(), "running");
    gateway.process.kill();
    taken(&gateway.data(), "killed");
    gateway.restart();
    gateway.process.signal("TERM");
    gateway.process.end();
    taken(&gateway.data(), "stopped");
    gateway.restart();
}

#[test]
fn a_backup_that_cannot_be_made_says_why_and_leaves_everything_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| text(&folder.path().join(name));
    for name in ["data", "newer"] {
        run_oriel(&["keys", "add", "--role", "admin", "--data", &path(name)]).fine();
    }
    let newer = Connection::open(path("newer/oriel.db")).unwrap();
    newer.pragma_update(None, "user_version", 9_999).unwrap();
    for (name, content) in [("empty", ""), ("foreign", "something else, and more than a page's head of it")] {
        fs::create_dir(path(name)).unwrap();
        fs::write(folder.path().join(name).join("oriel.db"), content).unwrap();
    }
    fs::write(path("there"), "mine").unwrap();
    let before = names(folder.path());
    for (data, out, code, why) in [
        ("none", "out", 2, "none\" is not the data folder of a gateway"),
        ("empty", "out", 2, "empty\" is not the data folder of a gateway"),
        ("foreign", "out", 1, "there is no backup: database: file is not a database"),
        ("newer", "out", 1, "this program knows up to"),
        ("data", "there", 1, "there: it is there already, and nothing is overwritten"),
        ("data", "none/out", 1, "none/out: there is no folder"),
        ("data", "..", 1, "cannot write"),
    ] {
        backup(&path(data), Path::new(&path(out))).fails(code, why);
    }
    assert_eq!((names(folder.path()), fs::read_to_string(path("there")).unwrap()), (before, "mine".into()));
}

#[test]
fn a_killed_backup_has_left_nothing_under_its_name_and_the_next_one_clears_up() {
    let (folder, data) = large();
    let out = folder.path().join("out");
    amid(&data, &out, Process::kill);
    let left = names(&out);
    assert!(
        left.iter().any(|name| name.ends_with(".part")) && !left.contains(&"oriel.db".into()),
        "{left:?}"
    );
    backup(&data, &out.join("oriel.db")).fine();
    assert_eq!(names(&out), ["oriel.db"]);
}

#[test]
fn an_interrupted_backup_says_so_and_leaves_nothing() {
    let (folder, data) = large();
    let out = folder.path().join("out");
    for signal in ["INT", "TERM"] {
        let ran = amid(&data, &out, |process| {
            process.signal(signal);
            process.signal("CONT");
        });
        ran.fails(1, "there is no backup: interrupted");
        assert_eq!(names(&out), [""; 0]);
    }
}

#[test]
fn a_backup_that_cannot_be_written_whole_leaves_nothing() {
    let (folder, data) = large();
    let out = folder.path().join("out");
    let whole = oriel(&["backup", "--data", &data, "--out", &text(&out.join("oriel.db"))]);
    let mut command = Command::new("sh");
    // What a file may have at most, in blocks of 512 bytes; who writes more is told so and not killed.
    command.args(["-c", "trap '' XFSZ && ulimit -f 20000 && exec \"$@\"", "sh"]);
    command.arg(whole.get_program()).args(whole.get_args());
    Process::start(command).finish().fails(1, "there is no backup: database: ");
    assert_eq!(names(&out), [""; 0]);
}

fn cameras() -> impl Iterator<Item = &'static str> {
    DEVICES.into_iter().flatten()
}

#[track_caller]
fn backup(data: &str, out: &Path) -> Ran {
    run_oriel(&["backup", "--data", data, "--out", &text(out)])
}

/// The events of which a backup says that it holds them.
fn held(said: &str) -> usize {
    let (before, _) = said.split_once(" events").unwrap();
    before.rsplit(' ').next().unwrap().parse().unwrap()
}

/// What the gateway keeps of what a camera wrote.
fn stored(gateway: &Gateway, camera: &str) -> Vec<(String, String)> {
    written(&gateway.events(camera, "store"))
}

/// The same, once there are at least so many.
#[track_caller]
fn stored_at_least(gateway: &Gateway, camera: &str, count: usize) -> Vec<(String, String)> {
    let until = Instant::now() + WITHIN;
    loop {
        let stored = stored(gateway, camera);
        if stored.len() >= count {
            return stored;
        }
        assert!(Instant::now() < until, "{camera}: {} of {count}", stored.len());
    }
}

/// Identity, and time with description, of what the camera wrote itself.
fn written(list: &Value) -> Vec<(String, String)> {
    let events = list["events"].as_array().unwrap().iter().filter(|event| event["data"]["by"].is_null());
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    events.map(|event| (text(&event["id"]), text(&event["at"]) + &text(&event["description"]))).collect()
}

/// A data folder with a large database, beside an empty folder `out`.
fn large() -> (TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("out")).unwrap();
    let data = folder.path().join("data");
    run_oriel(&["keys", "add", "--role", "admin", "--data", &text(&data)]).fine();
    let database = Connection::open(data.join("oriel.db")).unwrap();
    let rows =
        format!("WITH n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < {LARGE}) SELECT n FROM n");
    database.execute_batch("CREATE TABLE large (content BLOB)").unwrap();
    database.execute(&format!("INSERT INTO large SELECT zeroblob(1000000) FROM ({rows})"), []).unwrap();
    (folder, text(&data))
}

/// Does something to a backup while its file is written under another name; tried again when the backup was faster.
#[track_caller]
fn amid(data: &str, out: &Path, does: impl Fn(&mut Process)) -> Ran {
    let (file, until) = (out.join("oriel.db"), Instant::now() + WITHIN);
    while Instant::now() < until {
        for name in names(out) {
            fs::remove_file(out.join(name)).unwrap();
        }
        let mut process = Process::start(oriel(&["backup", "--data", data, "--out", &text(&file)]));
        while !has_begun(out) {
            assert!(Instant::now() < until, "it writes nothing");
            thread::yield_now();
        }
        process.signal("STOP");
        let is_early = !file.exists();
        does(&mut process);
        let ran = process.finish();
        if is_early && ran.code != 0 {
            return ran;
        }
    }
    panic!("its file always had its name already");
}

/// Whether something is being written in a folder.
fn has_begun(folder: &Path) -> bool {
    // What is there now may have another name in a moment.
    let paths: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.iter().any(|path| path.metadata().is_ok_and(|file| file.len() > 0))
}

fn names(folder: &Path) -> Vec<String> {
    let names = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = names.collect();
    names.sort();
    names
}
