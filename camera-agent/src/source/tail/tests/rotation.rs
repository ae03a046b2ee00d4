//! Promises about rotated and truncated logs, with a clock that the test moves.

use std::time::SystemTime;

use super::{
    super::reader::{QUIET, QUIET_WITHIN},
    *,
};

/// A reader and what it has read; only what is committed outlives a kill.
pub(super) struct Reading {
    pub(super) logs: Logs,
    reader: Reader,
    pub(super) stored: String,
    now: Instant,
    pub(super) lines: Vec<String>,
}

impl Reading {
    /// Begins as the agent does at its first start.
    pub(super) fn start(logs: Logs, from_start: bool) -> Self {
        let place = Reader::first_place(&logs.log(), from_start).unwrap();
        let stored = serde_json::to_string(&place).unwrap();
        let reader = Reader::new(logs.log(), place);
        Self { logs, reader, stored, now: Instant::now(), lines: Vec::new() }
    }

    /// Begins anew with what was committed.
    pub(super) fn kill(&mut self) {
        self.reader = Reader::new(self.logs.log(), serde_json::from_str(&self.stored).unwrap());
    }

    /// Looks once, and commits if that is wanted; gives whether there may be more.
    pub(super) fn look(&mut self, commit: bool) -> bool {
        let look = self.reader.look(self.now).unwrap();
        if let Look::Lines(lines) = &look
            && commit
        {
            let drafts = lines
                .iter()
                .map(|line| line.clone().draft("log", &jiff::tz::TimeZone::UTC, jiff::Timestamp::UNIX_EPOCH));
            self.lines.extend(drafts.map(|draft| draft.description));
            self.stored = serde_json::to_string(self.reader.place()).unwrap();
        }
        matches!(look, Look::Lines(_) | Look::More)
    }

    /// Time passes.
    pub(super) fn wait(&mut self, time: Duration) {
        self.now += time;
    }

    /// Reads until nothing more comes, without waiting.
    pub(super) fn read(&mut self) -> &[String] {
        while self.look(true) {}
        &self.lines
    }

    /// Reads all that is there, however long rotated files must have been quiet.
    pub(super) fn read_all(&mut self) -> &[String] {
        loop {
            self.read();
            self.wait(QUIET);
            if !self.look(true) {
                return &self.lines;
            }
        }
    }

    /// Reads on until this is the last line, and no further.
    fn read_up_to(&mut self, last: &str) {
        for _ in 0..100 {
            self.look(true);
            if self.lines.last().is_some_and(|line| line == last) {
                return;
            }
            self.wait(QUIET);
        }
        panic!("no {last:?} in {:?}", self.lines);
    }

    /// Moves the log and all that was rotated before by one number, as logrotate does.
    pub(super) fn rotate(&self) {
        let name = |n: u32| self.logs.path(&format!("app.log.{n}"));
        let count = (1..).take_while(|n| name(*n).exists()).count() as u32;
        for n in (1..=count).rev() {
            fs::rename(name(n), name(n + 1)).unwrap();
        }
        fs::rename(self.logs.log(), name(1)).unwrap();
        self.logs.write("");
    }

    /// Copies the log and empties it, as logrotate does with `copytruncate`.
    pub(super) fn copy_and_truncate(&self) {
        let copy = self.logs.path("copy");
        fs::copy(self.logs.log(), &copy).unwrap();
        let name = |n: u32| self.logs.path(&format!("app.log.{n}"));
        let count = (1..).take_while(|n| name(*n).exists()).count() as u32;
        for n in (1..=count).rev() {
            fs::rename(name(n), name(n + 1)).unwrap();
        }
        fs::rename(copy, name(1)).unwrap();
        self.logs.writer().set_len(0).unwrap();
    }
}

pub(super) fn begun(text: &str) -> Reading {
    let logs = Logs::new();
    logs.write(text);
    Reading::start(logs, false)
}

