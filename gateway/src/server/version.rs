//! Serves a connection in the version of HTTP that it speaks, which is found out before anything of it is read: who finds out
//! while reading keeps twice the buffer for each connection, as long as it lasts.

use std::{convert::Infallible, error::Error, future::Future, io, pin::Pin, time::Duration};

use hyper::{body::Incoming, server::conn::http1, service::Service};
use hyper_util::{
    rt::{TokioExecutor, TokioTimer},
    server::conn::auto,
};
use tokio::{
    sync::Notify,
    time::{Instant, timeout_at},
};
use tokio_util::sync::CancellationToken;
use warp::{http::Request, reply::Response};

use super::HEADERS_WITHIN;
use crate::{io::Io, routes::wire::wire};

/// An HTTP/2 connection on which nothing comes is asked at this interval whether it lives.
const ASK_EVERY: Duration = Duration::from_secs(30);

/// A connection that does not say within this time that it lives is closed.
const ALIVE_WITHIN: Duration = Duration::from_secs(10);

/// Bytes of a request's headers.
const HEADER_BYTES: u32 = 16 << 10;

/// How many headers a request may have.
const HEADERS: usize = 64;

/// How HTTP/2 without TLS begins, and no method of HTTP/1 that has a route.
const PREFACE: &[u8; 3] = b"PRI";

/// Both versions of HTTP with their limits.
#[derive(Debug)]
pub(super) struct Versions {
    one: http1::Builder,
    either: auto::Builder<TokioExecutor>,
}

/// When a connection ends that does not end by itself.
#[derive(Debug)]
pub(super) struct Ends<'a> {
    /// Rings with each request.
    pub(super) spoke: &'a Notify,
    /// The first request must be there by then: before the first stream of HTTP/2 there is no other time limit.
    pub(super) by: Instant,
    /// Set when only what is open is still answered.
    pub(super) closing: &'a CancellationToken,
    /// Set, later than that, when nothing is.
    pub(super) cut: &'a CancellationToken,
}

impl Versions {
    pub(super) fn new() -> Self {
        let (mut one, mut either) = (http1::Builder::new(), auto::Builder::new(TokioExecutor::new()));
        let max = HEADER_BYTES as usize;
        one.timer(TokioTimer::new())
            .header_read_timeout(HEADERS_WITHIN)
            .max_headers(HEADERS)
            .max_buf_size(max);
        either
            .http1()
            .timer(TokioTimer::new())
            .header_read_timeout(HEADERS_WITHIN)
            .max_headers(HEADERS)
            .max_buf_size(max);
        either
            .http2()
            .timer(TokioTimer::new())
            .keep_alive_interval(ASK_EVERY)
            .keep_alive_timeout(ALIVE_WITHIN)
            .max_concurrent_streams(128)
            .max_header_list_size(HEADER_BYTES);
        Self { one, either }
    }

    /// Serves `io` to its end; an error says why that was not as it should be.
    pub(super) async fn serve<S>(
        &self,
        io: Io,
        service: S,
        ends: Ends<'_>,
    ) -> Result<(), Box<dyn Error + Send + Sync>>
    where
        S: Service<Request<Incoming>, Response = Response, Error = Infallible, Future: Send + 'static>
            + Send
            + 'static,
    {
        let first = timeout_at(ends.by, speaks_one(&io));
        let Some(is_one) = ends.cut.run_until_cancelled(first).await else { return Ok(()) };
        let is_one = is_one??;
        let wire = wire(io);
        // Boxed: each future around them would keep room for two of them.
        if is_one {
            let connection = Box::pin(self.one.serve_connection(wire, service).with_upgrades());
            Ok(drive(connection, |one| one.graceful_shutdown(), ends).await?)
        } else {
            let connection = Box::pin(self.either.serve_connection_with_upgrades(wire, service).into_owned());
            drive(connection, |either| either.graceful_shutdown(), ends).await
        }
    }
}

/// Whether a connection speaks HTTP/1 and nothing else; waits for its first bytes.
async fn speaks_one(io: &Io) -> io::Result<bool> {
    match io {
        Io::Plain(tcp) => {
            let mut first = [0; PREFACE.len()];
            let came = tcp.peek(&mut first).await?;
            Ok(!PREFACE.starts_with(&first[..came]))
        }
        Io::Tls(tls) => Ok(tls.get_ref().1.alpn_protocol() == Some(b"http/1.1")),
        #[cfg(feature = "sim")]
        Io::Sim(_) => Ok(false),
    }
}

/// Drives a connection to its end, and has it `end` when that is asked for; one that does not speak in time is dropped, and so is
/// what is still there at the cut. Each step asks for the closing alone: what is asked there, every step of every answer pays.
async fn drive<C, E>(mut connection: Pin<Box<C>>, end: fn(Pin<&mut C>), ends: Ends<'_>) -> Result<(), E>
where
    C: Future<Output = Result<(), E>>,
{
    let (mut silent, mut open) = (true, true);
    loop {
        tokio::select! {
            biased;
            ended = &mut connection => return ended,
            spoke = timeout_at(ends.by, ends.spoke.notified()), if silent => {
                if spoke.is_err() {
                    return Ok(());
                }
                silent = false;
            }
            () = ends.closing.cancelled(), if open => {
                end(connection.as_mut());
                open = false;
            }
            () = ends.cut.cancelled(), if !open => return Ok(()),
        }
    }
}
