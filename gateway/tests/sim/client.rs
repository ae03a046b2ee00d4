//! An HTTP client inside the simulation: one connection per question, with patience, a pace, and a moment to hang up.

use std::{net::SocketAddr, pin::pin, time::Duration};

use http::{Request, header};
use http_body_util::{BodyExt, Empty};
use hyper::{body::Bytes, client::conn::http1};
use hyper_util::rt::TokioIo;
use tokio::time::{sleep, timeout};
use turmoil::net::TcpStream;

/// What a client with a pace takes at once, in bytes: however the gateway cuts an answer, reading it takes the same time.
const MOUTHFUL: usize = 16 << 10;

/// A question, and how its client behaves.
#[derive(Debug)]
pub(crate) struct Get {
    pub(crate) address: SocketAddr,
    pub(crate) path: String,
    pub(crate) key: String,
    /// Whether one event a line is wanted.
    pub(crate) lines: bool,
    /// When the client hangs up, counted from when it is connected.
    pub(crate) patience: Duration,
    /// Waits so long after each [`MOUTHFUL`] of the body.
    pub(crate) pace: Duration,
    /// Hangs up after so many bytes.
    pub(crate) enough: usize,
}

/// How far it came.
#[derive(Debug, Default)]
pub(crate) struct Got {
    pub(crate) status: Option<u16>,
    pub(crate) body: Vec<u8>,
}

/// How it ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// The answer is whole.
    Whole,
    /// The client had enough, or no patience any more.
    HungUp,
    /// The connection was refused, or it broke off.
    Broke(String),
}

impl Get {
    /// Asks, and waits for the end.
    pub(crate) async fn ask(&self) -> (Got, End) {
        let mut got = Got::default();
        let stream = match TcpStream::connect(self.address).await {
            Ok(stream) => stream,
            Err(error) => return (got, End::Broke(error.to_string())),
        };
        let end = match timeout(self.patience, self.exchange(stream, &mut got)).await {
            Ok(Ok(true)) => End::Whole,
            Ok(Ok(false)) | Err(_) => End::HungUp,
            Ok(Err(why)) => End::Broke(why),
        };
        (got, end)
    }

    /// False when the client has had enough.
    async fn exchange(&self, stream: TcpStream, got: &mut Got) -> Result<bool, String> {
        let (mut sender, connection) =
            http1::handshake(TokioIo::new(stream)).await.map_err(|error| error.to_string())?;
        let mut connection = pin!(connection);
        let mut talk = pin!(async {
            let answer = sender.send_request(self.request()).await.map_err(|error| error.to_string())?;
            got.status = Some(answer.status().as_u16());
            let (mut body, mut swallowed) = (answer.into_body(), 0);
            while let Some(frame) = body.frame().await {
                let frame = frame.map_err(|error| error.to_string())?;
                got.body.extend_from_slice(frame.data_ref().map_or(&[][..], |data| data));
                if got.body.len() >= self.enough {
                    return Ok(false);
                }
                while !self.pace.is_zero() && got.body.len() >= swallowed + MOUTHFUL {
                    swallowed += MOUTHFUL;
                    sleep(self.pace).await;
                }
            }
            Ok(true)
        });
        tokio::select! {
            biased;
            talked = &mut talk => talked,
            _ = &mut connection => talk.await,
        }
    }

    fn request(&self) -> Request<Empty<Bytes>> {
        let accept = if self.lines { "application/x-ndjson" } else { "application/json" };
        Request::get(&self.path)
            .header(header::HOST, self.address.to_string())
            .header(header::AUTHORIZATION, format!("Bearer {}", self.key))
            .header(header::ACCEPT, accept)
            .header(header::CONNECTION, "close")
            .body(Empty::new())
            .expect("a request")
    }
}
