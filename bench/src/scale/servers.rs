//! The gateway and the null relay, each with its fleet, and a second gateway whose fleet stays as small as it was at first.

use std::{path::PathBuf, time::Duration};

use tokio::time::{Instant, sleep};

use super::outcome::Memory;
use crate::{
    crew::Crews,
    failure::{Failure, Result},
    fleet::{self, Member},
    gateway::{Gateway, Options},
    measure::{NULL, ORIEL, Subject},
    null_relay, process,
    program::Program,
    report::{Report, seconds},
};

/// After a change the gateway gives memory back by itself, five seconds after a crowd has gone at the latest.
const SETTLES: Duration = Duration::from_secs(8);

/// By then all have left.
const GONE_WITHIN: Duration = Duration::from_secs(60);

/// Connections that the gateway must have room for beside its agents'.
const BESIDE: usize = 900;

/// The gateway that stays small.
pub(super) const SMALL: &str = "small oriel";

/// All servers, and who is connected to them.
#[derive(Debug)]
pub(super) struct Servers {
    gateway: Gateway,
    members: Vec<Member>,
    agents: Crews,
    relay: Program,
    /// The gateway that stays small, and its agents.
    small: (Gateway, Crews),
    subjects: [Subject; 3],
    devices: Crews,
    /// What devices answer; known once there is an agent.
    answer: String,
    events: u64,
    connected: usize,
    empty: Memory,
}

impl Servers {
    /// Starts all, enrols so many agents at the one gateway, and has as few as it is measured with first come to the small one.
    pub(super) async fn start(
        program: Option<PathBuf>,
        (fewest, most): (usize, usize),
        events: u64,
        report: &Report,
    ) -> Result<Self> {
        let start = Instant::now();
        let (gateway, members) = enrolled(program.clone(), most).await?;
        let (small, few) = enrolled(program, fewest).await?;
        report.figure("enrolment", seconds(start.elapsed()));
        let mut stayers = Crews::start(fewest)?;
        stayers.agents(small.target.address, &few, events).await?;
        let (relay, address) = Program::serving(null_relay::NAME, &[]).await?;
        let subjects = [
            Subject::open(NULL, address, vec![relay.pid()]),
            Subject { name: ORIEL, ..Subject::oriel(&gateway) },
            Subject { name: SMALL, ..Subject::oriel(&small) },
        ];
        let mut servers = Self {
            gateway,
            members,
            agents: Crews::start(most)?,
            relay,
            small: (small, stayers),
            subjects,
            devices: Crews::start(most)?,
            answer: String::new(),
            events,
            connected: 0,
            empty: Memory::default(),
        };
        servers.empty = servers.memory().await?;
        Ok(servers)
    }

    /// The null relay, the gateway and the small one, in this order.
    pub(super) const fn subjects(&self) -> &[Subject; 3] {
        &self.subjects
    }

    /// The processes of all agents and devices.
    pub(super) fn crews(&self) -> Vec<u32> {
        [self.agents.pids(), self.devices.pids(), self.small.1.pids()].concat()
    }

    /// What both need without anybody.
    pub(super) const fn empty(&self) -> Memory {
        self.empty
    }

    /// Lets as many more connect as are missing to `cameras`, at both.
    pub(super) async fn grow(&mut self, cameras: usize) -> Result<()> {
        self.connect_agents(self.connected..cameras).await?;
        if self.answer.is_empty() {
            let answer = self.gateway.answer(&fleet::camera(0)?, self.events).await?;
            self.answer = String::from_utf8_lossy(&answer).into_owned();
        }
        let more: Vec<_> = (self.connected..cameras).collect();
        self.devices.devices(self.subjects[0].target.address, &more, &self.answer).await?;
        self.connected = cameras;
        self.all_present().await
    }

    /// Fails unless the gateway counts every agent that has connected.
    pub(super) async fn all_present(&self) -> Result<()> {
        let counted = self.gateway.metric("oriel_agents").await?;
        if counted == Some(self.connected as f64) {
            return Ok(());
        }
        Err(Failure::new(format!("the gateway counts {counted:?} agents instead of {}", self.connected)))
    }

    /// Their resident memory, once nothing happens any more.
    pub(super) async fn memory(&mut self) -> Result<Memory> {
        sleep(SETTLES).await;
        self.relay.trim().await?;
        Ok(Memory { gateway: self.gateway.resident()?, null: process::resident(self.relay.pid())? })
    }

    /// Has all of the gateway's agents leave; its memory then.
    pub(super) async fn leave(&mut self) -> Result<u64> {
        self.agents = Crews::start(self.members.len())?;
        let start = Instant::now();
        while self.gateway.metric("oriel_agents").await? != Some(0.0) {
            if start.elapsed() > GONE_WITHIN {
                return Err(Failure::new("the gateway still counts agents that have left"));
            }
            sleep(Duration::from_millis(100)).await;
        }
        Ok(self.memory().await?.gateway)
    }

    /// Has all of them come back.
    pub(super) async fn come_back(&mut self) -> Result<()> {
        self.connect_agents(0..self.connected).await?;
        self.all_present().await
    }

    async fn connect_agents(&mut self, which: std::ops::Range<usize>) -> Result<()> {
        let members: Vec<_> = self.members[which].iter().map(Member::anew).collect();
        self.agents.agents(self.gateway.target.address, &members, self.events).await
    }
}

/// A gateway that has enrolled so many agents, and is not the process that did.
async fn enrolled(program: Option<PathBuf>, agents: usize) -> Result<(Gateway, Vec<Member>)> {
    let flags = ["--limit-connections".to_owned(), (agents + BESIDE).to_string()].into();
    let mut gateway = Gateway::start(Options { program, flags, ..Options::default() }).await?;
    let members = fleet::enrolled(&gateway, agents, 1).await?;
    gateway.stop_and_start().await?;
    Ok((gateway, members))
}
