//! One gateway of the list: its token, its address, and when it may be dialled again.

use std::{sync::Arc, time::Duration};

use rustls::ClientConfig;
use tokio::time::Instant;

use super::AgentError;
use crate::{
    backoff::{Backoff, Ending},
    config::GatewayConfig,
    connect::{self, DialError, Socket, tls},
    enroll,
    session::Ended,
    state::{State, StateError, Token, Tokens},
};

/// One gateway of the list.
pub(super) struct Gateway {
    pub(super) config: GatewayConfig,
    pub(super) tokens: Tokens,
    /// Not to be dialled before this.
    pub(super) ready_at: Instant,
    tls: Arc<ClientConfig>,
    backoff: Backoff,
    /// Whether the rotated token was refused, so that the old one is tried.
    refused_fresh: bool,
}

impl Gateway {
    pub(super) fn new(config: GatewayConfig, state: &State, ready_at: Instant) -> Result<Self, AgentError> {
        Ok(Self {
            tls: tls::trust(config.ca.as_deref())?,
            tokens: state.tokens(&config.url),
            config,
            backoff: Backoff::default(),
            ready_at,
            refused_fresh: false,
        })
    }

    /// The token for the next dial: the one kept, or one got for a code.
    pub(super) async fn token(&mut self) -> Result<Token, Ended> {
        if let Some(token) = self.tokens.current(self.refused_fresh).await.map_err(disk)? {
            return Ok(token);
        }
        match enroll::first_token(&mut self.config, &self.tls, &self.tokens).await {
            Ok(true) => self.tokens.current(false).await.map_err(disk)?.ok_or_else(no_token),
            Ok(false) => Err(no_token()),
            Err(e) => Err(failed(e.ending(), e.to_string())),
        }
    }

    /// Opens a connection.
    pub(super) async fn dial(&mut self, token: &Token) -> Result<Socket, Ended> {
        match connect::dial(&self.config, self.tls.clone(), &token.secret).await {
            Ok(socket) => Ok(socket),
            Err(DialError::Refused { status: 401, .. }) if token.fresh => {
                self.refused_fresh = true;
                // The old token is tried at once: it works until the new one has been used.
                Err(failed(Ending::Closed(1012), "the new token is refused; the old one is tried".into()))
            }
            Err(e) => {
                if matches!(e, DialError::Refused { status: 401, .. }) {
                    self.refused_fresh = false;
                }
                Err(failed(ending_of(&e), e.to_string()))
            }
        }
    }

    /// Decides when this gateway may be dialled again; `chance` in 0..1 spreads it. Gives the wait.
    pub(super) fn note(&mut self, ended: &Ended, chance: f64) -> Duration {
        if ended.welcomed.is_some() {
            self.refused_fresh = false;
        }
        let wait = self.backoff.after(ended.ending, ended.welcomed.unwrap_or_default(), chance);
        self.ready_at = Instant::now() + wait;
        wait
    }
}

/// A try that came to nothing.
pub(super) const fn failed(ending: Ending, why: String) -> Ended {
    Ended { ending, why, welcomed: None }
}

/// A try that the disk did not allow.
pub(super) fn disk(error: StateError) -> Ended {
    failed(Ending::Broken, error.to_string())
}

fn no_token() -> Ended {
    let why = "there is no token for this gateway: run camera-agent enroll with a code from it";
    failed(Ending::NoToken, why.into())
}

const fn ending_of(error: &DialError) -> Ending {
    match error {
        DialError::Refused { status, retry_after, .. } => {
            Ending::Refused { status: *status, retry_after: *retry_after }
        }
        _ => Ending::Broken,
    }
}
