//! Attackers: what each sends, how slowly, and when the gateway has had enough of it.

use std::{net::Ipv4Addr, sync::Arc, time::Duration};

use rand::{RngExt, SeedableRng, rngs::SmallRng};
use rustls::{ClientConnection, pki_types::ServerName};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    task::JoinSet,
    time::{Instant, interval, sleep, timeout},
};

use crate::{
    failure::{Failure, Result},
    fleet::Member,
    target::{Io, Target, source},
    thread::Thread,
};

/// All attackers come within this time.
const RAMP: Duration = Duration::from_secs(2);

/// An attacker that is still connected then has won.
const GIVE_UP: Duration = Duration::from_secs(30);

/// What an attacker does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    /// Sends the head of its first request a byte a second.
    Head,
    /// Sends the head of its second request a byte a second.
    SecondHead,
    /// Sends a body a byte a second.
    Body,
    /// Connects and sends nothing.
    Nothing,
    /// Sends half of an upgrade.
    HalfUpgrade,
    /// Upgrades and says no Hello.
    NoHello,
    /// Sends half of a TLS ClientHello.
    HalfClientHello,
}

impl Kind {
    /// What it is called among the figures.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Head => "a head at a byte a second",
            Self::SecondHead => "a second head at a byte a second",
            Self::Body => "a body at a byte a second",
            Self::Nothing => "a connection and nothing more",
            Self::HalfUpgrade => "half an upgrade",
            Self::NoHello => "an upgrade and no Hello",
            Self::HalfClientHello => "half a ClientHello",
        }
    }
}

/// How an attacker ended.
#[derive(Debug)]
pub(super) struct Closed {
    pub(super) kind: Kind,
    /// How long the gateway bore it, or what went wrong.
    pub(super) after: Result<Duration>,
}

/// All attackers.
#[derive(Debug)]
pub(super) struct Attack {
    attackers: Vec<Attacker>,
    parts: Arc<Parts>,
    thread: Thread,
}

#[derive(Clone, Debug)]
struct Attacker {
    kind: Kind,
    source: Ipv4Addr,
    begins: Duration,
}

/// What they send.
#[derive(Debug)]
struct Parts {
    target: Target,
    /// A whole upgrade of an agent that is let in.
    upgrade: Vec<u8>,
    /// A whole ClientHello; empty where there is no TLS.
    client_hello: Vec<u8>,
}

impl Attack {
    /// So many slow clients and half handshakes against the gateway that `members` are enrolled at.
    pub(super) fn new(members: &[Member], slow: usize, half: usize, seed: u64) -> Result<Self> {
        let member = members.first().ok_or_else(|| Failure::new("there is no agent"))?;
        let mut rng = SmallRng::seed_from_u64(seed);
        let tls = member.target.tls.is_some();
        let slow = (0..slow).map(|n| [Kind::Head, Kind::Head, Kind::SecondHead, Kind::Body][n % 4]);
        let handshakes =
            [Kind::Nothing, Kind::HalfUpgrade, Kind::HalfUpgrade, Kind::NoHello, Kind::HalfClientHello];
        let kinds = handshakes.len() - usize::from(!tls);
        let half = (0..half).map(|n| handshakes[n % kinds]);
        let attackers = slow.chain(half).enumerate().map(|(n, kind)| Attacker {
            kind,
            source: source(n + 2_000),
            begins: RAMP.mul_f64(rng.random()),
        });
        let parts = Parts {
            target: member.target.clone(),
            upgrade: upgrade(member)?,
            client_hello: client_hello(&member.target)?,
        };
        Ok(Self {
            attackers: attackers.collect(),
            parts: Arc::new(parts),
            thread: Thread::start_behind_others()?,
        })
    }

    /// Lets all of them loose and waits until each is closed or has won; they are gathered on their own thread, since each would
    /// wake another one at its end, which runs before all of them.
    pub(super) async fn run(&self) -> Result<Vec<Closed>> {
        let (attackers, parts) = (self.attackers.clone(), Arc::clone(&self.parts));
        self.thread.handle().spawn(attack(attackers, parts)).await?
    }
}

