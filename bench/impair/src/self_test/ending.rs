//! What is left after the end: nothing, however it came.

use std::{
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};

use crate::{failure::Failure, impairment::Impairment, pair::Pair, report::Report};

/// How long the end may take.
const WITHIN: Duration = Duration::from_secs(5);

/// Ends runs of `join` by signals and looks what is left.
pub(super) fn run(report: &mut Report) -> Result<(), Failure> {
    for (signal, name) in [(Signal::INT, "SIGINT"), (Signal::TERM, "SIGTERM")] {
        let mut joined = Joined::start()?;
        let there = joined.namespaces();
        let code = joined.end(signal)?;
        let held = there == 2 && joined.namespaces() == 0 && code == Some(0);
        let figures = format!("{there} namespaces before, {} after, exit code {code:?}", joined.namespaces());
        report.check(&format!("{name} ends it and removes its namespaces"), held, &figures);
    }
    let mut killed = Joined::start()?;
    killed.end(Signal::KILL)?;
    let left = killed.namespaces();
    drop(Pair::of_this_process(&Impairment::NONE)?);
    let held = left == 2 && killed.namespaces() == 0;
    let figures = format!("{left} left by SIGKILL, {} after the next start", killed.namespaces());
    report.check("what a killed one left is removed by the next", held, &figures);
    Ok(())
}

/// A run of `join`.
struct Joined {
    child: Child,
}

impl Joined {
    /// Starts it and waits until the namespaces are joined.
    fn start() -> Result<Self, Failure> {
        let program = std::env::current_exe()?;
        let mut child =
            Command::new(program).arg("join").stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
        let mut line = String::new();
        if let Some(out) = child.stdout.take() {
            let mut out = BufReader::new(out);
            while !line.starts_with("lines:") {
                line.clear();
                if out.read_line(&mut line)? == 0 {
                    return Err(Failure::Late("`join` ended at once".into()));
                }
            }
        }
        Ok(Self { child })
    }

    /// How many of its namespaces there are.
    fn namespaces(&self) -> usize {
        let names = ["gateway", "device"].map(|side| format!("oriel-{}-{side}", self.child.id()));
        names.iter().filter(|name| Path::new("/run/netns").join(name).exists()).count()
    }

    /// Sends the signal and waits for the end; the exit code.
    fn end(&mut self, signal: Signal) -> Result<Option<i32>, Failure> {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, signal).map_err(std::io::Error::from)?;
        let until = Instant::now() + WITHIN;
        while Instant::now() < until {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status.code());
            }
            thread::sleep(Duration::from_millis(10));
        }
        self.child.kill()?;
        self.child.wait()?;
        Ok(None)
    }
}
