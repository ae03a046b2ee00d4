//! What others send by syslog, over UDP or TCP: each message becomes an event.

mod error;
mod frames;
mod intake;
mod message;
mod room;
#[cfg(test)]
mod tests;

use std::{net::SocketAddr, time::Duration};

use oriel_proto::{Kind, Severity, event::Data, frame::SourceState};
use tokio::{
    net::{TcpListener, UdpSocket},
    sync::mpsc,
    time::{Instant, sleep},
};
use tokio_util::sync::CancellationToken;

pub(crate) use self::error::SyslogError;
use self::{
    intake::{Intake, Received},
    message::Reading,
};
use super::{Source, SourceError, beat, feed::Feed};
use crate::{config::SyslogConfig, spool::Draft};

/// Messages that may wait for the disk; then TCP waits too, and UDP loses.
const WAITING: usize = 1_024;

/// The most messages of one transaction.
const AT_ONCE: usize = 500;

/// How long to wait before what could not be written is written again.
const AGAIN: Duration = Duration::from_secs(1);

/// How long a camera that lost messages is not well.
const UNWELL: Duration = Duration::from_secs(60);

/// A receiver of syslog.
#[derive(Debug)]
pub(super) struct Syslog {
    config: SyslogConfig,
    /// When messages were lost last, and how many in a row.
    lost: Option<(Instant, u64)>,
}

impl Syslog {
    /// The receiver that the options name.
    pub(super) fn new(config: &SyslogConfig) -> Self {
        Self { config: config.clone(), lost: None }
    }

    /// Takes what is sent until the program stops or a socket fails, and writes all that it has taken.
    async fn feed(&mut self, feed: &Feed) -> Result<(), SourceError> {
        let (listener, socket) = self.listen().await?;
        let address = listener.local_addr().unwrap_or(self.config.listen);
        tracing::info!(camera = %feed.camera().id(), "syslog is taken at {address}");
        let (received_tx, received) = mpsc::channel(WAITING);
        let intake = Intake::new(feed.camera().id().clone(), self.config.allow.clone(), received_tx);
        let ended = CancellationToken::new();
        let taking = async {
            // What has come is written also when nothing more comes.
            let _ended = ended.clone().drop_guard();
            tokio::select! {
                failed = intake.datagrams(&socket) => Err(SyslogError::Receive(failed)),
                failed = intake.connections(&listener) => Err(SyslogError::Receive(failed)),
                () = feed.stopped() => Ok(()),
            }
        };
        let ((), taken) = tokio::join!(self.write(&intake, received, feed, &ended), taking);
        Ok(taken?)
    }

    /// Opens both sockets; a free port is the same for both.
    async fn listen(&self) -> Result<(TcpListener, UdpSocket), SyslogError> {
        let wanted = self.config.listen;
        let refused = |protocol| move |source| SyslogError::Listen { protocol, address: wanted, source };
        let listener = TcpListener::bind(wanted).await.map_err(refused("TCP"))?;
        let port = listener.local_addr().map_err(refused("TCP"))?.port();
        let socket = UdpSocket::bind(SocketAddr::new(wanted.ip(), port)).await.map_err(refused("UDP"))?;
        Ok((listener, socket))
    }

    /// Writes what comes, in groups, and says what did not find room, until nothing more comes and nothing is left.
    async fn write(
        &mut self,
        intake: &Intake,
        mut received: mpsc::Receiver<Received>,
        feed: &Feed,
        ended: &CancellationToken,
    ) {
        let reading = Reading { kind: Kind::from(self.config.kind.as_str()), zone: self.config.zone() };
        let mut group = Vec::with_capacity(AT_ONCE);
        loop {
            self.tell(feed);
            tokio::select! {
                biased;
                // What came first is written first: what is lost found no room behind it.
                _ = received.recv_many(&mut group, AT_ONCE) => {}
                () = intake.has_lost() => {}
                () = beat::until(self.lost.map(|(at, _)| at + UNWELL)) => {}
                () = ended.cancelled() => return,
            }
            let now = feed.camera().spool.time();
            let now = jiff::Timestamp::from_microsecond(now.as_micros()).unwrap_or_default();
            let mut drafts: Vec<_> =
                group.drain(..).filter_map(|Received { raw, from }| reading.draft(&raw, from, now)).collect();
            let lost = intake.take_lost();
            if lost > 0 {
                let before = self.lost.filter(|(at, _)| at.elapsed() < UNWELL).map_or(0, |(_, lost)| lost);
                self.lost = Some((Instant::now(), before.saturating_add(lost)));
                drafts.push(no_room(&reading.kind, lost));
            }
            if !drafts.is_empty() {
                keep(&drafts, feed).await;
            }
        }
    }

    /// Says how it is.
    fn tell(&mut self, feed: &Feed) {
        if self.lost.is_some_and(|(at, _)| at.elapsed() >= UNWELL) {
            self.lost = None;
        }
        match self.lost {
            Some((_, lost)) => {
                let why = format!("{lost} datagrams found no room and are lost; TCP would have waited");
                feed.camera().set_source(SourceState::Failing, Some(why));
            }
            None => feed.works(),
        }
    }
}

/// Writes events, again and again until that is possible; meanwhile who sends over TCP waits.
async fn keep(drafts: &[Draft], feed: &Feed) {
    let camera = feed.camera();
    let mut is_said = false;
    while let Err(e) = camera.spool.append(drafts.to_vec()).await {
        if !std::mem::replace(&mut is_said, true) {
            tracing::warn!(camera = %camera.id(), "what came by syslog cannot be written: {e}");
        }
        camera.set_source(SourceState::Failing, Some(e.to_string()));
        sleep(AGAIN).await;
    }
}

/// The event that says what is missing.
fn no_room(kind: &Kind, lost: u64) -> Draft {
    let data = Data::from_iter([("lost".to_owned(), lost.into())]);
    let description = format!("{lost} datagrams found no room and are lost");
    Draft { at: None, kind: kind.clone(), severity: Severity::Warning, description, data, image_at: None }
}

impl Source for Syslog {
    const ENDS_WITHIN: Duration = Duration::from_secs(1);

    async fn run(&mut self, feed: &Feed) -> SourceError {
        self.feed(feed).await.err().unwrap_or_else(|| SyslogError::Closing.into())
    }
}
