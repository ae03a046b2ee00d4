//! Questions to the gateway over HTTP, each timed; asked from inside the gateway's namespace, so that they do not cross the link.

use std::{
    io::Read as _,
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::failure::Failure;

/// A caller with a key.
#[derive(Clone, Debug)]
pub(crate) struct Api {
    agent: ureq::Agent,
    url: String,
    bearer: String,
}

/// What a question came to.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    /// The HTTP status; 0 when the caller gave up waiting.
    pub(crate) status: u16,
    /// The code of a failure.
    pub(crate) code: String,
    /// The body, where it is JSON.
    pub(crate) body: Value,
    /// From the question to the last byte.
    pub(crate) took: Duration,
}

impl Answer {
    /// What it came to, for people.
    pub(crate) fn summary(&self) -> String {
        let status = if self.status == 0 { "no answer".into() } else { self.status.to_string() };
        format!("{status} {} after {} ms", self.code, self.took.as_millis())
    }
}

impl Api {
    /// Asks the gateway at `url` with `key`.
    pub(crate) fn new(url: &str, key: &str) -> Self {
        let config = ureq::Agent::config_builder().http_status_as_error(false).build();
        Self { agent: config.into(), url: url.to_owned(), bearer: format!("Bearer {key}") }
    }

    /// Asks and waits for the whole answer, at most `within`.
    pub(crate) fn ask(&self, path: &str, within: Duration) -> Answer {
        let start = Instant::now();
        let (status, body) = self.read(path, within).unwrap_or((0, Value::Null));
        let code = body["code"].as_str().unwrap_or_default().to_owned();
        Answer { status, code, body, took: start.elapsed() }
    }

    fn read(&self, path: &str, within: Duration) -> Result<(u16, Value), ureq::Error> {
        let mut response = self.request(path, "application/json", Some(within))?;
        let body = response.body_mut().read_to_vec()?;
        Ok((response.status().as_u16(), serde_json::from_slice(&body).unwrap_or(Value::Null)))
    }

    /// Reads a picture, or a log as lines, as long as `go_on` says so after each piece; true when it came to its end.
    pub(crate) fn pieces(&self, path: &str, mut go_on: impl FnMut(usize) -> bool) -> Result<bool, Failure> {
        let odd = |e: ureq::Error| Failure::Odd(format!("{path}: {e}"));
        let mut response = self.request(path, "application/x-ndjson", None).map_err(odd)?;
        if response.status().as_u16() != 200 {
            return Err(Failure::Odd(format!("{path} was answered with {}", response.status())));
        }
        let (mut reader, mut piece) = (response.body_mut().as_reader(), [0; 8_192]);
        loop {
            match reader.read(&mut piece) {
                Ok(0) => return Ok(true),
                Ok(len) if go_on(len) => {}
                Ok(_) => return Ok(false),
                Err(e) => return Err(Failure::Odd(format!("{path}: {e}"))),
            }
        }
    }

    fn request(
        &self,
        path: &str,
        accept: &str,
        within: Option<Duration>,
    ) -> Result<ureq::http::Response<ureq::Body>, ureq::Error> {
        let request = self.agent.get(format!("{}{path}", self.url));
        let request = request.header("authorization", &self.bearer).header("accept", accept);
        request.config().timeout_global(within).build().call()
    }
}
