//! The gateway's API as any program would ask it.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use reqwest::{Certificate, Client};
use serde_json::Value;
use tokio::{
    runtime::{Builder, Runtime},
    time::{interval, timeout},
};

use super::process::WITHIN;

/// How often a condition is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Somebody who asks with a key.
#[derive(Debug)]
pub(crate) struct Http {
    runtime: Runtime,
    client: Client,
    base: String,
    key: String,
}

/// One answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Value,
    pub(crate) took: Duration,
}

impl Answer {
    /// The code of a failure, or nothing.
    pub(crate) fn code(&self) -> &str {
        self.body["code"].as_str().unwrap_or_default()
    }
}

impl Http {
    /// Asks the gateway at `base`; `ca` is the only authority that is trusted.
    pub(crate) fn new(base: &str, key: &str, ca: Option<&Path>) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let authorities = ca.map(|file| Certificate::from_pem(&std::fs::read(file).unwrap()).unwrap());
        let client = Client::builder().no_proxy().timeout(WITHIN).tls_certs_only(authorities);
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        Self { runtime, client: client.build().unwrap(), base: base.into(), key: key.into() }
    }

    /// Asks once; an error when no answer came.
    pub(crate) fn try_get(&self, path: &str) -> reqwest::Result<Answer> {
        self.runtime.block_on(self.answer(path))
    }

    /// Asks once.
    #[track_caller]
    pub(crate) fn get(&self, path: &str) -> Answer {
        self.try_get(path).unwrap()
    }

    /// Asks until the answer is as wanted, and gives it.
    #[track_caller]
    pub(crate) fn until(&self, path: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let mut last = None;
        let looking = async {
            let mut ticks = interval(LOOK_EVERY);
            loop {
                ticks.tick().await;
                match self.answer(path).await {
                    Ok(answer) if answer.status == 200 && wanted(&answer.body) => return answer.body,
                    other => last = Some(other),
                }
            }
        };
        let found = self.runtime.block_on(async { timeout(WITHIN, looking).await });
        found.unwrap_or_else(|_| panic!("{path} never came to be as wanted: {last:?}"))
    }

    /// Asks until a camera has this status, and gives the camera.
    #[track_caller]
    pub(crate) fn until_status(&self, camera: &str, status: &str) -> Value {
        self.until(&format!("/v1/cameras/{camera}"), |camera| camera["status"] == status)
    }

    async fn answer(&self, path: &str) -> reqwest::Result<Answer> {
        let start = Instant::now();
        let request = self.client.get(format!("{}{path}", self.base)).bearer_auth(&self.key);
        let answer = request.send().await?;
        let (status, text) = (answer.status().as_u16(), answer.text().await?);
        Ok(Answer { status, body: serde_json::from_str(&text).unwrap_or_default(), took: start.elapsed() })
    }
}
