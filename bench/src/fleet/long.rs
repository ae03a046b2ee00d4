//! Light agents with long logs: they send as fast as credit allows, a Part of each answer in turn, and stop when they are told.
//! What each answer has sent, and when it was stopped, is known to who asks.

use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use camera_agent::backoff::Ending;
use futures_util::FutureExt;
use oriel_proto::{
    AgentFrame, Body, Call, GatewayFrame, Items, RequestId, encode,
    frame::Request,
    limits::{FIRST_CREDIT, PART_BYTES},
};
use tokio::{
    task::JoinSet,
    time::{Instant, interval, sleep_until, timeout},
};

use super::{
    Member, Socket,
    answer::{echo, event, marker, trailer},
};

/// How long the logs are, and how they are cut.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    /// Bytes of a log, as its events weigh in JSON.
    pub(crate) bytes: usize,
    /// Bytes of a Part at most.
    pub(crate) part: usize,
}

impl Default for Shape {
    fn default() -> Self {
        Self { bytes: 20_000_000, part: PART_BYTES }
    }
}

impl Shape {
    /// Events of one Part.
    const fn events(self) -> u64 {
        (self.part / PACKED_BYTES) as u64
    }

    /// Parts of one log.
    const fn parts(self) -> u32 {
        self.bytes.div_ceil(self.events() as usize * EVENT_BYTES) as u32
    }
}

/// An event's description, which makes it weigh some 300 bytes.
const STORY: &str = "detected motion between the gate and the door, which went on for a while and stopped when the light \
                     was switched on in the yard behind it";

/// Bytes of such an event in JSON.
const EVENT_BYTES: usize = 300;

/// Bytes of such an event in MessagePack, and some more.
const PACKED_BYTES: usize = 270;

/// All answers, by the marker of their question.
#[derive(Debug, Default)]
pub(crate) struct Logs {
    answers: Mutex<HashMap<String, Arc<Progress>>>,
    connected: AtomicUsize,
    /// Bytes of all Parts.
    pub(crate) sent: AtomicU64,
}

/// How far an answer has come.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    /// Bytes of its Parts.
    pub(crate) sent: AtomicU64,
    /// When the gateway said that nobody waits for it.
    stopped: Mutex<Option<Instant>>,
}

