//! `POST /v1/enroll`: a one-time code becomes this agent's token.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use oriel_proto::{AgentId, CameraId, Secret};
use reqwest::{Client, StatusCode, redirect::Policy};
use rustls::ClientConfig;
use serde::{Deserialize, Serialize};
use url::Url;

use crate::{
    backoff::Ending,
    config::GatewayConfig,
    connect::{
        self,
        tls::{self, TlsError},
    },
    foreign::tame,
    state::{State, StateError, Tokens},
};

/// The longest an enrolment may take.
const WITHIN: Duration = Duration::from_secs(30);
/// The longest answer that is read, in bytes.
const ANSWER_BYTES: usize = 256 << 10;
/// What every enrolment code begins with.
const PREFIX: &str = "oen_";

/// Why an enrolment failed.
#[derive(Debug, thiserror::Error)]
pub enum EnrollError {
    /// The code is not one.
    #[error("this is not an enrolment code: it begins with oen_ and is shown once, by oriel enroll")]
    NotACode,
    /// The file of the code cannot be read.
    #[error("code_file = {}: {source}", path.display())]
    CodeFile {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// TLS failed, or nobody can be trusted.
    #[error("{0}")]
    Tls(String),
    /// The gateway cannot be reached.
    #[error("{url} cannot be asked: {why}")]
    Unreachable {
        /// The gateway.
        url: Url,
        /// What went wrong.
        why: String,
    },
    /// The gateway said no.
    #[error("{url} refused the enrolment with status {status}: {why}")]
    Refused {
        /// The gateway.
        url: Url,
        /// The HTTP status.
        status: u16,
        /// What `Retry-After` said.
        retry_after: Option<Duration>,
        /// What the gateway said.
        why: String,
    },
    /// Something answered that is no gateway.
    #[error("{0} does not answer like a gateway")]
    NoGateway(Url),
    /// The token cannot be kept.
    #[error(transparent)]
    State(#[from] StateError),
}

impl From<TlsError> for EnrollError {
    fn from(error: TlsError) -> Self {
        Self::Tls(error.to_string())
    }
}

impl EnrollError {
    /// What the backoff makes of it.
    pub(crate) const fn ending(&self) -> Ending {
        match self {
            Self::NotACode | Self::CodeFile { .. } => Ending::NoToken,
            Self::Refused { status, retry_after, .. } => {
                Ending::Refused { status: *status, retry_after: *retry_after }
            }
            Self::Tls(_) | Self::Unreachable { .. } | Self::NoGateway(_) | Self::State(_) => Ending::Broken,
        }
    }
}

/// What an enrolment brought.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Enrolled {
    /// The agent's name at the gateway.
    pub agent: AgentId,
    /// Its token.
    pub(crate) token: Secret,
    /// The cameras that the code bound to it.
    #[serde(default)]
    pub cameras: Vec<CameraId>,
    /// Names of further cameras that it may bring, as a pattern.
    #[serde(default)]
    pub new_cameras: Option<String>,
}

#[derive(Serialize)]
struct Question<'a> {
    code: &'a str,
    name: &'a str,
}

#[derive(Deserialize)]
struct Problem {
    detail: Option<String>,
    title: Option<String>,
}

/// Enrols this device with the code of `gateway` and keeps the token in the folder `state`; also while an agent runs there, which
/// uses the token at its next try.
pub async fn enroll_at(gateway: &GatewayConfig, state: &Path) -> Result<Enrolled, EnrollError> {
    // Another part of the program may have chosen a provider already, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let code = match (&gateway.code, &gateway.code_file) {
        (Some(code), _) => code.clone(),
        (None, Some(path)) => read_code(path).await?,
        (None, None) => return Err(EnrollError::NotACode),
    };
    let tokens = State::tokens_in(state, &gateway.url).await?;
    let trust = tls::trust(gateway.ca.as_deref())?;
    tokens.probe().await?;
    let enrolled = enroll(gateway, &trust, &code).await?;
    tokens.store(enrolled.token.clone()).await?;
    Ok(enrolled)
}

