//! The sockets: who may send, how many at once, and what becomes of a message that finds no room.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use ipnet::IpNet;
use oriel_proto::CameraId;
use socket2::{SockRef, TcpKeepalive};
use tokio::{
    io::AsyncReadExt as _,
    net::{TcpListener, TcpStream, UdpSocket},
    sync::{Notify, mpsc},
    task::JoinSet,
    time::{Instant, sleep},
};

use super::{
    frames::{Frames, Raw},
    room::Room,
};

/// The largest datagram that there is, in bytes.
const DATAGRAM_BYTES: usize = 64 << 10;

/// Datagrams that the system may hold while the program is not running, in bytes: a burst of some thousand.
const BURST_BYTES: usize = 1 << 20;

/// What is read of a connection at once, in bytes.
const READ_BYTES: usize = 16 << 10;

/// How long a connection may be silent before it is asked whether its other end is there.
const ASK_AFTER: Duration = Duration::from_secs(60);

/// The least time between two lines of the program's log about senders that are turned away.
const SAID_EVERY: Duration = Duration::from_secs(10);

/// How long to wait after the system has refused a connection, as when there are no files left.
const REFUSED_WAIT: Duration = Duration::from_millis(200);

/// A message and who sent it.
#[derive(Debug)]
pub(super) struct Received {
    pub(super) raw: Raw,
    pub(super) from: IpAddr,
}

/// Takes messages from both sockets.
#[derive(Debug)]
pub(super) struct Intake {
    camera: CameraId,
    allow: Vec<IpNet>,
    received: mpsc::Sender<Received>,
    lost: AtomicU64,
    bell: Notify,
    room: Arc<Room>,
    said: Mutex<Option<Instant>>,
}

impl Intake {
    /// Takes messages from senders in `allow` and puts them into `received`.
    pub(super) fn new(camera: CameraId, allow: Vec<IpNet>, received: mpsc::Sender<Received>) -> Self {
        Self {
            camera,
            allow,
            received,
            lost: AtomicU64::new(0),
            bell: Notify::new(),
            room: Arc::default(),
            said: Mutex::default(),
        }
    }

    /// How many datagrams found no room since this was asked last.
    pub(super) fn take_lost(&self) -> u64 {
        self.lost.swap(0, Ordering::Relaxed)
    }

    /// Notes that datagrams have found no room.
    pub(super) fn lose(&self, datagrams: u64) {
        self.lost.fetch_add(datagrams, Ordering::Relaxed);
        self.bell.notify_one();
    }

    /// Waits until a datagram has found no room.
    pub(super) async fn has_lost(&self) {
        self.bell.notified().await;
    }

    /// Takes datagrams until the socket fails.
    pub(super) async fn datagrams(&self, socket: &UdpSocket) -> io::Error {
        // The system may allow less.
        let _ = SockRef::from(socket).set_recv_buffer_size(BURST_BYTES);
        let mut buffer = vec![0; DATAGRAM_BYTES];
        loop {
            let (bytes, from) = match socket.recv_from(&mut buffer).await {
                Ok(received) => received,
                Err(e) => return e,
            };
            let Some(from) = self.let_in(from) else { continue };
            let message = Received { raw: Raw::whole(&buffer[..bytes]), from };
            if self.received.try_send(message).is_err() {
                self.lose(1);
            }
        }
    }

    /// Takes connections until the socket fails.
    pub(super) async fn connections(&self, listener: &TcpListener) -> io::Error {
        let mut senders = JoinSet::new();
        loop {
            tokio::select! {
                accepted = listener.accept() => match accepted {
                    Ok((stream, from)) => {
                        let Some(from) = self.let_in(from) else { continue };
                        let Some(place) = self.room.take(from) else {
                            self.turn_away(from, "too many are connected, or too many of its address");
                            continue;
                        };
                        let received = self.received.clone();
                        senders.spawn(async move {
                            read(stream, from, &received).await;
                            drop(place);
                        });
                    }
                    // Who was refused comes again; the socket itself is well.
                    Err(e) => {
                        tracing::debug!(camera = %self.camera, "no connection: {e}");
                        sleep(REFUSED_WAIT).await;
                    }
                },
                Some(_) = senders.join_next() => {}
            }
        }
    }

    /// The sender's address if it may send.
    fn let_in(&self, from: SocketAddr) -> Option<IpAddr> {
        let from = from.ip().to_canonical();
        let may_send = self.allow.iter().any(|network| network.contains(&from));
        if !may_send {
            self.turn_away(from, "its network is not in allow");
        }
        may_send.then_some(from)
    }

    fn turn_away(&self, from: IpAddr, why: &str) {
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        if said.is_none_or(|said| said.elapsed() >= SAID_EVERY) {
            *said = Some(Instant::now());
            tracing::warn!(camera = %self.camera, %from, "a sender of syslog is turned away: {why}");
        }
    }
}

/// Passes on what a connection brings, as fast as there is room for it.
async fn read(mut stream: TcpStream, from: IpAddr, received: &mpsc::Sender<Received>) {
    // One whose other end has lost its power makes room for others.
    let _ = SockRef::from(&stream).set_tcp_keepalive(&TcpKeepalive::new().with_time(ASK_AFTER));
    let (mut frames, mut buffer) = (Frames::default(), vec![0; READ_BYTES]);
    while let Ok(bytes @ 1..) = stream.read(&mut buffer).await {
        let mut piece = &buffer[..bytes];
        while let Some(raw) = frames.take(&mut piece) {
            if received.send(Received { raw, from }).await.is_err() {
                return;
            }
        }
    }
    if let Some(raw) = frames.finish() {
        // Whoever waited for it has left.
        let _ = received.send(Received { raw, from }).await;
    }
}