#[test]
fn a_rotated_file_is_read_to_its_end_before_the_new_one() {
    let mut reading = begun("before\n");
    reading.logs.write("a\n");
    let mut old = reading.logs.writer();
    assert_eq!(reading.read(), ["a"]);
    reading.rotate();
    // The program has not opened the new file yet.
    old.write_all(b"b\n").unwrap();
    assert_eq!(reading.read_all(), ["a", "b"]);
    old.write_all(b"c\n").unwrap();
    reading.logs.write("d\n");
    // One of its processes is later than the others.
    assert_eq!(reading.read(), ["a", "b", "c"]);
    old.write_all(b"late\n").unwrap();
    assert_eq!(reading.read_all(), ["a", "b", "c", "late", "d"]);
}

#[test]
fn a_rotated_file_that_is_never_left_alone_does_not_keep_the_new_one_waiting_for_ever() {
    let mut reading = begun("");
    let mut old = reading.logs.writer();
    reading.rotate();
    reading.logs.write("new\n");
    let mut rounds = 0;
    while !reading.lines.contains(&"new".to_owned()) {
        old.write_all(b"old\n").unwrap();
        reading.read();
        reading.wait(QUIET / 2);
        rounds += 1;
        assert!(QUIET / 2 * rounds <= QUIET_WITHIN + QUIET);
    }
    assert!(QUIET / 2 * rounds > QUIET * 10);
}

#[test]
fn rotations_while_nobody_looked_are_read_in_their_order() {
    let mut reading = begun("");
    reading.logs.write("a\n");
    assert_eq!(reading.read(), ["a"]);
    reading.logs.write("b\n");
    for line in ["c\n", "d\n", "e\n"] {
        reading.rotate();
        reading.logs.write(line);
    }
    reading.kill();
    assert_eq!(reading.read_all(), ["a", "b", "c", "d", "e"]);
}

#[test]
fn files_are_read_in_their_order_whatever_their_times() {
    let mut reading = Reading::start(Logs::new(), false);
    let mut late = reading.logs.writer();
    reading.rotate();
    late.write_all(b"a\n").unwrap();
    reading.rotate();
    reading.logs.write("b\n");
    assert_eq!(reading.read_all(), ["a", "b"]);
}

#[test]
fn files_with_dates_in_their_names_are_read_in_their_order() {
    let mut reading = begun("");
    reading.logs.write("a\n");
    reading.kill();
    for day in ["app.log-20261127", "app.log-20261128"] {
        fs::rename(reading.logs.log(), reading.logs.path(day)).unwrap();
        reading.logs.write(format!("after {day}\n"));
    }
    assert_eq!(reading.read_all(), ["a", "after app.log-20261127", "after app.log-20261128"]);
}

#[test]
fn what_came_after_a_file_that_is_compressed_by_now_is_read() {
    let mut reading = begun("before\n");
    reading.rotate();
    fs::rename(reading.logs.path("app.log.1"), reading.logs.path("app.log.2.gz")).unwrap();
    fs::write(reading.logs.path("app.log.2.gz"), "compressed").unwrap();
    // It was read before.
    fs::write(reading.logs.path("app.log.3"), "older\n").unwrap();
    let older = File::options().write(true).open(reading.logs.path("app.log.3")).unwrap();
    older.set_modified(SystemTime::now() - Duration::from_secs(600)).unwrap();
    reading.logs.write("a\n");
    reading.logs.writer().set_modified(SystemTime::now() + Duration::from_secs(1)).unwrap();
    reading.rotate();
    reading.logs.write("b\n");
    reading.kill();
    assert_eq!(reading.read_all(), ["a", "b"]);
}

#[test]
fn a_truncated_file_is_read_from_its_beginning_also_when_it_has_grown_beyond_the_place() {
    for more in [1, 50] {
        let mut reading = begun("");
        reading.logs.write("one\ntwo\n");
        assert_eq!(reading.read().len(), 2);
        reading.logs.writer().set_len(0).unwrap();
        reading.logs.write("three\n".repeat(more));
        assert_eq!(reading.read_all().len(), 2 + more, "{:?}", reading.lines);
        reading.kill();
        assert_eq!(reading.read_all().len(), 2 + more);
    }
}