/// Starts each attacker when its time has come, and gathers how they ended.
async fn attack(attackers: Vec<Attacker>, parts: Arc<Parts>) -> Result<Vec<Closed>> {
    let mut closed = Vec::with_capacity(attackers.len());
    let mut attacking = JoinSet::new();
    for attacker in attackers {
        let parts = Arc::clone(&parts);
        attacking.spawn(async move {
            sleep(attacker.begins).await;
            Closed { kind: attacker.kind, after: attacker.attack(&parts).await }
        });
    }
    while let Some(done) = attacking.join_next().await {
        closed.push(done?);
    }
    Ok(closed)
}

impl Attacker {
    async fn attack(&self, parts: &Parts) -> Result<Duration> {
        if matches!(self.kind, Kind::Nothing | Kind::HalfClientHello) {
            let mut tcp = parts.target.tcp(self.source, false).await?;
            let start = Instant::now();
            tcp.write_all(&parts.client_hello[..parts.client_hello.len() / 2]).await?;
            return drip(Box::new(tcp), &[], start).await;
        }
        let start = Instant::now();
        let mut io = parts.target.connect(self.source, false).await?;
        match self.kind {
            Kind::Head => drip(io, &head("/healthz", &"a".repeat(200)), start).await,
            Kind::SecondHead => {
                io.write_all(&head("/healthz", "b")).await?;
                read_head(&mut io, "HTTP/1.1 200").await?;
                drip(io, &head("/healthz", &"a".repeat(200)), Instant::now()).await
            }
            Kind::Body => {
                let head = format!(
                    "POST /v1/enroll HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\nContent-Length: 200\r\n\r\n",
                    parts.target.address
                );
                io.write_all(head.as_bytes()).await?;
                drip(io, &[b'{'; 200], start).await
            }
            Kind::HalfUpgrade => {
                io.write_all(&parts.upgrade[..parts.upgrade.len() / 2]).await?;
                drip(io, &[], start).await
            }
            _ => {
                io.write_all(&parts.upgrade).await?;
                read_head(&mut io, "HTTP/1.1 101").await?;
                drip(io, &[], start).await
            }
        }
    }
}

/// Sends a byte a second until the other end closes; how long that was since `start`.
async fn drip(mut io: Box<dyn Io>, bytes: &[u8], start: Instant) -> Result<Duration> {
    let (mut second, mut sent, mut heard) = (interval(Duration::from_secs(1)), 0, [0; 512]);
    let closed = async {
        loop {
            tokio::select! {
                read = io.read(&mut heard) => if matches!(read, Ok(0) | Err(_)) { return },
                _ = second.tick(), if sent < bytes.len() => {
                    // A connection that takes nothing more says so when it is read.
                    if io.write_all(&bytes[sent..=sent]).await.is_ok() && io.flush().await.is_ok() {
                        sent += 1;
                    } else {
                        sent = bytes.len();
                    }
                }
            }
        }
    };
    match timeout(GIVE_UP, closed).await {
        Ok(()) => Ok(start.elapsed()),
        Err(_) => Err(Failure::new(format!("still open after {} s", GIVE_UP.as_secs()))),
    }
}

/// Reads an answer's head, which must begin so; the bodies asked for here come with it.
async fn read_head(io: &mut Box<dyn Io>, begins: &str) -> Result<()> {
    let mut answer = Vec::new();
    while !answer.windows(4).any(|four| four == b"\r\n\r\n") {
        if io.read_buf(&mut answer).await? == 0 {
            break;
        }
    }
    if answer.starts_with(begins.as_bytes()) {
        return Ok(());
    }
    Err(Failure::new(format!("not let in: {}", String::from_utf8_lossy(&answer))))
}

fn head(path: &str, filler: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: oriel\r\nX-Filler: {filler}\r\n\r\n").into_bytes()
}

/// An upgrade as it travels.
fn upgrade(member: &Member) -> Result<Vec<u8>> {
    let request = member.upgrade().map_err(|_| Failure::new("no upgrade"))?;
    let mut text = format!("GET {} HTTP/1.1\r\n", request.uri().path()).into_bytes();
    for (name, value) in request.headers() {
        text.extend([name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"].concat());
    }
    text.extend(b"\r\n");
    Ok(text)
}

/// A ClientHello as it travels.
fn client_hello(target: &Target) -> Result<Vec<u8>> {
    let Some(tls) = &target.tls else { return Ok(Vec::new()) };
    let name = ServerName::IpAddress(target.address.ip().into());
    let mut bytes = Vec::new();
    ClientConnection::new(Arc::clone(tls), name)?.write_tls(&mut bytes)?;
    Ok(bytes)
}
