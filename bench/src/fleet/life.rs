//! A light agent's life: it echoes every question, pings, and when its connection ends it waits and dials exactly as
//! `camera_agent::backoff` says.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use camera_agent::backoff::{Backoff, Ending};
use oriel_proto::GatewayFrame;
use rand::{RngExt, SeedableRng, rngs::SmallRng};
use tokio::{
    sync::Notify,
    task::JoinSet,
    time::{Instant, sleep, sleep_until, timeout},
};

use super::{Member, Socket, answer, due::Due};

/// Longer than any fleet that dials once takes to connect.
pub(crate) const CONNECT_WITHIN: Duration = Duration::from_secs(30);

/// Who is registered: every one of its cameras is bound.
#[derive(Debug, Default)]
pub(crate) struct Roll {
    present: AtomicUsize,
    changed: Notify,
    endings: Mutex<BTreeMap<String, u64>>,
}

impl Roll {
    /// How many agents are registered.
    pub(crate) fn present(&self) -> usize {
        self.present.load(Ordering::Relaxed)
    }

    /// Waits until so many agents are registered; false when that takes longer than `within`.
    pub(crate) async fn reaches(&self, agents: usize, within: Duration) -> bool {
        let reached = async {
            while self.present() < agents {
                let changed = self.changed.notified();
                if self.present() < agents {
                    changed.await;
                }
            }
        };
        timeout(within, reached).await.is_ok()
    }

    /// How tries ended, and how often, since this was last asked.
    pub(crate) fn endings(&self) -> String {
        let mut endings = self.endings.lock().unwrap_or_else(PoisonError::into_inner);
        let said = endings.iter().map(|(ending, count)| format!("{count} x {ending}"));
        let said = said.collect::<Vec<_>>().join(", ");
        endings.clear();
        said
    }

    /// A try ended.
    pub(crate) fn ended(&self, ending: Ending) {
        let mut endings = self.endings.lock().unwrap_or_else(PoisonError::into_inner);
        *endings.entry(format!("{ending:?}")).or_default() += 1;
    }

    /// One more is registered.
    pub(crate) fn enter(&self) {
        self.present.fetch_add(1, Ordering::Relaxed);
        self.changed.notify_one();
    }

    /// One less is registered.
    pub(crate) fn leave(&self) {
        self.present.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Starts all of them; they end when the set is dropped.
pub(crate) fn start(members: Vec<Member>, seed: u64) -> (Arc<Roll>, JoinSet<()>) {
    let (roll, mut lives) = (Arc::<Roll>::default(), JoinSet::new());
    for member in members {
        let rng = SmallRng::seed_from_u64(seed ^ member.number as u64);
        lives.spawn(Life { member, rng, roll: Arc::clone(&roll) }.run());
    }
    (roll, lives)
}

struct Life {
    member: Member,
    rng: SmallRng,
    roll: Arc<Roll>,
}

impl Life {
    async fn run(mut self) {
        let mut backoff = Backoff::default();
        loop {
            let (ending, connected) = match self.member.dial(false).await {
                Ok(socket) => {
                    let welcomed = Instant::now();
                    (self.connected(socket).await, welcomed.elapsed())
                }
                Err(ending) => (ending, Duration::ZERO),
            };
            self.roll.ended(ending);
            sleep(backoff.after(ending, connected, self.rng.random())).await;
        }
    }

    /// Serves until the connection ends.
    async fn connected(&mut self, mut socket: Socket) -> Ending {
        if let Err(ending) = self.member.announce(&mut socket).await {
            return ending;
        }
        let mut unbound = self.member.cameras.len();
        let ending = match self.serve(&mut socket, &mut unbound).await {
            Ok(never) => match never {},
            Err(ending) => ending,
        };
        if unbound == 0 {
            self.roll.leave();
        }
        ending
    }

    async fn serve(
        &mut self,
        socket: &mut Socket,
        unbound: &mut usize,
    ) -> Result<std::convert::Infallible, Ending> {
        let (mut due, mut ping_at) = (Due::default(), Instant::now() + self.pause(socket));
        loop {
            due.send(socket).await?;
            let next = due.next().map_or(ping_at, |at| ping_at.min(at));
            let frame = tokio::select! {
                frame = socket.next() => frame?,
                () = sleep_until(next) => {
                    if Instant::now() >= ping_at {
                        socket.ping().await?;
                        ping_at = Instant::now() + self.pause(socket);
                    }
                    continue;
                }
            };
            match frame {
                GatewayFrame::Bound(_) if *unbound > 0 => {
                    *unbound -= 1;
                    if *unbound == 0 {
                        self.roll.enter();
                    }
                }
                GatewayFrame::Request(request) => {
                    let (after, frame) = answer::echo(&request);
                    due.push(after, request.id, frame);
                }
                GatewayFrame::Cancel { id } => due.forget(id),
                _ => {}
            }
        }
    }

    /// Until the next ping: a heartbeat, and up to a tenth less.
    fn pause(&mut self, socket: &Socket) -> Duration {
        socket.heartbeat.mul_f64(self.rng.random_range(0.9..1.0))
    }
}
