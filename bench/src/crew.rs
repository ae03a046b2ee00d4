//! Crews: agents or the null relay's devices in processes of their own, because a process may have 20,000 open files.
//!
//! A crew is told line by line who else is to connect, answers once all of them have, and ends with its input.

use std::net::SocketAddr;

use bytes::Bytes;
use camera_agent::backoff::Ending;
use serde::{Deserialize, Serialize};
use tokio::{
    runtime::Handle,
    task::{JoinSet, spawn_blocking},
};

use crate::{
    failure::{Doing, Failure, Result},
    fleet::{
        Member, Recruit,
        life::CONNECT_WITHIN,
        prompt::{self, Prepared},
    },
    null_relay::devices,
    program::Program,
    report,
    target::Target,
    thread::Thread,
};

/// Sockets of one crew: half of what a process may have open.
const SOCKETS: usize = 10_000;

/// How many connect at the same time: a fleet that grows is no storm.
const AT_ONCE: usize = 500;

/// Neighbours in one crew; a prime, so that cameras at any even distance are in all crews.
const NEIGHBOURS: usize = 7;

/// What a crew says when all have connected.
const READY: &str = "ready";

/// A process with many agents, which reads on standard input who they are
#[derive(Debug, clap::Args)]
pub(crate) struct Crew {}

/// Who else is to connect.
#[derive(Debug, Serialize, Deserialize)]
enum Order {
    /// Agents of a gateway, which answer with so many events.
    Agents { gateway: SocketAddr, events: u64, recruits: Vec<Recruit> },
    /// Devices of a null relay, which answer with this.
    Devices { relay: SocketAddr, answer: String, cameras: Vec<usize> },
}

/// Who is connected; all leave when it is dropped.
#[derive(Default)]
struct Aboard {
    agents: Vec<JoinSet<Ending>>,
    devices: Vec<JoinSet<()>>,
}

impl Crew {
    /// Obeys until standard input ends.
    pub(crate) async fn run(self) -> Result<bool> {
        let (thread, mut aboard) = (Thread::start()?, Aboard::default());
        loop {
            let line = spawn_blocking(|| std::io::stdin().lines().next().transpose()).await??;
            let Some(line) = line else { return Ok(true) };
            let done = aboard.obey(serde_json::from_str(&line)?, thread.handle()).await;
            report::say(done.map_or_else(|why| why.to_string(), |()| READY.to_owned()));
        }
    }
}

impl Aboard {
    async fn obey(&mut self, order: Order, handle: &Handle) -> Result<()> {
        match order {
            Order::Agents { gateway, events, recruits } => {
                let target = Target { address: gateway, tls: None };
                let members: Vec<_> = recruits.into_iter().map(|recruit| recruit.member(&target)).collect();
                let (count, prepared) = (members.len(), Prepared::new(events)?.into());
                let (roll, mut lives) = prompt::start(members, &prepared, handle);
                if !roll.reaches(count, CONNECT_WITHIN).await {
                    let ending = lives.try_join_next();
                    return Err(Failure::new(format!("only {} of {count}: {ending:?}", roll.present())));
                }
                self.agents.push(lives);
            }
            Order::Devices { relay, answer, cameras } => {
                let target = Target { address: relay, tls: None };
                self.devices.push(devices::start(&target, cameras, &Bytes::from(answer), handle).await?);
            }
        }
        Ok(())
    }
}

/// All crews of one server; dropping it ends them, and all connections with them.
#[derive(Debug)]
pub(crate) struct Crews(Vec<Program>);

impl Crews {
    /// As many crews as so many sockets need.
    pub(crate) fn start(sockets: usize) -> Result<Self> {
        Ok(Self((0..sockets.div_ceil(SOCKETS)).map(|_| Program::start("crew", &[])).collect::<Result<_>>()?))
    }

    /// Their process ids.
    pub(crate) fn pids(&self) -> Vec<u32> {
        self.0.iter().map(Program::pid).collect()
    }

    /// Connects these agents, which answer with so many events.
    pub(crate) async fn agents(
        &mut self,
        gateway: SocketAddr,
        members: &[Member],
        events: u64,
    ) -> Result<()> {
        for some in members.chunks(AT_ONCE) {
            let share = |crew, crews| {
                let own = some.iter().filter(|member| crew_of(member.number, crews) == crew);
                Order::Agents { gateway, events, recruits: own.map(Member::recruit).collect() }
            };
            self.order(share).await.doing("agents")?;
        }
        Ok(())
    }

    /// Connects devices of these cameras to a null relay, which answer with `answer`.
    pub(crate) async fn devices(&mut self, relay: SocketAddr, cameras: &[usize], answer: &str) -> Result<()> {
        for some in cameras.chunks(AT_ONCE) {
            let share = |crew, crews| {
                let own = some.iter().copied().filter(|camera| crew_of(*camera, crews) == crew);
                Order::Devices { relay, answer: answer.to_owned(), cameras: own.collect() }
            };
            self.order(share).await.doing("devices")?;
        }
        Ok(())
    }

    /// Gives each crew its share and waits until all have obeyed.
    async fn order(&mut self, share: impl Fn(usize, usize) -> Order) -> Result<()> {
        let crews = self.0.len();
        for (crew, program) in self.0.iter_mut().enumerate() {
            program.tell(&share(crew, crews)).await?;
        }
        for program in &mut self.0 {
            let said = program.hear().await?;
            if said != READY {
                return Err(Failure::new(said));
            }
        }
        Ok(())
    }
}

/// The crew of the agent with this number.
const fn crew_of(number: usize, crews: usize) -> usize {
    number / NEIGHBOURS % crews
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    #[test]
    fn cameras_at_any_even_distance_are_in_both_crews() {
        for distance in [1, 10, 100, 190] {
            let first = (0..100).filter(|n| crew_of(n * distance, 2) == 0).count();
            assert!((40..=60).contains(&first), "{distance}: {first}");
        }
    }

    #[test]
    fn an_order_is_one_line() {
        let order = Order::Devices {
            relay: (Ipv4Addr::LOCALHOST, 1).into(),
            answer: "[\n]".into(),
            cameras: vec![1, 2],
        };
        let line = serde_json::to_string(&order).unwrap();
        assert!(!line.contains('\n'));
        let Order::Devices { answer, cameras, .. } = serde_json::from_str(&line).unwrap() else { panic!() };
        assert_eq!((&*answer, &*cameras), ("[\n]", &[1, 2][..]));
    }
}
