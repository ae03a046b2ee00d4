//! Agents in nine manners: what each sends for a question, when, and how long it keeps a connection.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use camera_agent::backoff::Ending;
use oriel_proto::{AgentFrame, GatewayFrame, RequestId, frame::Request};
use rand::{RngExt, SeedableRng, rngs::SmallRng};
use tokio::{
    task::JoinSet,
    time::{Instant, interval, sleep, sleep_until, timeout},
};

use super::manner::{self, Manner};
use crate::fleet::{
    Member, Socket,
    answer::{fail, marker, page, part, trailer},
};

/// Questions that others may answer by mistake.
const REMEMBERED: usize = 4_096;

/// The code that says: a newer connection took over.
const REPLACED: Ending = Ending::Closed(4001);

/// What all agents share.
#[derive(Debug, Default)]
pub(super) struct Stage {
    agents: usize,
    announced: AtomicUsize,
    /// Ids of questions and which agent was asked.
    ids: Mutex<VecDeque<(usize, RequestId)>>,
    /// Connections that were dropped and opened again.
    pub(super) reconnects: AtomicU64,
    /// Connections that were opened beside an older one.
    pub(super) moves: AtomicU64,
    /// Questions for a camera that the agent does not serve.
    pub(super) astray: AtomicU64,
    cuts: Mutex<Vec<String>>,
}

impl Stage {
    pub(super) fn new(agents: usize) -> Arc<Self> {
        Arc::new(Self { agents, ..Self::default() })
    }

    /// Waits until every agent has connected once and had its cameras bound.
    pub(super) async fn all_announced(&self, within: Duration) -> bool {
        let all = async {
            let mut again = interval(Duration::from_millis(5));
            while self.announced.load(Ordering::Relaxed) < self.agents {
                again.tick().await;
            }
        };
        timeout(within, all).await.is_ok()
    }

    /// Connections that the gateway ended, or refused, without a reason that the agent gave it.
    pub(super) fn cuts(&self) -> Vec<String> {
        self.cuts.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn cut(&self, member: &Member, manner: Manner, ending: Ending) {
        let cut = format!("agent {} ({manner:?}) was cut off: {ending:?}", member.number);
        self.cuts.lock().unwrap_or_else(PoisonError::into_inner).push(cut);
    }

    fn remember(&self, agent: usize, id: RequestId) {
        let mut ids = self.ids.lock().unwrap_or_else(PoisonError::into_inner);
        if ids.len() == REMEMBERED {
            ids.pop_front();
        }
        ids.push_back((agent, id));
    }

    /// A question of another agent, open or finished.
    fn strange(&self, agent: usize, rng: &mut SmallRng) -> Option<RequestId> {
        let ids = self.ids.lock().unwrap_or_else(PoisonError::into_inner);
        let (asked, id) = ids.get(rng.random_range(0..ids.len().max(1)))?;
        (*asked != agent).then_some(*id)
    }
}

/// Runs an agent until it is aborted.
pub(super) async fn run(mut member: Member, stage: Arc<Stage>, seed: u64) {
    let manner = Manner::of(member.number);
    let mut rng = SmallRng::seed_from_u64(seed.rotate_left(17) ^ member.number as u64);
    let mut older = JoinSet::new();
    for dials in 0_u64.. {
        let opened = match member.dial(rng.random()).await {
            Ok(mut socket) => member.announce(&mut socket).await.map(|()| socket),
            Err(ending) => Err(ending),
        };
        let socket = match opened {
            Ok(socket) => socket,
            Err(ending) => {
                stage.cut(&member, manner, ending);
                sleep(Duration::from_millis(500)).await;
                continue;
            }
        };
        let ids = VecDeque::new();
        let (place, stage) = (Arc::new(member.clone()), Arc::clone(&stage));
        let mut session = Session {
            member: place,
            manner,
            stage,
            rng: rng.fork(),
            due: BTreeMap::new(),
            ids,
            sent: 0,
            unbound: 0,
        };
        session.unbound = if dials == 0 { member.cameras.len() } else { 0 };
        let most = if matches!(manner, Manner::Leaving | Manner::Moving) {
            rng.random_range(10..60)
        } else {
            u64::MAX
        };
        let (socket, ending) = session.serve(socket, most).await;
        match (ending, manner) {
            (Some(ending), _) => session.stage.cut(&member, manner, ending),
            (None, Manner::Moving) => {
                session.stage.moves.fetch_add(1, Ordering::Relaxed);
                older.spawn(session.retire(socket));
            }
            (None, _) => {
                session.stage.reconnects.fetch_add(1, Ordering::Relaxed);
                if rng.random_bool(0.3) {
                    socket.leave().await;
                } else {
                    drop(socket);
                }
                sleep(Duration::from_millis(rng.random_range(0..100))).await;
            }
        }
        while older.try_join_next().is_some() {}
    }
}

/// One connection and what is still to be sent on it.
struct Session {
    member: Arc<Member>,
    manner: Manner,
    stage: Arc<Stage>,
    rng: SmallRng,
    due: BTreeMap<(Instant, u64), (RequestId, AgentFrame)>,
    /// Questions that were answered.
    ids: VecDeque<RequestId>,
    sent: u64,
    /// Cameras that have not been bound yet, on the first connection.
    unbound: usize,
}

impl Session {
    /// Serves until so many questions have come, or until the connection ends.
    async fn serve(&mut self, mut socket: Socket, most: u64) -> (Socket, Option<Ending>) {
        let mut asked = 0;
        let heartbeat = socket.heartbeat.mul_f64(0.9);
        let mut ping_at = Instant::now() + heartbeat;
        while asked < most {
            let next = self.due.first_key_value().map_or(ping_at, |((at, _), _)| ping_at.min(*at));
            let done = tokio::select! {
                frame = socket.next() => match frame {
                    Ok(frame) => {
                        asked += u64::from(matches!(frame, GatewayFrame::Request(_)));
                        self.hear(frame);
                        self.send_due(&mut socket).await
                    }
                    Err(ending) => Err(ending),
                },
                () = sleep_until(next) => {
                    let pinged = if Instant::now() >= ping_at {
                        ping_at = Instant::now() + heartbeat;
                        socket.ping().await
                    } else {
                        Ok(())
                    };
                    match pinged {
                        Ok(()) => self.send_due(&mut socket).await,
                        Err(ending) => Err(ending),
                    }
                }
            };
            if let Err(ending) = done {
                return (socket, Some(ending));
            }
        }
        (socket, None)
    }

