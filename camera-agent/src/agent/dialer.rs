//! Which gateway is dialled when, and what each ending means for the next try.

use std::{sync::Arc, time::Duration};

use oriel_proto::{
    PROTOCOL_VERSION,
    frame::{AgentFacts, Feature, Hello},
};
use rustls::ClientConfig;
use tokio::{
    sync::watch,
    time::{Instant, sleep_until},
};
use tokio_util::sync::CancellationToken;

use crate::{
    backoff::{self, Backoff, Ending},
    camera::Camera,
    config::GatewayConfig,
    connect::{self, DialError, tls},
    enroll,
    session::{self, Ended, Setup},
    spool::Clock,
    state::{State, StateError, Token, Tokens},
};

use super::AgentError;

/// The code that says: a newer connection of this instance took over.
const REPLACED: u16 = 4001;

/// One gateway of the list.
struct Gateway {
    config: GatewayConfig,
    tls: Arc<ClientConfig>,
    tokens: Tokens,
    backoff: Backoff,
    /// Not to be dialled before this.
    ready_at: Instant,
    /// Whether the rotated token was refused, so that the old one is tried.
    refused_fresh: bool,
}

/// Keeps one connection to one of the gateways.
pub(super) struct Dialer {
    gateways: Vec<Gateway>,
    /// Where the turn begins.
    turn: usize,
    state: State,
    cameras: Vec<Camera>,
    clock: Clock,
    bell: watch::Receiver<()>,
    since: Instant,
    stop: CancellationToken,
}

/// How one try ended.
struct Tried {
    ending: Ending,
    why: String,
    connected: Duration,
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
        let gateways = gateways.into_iter().map(|config| {
            Ok(Gateway {
                tls: tls::trust(config.ca.as_deref())?,
                tokens: state.tokens(&config.url),
                config,
                backoff: Backoff::default(),
                ready_at: since,
                refused_fresh: false,
            })
        });
        let gateways = gateways.collect::<Result<_, AgentError>>()?;
        Ok(Self { gateways, turn: 0, state, cameras, clock, bell, since, stop })
    }

    /// Dials until `stop`.
    pub(super) async fn run(&mut self) {
        let stop = self.stop.clone();
        while !stop.is_cancelled() {
            let Some((index, at)) = self.next() else { return };
            tokio::select! {
                () = sleep_until(at) => {}
                () = stop.cancelled() => return,
            }
            let tried = self.attempt(index).await;
            if stop.is_cancelled() {
                return;
            }
            tokio::select! {
                () = self.note(index, tried) => {}
                () = stop.cancelled() => return,
            }
            self.turn = (index + 1) % self.gateways.len();
        }
    }

    /// The gateway that may be dialled first, and when; among those ready now, the next in turn.
    fn next(&self) -> Option<(usize, Instant)> {
        let now = Instant::now();
        let count = self.gateways.len();
        (0..count)
            .map(|i| (self.turn + i) % count)
            .map(|index| (index, self.gateways[index].ready_at.max(now)))
            .min_by_key(|(_, at)| *at)
    }

    async fn attempt(&mut self, index: usize) -> Tried {
        let stop = self.stop.clone();
        let failed = |ending, why: String| Tried { ending, why, connected: Duration::ZERO };
        let prepared = tokio::select! {
            prepared = self.prepare(index) => prepared,
            () = stop.cancelled() => return failed(Ending::Broken, "stopping".into()),
        };
        let (token, hello) = match prepared {
            Ok(Some(ready)) => ready,
            Ok(None) => {
                let why = "there is no token for this gateway: run camera-agent enroll with a code from it";
                return failed(Ending::NoToken, why.into());
            }
            Err(tried) => return tried,
        };
        let gateway = &mut self.gateways[index];
        let dialled = tokio::select! {
            dialled = connect::dial(&gateway.config, gateway.tls.clone(), &token.secret) => dialled,
            () = stop.cancelled() => return failed(Ending::Broken, "stopping".into()),
        };
        let socket = match dialled {
            Ok(socket) => socket,
            Err(DialError::Refused { status: 401, .. }) if token.fresh => {
                gateway.refused_fresh = true;
                // The old token is tried at once: it works until the new one has been used.
                return failed(Ending::Closed(1012), "the new token is refused; the old one is tried".into());
            }
            Err(e) => {
                if matches!(e, DialError::Refused { status: 401, .. }) {
                    gateway.refused_fresh = false;
                }
                return failed(ending_of(&e), e.to_string());
            }
        };
        let setup = Setup {
            cameras: self.cameras.clone(),
            tokens: gateway.tokens.clone(),
            since: self.since,
            bell: self.bell.clone(),
            clock: self.clock.clone(),
            stop,
        };
        let Ended { ending, why, welcomed } = session::run(socket, hello, &token, setup).await;
        if welcomed.is_some() {
            gateway.refused_fresh = false;
        }
        Tried { ending, why, connected: welcomed.unwrap_or_default() }
    }

    /// The token and the greeting for the next dial; none without a token and without a code to get one.
    async fn prepare(&mut self, index: usize) -> Result<Option<(Token, Hello)>, Tried> {
        let disk =
            |e: StateError| Tried { ending: Ending::Broken, why: e.to_string(), connected: Duration::ZERO };
        let gateway = &mut self.gateways[index];
        let mut token = gateway.tokens.current(gateway.refused_fresh).await.map_err(disk)?;
        if token.is_none() {
            match enroll::first_token(&mut gateway.config, &gateway.tls, &gateway.tokens).await {
                Ok(true) => token = gateway.tokens.current(false).await.map_err(disk)?,
                Ok(false) => return Ok(None),
                Err(e) => {
                    return Err(Tried { ending: e.ending(), why: e.to_string(), connected: Duration::ZERO });
                }
            }
        }
        let Some(token) = token else { return Ok(None) };
        let (instance, generation) = self.state.next_dial().await.map_err(disk)?;
        let agent = AgentFacts {
            version: env!("CARGO_PKG_VERSION").into(),
            os: std::env::consts::OS.into(),
            arch: std::env::consts::ARCH.into(),
        };
        let features = vec![Feature::Ingest];
        Ok(Some((token, Hello { protocol: PROTOCOL_VERSION, features, instance, generation, agent })))
    }

    /// Decides when this gateway is dialled again, and says why.
    async fn note(&mut self, index: usize, tried: Tried) {
        let Tried { ending, why, connected } = tried;
        if ending == Ending::Closed(REPLACED) {
            // This process opens one connection at a time: the newer one belongs to a copy of the state folder.
            match self.state.renew_instance().await {
                Ok(instance) => tracing::warn!(
                    %instance,
                    "another device uses a copy of this agent's state folder; this one goes on as a new instance"
                ),
                Err(e) => tracing::error!("{e}"),
            }
        }
        let gateway = &mut self.gateways[index];
        let wait = gateway.backoff.after(ending, connected, rand::random());
        gateway.ready_at = Instant::now() + wait;
        let switch_at = Instant::now() + backoff::switch(rand::random());
        for (other, gateway) in self.gateways.iter_mut().enumerate() {
            if other != index {
                gateway.ready_at = gateway.ready_at.max(switch_at);
            }
        }
        let gateway = &self.gateways[index];
        tracing::warn!(gateway = %gateway.config.url, wait_s = wait.as_secs_f32(), "not connected: {why}");
    }
}

const fn ending_of(error: &DialError) -> Ending {
    match error {
        DialError::Refused { status, retry_after } => {
            Ending::Refused { status: *status, retry_after: *retry_after }
        }
        _ => Ending::Broken,
    }
}
