//! Light agents that upload: several simulated cameras each, which go on where the gateway says that it holds everything.
//!
//! They come back far sooner than real agents, which would be in their longest waits after a few deaths of their gateway: here
//! it is to be busy whenever it dies.

use std::{ops::Range, sync::Arc, time::Duration};

use camera_agent::backoff::Ending;
use rand::{RngExt, SeedableRng, rngs::SmallRng};
use tokio::{sync::Notify, task::JoinSet, time::sleep};

use super::{
    camera::{Camera, Counts},
    upload::Uploads,
};
pub(super) use crate::fleet::upload::Stage;
use crate::fleet::{Member, upload::upload};

/// Milliseconds between two tries.
const BACKOFF: Range<u64> = 20..200;

/// Agents and their cameras; all end when it is dropped.
#[derive(Debug)]
pub(super) struct Fleet {
    /// All cameras.
    pub(super) cameras: Vec<Arc<Camera>>,
    /// What all agents share.
    pub(super) stage: Arc<Stage>,
    /// How many agents there are.
    pub(super) agents: usize,
    writers: JoinSet<()>,
    _lives: JoinSet<()>,
}

impl Fleet {
    /// Starts all of them; each camera writes `rate` events a second.
    pub(super) fn start(members: Vec<Member>, rate: u32, seed: u64) -> Self {
        let (stage, agents) = (Arc::<Stage>::default(), members.len());
        let (mut cameras, mut writers, mut lives) = (Vec::new(), JoinSet::new(), JoinSet::new());
        let mut chance = SmallRng::seed_from_u64(seed);
        for member in members {
            let bell = Arc::<Notify>::default();
            let own = member.cameras.iter().map(|id| Arc::new(Camera::new(id.clone(), Arc::clone(&bell))));
            let own: Arc<[_]> = own.collect();
            for camera in own.iter() {
                writers.spawn(Arc::clone(camera).keep_writing(rate, chance.fork()));
                cameras.push(Arc::clone(camera));
            }
            let (stage, chance) = (Arc::clone(&stage), chance.fork());
            lives.spawn(Agent { member, cameras: own, bell, chance, stage }.run());
        }
        Self { cameras, stage, agents, writers, _lives: lives }
    }

    /// Has all cameras write nothing more.
    pub(super) async fn stop_writing(&mut self) {
        self.writers.shutdown().await;
    }

    /// How far all cameras are together.
    pub(super) fn counts(&self) -> Counts {
        let mut all = Counts::default();
        for Counts { written, acked, again } in self.cameras.iter().map(|camera| camera.counts()) {
            all.written += written;
            all.acked += acked;
            all.again += again;
        }
        all
    }
}

struct Agent {
    member: Member,
    cameras: Arc<[Arc<Camera>]>,
    /// Rung when one of its cameras has written something.
    bell: Arc<Notify>,
    chance: SmallRng,
    stage: Arc<Stage>,
}

impl Agent {
    async fn run(mut self) {
        loop {
            let ending = match self.member.dial(false).await {
                Ok(mut socket) => {
                    let uploads = Uploads::new(Arc::clone(&self.cameras), socket.limits);
                    upload(&self.member, &mut socket, uploads, &self.bell, &self.stage).await
                }
                Err(ending) => ending,
            };
            self.stage.roll.ended(ending);
            // A killed gateway says nothing.
            if ending != Ending::Broken && !self.stage.is_dark() {
                self.stage.fault(format!("agent {} was cut off: {ending:?}", self.member.number));
            }
            sleep(Duration::from_millis(self.chance.random_range(BACKOFF))).await;
        }
    }
}
