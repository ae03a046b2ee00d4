//! Which gateway is dialled when, and what each ending means for the next try.
//!
//! One connection is kept. While its gateway drains, another gateway is dialled beside it, and once that one has taken the
//! cameras, the first is left: at no time is nobody there to answer.

use oriel_proto::{
    PROTOCOL_VERSION,
    frame::{AgentFacts, Feature, Hello},
};
use tokio::{
    sync::watch,
    task::JoinSet,
    time::{Instant, sleep_until},
};
use tokio_util::sync::CancellationToken;

use super::{
    AgentError,
    gateway::{Gateway, disk},
    running::Running,
};
use crate::{
    backoff::{self, Ending},
    camera::Camera,
    config::GatewayConfig,
    session::{self, Ended, Phase, Setup},
    spool::Clock,
    state::State,
    status::Board,
};

/// The code that says: a newer connection of this instance took over.
const REPLACED: u16 = 4001;

/// Keeps one connection to one of the gateways.
pub(super) struct Dialer {
    gateways: Vec<Gateway>,
    /// Where the turn begins.
    turn: usize,
    /// Connections that another one has replaced, until they have ended.
    leaving: JoinSet<(usize, Ended)>,
    board: Board,
    state: State,
    cameras: Vec<Camera>,
    clock: Clock,
    bell: watch::Receiver<()>,
    since: Instant,
    stop: CancellationToken,
}

impl Dialer {
    pub(super) fn new(
        gateways: Vec<GatewayConfig>,
        state: State,
        cameras: Vec<Camera>,
        clock: Clock,
        bell: watch::Receiver<()>,
        since: Instant,
        stop: CancellationToken,
    ) -> Result<Self, AgentError> {
        let gateways = gateways.into_iter().map(|config| Gateway::new(config, &state, since));
        let gateways = gateways.collect::<Result<_, AgentError>>()?;
        let (leaving, board) = (JoinSet::new(), Board::new(since));
        Ok(Self { gateways, turn: 0, leaving, board, state, cameras, clock, bell, since, stop })
    }

    /// Where it notes whether it is connected.
    pub(super) fn board(&self) -> Board {
        self.board.clone()
    }

    /// Dials until `stop`, then waits until every connection has ended.
    pub(super) async fn run(&mut self) {
        let stop = self.stop.clone();
        while !stop.is_cancelled() {
            let Some((index, at)) = self.next(None) else { break };
            tokio::select! {
                () = sleep_until(at) => {}
                () = stop.cancelled() => break,
            }
            if let Some(running) = self.open(index, stop.cancelled()).await {
                self.keep(running).await;
                self.board.ended();
            }
        }
        while self.leaving.join_next().await.is_some() {}
    }

    /// The gateway that may be dialled first, and when; among those ready now, the next in turn. Never `but`.
    fn next(&self, but: Option<usize>) -> Option<(usize, Instant)> {
        let now = Instant::now();
        let count = self.gateways.len();
        (0..count)
            .map(|i| (self.turn + i) % count)
            .filter(|index| but != Some(*index))
            .map(|index| (index, self.gateways[index].ready_at.max(now)))
            .min_by_key(|(_, at)| *at)
    }

    /// Serves a connection to its end, or that of the one that replaces it, and so on.
    async fn keep(&mut self, mut running: Running) {
        self.serves(&running);
        loop {
            let draining = running.reaches(Phase::Draining);
            tokio::select! {
                ended = running.ended() => return self.note(running.index, ended).await,
                () = draining => {}
                Some(Ok((index, ended))) = self.leaving.join_next() => {
                    self.left(index, &ended);
                    continue;
                }
            }
            let Some(newer) = self.replace(&mut running).await else { return };
            let mut older = std::mem::replace(&mut running, newer);
            self.serves(&running);
            if !older.is_over() {
                older.leave();
                self.leaving.spawn(async move { (older.index, older.ended().await) });
            }
        }
    }

    /// Notes which connection is served from now on.
    fn serves(&self, running: &Running) {
        self.board.serves(&self.gateways[running.index].config.url, running.phase());
    }

    /// Dials the other gateways until one has taken the cameras; none when `running` ended before and nothing took its place.
    async fn replace(&mut self, running: &mut Running) -> Option<Running> {
        loop {
            let place = self.next(Some(running.index));
            tokio::select! {
                ended = running.ended() => {
                    self.note(running.index, ended).await;
                    return None;
                }
                () = wait_for(place) => {}
            }
            let Some((index, _)) = place else { continue };
            let Some(mut newer) = self.open(index, running.over()).await else { continue };
            let settled = newer.reaches(Phase::Settled);
            tokio::select! {
                ended = newer.ended() => self.note(newer.index, ended).await,
                () = settled => return Some(newer),
                ended = running.ended() => {
                    self.note(running.index, ended).await;
                    return Some(newer);
                }
            }
        }
    }

