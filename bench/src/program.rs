//! Programs that a scenario needs beside the gateway: those that are installed, and subcommands of this one.

use std::{net::SocketAddr, path::PathBuf, process::Stdio};

use serde::Serialize;
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout, Command},
};

use crate::{
    failure::{Doing, Failure, Result},
    process,
};

/// Where programs are looked for beside `PATH`: servers may not be on a user's.
const BESIDE_PATH: &str = "/usr/sbin";

/// Where a program of this name is installed, if it is.
pub(crate) fn installed(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain([PathBuf::from(BESIDE_PATH)]);
    folders.map(|folder| folder.join(name)).find(|program| program.is_file())
}

/// A subcommand of this program as a process, which is told and says things line by line; dropping it ends it.
#[derive(Debug)]
pub(crate) struct Program {
    name: &'static str,
    child: Child,
    said: Lines<BufReader<ChildStdout>>,
    told: ChildStdin,
}

impl Program {
    /// Starts it.
    pub(crate) fn start(name: &'static str, flags: &[&str]) -> Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg(name).args(flags);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().doing(name)?;
        let (told, said) = (child.stdin.take(), child.stdout.take());
        let Some((told, said)) = told.zip(said) else { return Err(Failure::new("a process without pipes")) };
        Ok(Self { name, child, said: BufReader::new(said).lines(), told })
    }

    /// Starts one that serves and says at which address.
    pub(crate) async fn serving(name: &'static str, flags: &[&str]) -> Result<(Self, SocketAddr)> {
        let mut program = Self::start(name, flags)?;
        let address = program.hear().await?;
        Ok((program, address.parse().doing(address)?))
    }

    /// The next line that it says.
    pub(crate) async fn hear(&mut self) -> Result<String> {
        let line = self.said.next_line().await?;
        line.ok_or_else(|| Failure::new(format!("{} has ended", self.name)))
    }

    /// Tells it something, as a line of JSON.
    pub(crate) async fn tell(&mut self, what: &impl Serialize) -> Result<()> {
        let mut line = serde_json::to_vec(what)?;
        line.push(b'\n');
        self.told.write_all(&line).await?;
        Ok(self.told.flush().await?)
    }

    /// Has it give freed memory back to the system, if it is one that does so.
    pub(crate) async fn trim(&mut self) -> Result<()> {
        process::signal(self.pid(), "USR1")?;
        self.hear().await.map(drop)
    }

    /// Its process id; 0 once it has ended.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id().unwrap_or_default()
    }
}