/// Exchanges `code` for a token at `gateway`; the code is used up when this succeeds.
async fn enroll(
    gateway: &GatewayConfig,
    tls: &Arc<ClientConfig>,
    code: &Secret,
) -> Result<Enrolled, EnrollError> {
    if !code.expose().starts_with(PREFIX) {
        return Err(EnrollError::NotACode);
    }
    let url = &gateway.url;
    let unreachable = |e: reqwest::Error| unreachable(url, &e);
    let found = connect::addresses(gateway).await;
    let found = found.map_err(|e| EnrollError::Unreachable { url: url.clone(), why: e.to_string() })?;
    let client = Client::builder()
        .resolve_to_addrs(url.host_str().unwrap_or_default(), &found)
        .tls_backend_preconfigured((**tls).clone())
        .redirect(Policy::none())
        .no_proxy()
        .timeout(WITHIN)
        .user_agent(concat!("camera-agent/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(unreachable)?;
    let address = format!("{}/v1/enroll", url.as_str().trim_end_matches('/'));
    let question = Question { code: code.expose(), name: &hostname() };
    let mut response = client.post(address).json(&question).send().await.map_err(unreachable)?;
    let status = response.status();
    let retry_after = connect::retry_after(response.headers());
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
        if body.len() + chunk.len() > ANSWER_BYTES {
            return Err(EnrollError::NoGateway(url.clone()));
        }
        body.extend_from_slice(&chunk);
    }
    if status == StatusCode::CREATED {
        return serde_json::from_slice(&body).map_err(|_| EnrollError::NoGateway(url.clone()));
    }
    let why = said(&body, status);
    Err(EnrollError::Refused { url: url.clone(), status: status.as_u16(), retry_after, why })
}

/// Gets the first token with the configured code; false when there is none. A used code is forgotten.
pub(crate) async fn first_token(
    gateway: &mut GatewayConfig,
    tls: &Arc<ClientConfig>,
    tokens: &Tokens,
) -> Result<bool, EnrollError> {
    if let Some(token) = gateway.token.take() {
        tokens.store(token).await?;
        return Ok(true);
    }
    let code = match (&gateway.code, &gateway.code_file) {
        (Some(code), _) => code.clone(),
        (None, Some(path)) => read_code(path).await?,
        (None, None) => return Ok(false),
    };
    tokens.probe().await?;
    let enrolled = enroll(gateway, tls, &code).await?;
    tracing::info!(gateway = %gateway.url, agent = %enrolled.agent, cameras = ?enrolled.cameras, "enrolled");
    tokens.store(enrolled.token).await?;
    (gateway.code, gateway.code_file) = (None, None);
    Ok(true)
}

/// The code in a file.
async fn read_code(path: &Path) -> Result<Secret, EnrollError> {
    let text = tokio::fs::read_to_string(path).await;
    let text = text.map_err(|source| EnrollError::CodeFile { path: path.to_owned(), source })?;
    Ok(Secret::from(text.trim()))
}

fn unreachable(url: &Url, error: &reqwest::Error) -> EnrollError {
    let host = url.host_str().unwrap_or_default();
    if let Some(why) = tls::beneath(host, error) {
        return EnrollError::Tls(why);
    }
    let mut deepest: &dyn std::error::Error = error;
    while let Some(inner) = deepest.source() {
        deepest = inner;
    }
    EnrollError::Unreachable { url: url.clone(), why: deepest.to_string() }
}

/// The gateway's reason, from its problem document.
fn said(body: &[u8], status: StatusCode) -> String {
    let problem = serde_json::from_slice::<Problem>(body).ok();
    let why = problem.and_then(|problem| problem.detail.or(problem.title));
    why.map(|why| tame(&why))
        .unwrap_or_else(|| status.canonical_reason().unwrap_or("no reason given").to_owned())
}

/// The device's name, for the gateway's list of agents.
fn hostname() -> String {
    let kernel = std::fs::read_to_string("/proc/sys/kernel/hostname").ok();
    let name =
        kernel.or_else(|| std::env::var("HOSTNAME").ok()).or_else(|| std::env::var("COMPUTERNAME").ok());
    let name = name.map(|name| name.trim().to_owned()).filter(|name| !name.is_empty());
    name.unwrap_or_else(|| "camera-agent".to_owned())
}
