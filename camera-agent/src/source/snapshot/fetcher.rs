//! Fetches one picture from a camera over HTTP, within bounds of time and size.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::{ACCEPT, ACCEPT_ENCODING, AUTHORIZATION};
use oriel_proto::{
    Secret, Timestamp, jpeg,
    limits::{IMAGE_BYTES, IMAGE_PIXELS},
};
use reqwest::{Client, Response, StatusCode, redirect::Policy};
use tokio::time::timeout;
use url::Position;

use super::{error::SnapshotError, login::Login};
use crate::{
    config::SnapshotConfig,
    connect::{self, tls},
    foreign::tame,
};

/// The most times that a camera is asked for one picture: without a login, with one, and with one that is not stale.
const REQUESTS: u32 = 3;

/// How long a connection to the camera is kept for the next picture.
const IDLE: Duration = Duration::from_secs(30);

/// A camera and what is known of it.
#[derive(Debug)]
pub(super) struct Fetcher {
    client: Client,
    config: SnapshotConfig,
    login: Option<Login>,
    /// What is printed of the address.
    shown: String,
}

impl Fetcher {
    /// Reads what the options name; asks the camera nothing yet.
    pub(super) async fn new(config: &SnapshotConfig) -> Result<Self, SnapshotError> {
        let login = match (&config.user, password(config).await?) {
            (Some(user), Some(password)) => Some(Login::new(user.clone(), password)),
            _ => None,
        };
        let url = &config.url;
        // Where nothing is encrypted nobody is trusted: a device may have no authorities.
        let is_tls = url.as_url().scheme() == "https";
        let tls = if is_tls { (*tls::trust(config.ca.as_deref())?).clone() } else { tls::nobody()? };
        let client = Client::builder()
            .tls_backend_preconfigured(tls)
            .redirect(Policy::none())
            .no_proxy()
            .pool_idle_timeout(IDLE)
            .user_agent(concat!("camera-agent/", env!("CARGO_PKG_VERSION")));
        let shown = url.to_string();
        let failed =
            |e: reqwest::Error| SnapshotError::Unreachable { url: shown.clone(), why: e.to_string() };
        Ok(Self { client: client.build().map_err(failed)?, config: config.clone(), login, shown })
    }

    /// The next picture, with when the camera began to give it.
    pub(super) async fn fetch(
        &mut self,
        now: impl Fn() -> Timestamp,
    ) -> Result<(Timestamp, Bytes), SnapshotError> {
        let within = Duration::from_millis(self.config.timeout_ms);
        match timeout(within, self.exchange(now)).await {
            Ok(done) => done,
            Err(_) => Err(SnapshotError::Slow { url: self.shown.clone(), within }),
        }
    }

    async fn exchange(&mut self, now: impl Fn() -> Timestamp) -> Result<(Timestamp, Bytes), SnapshotError> {
        let mut answered = false;
        for _ in 0..REQUESTS {
            let response = self.ask().await?;
            if response.status() != StatusCode::UNAUTHORIZED {
                let at = now();
                return Ok((at, self.picture(response).await?));
            }
            let Some(login) = &mut self.login else {
                return Err(SnapshotError::LoginWanted(self.shown.clone()));
            };
            let is_stale = login
                .challenged(response.headers())
                .map_err(|why| SnapshotError::LoginUnknown { url: self.shown.clone(), why: tame(&why) })?;
            // Once for each challenge: cameras lock out who tries a password too often.
            if answered && !is_stale {
                break;
            }
            answered = true;
        }
        Err(SnapshotError::LoginRefused(self.shown.clone()))
    }

    async fn ask(&mut self) -> Result<Response, SnapshotError> {
        let url = self.config.url.as_url();
        let mut request = self.client.get(url.clone()).header(ACCEPT, "image/jpeg");
        request = request.header(ACCEPT_ENCODING, "identity");
        let target = &url[Position::BeforePath..Position::AfterQuery];
        if let Some(header) = self.login.as_mut().and_then(|login| login.header(target)) {
            request = request.header(AUTHORIZATION, header);
        }
        request.send().await.map_err(|e| self.unreachable(&e))
    }

    /// The body of an answer, when it is a picture.
    async fn picture(&self, mut response: Response) -> Result<Bytes, SnapshotError> {
        let (status, url) = (response.status(), || self.shown.clone());
        if status.is_redirection() {
            return Err(SnapshotError::Redirected { url: url(), status: status.as_u16() });
        }
        if status != StatusCode::OK {
            let retry_after = connect::retry_after(response.headers());
            return Err(SnapshotError::Status { url: url(), status, retry_after });
        }
        let too_large = |bytes| SnapshotError::TooLarge { url: url(), bytes };
        let length = response.content_length();
        if let Some(length) = length.filter(|length| *length > IMAGE_BYTES as u64) {
            return Err(too_large(length));
        }
        let mut body = BytesMut::new();
        while let Some(chunk) = response.chunk().await.map_err(|e| self.unreachable(&e))? {
            // Nothing that begins otherwise is read to its end.
            if body.is_empty() && chunk.len() >= 3 && !jpeg::begins(&chunk) {
                return Err(SnapshotError::NoPicture { url: url(), why: jpeg::JpegError::Foreign });
            }
            if body.len() + chunk.len() > IMAGE_BYTES {
                return Err(too_large((body.len() + chunk.len()) as u64));
            }
            body.extend_from_slice(&chunk);
        }
        let facts = jpeg::check(&body).map_err(|why| SnapshotError::NoPicture { url: url(), why })?;
        match facts.pixels() {
            pixels if pixels > IMAGE_PIXELS => Err(SnapshotError::Pixels { url: url(), pixels }),
            _ => Ok(body.freeze()),
        }
    }

    /// What went wrong, without the address that reqwest would print.
    fn unreachable(&self, error: &reqwest::Error) -> SnapshotError {
        let host = self.config.url.as_url().host_str().unwrap_or_default();
        let why = tls::beneath(host, error).unwrap_or_else(|| {
            let mut deepest: &dyn std::error::Error = error;
            while let Some(inner) = deepest.source() {
                deepest = inner;
            }
            match deepest.downcast_ref::<reqwest::Error>() {
                Some(_) => "the connection broke".to_owned(),
                None => deepest.to_string(),
            }
        });
        SnapshotError::Unreachable { url: self.shown.clone(), why: tame(&why) }
    }
}

/// The password that the options name.
async fn password(config: &SnapshotConfig) -> Result<Option<Secret>, SnapshotError> {
    let Some(path) = &config.password_file else { return Ok(config.password.clone()) };
    let text = tokio::fs::read_to_string(path).await;
    let text = text.map_err(|source| SnapshotError::PasswordFile { path: path.clone(), source })?;
    Ok(Some(Secret::from(text.trim_end_matches(['\r', '\n']))))
}