    /// Opens a connection and begins to serve it; none when that failed, which is noted, or `cut` came first.
    async fn open(&mut self, index: usize, cut: impl Future<Output = ()>) -> Option<Running> {
        self.turn = (index + 1) % self.gateways.len();
        let dialled = self.dial(index, cut).await.transpose()?;
        match dialled {
            Ok(running) => Some(running),
            Err(ended) => {
                self.note(index, ended).await;
                None
            }
        }
    }

    async fn dial(&mut self, index: usize, cut: impl Future<Output = ()>) -> Result<Option<Running>, Ended> {
        let stop = self.stop.clone();
        // Not cut off by anything but a stop: a code that was traded must become a token on the disk.
        let (token, hello) = tokio::select! {
            prepared = self.prepare(index) => prepared?,
            () = stop.cancelled() => return Ok(None),
        };
        let gateway = &mut self.gateways[index];
        let socket = tokio::select! {
            dialled = gateway.dial(&token) => dialled?,
            () = cut => return Ok(None),
            () = stop.cancelled() => return Ok(None),
        };
        let (phase_tx, phase_rx) = watch::channel(Phase::Opening);
        let leave = CancellationToken::new();
        let setup = Setup {
            cameras: self.cameras.clone(),
            tokens: gateway.tokens.clone(),
            since: self.since,
            bell: self.bell.clone(),
            clock: self.clock.clone(),
            phase: phase_tx,
            leave: leave.clone(),
            stop,
        };
        let task = tokio::spawn(async move { session::run(socket, hello, &token, setup).await });
        Ok(Some(Running::new(index, task, phase_rx, leave)))
    }

    /// The token and the greeting for the next dial.
    async fn prepare(&mut self, index: usize) -> Result<(crate::state::Token, Hello), Ended> {
        let token = self.gateways[index].token().await?;
        let (instance, generation) = self.state.next_dial().await.map_err(disk)?;
        let agent = AgentFacts {
            version: env!("CARGO_PKG_VERSION").into(),
            os: std::env::consts::OS.into(),
            arch: std::env::consts::ARCH.into(),
        };
        let mut features = vec![Feature::Ingest];
        if self.gateways.len() > 1 {
            features.push(Feature::Move);
        }
        Ok((token, Hello { protocol: PROTOCOL_VERSION, features, instance, generation, agent }))
    }

    /// Decides when a gateway is dialled again, and says why.
    async fn note(&mut self, index: usize, ended: Ended) {
        if self.stop.is_cancelled() {
            return;
        }
        if ended.ending == Ending::Closed(REPLACED) {
            // This process leaves a connection before a newer one replaces it: that belongs to a copy of the state folder.
            match self.state.renew_instance().await {
                Ok(instance) => tracing::warn!(
                    %instance,
                    "another device uses a copy of this agent's state folder; this one goes on as a new instance"
                ),
                Err(e) => tracing::error!("{e}"),
            }
        }
        let wait = self.gateways[index].note(&ended, rand::random());
        if ended.welcomed.is_some() {
            self.prefer_others(index);
        }
        let url = &self.gateways[index].config.url;
        self.board.failed(url, &ended.why);
        tracing::warn!(gateway = %url, wait_s = wait.as_secs_f32(), "not connected: {}", ended.why);
    }

    /// A connection is lost: the other gateways come first, and not all agents of the lost one at once.
    ///
    /// A try that failed changes nothing for the others: a dead gateway would keep its agents from a living one.
    fn prefer_others(&mut self, lost: usize) {
        let now = Instant::now();
        let alone = self.gateways.len() == 1;
        for (index, gateway) in self.gateways.iter_mut().enumerate().filter(|_| !alone) {
            let wait = if index == lost { backoff::SWITCH.1 } else { backoff::switch(rand::random()) };
            gateway.ready_at = gateway.ready_at.max(now + wait);
        }
    }

    /// A connection that was replaced has ended, as it should.
    fn left(&mut self, index: usize, ended: &Ended) {
        let gateway = &mut self.gateways[index];
        gateway.note(ended, rand::random());
        tracing::info!(gateway = %gateway.config.url, "left: {}", ended.why);
    }
}

/// Waits until it is the turn of a gateway; for ever when there is none.
async fn wait_for(place: Option<(usize, Instant)>) {
    match place {
        Some((_, at)) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests;