impl Progress {
    /// When it was stopped, if it was.
    pub(crate) fn stopped(&self) -> Option<Instant> {
        *self.stopped.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Logs {
    /// The answer to the question with this marker, which is forgotten here.
    pub(crate) fn take(&self, marker: &str) -> Option<Arc<Progress>> {
        self.answers.lock().unwrap_or_else(PoisonError::into_inner).remove(marker)
    }

    /// Waits until so many agents are connected; false when that takes too long.
    pub(crate) async fn reaches(&self, agents: usize, within: Duration) -> bool {
        let reached = async {
            let mut again = interval(Duration::from_millis(5));
            while self.connected.load(Ordering::Relaxed) < agents {
                again.tick().await;
            }
        };
        timeout(within, reached).await.is_ok()
    }

    fn begin(&self, marker: &str) -> Arc<Progress> {
        let progress = Arc::<Progress>::default();
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        answers.insert(marker.to_owned(), Arc::clone(&progress));
        progress
    }
}

/// Starts them; each serves one connection, and its end is told.
pub(crate) fn start(members: Vec<Member>, shape: Shape) -> (Arc<Logs>, JoinSet<Ending>) {
    let (logs, mut lives) = (Arc::<Logs>::default(), JoinSet::new());
    for mut member in members {
        let logs = Arc::clone(&logs);
        lives.spawn(async move {
            let mut socket = match member.dial(false).await {
                Ok(socket) => socket,
                Err(ending) => return ending,
            };
            if let Err(ending) = member.announce(&mut socket).await {
                return ending;
            }
            let mut session = Session {
                logs,
                answers: HashMap::new(),
                ready: VecDeque::new(),
                shape,
                unbound: member.cameras.len(),
            };
            match session.serve(&mut socket).await {
                Ok(never) => match never {},
                Err(ending) => ending,
            }
        });
    }
    (logs, lives)
}

/// One connection and its open answers.
struct Session {
    logs: Arc<Logs>,
    answers: HashMap<RequestId, Answer>,
    /// Answers that may have credit, in turn.
    ready: VecDeque<RequestId>,
    shape: Shape,
    unbound: usize,
}

/// An answer on its way.
struct Answer {
    progress: Arc<Progress>,
    body: Body,
    n: u32,
    credit: u32,
}

impl Session {
    async fn serve(&mut self, socket: &mut Socket) -> Result<std::convert::Infallible, Ending> {
        let heartbeat = socket.heartbeat.mul_f64(0.9);
        let mut ping_at = Instant::now() + heartbeat;
        loop {
            // What has come is heard before anything more is sent.
            while let Some(frame) = socket.next().now_or_never() {
                self.hear(frame?, socket).await?;
            }
            if let Some(id) = self.ready.pop_front() {
                self.send_part(id, socket).await?;
                continue;
            }
            socket.flush().await?;
            tokio::select! {
                frame = socket.next() => self.hear(frame?, socket).await?,
                () = sleep_until(ping_at) => {
                    socket.ping().await?;
                    ping_at = Instant::now() + heartbeat;
                }
            }
        }
    }

    async fn hear(&mut self, frame: GatewayFrame, socket: &mut Socket) -> Result<(), Ending> {
        match frame {
            GatewayFrame::Request(request) if is_long(&request) => {
                let progress = self.logs.begin(marker(&request));
                let answer = Answer { progress, body: body(self.shape), n: 0, credit: FIRST_CREDIT };
                self.answers.insert(request.id, answer);
                self.ready.push_back(request.id);
            }
            GatewayFrame::Request(request) => return socket.send(&echo(&request).1).await,
            GatewayFrame::Credit { id, bytes } => {
                if let Some(answer) = self.answers.get_mut(&id) {
                    answer.credit += bytes;
                    if !self.ready.contains(&id) {
                        self.ready.push_back(id);
                    }
                }
            }
            GatewayFrame::Cancel { id } => {
                if let Some(answer) = self.answers.remove(&id) {
                    let mut stopped = answer.progress.stopped.lock().unwrap_or_else(PoisonError::into_inner);
                    *stopped = Some(Instant::now());
                }
            }
            GatewayFrame::Bound(_) if self.unbound > 0 => {
                self.unbound -= 1;
                if self.unbound == 0 {
                    self.logs.connected.fetch_add(1, Ordering::Relaxed);
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Sends the next Part of an answer, if its credit allows it.
    async fn send_part(&mut self, id: RequestId, socket: &mut Socket) -> Result<(), Ending> {
        let Some(answer) = self.answers.get_mut(&id) else { return Ok(()) };
        if answer.n >= self.shape.parts() {
            self.answers.remove(&id);
            return socket.send(&AgentFrame::Done { id, trailer: trailer() }).await;
        }
        let part = AgentFrame::Part { id, n: answer.n, body: answer.body.clone() };
        let bytes = encode(&part).map_err(|_| Ending::Broken)?;
        let cost = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        if cost > answer.credit {
            return Ok(());
        }
        answer.credit -= cost;
        answer.n += 1;
        answer.progress.sent.fetch_add(cost.into(), Ordering::Relaxed);
        self.logs.sent.fetch_add(cost.into(), Ordering::Relaxed);
        self.ready.push_back(id);
        socket.feed_bytes(bytes).await
    }
}

/// Whether a question is for the whole log.
fn is_long(request: &Request) -> bool {
    matches!(&request.call, Call::Events(call) if call.limit.is_none())
}

fn body(shape: Shape) -> Body {
    Body::Items(Items::Events((0..shape.events()).map(|seq| event(seq, STORY)).collect()))
}
