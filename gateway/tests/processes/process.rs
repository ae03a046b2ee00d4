//! A program that runs beside the test: its lines, its signals, its end. Dropping it kills it.

use std::{
    collections::VecDeque,
    io::{BufRead, BufReader, Read},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, ExitStatus, Stdio},
    sync::{
        OnceLock,
        mpsc::{Receiver, Sender, channel},
    },
    thread,
    time::{Duration, Instant, SystemTime},
};

/// Longer than anything that is waited for takes on a busy machine; a hang fails instead.
pub(crate) const WITHIN: Duration = Duration::from_secs(30);

/// Where a line was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stream {
    Out,
    Err,
}

/// A running program.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    lines: Receiver<(Stream, String)>,
    /// Lines that nobody has taken yet.
    waiting: VecDeque<(Stream, String)>,
    /// Everything it wrote, for failures.
    log: String,
}

/// What one run gave.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Ran {
    /// The last line on standard error, which says what went wrong.
    pub(crate) fn last(&self) -> &str {
        self.err.lines().last().unwrap_or_default()
    }

    /// Checks the exit code, and that one line says why.
    #[track_caller]
    pub(crate) fn fails(&self, code: i32, why: &str) {
        assert_eq!((self.code, self.out.as_str()), (code, ""), "{}", self.err);
        assert_eq!(self.err.lines().count(), 1, "{}", self.err);
        assert!(self.last().contains(why), "{why:?} is not in {:?}", self.last());
    }

    /// Checks that it went well and gives standard output.
    #[track_caller]
    pub(crate) fn fine(self) -> String {
        assert_eq!(self.code, 0, "{}", self.err);
        self.out
    }
}

impl Process {
    /// Starts it with nothing to read.
    pub(crate) fn start(command: Command) -> Self {
        Self::spawn(command, Stdio::null())
    }

    /// Starts it, and gives what it reads from.
    pub(crate) fn start_fed(command: Command) -> (Self, ChildStdin) {
        let mut process = Self::spawn(command, Stdio::piped());
        let input = process.child.stdin.take().unwrap();
        (process, input)
    }

    /// Starts it, without any of this machine's variables for our programs.
    fn spawn(mut command: Command, input: Stdio) -> Self {
        for (name, _) in std::env::vars_os() {
            let text = name.to_string_lossy();
            let set = command.get_envs().any(|(given, _)| given == name);
            if (text.starts_with("ORIEL_") || text.starts_with("CAMERA_AGENT_")) && !set {
                command.env_remove(name);
            }
        }
        command.env("TZ", "UTC").stdin(input).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let (tx, lines) = channel();
        read(child.stdout.take().unwrap(), Stream::Out, tx.clone());
        read(child.stderr.take().unwrap(), Stream::Err, tx);
        Self { child, lines, waiting: VecDeque::new(), log: String::new() }
    }

    /// Waits for the next line on `stream` that contains `part`; those before it are passed over.
    #[track_caller]
    pub(crate) fn line(&mut self, stream: Stream, part: &str) -> String {
        let until = Instant::now() + WITHIN;
        loop {
            while let Some(at) = self.waiting.iter().position(|(from, _)| *from == stream) {
                let (_, line) = self.waiting.remove(at).unwrap();
                if line.contains(part) {
                    return line;
                }
            }
            let left = until.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(left) {
                Ok(line) => self.take(line),
                Err(why) => panic!("no line with {part:?}: {why}\n{}", self.log),
            }
        }
    }

    /// Waits for the next line on standard error that contains `part`.
    #[track_caller]
    pub(crate) fn says(&mut self, part: &str) -> String {
        self.line(Stream::Err, part)
    }

    /// Waits for its end.
    #[track_caller]
    pub(crate) fn end(&mut self) -> ExitStatus {
        let until = Instant::now() + WITHIN;
        // Both streams end with the process.
        while let Ok(line) = self.lines.recv_timeout(until.saturating_duration_since(Instant::now())) {
            self.take(line);
        }
        assert!(Instant::now() < until, "it did not end\n{}", self.log);
        self.child.wait().unwrap()
    }

    /// Waits for its end and gives all that it wrote and nobody took.
    #[track_caller]
    pub(crate) fn finish(mut self) -> Ran {
        let code = self.end().code().unwrap_or(-1);
        Ran { code, out: self.waiting(Stream::Out), err: self.waiting(Stream::Err) }
    }

    /// What it wrote on `stream` and nobody took.
    pub(crate) fn waiting(&self, stream: Stream) -> String {
        let lines = self.waiting.iter().filter(|(from, _)| *from == stream);
        lines.map(|(_, line)| format!("{line}\n")).collect()
    }

    /// Sends a signal such as `TERM`.
    pub(crate) fn signal(&self, name: &str) {
        let kill = format!("kill -s {name} {}", self.child.id());
        assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success(), "{kill}");
    }

    /// Ends it as a power cut would, and waits until it is gone.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Its process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    fn take(&mut self, (stream, line): (Stream, String)) {
        self.log += &format!("{stream:?}: {line}\n");
        self.waiting.push_back((stream, line));
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn read(from: impl Read + Send + 'static, stream: Stream, to: Sender<(Stream, String)>) {
    thread::spawn(move || {
        for line in BufReader::new(from).lines().map_while(Result::ok) {
            if to.send((stream, line)).is_err() {
                return;
            }
        }
    });
}

/// A run of `oriel` with these arguments.
pub(crate) fn oriel(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_oriel"));
    command.args(args);
    command
}

/// Runs `oriel` to its end.
#[track_caller]
pub(crate) fn run_oriel(args: &[&str]) -> Ran {
    Process::start(oriel(args)).finish()
}

/// The `camera-agent` program beside `oriel`; built first when it is missing or older than its sources.
pub(crate) fn camera_agent() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let folder = Path::new(env!("CARGO_BIN_EXE_oriel")).parent().unwrap();
        let program = folder.join(format!("camera-agent{}", std::env::consts::EXE_SUFFIX));
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let built = program.metadata().and_then(|file| file.modified()).unwrap_or(SystemTime::UNIX_EPOCH);
        let sources = ["camera-agent", "proto/src", "Cargo.lock"].map(|part| newest(&root.join(part)));
        if sources.into_iter().max() > Some(built) {
            let profile = match folder.file_name().and_then(|name| name.to_str()) {
                Some("debug") | None => "dev",
                Some(name) => name,
            };
            let mut cargo = Command::new(env!("CARGO"));
            cargo.current_dir(root).args(["build", "--quiet", "-p", "camera-agent", "--profile", profile]);
            assert!(cargo.status().unwrap().success(), "camera-agent does not build");
        }
        program
    })
}

/// When the newest file below `path` was changed.
fn newest(path: &Path) -> SystemTime {
    let changed = |path: &Path| path.metadata().and_then(|file| file.modified()).unwrap();
    match std::fs::read_dir(path) {
        Ok(entries) => {
            entries.map(|entry| newest(&entry.unwrap().path())).max().unwrap_or(SystemTime::UNIX_EPOCH)
        }
        Err(_) => changed(path),
    }
}
