//! Promises of log files: each line that is written after the start becomes one event, in order, whatever happens to the file.

mod model;
mod rotation;
mod shortened;

use std::{
    fs::{self, File},
    io::Write as _,
    path::PathBuf,
};

use oriel_proto::limits::DESCRIPTION_BYTES;
use tempfile::TempDir;

use super::*;
use crate::{config::SourceConfig, source::tests::stand::Stand};

/// A folder with a log, and one for the agent's state.
struct Logs {
    dir: TempDir,
}

impl Logs {
    fn new() -> Self {
        let logs = Self { dir: tempfile::tempdir().unwrap() };
        fs::create_dir(logs.dir.path().join("log")).unwrap();
        logs
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join("log").join(name)
    }

    fn log(&self) -> PathBuf {
        self.path("app.log")
    }

    /// Opens the log as a program does that writes it.
    fn writer(&self) -> File {
        File::options().create(true).append(true).open(self.log()).unwrap()
    }

    fn write(&self, text: impl AsRef<[u8]>) {
        self.writer().write_all(text.as_ref()).unwrap();
    }

    /// Starts a camera of the log, with these options beside its path.
    async fn start(&self, options: &str) -> Stand {
        let path = toml::Value::from(self.log().to_str().unwrap());
        let config = toml::from_str(&format!("path = {path}\n{options}")).unwrap();
        let mut stand = Stand::new(&self.dir.path().join("state"), SourceConfig::Tail(config)).await;
        stand.start();
        stand
    }

    /// Starts it and waits until it reads.
    async fn reading(&self, options: &str) -> Stand {
        let mut stand = self.start(options).await;
        stand.is(SourceState::Ok).await;
        stand
    }
}

impl Stand {
    async fn has_lines(&self, texts: &[&str]) {
        let events = self.lines(texts.len()).await;
        assert_eq!(events.iter().map(|event| event.description.as_str()).collect::<Vec<_>>(), texts);
    }
}

#[tokio::test]
async fn what_is_written_after_the_first_start_becomes_events_and_nothing_before() {
    let logs = Logs::new();
    logs.write("before\n");
    let stand = logs.reading("kind = \"note\"").await;
    logs.write(b"2026-11-28 17:45:30,5 up\nsp\xc3\xa4t\xff\r\n\n  \nlast\n");
    let events = stand.lines(3).await;
    assert_eq!(events[0].data["logged_at"], "2026-11-28T17:45:30.5Z");
    assert!(events.iter().all(|event| event.kind.as_str() == "note" && event.image_at.is_none()));
    assert!(events[1].at > events[0].at.before(Duration::from_secs(60)) && events[1].data.is_empty());
    stand.has_lines(&["2026-11-28 17:45:30,5 up", "sp\u{e4}t\u{fffd}", "last"]).await;
    stand.stop().await;
}

#[tokio::test]
async fn a_restart_goes_on_where_the_events_end() {
    let logs = Logs::new();
    logs.write("before\n");
    drop(logs.reading("").await.stop().await);
    logs.write("a\nb\n");
    let stand = logs.reading("").await;
    stand.has_lines(&["a", "b"]).await;
    drop(stand.stop().await);
    logs.write("c\n");
    let stand = logs.start("from_start = true").await;
    stand.has_lines(&["a", "b", "c"]).await;
    stand.stop().await;
}

#[tokio::test]
async fn all_of_a_file_is_taken_where_that_is_wanted() {
    let logs = Logs::new();
    let many: String = (0..2_000).map(|n| format!("line {n}\n")).collect();
    logs.write(&many);
    let stand = logs.start("from_start = true").await;
    let events = stand.lines(2_000).await;
    assert!(events.iter().enumerate().all(|(n, event)| event.description == format!("line {n}")));
    stand.stop().await;
}

#[tokio::test]
async fn a_file_that_is_not_there_is_said_and_read_from_its_beginning_when_it_comes() {
    let logs = Logs::new();
    let mut stand = logs.start("").await;
    let why = stand.is(SourceState::Failing).await.unwrap();
    assert!(why.contains("app.log is not there"), "{why}");
    drop(stand.stop().await);
    // It comes while nobody looks.
    logs.write("first\n");
    let stand = logs.reading("").await;
    stand.has_lines(&["first"]).await;
    stand.stop().await;
}

#[tokio::test]
async fn a_folder_in_the_place_of_the_file_is_said() {
    let logs = Logs::new();
    fs::create_dir(logs.log()).unwrap();
    let mut stand = logs.start("").await;
    let why = stand.is(SourceState::Failing).await.unwrap();
    assert!(why.contains("app.log is not a file"), "{why}");
    stand.stop().await;
}

#[tokio::test]
async fn a_line_waits_for_its_end_also_across_the_first_start() {
    let logs = Logs::new();
    logs.write("old\nbegun before");
    let stand = logs.reading("").await;
    logs.write(" and ended after\nbegun");
    stand.has_lines(&["begun before and ended after"]).await;
    drop(stand.stop().await);
    logs.write(", ended\n");
    let stand = logs.reading("").await;
    stand.has_lines(&["begun before and ended after", "begun, ended"]).await;
    stand.stop().await;
}

#[tokio::test]
async fn a_line_of_any_length_is_one_event_that_says_what_it_lacks() {
    let logs = Logs::new();
    logs.write("");
    let stand = logs.reading("").await;
    logs.write("x".repeat(300_000));
    logs.write("y".repeat(18 << 20));
    logs.write("\nshort\n");
    let events = stand.lines(2).await;
    assert_eq!(events[0].description, "x".repeat(DESCRIPTION_BYTES));
    assert_eq!(events[0].data["cut_bytes"], 300_000 + (18 << 20) - DESCRIPTION_BYTES);
    assert_eq!(events[1].description, "short");
    stand.stop().await;
}

#[tokio::test]
async fn a_spool_set_aside_begins_as_a_first_start() {
    let logs = Logs::new();
    logs.write("");
    let stand = logs.reading("").await;
    logs.write("a\n");
    stand.has_lines(&["a"]).await;
    drop(stand.stop().await);
    logs.write("b\n");
    let spools = logs.dir.path().join("state/cameras");
    for file in fs::read_dir(&spools).unwrap().map(|file| file.unwrap().path()) {
        fs::write(file, [7; 9_000]).unwrap();
    }
    let stand = logs.reading("").await;
    logs.write("c\n");
    stand.has_lines(&["c"]).await;
    stand.stop().await;
}

#[tokio::test]
async fn lines_that_cannot_be_written_come_later_once() {
    let logs = Logs::new();
    logs.write("");
    let mut stand = logs.reading("").await;
    let disk = rusqlite::Connection::open(logs.dir.path().join("state/cameras/porch.db")).unwrap();
    let fail = "CREATE TRIGGER no BEFORE INSERT ON event BEGIN SELECT RAISE(ABORT, 'no room'); END";
    disk.execute_batch(fail).unwrap();
    logs.write("a\nb\n");
    let why = stand.is(SourceState::Failing).await.unwrap();
    assert!(why.contains("no room"), "{why}");
    disk.execute_batch("DROP TRIGGER no").unwrap();
    stand.has_lines(&["a", "b"]).await;
    stand.is(SourceState::Ok).await;
    stand.stop().await;
}
