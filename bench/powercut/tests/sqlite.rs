//! SQLite on a disk whose power is cut: a writing process is killed, then the disk forgets what was not synced. Needs root
//! and `/dev/fuse`.
//!
//! The disk is served by the program `powercut`, as other programs use it, and because SQLite maps its index: a page fault must
//! not wait for the process that faults. Seen failing: the tests that rows are lost are those that they are kept, on a disk that lies and
//! in a database that does not sync.

#![allow(clippy::print_stdout, reason = "what became of each cut")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "what these helpers cannot do fails the test")]

mod common;

use std::{
    env,
    error::Error,
    hint::spin_loop,
    io::{self, BufRead as _, BufReader, Lines, Write as _},
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, Stdio},
    time::{Duration, Instant},
};

use common::Folders;
use rusqlite::Connection;
use rustix::process::{Pid, Signal, kill_process};

/// Cuts of each test.
const CUTS: u64 = 50;

/// Tells the process that writes where the database is, and how it syncs.
const DATABASE: &str = "POWERCUT_TEST_DATABASE";
const SYNCHRONOUS: &str = "POWERCUT_TEST_SYNCHRONOUS";

/// A process whose lines are read; killed when it is dropped.
struct Process {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Process {
    fn start(command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines }
    }

    fn line(&mut self) -> Option<String> {
        self.lines.next().map(Result::unwrap)
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A mounted folder, served by a program of its own.
struct Disk {
    process: Process,
    folders: Folders,
}

impl Disk {
    fn new(seed: u64, arguments: &[&str]) -> Self {
        let folders = Folders::new();
        let mut command = Command::new(env!("CARGO_BIN_EXE_powercut"));
        command.args([&folders.backing, &folders.mountpoint]).args(["--seed", &seed.to_string()]);
        command.args(["--sync-takes", "2"]).args(arguments);
        let mut process = Process::start(&mut command);
        let line = process.line().expect("powercut does not serve: these tests need /dev/fuse and root");
        assert!(line.starts_with("serving "), "{line}");
        Self { process, folders }
    }

    fn database(&self) -> PathBuf {
        self.folders.mountpoint.join("rows.db")
    }

    /// Lets the power fail in the middle of whatever is written.
    fn fail(&mut self) {
        self.process.signal(Signal::POWER);
        assert_eq!(self.process.line().as_deref(), Some("failed"));
    }

    /// Cuts the power; some of what was not synced stays by chance.
    fn cut(&mut self) -> String {
        self.process.signal(Signal::USR1);
        self.process.line().expect("powercut has ended")
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        self.process.signal(Signal::TERM);
        while let Some(line) = self.process.line() {
            println!("{line}");
        }
        let _ = self.process.child.wait();
    }
}

/// How far a writing process came.
#[derive(Debug, PartialEq)]
struct Run {
    /// The rows that it found; none when it did not get that far.
    found: Option<u32>,
    /// The last row that it said to be committed.
    committed: u32,
}

/// Lets a process of its own write, and kills it some time after it has said that it did; `n` tells after how many commits, in which part
/// of the next ones, and whether the power fails before.
fn write_until_killed(disk: &mut Disk, synchronous: &str, n: u64) -> Run {
    let (commits, moment) = (n * 7 % 30 + 1, Duration::from_micros(n * 1_237 % 5_000));
    let mut command = Command::new(env::current_exe().unwrap());
    command.args(["--exact", "the_writer_counts_its_rows", "--nocapture", "--test-threads=1"]);
    let mut writer = Process::start(command.env(DATABASE, disk.database()).env(SYNCHRONOUS, synchronous));
    let mut run = Run { found: None, committed: 0 };
    let mut said = 0;
    // What it said before its end counts, also when that is read later.
    while let Some(line) = writer.line() {
        match line.split_once(' ').map(|(word, n)| (word, n.parse())) {
            Some(("found", Ok(n))) => run.found = Some(n),
            Some(("committed", Ok(n))) => {
                run.committed = n;
                said += 1;
                if said == commits {
                    // Not waiting for anything: the moment is what is varied.
                    let end = Instant::now() + moment;
                    while Instant::now() < end {
                        spin_loop();
                    }
                    if n % 4 > 0 {
                        disk.fail();
                    }
                    writer.signal(Signal::KILL);
                }
            }
            // What the test program says of itself.
            _ => {}
        }
    }
    run
}

/// Opens the database, checks it and counts its rows, which are numbered from 1 on without gaps.
fn open(database: &Path) -> Result<(Connection, u32), Box<dyn Error>> {
    let connection = Connection::open(database)?;
    connection.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
    connection
        .execute_batch("CREATE TABLE IF NOT EXISTS rows (n INTEGER PRIMARY KEY, body BLOB NOT NULL)")?;
    let sound: String = connection.query_row("PRAGMA integrity_check", (), |row| row.get(0))?;
    let count = "SELECT count(*), ifnull(max(n), 0) FROM rows";
    let (rows, last): (u32, u32) = connection.query_row(count, (), |row| Ok((row.get(0)?, row.get(1)?)))?;
    if sound != "ok" || rows != last {
        return Err(format!("integrity_check says {sound}; {rows} rows, of which the last is {last}").into());
    }
    Ok((connection, rows))
}

/// Says how many rows there are, then writes more and says after each commit what the last one is.
fn write(database: &Path, synchronous: &str, up_to: u32, out: &mut impl io::Write) {
    let (connection, mut rows) = open(database).unwrap();
    writeln!(out, "found {rows}").unwrap();
    connection.pragma_update(None, "synchronous", synchronous).unwrap();
    // Often, so that the database file itself is written between the cuts.
    connection.pragma_update(None, "wal_autocheckpoint", 20).unwrap();
    while rows < up_to {
        let transaction = connection.unchecked_transaction().unwrap();
        for _ in 0..=rows % 5 {
            rows += 1;
            let body = vec![rows as u8; (rows * 211 % 3_000) as usize];
            transaction.execute("INSERT INTO rows VALUES (?1, ?2)", (rows, body)).unwrap();
        }
        transaction.commit().unwrap();
        writeln!(out, "committed {rows}").unwrap();
    }
}

/// Started by other tests with a database it writes until it is killed; else it shows on a usual disk that it says the truth.
#[test]
fn the_writer_counts_its_rows() {
    if let Some(database) = env::var_os(DATABASE) {
        // Unlike what `println` says, this is not captured; the test program has begun a line.
        let mut out = io::stdout().lock();
        writeln!(out).unwrap();
        return write(Path::new(&database), &env::var(SYNCHRONOUS).unwrap(), u32::MAX, &mut out);
    }
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("rows.db");
    let mut said = Vec::new();
    write(&database, "FULL", 10, &mut said);
    let said = String::from_utf8(said).unwrap();
    let (_, rows) = open(&database).unwrap();
    assert!(said.starts_with("found 0\ncommitted 1\n"), "{said}");
    assert!(said.ends_with(&format!("committed {rows}\n")), "{said}");
}

/// Writes, kills and cuts until a committed row is lost or the database does not open; tells at which cut.
fn first_loss(disk: &mut Disk, synchronous: &str) -> Option<u64> {
    let mut committed = 0;
    for n in 1..=CUTS {
        let run = write_until_killed(disk, synchronous, n);
        let mut lost = run.found.is_none_or(|found| found < committed);
        committed = run.committed.max(committed);
        println!("{run:?}, {}", disk.cut());
        // Now and then it is opened and closed as usual, which leaves no log behind; also after the last cut.
        if n % 5 == 0 && !lost {
            lost = open(&disk.database()).map_or(true, |(_, rows)| rows < committed);
        }
        if lost {
            println!("{committed} rows had been committed");
            return Some(n);
        }
    }
    None
}

#[test]
fn committed_rows_survive_fifty_torn_cuts() {
    let mut disk = Disk::new(4, &[]);
    assert_eq!(first_loss(&mut disk, "FULL"), None);
    let (_, rows) = open(&disk.database()).unwrap();
    println!("{rows} rows survived {CUTS} cuts");
}

#[test]
fn a_database_that_does_not_sync_loses_rows() {
    let mut disk = Disk::new(5, &[]);
    assert_ne!(first_loss(&mut disk, "OFF"), None);
}

#[test]
fn a_log_that_is_synced_only_at_checkpoints_loses_rows() {
    let mut disk = Disk::new(6, &[]);
    assert_ne!(first_loss(&mut disk, "NORMAL"), None);
}

#[test]
fn a_disk_that_lies_loses_rows() {
    let mut disk = Disk::new(7, &["--lie"]);
    assert_ne!(first_loss(&mut disk, "FULL"), None);
}