    /// Goes on with an older connection until the gateway says that a newer one took over.
    async fn retire(mut self, socket: Socket) {
        let (_, ending) = self.serve(socket, u64::MAX).await;
        if let Some(ending) = ending.filter(|ending| *ending != REPLACED) {
            self.stage.cut(&self.member, self.manner, ending);
        }
    }

    fn hear(&mut self, frame: GatewayFrame) {
        match frame {
            GatewayFrame::Request(request) => {
                self.stage.remember(self.member.number, request.id);
                if !self.member.cameras.contains(&request.camera) {
                    self.stage.astray.fetch_add(1, Ordering::Relaxed);
                }
                self.plan(&request);
            }
            GatewayFrame::Cancel { id } if self.manner == Manner::Stubborn => {
                for n in 0..3 {
                    self.after(Duration::ZERO, id, part(id, n, "cancelled"));
                }
            }
            GatewayFrame::Cancel { id } if self.manner == Manner::Pieces => {
                self.due.retain(|_, (of, _)| *of != id);
            }
            GatewayFrame::Bound(_) if self.unbound > 0 => {
                self.unbound -= 1;
                if self.unbound == 0 {
                    self.stage.announced.fetch_add(1, Ordering::Relaxed);
                }
            }
            _ => {}
        }
    }

    /// Plans what is sent for a question.
    fn plan(&mut self, request: &Request) {
        let (id, said) = (request.id, marker(request).to_owned());
        match self.manner {
            Manner::Quick | Manner::Leaving | Manner::Moving => {
                self.after(Duration::ZERO, id, page(id, &said))
            }
            Manner::Silent => {}
            Manner::Late => {
                let left = Duration::from_millis(request.deadline_ms.into());
                let after = left + self.soon(5..150);
                self.after(after, id, page(id, &said));
            }
            Manner::Failing => {
                let code = (manner::failing(&said).code)();
                let after = self.soon(0..40);
                self.after(after, id, fail(id, code, &said));
            }
            Manner::Pieces | Manner::Stubborn => {
                let mut after = Duration::ZERO;
                for n in 0..manner::pieces(&said) {
                    after += self.soon(0..40);
                    self.after(after, id, part(id, n, &said));
                }
                after += self.soon(0..40);
                self.after(after, id, AgentFrame::Done { id, trailer: trailer() });
            }
            Manner::Confused => self.confuse(id, &said),
        }
    }

    /// The answer, then all kinds of answers that nobody waits for here.
    fn confuse(&mut self, id: RequestId, said: &str) {
        self.after(Duration::ZERO, id, page(id, said));
        let after = self.soon(0..50);
        self.after(after, id, page(id, "twice"));
        self.after(after, id, AgentFrame::Done { id, trailer: trailer() });
        if let Some(finished) = self.ids.pop_front().filter(|_| self.ids.len() > 100) {
            self.after(after, finished, page(finished, "finished"));
        }
        self.ids.push_back(id);
        if let Some(strange) = self.stage.strange(self.member.number, &mut self.rng) {
            let frame = match self.rng.random_range(0..3) {
                0 => page(strange, "another agent's"),
                1 => part(strange, 0, "another agent's"),
                _ => fail(strange, oriel_proto::FailureCode::SourceFailed, "another agent's"),
            };
            self.after(Duration::ZERO, strange, frame);
        }
    }

    fn after(&mut self, after: Duration, id: RequestId, frame: AgentFrame) {
        self.sent += 1;
        self.due.insert((Instant::now() + after, self.sent), (id, frame));
    }

    fn soon(&mut self, millis: std::ops::Range<u64>) -> Duration {
        Duration::from_millis(self.rng.random_range(millis))
    }

    async fn send_due(&mut self, socket: &mut Socket) -> Result<(), Ending> {
        let mut fed = false;
        while let Some(entry) = self.due.first_entry()
            && entry.key().0 <= Instant::now()
        {
            let (_, frame) = entry.remove();
            socket.feed(&frame).await?;
            fed = true;
        }
        if fed { socket.flush().await } else { Ok(()) }
    }
}
