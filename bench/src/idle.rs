//! Idle: what a gateway keeps for a camera that is connected and silent, before and after its socket was busy.
//!
//! With pictures the gateway keeps as few as it may for others to share, half a MiB: what is measured is what it keeps for a socket.
//!
//! The gateway's allocator gives freed memory back at once here, and not after the ten seconds that it keeps it else: what is left is what
//! is in use, and what lies between.

mod null;
mod outcome;

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use camera_agent::backoff::Ending;
use oriel_proto::limits::PART_BYTES;
use tokio::{runtime::Handle, task::JoinSet, time::sleep};

use self::outcome::Cost;
pub(crate) use self::outcome::Outcome;
use crate::{
    failure::{Doing, Failure, Result},
    fleet::{
        self, Member,
        long::{self, Shape},
        pictures::{self, Album},
    },
    gateway::{Gateway, Options},
    process,
    report::Report,
    target::source,
};

/// Callers that make the sockets busy.
const CALLERS: usize = 32;

/// By then all are connected, or have left.
const WITHIN: Duration = Duration::from_secs(120);

/// The time of the first picture that is asked for, in milliseconds.
const FIRST_TIME: usize = 1_600_000_000_000;

/// Bytes of a picture that a socket moves.
const PICTURE: usize = 256 << 10;

/// What a gateway does in the background after a change is over by then, and freed memory is given back.
const SETTLES: Duration = Duration::from_secs(4);

/// Memory of a camera that is connected and silent
#[derive(Debug, clap::Args)]
pub(crate) struct Idle {
    /// Agents, each with one camera
    #[arg(long, value_name = "N", default_value = "10000")]
    agents: usize,
    /// Let them connect by TLS
    #[arg(long)]
    tls: bool,
    /// Bytes of lines that each camera's socket moves; 0 leaves that out
    #[arg(long, value_name = "BYTES", default_value = "1048576")]
    moved: usize,
    /// Let each move pictures of 256 KiB instead of lines
    #[arg(long, conflicts_with = "parts")]
    pictures: bool,
    /// Bytes of a Part of what it moves, one run for each
    #[arg(long, value_name = "BYTES", value_delimiter = ',', default_value = "8192")]
    parts: Vec<usize>,
    /// Ask nothing of what a camera costs: the targets are for 10,000, over which what a process gains by living is spread
    #[arg(long)]
    tell_only: bool,
    /// Repeats the run with this seed
    #[arg(long, value_name = "N")]
    pub(crate) seed: Option<u64>,
    /// Another gateway than the program beside this one
    #[arg(long, value_name = "FILE")]
    oriel: Option<PathBuf>,
}

impl Idle {
    /// That of so many agents after their sockets moved pictures; `tell_only` asks nothing of what each costs.
    pub(crate) fn with_pictures(agents: usize, tell_only: bool, oriel: Option<PathBuf>) -> Self {
        let (moved, parts) = (1 << 20, vec![PART_BYTES]);
        Self { agents, tls: false, moved, pictures: true, parts, tell_only, seed: None, oriel }
    }

    /// Runs it for each size of Parts; whether everything held.
    pub(crate) async fn run(self, seed: u64) -> Result<bool> {
        let mut report = Report::begin("idle", seed);
        self.measure(&mut report).await?;
        Ok(report.verdict())
    }

    /// Measures each size of Parts at both servers and tells what came of it.
    pub(crate) async fn measure(&self, report: &mut Report) -> Result<Outcome> {
        let mut costs = Vec::new();
        for part in self.parts.iter().copied() {
            report.progress(format!("Parts of {part} bytes"));
            let mut cost = self.cost(part).await?;
            if !self.tls {
                report.progress("the null relay");
                cost.null = Some(null::measure(self.agents, self.moved, part).await?);
            }
            costs.push(cost);
        }
        let Self { agents, tls, moved, tell_only, .. } = *self;
        let outcome = Outcome { agents, tls, moved, tell_only, costs };
        outcome.tell(report);
        Ok(outcome)
    }

