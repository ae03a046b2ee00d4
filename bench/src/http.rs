//! One HTTP/1.1 connection at a time that is kept as long as it lasts; dropping a question hangs up.

use std::{
    net::Ipv4Addr,
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper::{
    body::Incoming,
    client::conn::http1::{self, SendRequest},
};
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::task::JoinHandle;

use crate::{
    failure::{Doing, Failure, Result},
    target::{Io, Target},
};

/// A caller with a key.
#[derive(Debug)]
pub(crate) struct Caller {
    target: Target,
    source: Ipv4Addr,
    key: String,
    open: Option<Connection>,
    /// Whether connections that it opens end with a reset.
    pub(crate) abrupt: bool,
}

/// An open connection; dropping it closes it at once, whatever is under way.
#[derive(Debug)]
struct Connection {
    sender: SendRequest<Full<Bytes>>,
    driver: JoinHandle<()>,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

/// A whole answer.
#[derive(Debug)]
pub(crate) struct Reply {
    /// The status.
    pub(crate) status: u16,
    /// The body.
    pub(crate) body: Bytes,
}

/// A whole answer of lines.
#[derive(Debug)]
pub(crate) struct TimedLines {
    /// From the request until the first line had come.
    pub(crate) first: Duration,
    /// From the request until the end.
    pub(crate) whole: Duration,
    /// All lines.
    pub(crate) body: Bytes,
}

/// An answer that comes piece by piece; dropping it hangs up.
#[derive(Debug)]
pub(crate) struct Opened {
    body: Incoming,
    _connection: Connection,
}

impl Opened {
    /// The next piece; none at the end.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>> {
        let Some(frame) = self.body.frame().await else { return Ok(None) };
        Ok(Some(frame.doing("taking the answer")?.into_data().unwrap_or_default()))
    }
}

impl Reply {
    /// The body as JSON of this shape.
    pub(crate) fn json<T: DeserializeOwned>(&self) -> Result<T> {
        serde_json::from_slice(&self.body).doing("a body")
    }

    /// Fails unless the status is this one.
    pub(crate) fn must_be(self, status: u16) -> Result<Self> {
        if self.status == status { Ok(self) } else { Err(self.wrong(status)) }
    }

    fn wrong(&self, status: u16) -> Failure {
        let body = String::from_utf8_lossy(&self.body);
        Failure::new(format!("status {} instead of {status}: {body}", self.status))
    }
}

impl Caller {
    /// A caller at `source` with this key.
    pub(crate) fn new(target: Target, source: Ipv4Addr, key: &str) -> Self {
        Self { target, source, key: key.to_owned(), open: None, abrupt: false }
    }

    /// Asks and takes the whole answer.
    pub(crate) async fn get(&mut self, path: &str) -> Result<Reply> {
        let request = self.request(Method::GET, path).body(Full::default())?;
        self.send(request).await
    }

    /// Asks and gives the answer as it comes, unless it is a refusal.
    pub(crate) async fn open(&mut self, path: &str) -> Result<Opened> {
        let request = self.request(Method::GET, path).body(Full::default())?;
        let mut connection = self.connection().await.doing("connecting")?;
        let response = connection.sender.send_request(request).await.doing("asking")?;
        let (parts, body) = response.into_parts();
        if parts.status != StatusCode::OK {
            let body = body.collect().await.doing("taking the answer")?.to_bytes();
            let refused = Reply { status: parts.status.as_u16(), body };
            return Err(refused.wrong(200));
        }
        Ok(Opened { body, _connection: connection })
    }

    /// Asks for lines and takes all of them.
    pub(crate) async fn get_lines(&mut self, path: &str) -> Result<Reply> {
        let request = self.request(Method::GET, path).header(header::ACCEPT, "application/x-ndjson");
        self.send(request.body(Full::default())?).await
    }

    /// Asks for lines, takes all of them, and counts them.
    pub(crate) async fn count_lines(&mut self, path: &str) -> Result<u64> {
        let request = self.request(Method::GET, path).header(header::ACCEPT, "application/x-ndjson");
        let mut connection = self.connection().await.doing("connecting")?;
        let response =
            connection.sender.send_request(request.body(Full::default())?).await.doing("asking")?;
        let (parts, mut body) = response.into_parts();
        let mut lines = 0;
        while let Some(frame) = body.frame().await {
            let bytes = frame.doing("taking the answer")?.into_data().unwrap_or_default();
            lines += bytes.iter().filter(|byte| **byte == b'\n').count() as u64;
        }
        self.open = Some(connection);
        Reply { status: parts.status.as_u16(), body: Bytes::new() }.must_be(200)?;
        Ok(lines)
    }

    /// Asks for lines, takes all of them, and times the first one and the last.
    pub(crate) async fn time_lines(&mut self, path: &str) -> Result<TimedLines> {
        let request = self.request(Method::GET, path).header(header::ACCEPT, "application/x-ndjson");
        let mut connection = self.connection().await.doing("connecting")?;
        let start = Instant::now();
        let response =
            connection.sender.send_request(request.body(Full::default())?).await.doing("asking")?;
        let (parts, mut frames) = response.into_parts();
        let (mut body, mut first) = (Vec::new(), None);
        while let Some(frame) = frames.frame().await {
            body.extend(frame.doing("taking the answer")?.into_data().unwrap_or_default());
            if first.is_none() && body.contains(&b'\n') {
                first = Some(start.elapsed());
            }
        }
        let whole = start.elapsed();
        self.open = Some(connection);
        let body = Reply { status: parts.status.as_u16(), body: body.into() }.must_be(200)?.body;
        Ok(TimedLines { first: first.unwrap_or(whole), whole, body })
    }

    /// Posts JSON and takes the whole answer.
    pub(crate) async fn post(&mut self, path: &str, body: &Value) -> Result<Reply> {
        let request = self.request(Method::POST, path).header(header::CONTENT_TYPE, "application/json");
        self.send(request.body(Full::new(serde_json::to_vec(body)?.into()))?).await
    }

    async fn send(&mut self, request: Request<Full<Bytes>>) -> Result<Reply> {
        let mut connection = self.connection().await.doing("connecting")?;
        let response = connection.sender.send_request(request).await.doing("asking")?;
        let (parts, body) = response.into_parts();
        let body = body.collect().await.doing("taking the answer")?.to_bytes();
        self.open = Some(connection);
        Ok(Reply { status: parts.status.as_u16(), body })
    }

    fn request(&self, method: Method, path: &str) -> http::request::Builder {
        Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, self.target.address.to_string())
            .header(header::AUTHORIZATION, format!("Bearer {}", self.key))
    }

    /// The open connection, or a new one. While a question is under way the connection is its own.
    async fn connection(&mut self) -> Result<Connection> {
        if let Some(mut open) = self.open.take()
            && open.sender.ready().await.is_ok()
        {
            return Ok(open);
        }
        self.dial().await
    }

    async fn dial(&self) -> Result<Connection> {
        let io: Box<dyn Io> = self.target.connect(self.source, self.abrupt).await?;
        let (sender, connection) = http1::handshake(TokioIo::new(io)).await?;
        // How it ended is told to who asked.
        let driver = tokio::spawn(async move { _ = connection.await });
        Ok(Connection { sender, driver })
    }
}
