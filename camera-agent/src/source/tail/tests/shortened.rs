//! Promises about logs that lost their end, as by a power cut, and about those with a hole.

use std::io::{Seek as _, SeekFrom};

use proptest::prelude::*;

use super::{
    rotation::{Reading, begun},
    *,
};

/// So many lines of a program, with their ends.
fn text(what: &str, lines: usize) -> String {
    (0..lines).map(|n| format!("2026-11-28 {what} {n}\n")).collect()
}

/// A log of so many lines that were all read.
fn read_log(lines: usize) -> Reading {
    let mut reading = begun("");
    reading.logs.write(text("line", lines));
    assert_eq!(reading.read().len(), lines);
    reading
}

impl Reading {
    /// The log loses so many bytes of its end while the agent is away; gives how many are left.
    fn lose(&mut self, name: &str, bytes: u64) -> u64 {
        let file = File::options().write(true).open(self.logs.path(name)).unwrap();
        let left = file.metadata().unwrap().len().saturating_sub(bytes);
        file.set_len(left).unwrap();
        self.kill();
        left
    }

    /// What is read now, behind so many lines.
    fn again(&mut self, known: usize) -> Vec<String> {
        self.read_all()[known..].to_vec()
    }
}

/// The bytes of lines with their ends.
fn bytes(lines: &[String]) -> u64 {
    lines.iter().map(|line| line.len() as u64 + 1).sum()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn what_a_program_writes_after_its_log_lost_its_end_is_read_and_little_comes_twice(
        lines in 1..3_000_usize,
        lost in prop_oneof![1..100_u64, 1..100_000_u64],
        since in 1..2_000_usize,
    ) {
        let mut reading = read_log(lines);
        let before = bytes(&reading.lines);
        let left = reading.lose("app.log", lost);
        // The program is back before the agent, and may write beyond where that was.
        reading.logs.write(text("since", since));
        let again = reading.again(lines);
        let log = fs::read_to_string(reading.logs.log()).unwrap();
        let last: Vec<_> = log.lines().skip(log.lines().count() - again.len().min(log.lines().count())).collect();
        prop_assert_eq!(&again, &last);
        let twice = bytes(&again).checked_sub(log.len() as u64 - left);
        let most = (3 * (before - left)).max(512) + 40;
        prop_assert!(twice.is_some_and(|twice| twice <= most), "{twice:?} of {before}, {left} left");
        reading.kill();
        prop_assert_eq!(reading.again(lines), again);
    }
}

#[test]
fn a_rotated_file_that_lost_its_end_is_not_read_again() {
    let mut reading = read_log(1_000);
    reading.rotate();
    reading.logs.write("new\n");
    reading.lose("app.log.1", 100);
    let again = reading.again(1_000);
    assert!(again.len() < 50 && again.last().is_some_and(|line| line == "new"), "{again:?}");
}

#[test]
fn a_truncated_log_that_begins_otherwise_is_read_from_its_beginning_also_behind_the_same_heading() {
    for heading in ["", "# a heading\n", &"# a long heading\n".repeat(40)] {
        let mut reading = begun("");
        reading.logs.write(format!("{heading}{}", text("line", 1_000)));
        let known = reading.read().len();
        reading.logs.writer().set_len(0).unwrap();
        reading.kill();
        reading.logs.write(format!("{heading}{}", text("other", 500)));
        let again = reading.again(known);
        let other = again.iter().filter(|line| line.contains("other")).count();
        assert_eq!(other, 500, "{heading}");
        assert!(again.iter().all(|line| !line.contains(" line ")), "{again:?}");
    }
}

#[test]
fn a_truncated_log_of_lines_without_a_time_is_told_by_its_beginning() {
    let run = |n: usize, ticks: usize| format!("run {n}\n{}", "tick\n".repeat(ticks));
    let mut reading = begun("");
    reading.logs.write(run(1, 2_000));
    assert_eq!(reading.read().len(), 2_001);
    reading.logs.writer().set_len(0).unwrap();
    reading.kill();
    reading.logs.write(run(2, 1_000));
    assert_eq!(reading.again(2_001).len(), 1_001);
}

#[test]
fn a_place_that_an_older_agent_wrote_is_taken_and_gets_its_marks() {
    let mut reading = read_log(1_000);
    let mut older: serde_json::Value = serde_json::from_str(&reading.stored).unwrap();
    assert!(older.as_object_mut().unwrap().remove("earlier").is_some());
    reading.stored = older.to_string();
    reading.kill();
    reading.logs.write(text("more", 1));
    assert_eq!(reading.read_all().len(), 1_001);
    reading.lose("app.log", 100);
    assert!(reading.again(1_001).len() < 50);
}

#[tokio::test]
async fn a_line_behind_a_hole_of_any_length_comes_without_it() {
    for hole in [20, 70_000, 40 << 20] {
        let logs = Logs::new();
        logs.write("");
        let mut program = File::options().write(true).open(logs.log()).unwrap();
        let stand = logs.reading("").await;
        program.write_all(b"one\n").unwrap();
        stand.has_lines(&["one"]).await;
        // A program that does not append goes on behind what it has written.
        logs.writer().set_len(0).unwrap();
        program.seek(SeekFrom::Start(hole)).unwrap();
        program.write_all(b"two\n\0three\n").unwrap();
        stand.has_lines(&["one", "two", "three"]).await;
        assert!(stand.lines(3).await.iter().all(|event| event.data.is_empty()));
        stand.stop().await;
    }
}