#[test]
fn what_was_copied_before_the_file_was_truncated_is_read_from_the_copy() {
    let mut reading = begun("");
    reading.logs.write("a\n");
    assert_eq!(reading.read(), ["a"]);
    reading.logs.write("b\n");
    reading.copy_and_truncate();
    reading.logs.write("c\n");
    reading.copy_and_truncate();
    reading.kill();
    reading.logs.write("d\n");
    assert_eq!(reading.read_all(), ["a", "b", "c", "d"]);
}

#[test]
fn a_copy_made_before_the_first_line_was_read_is_read_before_the_log() {
    let logs = Logs::new();
    logs.write("");
    logs.writer().set_modified(SystemTime::now() - Duration::from_secs(60)).unwrap();
    let mut reading = Reading::start(logs, false);
    for line in ["a\n", "b\n"] {
        reading.logs.write(line);
        reading.copy_and_truncate();
    }
    reading.logs.write("c\n");
    reading.kill();
    assert_eq!(reading.read_all(), ["a", "b", "c"]);
}

#[test]
fn a_file_that_an_editor_wrote_anew_with_the_same_lines_is_read_on() {
    let mut reading = begun("");
    reading.logs.write("a\nb\n");
    assert_eq!(reading.read(), ["a", "b"]);
    fs::write(reading.logs.path("edited"), "a\nb\nc\n").unwrap();
    fs::rename(reading.logs.path("edited"), reading.logs.log()).unwrap();
    reading.kill();
    assert_eq!(reading.read_all(), ["a", "b", "c"]);
}

#[test]
fn a_file_that_was_removed_and_made_anew_is_read_from_its_beginning() {
    let mut reading = begun("");
    reading.logs.write("a\nb\n");
    assert_eq!(reading.read(), ["a", "b"]);
    reading.kill();
    fs::remove_file(reading.logs.log()).unwrap();
    assert_eq!(reading.reader.look(reading.now).unwrap(), Look::Missing);
    // It may get the number of the one before.
    reading.logs.write("c\nd and more\n");
    assert_eq!(reading.read_all(), ["a", "b", "c", "d and more"]);
}

#[test]
fn a_rotated_file_that_ends_in_the_middle_of_a_line_loses_none_of_it() {
    let mut reading = begun("");
    reading.logs.write("a\nhalf");
    reading.rotate();
    reading.logs.write("b\n");
    assert_eq!(reading.read_all(), ["a", "half", "b"]);
}

#[test]
fn a_rotated_file_that_was_read_to_its_end_is_not_read_again_by_an_agent_that_was_killed_before_the_next_line()
 {
    for is_copied in [false, true] {
        let mut reading = begun("");
        let later = |seconds| SystemTime::now() + Duration::from_secs(seconds);
        reading.logs.write("a\n");
        assert_eq!(reading.read(), ["a"]);
        reading.logs.write("half");
        reading.logs.writer().set_modified(later(60)).unwrap();
        reading.rotate();
        reading.logs.write("b\n");
        reading.read_up_to("half");
        reading.kill();
        if is_copied {
            reading.copy_and_truncate();
            File::open(reading.logs.path("app.log.1")).unwrap().set_modified(later(120)).unwrap();
        }
        reading.logs.write("c\n");
        assert_eq!(reading.read_all(), ["a", "half", "b", "c"]);
    }
}

#[tokio::test]
async fn a_running_camera_follows_its_log_through_rotation_and_truncation() {
    let logs = Logs::new();
    logs.write("before\n");
    let stand = logs.reading("").await;
    logs.write("a\n");
    fs::rename(logs.log(), logs.path("app.log.1")).unwrap();
    logs.write("b\n");
    stand.has_lines(&["a", "b"]).await;
    logs.writer().set_len(0).unwrap();
    logs.write("c\n");
    stand.has_lines(&["a", "b", "c"]).await;
    fs::remove_file(logs.log()).unwrap();
    logs.write("d\n");
    stand.has_lines(&["a", "b", "c", "d"]).await;
    stand.stop().await;
}
