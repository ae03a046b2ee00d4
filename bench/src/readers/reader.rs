//! A client that reads a log as lines, as fast or as slowly as it likes; dropping it hangs up.

use std::{net::Ipv4Addr, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    task::JoinHandle,
    time::{Instant, MissedTickBehavior, interval_at, timeout},
};

use crate::{
    failure::{Doing, Failure, Result},
    gateway::Gateway,
    target::{Io, Target},
};

/// Bytes that a slow client reads in a second.
const RATE: usize = 1_000;

/// A log begins to come by then, however many are asked for.
const BEGINS_WITHIN: Duration = Duration::from_secs(60);

/// An open log.
pub(super) struct Reader {
    io: Box<dyn Io>,
}

impl Reader {
    /// Asks for the whole log of `camera`, with a marker, from `source`; the answer has begun when this returns.
    pub(super) async fn open(
        gateway: &Gateway,
        source: Ipv4Addr,
        camera: &str,
        marker: &str,
    ) -> Result<Self> {
        Self::open_at(&gateway.target, &gateway.key, source, camera, marker).await
    }

    /// The same, for a task of its own.
    pub(super) async fn open_at(
        target: &Target,
        key: &str,
        source: Ipv4Addr,
        camera: &str,
        marker: &str,
    ) -> Result<Self> {
        let query = if marker.is_empty() { String::new() } else { format!("&q={marker}") };
        let head = format!(
            "GET /v1/cameras/{camera}/events?source=camera&timeout=60s{query} HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {key}\r\n\
             Accept: application/x-ndjson\r\nConnection: close\r\n\r\n",
            target.address
        );
        let mut io = target.connect(source, false).await.doing("connecting")?;
        io.write_all(head.as_bytes()).await?;
        let mut begins = [0; 12];
        let read = timeout(BEGINS_WITHIN, io.read_exact(&mut begins)).await;
        read.map_err(|_| Failure::new("a log does not begin"))??;
        if &begins == b"HTTP/1.1 200" {
            return Ok(Self { io });
        }
        Err(Failure::new(format!("a log was answered with {}", String::from_utf8_lossy(&begins))))
    }

    /// Reads so many bytes; fewer only at the end.
    pub(super) async fn read(&mut self, bytes: usize) -> Result<usize> {
        let (mut buffer, mut got) = (vec![0; bytes.min(64 << 10)], 0);
        while got < bytes {
            let most = buffer.len().min(bytes - got);
            match self.io.read(&mut buffer[..most]).await? {
                0 => break,
                n => got += n,
            }
        }
        Ok(got)
    }

    /// Reads slowly, beginning in `phase` of a second, until it is aborted; ends by itself only when the gateway ends the answer.
    pub(super) fn read_slowly(mut self, phase: Duration) -> Slow {
        Slow(tokio::spawn(async move {
            let mut second = interval_at(Instant::now() + phase, Duration::from_secs(1));
            second.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                second.tick().await;
                if !self.read(RATE).await.is_ok_and(|got| got == RATE) {
                    return;
                }
            }
        }))
    }
}

/// A slow reader; dropping it hangs up.
pub(super) struct Slow(JoinHandle<()>);

impl Slow {
    /// Whether the gateway has ended its answer.
    pub(super) fn is_over(&self) -> bool {
        self.0.is_finished()
    }
}

impl Drop for Slow {
    fn drop(&mut self) {
        self.0.abort();
    }
}
