//! A program that runs inside a namespace: its lines are kept, dropping it ends it.

use std::{
    fs::File,
    io::{BufRead as _, BufReader, Read, Write as _},
    process::{Child, Command, Stdio},
    sync::{Arc, Condvar, Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};

use crate::{failure::Failure, namespace::Namespace};

/// How long a program may take to end before it is killed.
const END_WITHIN: Duration = Duration::from_secs(12);

/// A running program.
#[derive(Debug)]
pub(crate) struct Process {
    name: String,
    child: Child,
    lines: Arc<Lines>,
}

/// What it wrote, each line with when.
#[derive(Debug, Default)]
struct Lines {
    written: Mutex<Vec<(Instant, String)>>,
    file: Option<File>,
    more: Condvar,
}

impl Process {
    /// Starts it inside; its lines also go into `file`.
    pub(crate) fn start(
        namespace: &Namespace,
        mut command: Command,
        file: Option<File>,
    ) -> Result<Self, Failure> {
        let name = command.get_program().to_string_lossy().into_owned();
        command.env("NO_COLOR", "1").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let child = namespace.inside(|| command.spawn())?;
        let mut child = child.map_err(|why| Failure::Missing { program: name.clone(), why })?;
        let lines = Arc::new(Lines { file, ..Lines::default() });
        if let (Some(out), Some(err)) = (child.stdout.take(), child.stderr.take()) {
            lines.clone().keep(out);
            lines.clone().keep(err);
        }
        Ok(Self { name, child, lines })
    }

    /// Waits for a line that contains `part` and was written after `since`; when that was.
    pub(crate) fn says(&self, part: &str, since: Instant, within: Duration) -> Result<Instant, Failure> {
        let until = Instant::now() + within;
        let mut written = self.lines.written.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            let found = written.iter().find(|(at, line)| *at > since && line.contains(part));
            if let Some((at, _)) = found {
                return Ok(*at);
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                let last: Vec<&str> = written.iter().rev().take(8).map(|(_, line)| line.as_str()).collect();
                let last = last.into_iter().rev().collect::<Vec<_>>().join("\n  ");
                let why = format!("{} did not say {part:?}; its last lines:\n  {last}", self.name);
                return Err(Failure::Late(why));
            }
            let waited = self.lines.more.wait_timeout(written, left);
            written = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Ends it and waits until it is gone.
    pub(crate) fn end(&mut self) -> Result<(), Failure> {
        let _ = kill_process(Pid::from_child(&self.child), Signal::TERM);
        let until = Instant::now() + END_WITHIN;
        while self.child.try_wait()?.is_none() {
            if Instant::now() > until {
                self.child.kill()?;
                self.child.wait()?;
                return Err(Failure::Late(format!("{} did not end", self.name)));
            }
            thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Lines {
    fn keep(self: Arc<Self>, from: impl Read + Send + 'static) {
        thread::spawn(move || {
            for line in BufReader::new(from).lines().map_while(Result::ok) {
                if let Some(mut file) = self.file.as_ref() {
                    // A line that cannot be kept is missing where somebody looks for it, and nowhere else.
                    let _ = writeln!(file, "{line}");
                }
                let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
                written.push((Instant::now(), line));
                self.more.notify_all();
            }
        });
    }
}

/// Runs a program to its end; what it wrote.
pub(crate) fn run(mut command: Command) -> Result<String, Failure> {
    let program = command.get_program().to_string_lossy().into_owned();
    let ran = command.output().map_err(|why| Failure::Missing { program: program.clone(), why })?;
    if ran.status.success() {
        return Ok(String::from_utf8_lossy(&ran.stdout).trim().to_owned());
    }
    let said = String::from_utf8_lossy(&ran.stderr).trim().to_owned();
    Err(Failure::Ended { what: program, status: ran.status, said })
}
