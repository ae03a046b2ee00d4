//! One connection from Hello to close.

mod chores;
mod handover;
mod health;
mod live;
mod outbox;
mod pace;
mod pulse;
mod said;
#[cfg(test)]
mod tests;
mod upload;
mod watched;

use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use oriel_proto::{
    AgentFrame, GatewayFrame, Timestamp,
    frame::{Hello, Welcome},
    limits::HELLO_WITHIN,
};
use tokio::{
    sync::watch,
    time::{Instant, timeout},
};
use tokio_util::sync::CancellationToken;

pub(crate) use self::handover::Phase;
use self::live::Live;
use crate::{
    backoff::Ending,
    camera::Camera,
    foreign::tame,
    spool::Clock,
    state::{Token, Tokens},
    wire::{Down, Up, Wire, WireError},
};

/// How long a close may take to be sent.
const CLOSE_WITHIN: Duration = Duration::from_secs(2);

/// A silence before a loss that is worth telling.
const QUIET: Duration = Duration::from_secs(2);

/// What a connection is given.
pub(crate) struct Setup {
    /// The cameras to announce.
    pub(crate) cameras: Vec<Camera>,
    /// Where a rotated token goes.
    pub(crate) tokens: Tokens,
    /// When the program started.
    pub(crate) since: Instant,
    /// Rings when anything changes at a camera.
    pub(crate) bell: watch::Receiver<()>,
    /// The device's clock.
    pub(crate) clock: Clock,
    /// Where it tells how far it has come.
    pub(crate) phase: watch::Sender<Phase>,
    /// Another connection has taken over: the cameras are given back here, and what is open is finished.
    pub(crate) leave: CancellationToken,
    /// Ends the connection with a normal close.
    pub(crate) stop: CancellationToken,
}

/// How a connection ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Ended {
    /// What the backoff makes of it.
    pub(crate) ending: Ending,
    /// What people read.
    pub(crate) why: String,
    /// How long it lived after `Welcome`; none when it never came that far.
    pub(crate) welcomed: Option<Duration>,
}

/// Serves one connection until it ends; `token` is what it was opened with.
pub(crate) async fn run(mut wire: impl Wire, hello: Hello, token: &Token, setup: Setup) -> Ended {
    let met = tokio::select! {
        met = timeout(HELLO_WITHIN, meet(&mut wire, hello)) => met,
        () = setup.stop.cancelled() => {
            close(&mut wire, 1000, "stopping").await;
            return Ended { ending: Ending::Closed(1000), why: "stopping".into(), welcomed: None };
        }
    };
    let welcome = match met {
        Ok(Ok(welcome)) => welcome,
        Ok(Err(end)) => return end.close(&mut wire, None).await,
        Err(_) => return End::ours(1002, "no Welcome in time").close(&mut wire, None).await,
    };
    tokio::select! {
        noted = setup.tokens.accepted(token) => if let Err(e) = noted {
            tracing::error!("the accepted token could not be noted: {e}");
        },
        () = setup.stop.cancelled() => {}
    }
    let began = Instant::now();
    let offset = offset_ms((setup.clock)(), welcome.now);
    tracing::info!(session = %welcome.session, offset_ms = offset, "connected");
    let mut live = Live::new(wire, welcome, setup, offset);
    let end = live.run().await;
    let mut wire = live.leave().await;
    end.close(&mut wire, Some(began.elapsed())).await
}

/// Says Hello and waits for Welcome.
async fn meet(wire: &mut impl Wire, hello: Hello) -> Result<Welcome, End> {
    wire.send(Up::Frame(AgentFrame::Hello(hello))).await.map_err(End::failed)?;
    loop {
        match wire.next().await {
            Some(Ok(Down::Frame(GatewayFrame::Welcome(welcome)))) => return Ok(welcome),
            Some(Ok(Down::Frame(other))) => {
                return Err(End::ours(1002, format!("the gateway said {} before Welcome", other.tag())));
            }
            Some(Ok(Down::Closed(code, reason))) => return Err(End::theirs(code, reason)),
            Some(Ok(Down::Ping | Down::Pong(_) | Down::Unknown { .. })) => {}
            Some(Err(e)) => return Err(End::failed(e)),
            None => return Err(End::gone()),
        }
    }
}

/// The device's clock minus the gateway's, in milliseconds.
const fn offset_ms(own: Timestamp, gateway: Timestamp) -> i64 {
    own.as_micros().saturating_sub(gateway.as_micros()) / 1_000
}

async fn close(wire: &mut impl Wire, code: u16, reason: &str) {
    let sent = timeout(CLOSE_WITHIN, async {
        wire.send(Up::Close(code, reason.to_owned())).await?;
        wire.close().await
    });
    if let Ok(Err(e)) = sent.await {
        tracing::debug!("the close was not sent: {e}");
    }
}

/// The end of a connection, before it has been told to the other side.
#[derive(Debug)]
pub(crate) struct End {
    ending: Ending,
    why: String,
    /// What the other side is told; none when it knows or is gone.
    tell: Option<u16>,
}

impl End {
    /// We end it, with this close code.
    pub(crate) fn ours(code: u16, why: impl Into<String>) -> Self {
        Self { ending: Ending::Closed(code), why: why.into(), tell: Some(code) }
    }

    /// The gateway ended it.
    fn theirs(code: u16, reason: String) -> Self {
        let why = match reason.is_empty() {
            true => format!("closed by the gateway with code {code}"),
            false => format!("closed by the gateway with code {code}: {}", tame(&reason)),
        };
        Self { ending: Ending::Closed(code), why, tell: None }
    }

    /// It ended without a word.
    fn gone() -> Self {
        Self { ending: Ending::Broken, why: "the connection ended without a close".into(), tell: None }
    }

    /// It cannot go on.
    fn failed(error: WireError) -> Self {
        let tell = error.close_code();
        Self { ending: tell.map_or(Ending::Broken, Ending::Closed), why: error.to_string(), tell }
    }

    /// It came after so long a silence, which is what a proxy waits that cuts quiet connections.
    fn after(mut self, silence: Duration) -> Self {
        if self.ending == Ending::Broken && silence >= QUIET {
            self.why += &format!(
                ", after {} s of silence; if that is so each time, a proxy or router on the way cuts quiet connections: \
                 it must wait longer than the heartbeat",
                silence.as_secs()
            );
        }
        self
    }

    async fn close(self, wire: &mut impl Wire, welcomed: Option<Duration>) -> Ended {
        if let Some(code) = self.tell {
            close(wire, code, &self.why).await;
        }
        Ended { ending: self.ending, why: self.why, welcomed }
    }
}
