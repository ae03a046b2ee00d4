//! The gateway's HTTP API as the command line uses it; the only place of the commands that speaks HTTP.

mod error;
mod live;
mod messages;
mod multipart;
mod options;
mod page;
mod picture;

use std::{path::Path, time::Duration};

use oriel_proto::Secret;
use reqwest::{Certificate, Method, RequestBuilder, Response, Url, header, redirect};
use serde_json::Value;

pub(crate) use error::ClientError;
pub(crate) use live::FRAME_WITHIN;
pub(crate) use messages::Message;
pub(crate) use options::{ClientOptions, GatewayOptions};
pub(crate) use page::MOST;
pub(crate) use picture::{Listed, Picture, TakenAt};

/// What the gateway gets on top of the time that a camera may take, so that it is the one to say who was too slow.
const CARRIED_WITHIN: Duration = Duration::from_secs(2);

/// The longest wait for a whole answer: the longest `timeout` of the API, 60 s, and time to carry it.
const ANSWER_WITHIN: Duration = Duration::from_secs(90);

/// The largest answer in bytes: a page of 1,000 events of 4 KiB, twice.
const ANSWER_BYTES: usize = 8 << 20;

/// A gateway and the key to it.
#[derive(Debug)]
pub(crate) struct Client {
    http: reqwest::Client,
    base: Url,
    /// None for one who asks as a stranger.
    key: Option<Secret>,
}

impl Client {
    /// Makes a client; nothing is sent yet.
    pub(crate) fn new(options: &ClientOptions) -> Result<Self, ClientError> {
        let stranger = Self::without_key(&options.gateway)?;
        Ok(Self { key: Some(options.key.read()?), ..stranger })
    }

    /// Makes a client for what needs no key.
    pub(crate) fn without_key(options: &GatewayOptions) -> Result<Self, ClientError> {
        let base = base_url(&options.url)?;
        let mut http = reqwest::Client::builder()
            .user_agent(concat!("oriel/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(options.timeout)
            .read_timeout(options.timeout + CARRIED_WITHIN)
            .timeout(ANSWER_WITHIN)
            .redirect(redirect::Policy::none());
        if let Some(ca) = &options.ca {
            http = http.tls_certs_only(authorities(ca)?);
        } else if base.scheme() == "http" {
            // Loading the platform's roots fails where there are none, and here nobody needs them.
            http = http.tls_certs_only([]);
        }
        if is_loopback(&base) {
            http = http.no_proxy();
        }
        let http = http.build().map_err(|why| ClientError::unreachable(&base, &why))?;
        Ok(Self { http, base, key: None })
    }

    /// Whether the gateway welcomes new work, as `/readyz` tells it.
    pub(crate) async fn readiness(&self) -> Result<Value, ClientError> {
        self.send(self.http.get(self.url(&["readyz"])?)).await
    }

    /// Reads what is at `path`.
    pub(crate) async fn get(&self, path: &[&str], query: &[(&str, String)]) -> Result<Value, ClientError> {
        self.send(self.request(Method::GET, path)?.query(query)).await
    }

    /// Sends `body` to `path`; the answer to one that has none is null.
    pub(crate) async fn send_json(
        &self,
        method: Method,
        path: &[&str],
        body: &Value,
    ) -> Result<Value, ClientError> {
        self.send(self.request(method, path)?.json(body)).await
    }

    /// Makes or does something at `path`.
    pub(crate) async fn post(&self, path: &[&str], body: &Value) -> Result<Value, ClientError> {
        self.send_json(Method::POST, path, body).await
    }

    /// Changes what is at `path`.
    pub(crate) async fn patch(&self, path: &[&str], body: &Value) -> Result<Value, ClientError> {
        self.send_json(Method::PATCH, path, body).await
    }

    /// Removes what is at `path`.
    pub(crate) async fn delete(&self, path: &[&str]) -> Result<(), ClientError> {
        self.send(self.request(Method::DELETE, path)?).await.map(drop)
    }

    /// A request with the key, if there is one; `path` is below `/v1`.
    fn request(&self, method: Method, path: &[&str]) -> Result<RequestBuilder, ClientError> {
        let request = self.http.request(method, self.url(&[&["v1"], path].concat())?);
        Ok(match &self.key {
            Some(key) => request.bearer_auth(key.expose()),
            None => request,
        })
    }

    /// The address of a path, each part escaped where a URL needs it.
    fn url(&self, path: &[&str]) -> Result<Url, ClientError> {
        let mut url = self.base.clone();
        match url.path_segments_mut() {
            Ok(mut parts) => parts.pop_if_empty().extend(path),
            Err(()) => return Err(ClientError::url(self.base.as_str(), "not an http or https address")),
        };
        Ok(url)
    }

    async fn send(&self, request: RequestBuilder) -> Result<Value, ClientError> {
        let answer = self.open(request).await?;
        let body = self.body(answer, ANSWER_BYTES).await?;
        if body.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_slice(&body)
            .map_err(|why| ClientError::answer(&self.base, &format!("not the JSON of a gateway: {why}")))
    }

    /// The answer to a request that succeeded, its body still to be read.
    async fn open(&self, request: RequestBuilder) -> Result<Response, ClientError> {
        let answer = request.send().await.map_err(|why| ClientError::unreachable(&self.base, &why))?;
        let status = answer.status();
        if status.is_success() {
            return Ok(answer);
        }
        let location =
            answer.headers().get(header::LOCATION).and_then(|to| to.to_str().ok()).map(str::to_owned);
        let body = self.body(answer, ANSWER_BYTES).await?;
        Err(match location.filter(|_| status.is_redirection()) {
            Some(to) => ClientError::url(self.base.as_str(), &format!("the server points to {to}; use that")),
            None => ClientError::problem(status.as_u16(), &body),
        })
    }

    /// The whole body, which may have at most so many bytes.
    async fn body(&self, mut answer: Response, most: usize) -> Result<Vec<u8>, ClientError> {
        let mut body = Vec::new();
        while let Some(chunk) =
            answer.chunk().await.map_err(|why| ClientError::unreachable(&self.base, &why))?
        {
            if body.len() + chunk.len() > most {
                return Err(ClientError::answer(&self.base, "larger than any answer of a gateway"));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }
}

fn base_url(text: &str) -> Result<Url, ClientError> {
    let url: Url = text.parse().map_err(|why| {
        ClientError::url(text, &format!("not an address such as https://gateway:8443: {why}"))
    })?;
    match url.scheme() {
        "http" | "https" if url.username().is_empty() && url.password().is_none() => Ok(url),
        "http" | "https" => Err(ClientError::url("--url", "a name or password does not belong there")),
        _ => Err(ClientError::url(text, "not an http or https address")),
    }
}

fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    host == "localhost" || host.parse().is_ok_and(|ip: std::net::IpAddr| ip.is_loopback())
}

fn authorities(path: &Path) -> Result<Vec<Certificate>, ClientError> {
    let wrong = |why: &dyn std::fmt::Display| ClientError::file(path, &why.to_string());
    let pem = std::fs::read(path).map_err(|why| wrong(&why))?;
    let found = Certificate::from_pem_bundle(&pem).map_err(|_| wrong(&"not a PEM file of certificates"))?;
    if found.is_empty() { Err(wrong(&"it has no certificate")) } else { Ok(found) }
}