    /// What the gateway needs.
    async fn cost(&self, part: usize) -> Result<Cost> {
        let (program, tls, flags) = (self.oriel.clone(), self.tls, self.flags());
        let mut gateway =
            Gateway::start(Options { program, tls, flags, trimmed: true, ..Options::default() }).await?;
        let empty = settled(&gateway).await?;
        let members = fleet::enrolled(&gateway, self.agents, 1).await?;
        // A process that has enrolled nobody itself.
        gateway.stop_and_start().await?;
        let lives = self.connect(&gateway, &members, part).await?;
        let connected = settled(&gateway).await?;
        let mut used = None;
        if self.moved > 0 {
            let start = Instant::now();
            self.move_all(&gateway).await?;
            let took = start.elapsed();
            used = Some((settled(&gateway).await?, took));
        }
        drop(lives);
        self.nobody(&gateway).await?;
        let gone = settled(&gateway).await?;
        let _again = self.connect(&gateway, &members, part).await?;
        let again = settled(&gateway).await?;
        Ok(Cost { part, empty, connected, used, gone, again, null: None })
    }

    /// Room for every caller and agent of one address range.
    fn flags(&self) -> Vec<String> {
        let connections = (self.agents + 1_000).to_string();
        let mut flags = vec!["--limit-connections".to_owned(), connections];
        if self.pictures {
            flags.extend(["--limit-image-bytes", "1MiB"].map(str::to_owned));
        }
        flags
    }

    async fn connect(&self, gateway: &Gateway, members: &[Member], part: usize) -> Result<JoinSet<Ending>> {
        let members = members.iter().map(Member::anew).collect();
        let (mut lives, reached) = if self.pictures {
            let (roll, _, lives) = pictures::start(members, &Album::new(0, PICTURE), &Handle::current());
            let reached = roll.reaches(self.agents, WITHIN).await;
            (lives, reached)
        } else {
            let (logs, lives) = long::start(members, Shape { bytes: self.moved, part });
            let reached = logs.reaches(self.agents, WITHIN).await;
            (lives, reached)
        };
        if !reached {
            let ending = lives.try_join_next();
            return Err(Failure::new(format!("not all could connect: {ending:?}")));
        }
        let counted = gateway.metric("oriel_agents").await?;
        if counted != Some(self.agents as f64) {
            return Err(Failure::new(format!("the gateway counts {counted:?}")));
        }
        Ok(lives)
    }

    /// Takes what each camera's socket is to move: its log to the end, or pictures one after the other.
    async fn move_all(&self, gateway: &Gateway) -> Result<()> {
        let next = Arc::new(AtomicUsize::new(0));
        let pictures = if self.pictures { self.moved.div_ceil(PICTURE) } else { 0 };
        let mut asking = JoinSet::new();
        for n in 0..CALLERS {
            let (next, agents, mut caller) =
                (Arc::clone(&next), self.agents, gateway.caller(source(30_000 + n)));
            asking.spawn(async move {
                loop {
                    let camera = next.fetch_add(1, Ordering::Relaxed);
                    if camera >= agents {
                        return Ok::<_, Failure>(());
                    }
                    if pictures == 0 {
                        let path = format!("/v1/cameras/camera-{camera}/events?source=camera&q=all-{camera}");
                        caller.get_lines(&path).await?.must_be(200).doing(&path)?;
                    }
                    for n in 0..pictures {
                        let path =
                            format!("/v1/cameras/camera-{camera}/images/{}?class=main", FIRST_TIME + n);
                        caller.get(&path).await?.must_be(200).doing(&path)?;
                    }
                }
            });
        }
        while let Some(asked) = asking.join_next().await {
            asked??;
        }
        Ok(())
    }

    async fn nobody(&self, gateway: &Gateway) -> Result<()> {
        let start = Instant::now();
        while gateway.metric("oriel_agents").await? != Some(0.0) {
            if start.elapsed() > WITHIN {
                return Err(Failure::new("the gateway still counts agents that have left"));
            }
            sleep(Duration::from_millis(100)).await;
        }
        Ok(())
    }
}

/// Resident memory of what is in use.
async fn settled(gateway: &Gateway) -> Result<u64> {
    sleep(SETTLES).await;
    process::resident(gateway.pid())
}
