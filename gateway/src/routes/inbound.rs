//! A request as handlers see it: who asks, from where, with which parameters, and the body if the handler wants it.

use std::{fmt, net::IpAddr, pin::Pin, time::Duration};

use bytes::{Buf, Bytes, BytesMut};
use futures_util::{Stream, StreamExt};
use hyper::upgrade::OnUpgrade;
use serde::de::DeserializeOwned;
use tokio::time::timeout;
use warp::{
    Filter, Rejection,
    http::{HeaderMap, header::CONTENT_TYPE},
};

use super::{App, guard::Guard, query::Query};
use crate::problem::Problem;

/// A body must be complete within this time, so that who never ends one is closed within ten seconds.
const BODY_WITHIN: Duration = Duration::from_secs(9);

/// Where a request came from; the server puts it into each request.
#[derive(Clone, Copy, Debug)]
pub struct Peer {
    /// The caller's address, behind a trusted proxy the one that the proxy names.
    pub address: std::net::SocketAddr,
    /// Whether the caller came by TLS, to here or to a trusted proxy.
    pub secure: bool,
}

impl Peer {
    /// The caller's address without port.
    pub const fn ip(&self) -> IpAddr {
        self.address.ip()
    }
}

/// A body's bytes as they come.
pub type Chunks = Pin<Box<dyn Stream<Item = Result<Bytes, warp::Error>> + Send>>;

/// A request that its guard has admitted.
pub struct Inbound<G> {
    /// The gateway.
    pub app: App,
    /// Who asks.
    pub who: G,
    /// From where.
    pub peer: Peer,
    /// All headers.
    pub headers: HeaderMap,
    /// The way to a WebSocket, where the connection has one.
    pub upgrade: Option<OnUpgrade>,
    query: String,
    body: Chunks,
}

impl<G> fmt::Debug for Inbound<G> {
    /// Neither headers nor query: both may carry secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inbound").field("peer", &self.peer).finish_non_exhaustive()
    }
}

impl<G> Inbound<G> {
    /// The query parameters, all of which must be among `known`.
    pub fn query(&self, known: &'static [&'static str]) -> Result<Query, Problem> {
        Query::parse(&self.query, known)
    }

    /// The JSON body.
    pub async fn json<T: DeserializeOwned>(&mut self) -> Result<T, Problem> {
        if let Some(media) = self.headers.get(CONTENT_TYPE) {
            let media = media.to_str().unwrap_or_default();
            let essence = media.split(';').next().unwrap_or_default().trim();
            if !essence.eq_ignore_ascii_case("application/json") {
                return Err(Problem::unsupported_media_type());
            }
        }
        let limit = self.app.settings.body_bytes;
        let bytes = timeout(BODY_WITHIN, collect(&mut self.body, limit))
            .await
            .map_err(|_| Problem::slow_body())??;
        // Without this an array of a shape's fields, in their order, would be taken for the shape.
        if bytes.trim_ascii_start().first() != Some(&b'{') {
            return Err(Problem::bad_request("the body: a JSON object is wanted"));
        }
        serde_json::from_slice(&bytes).map_err(|error| Problem::bad_request(format!("the body: {error}")))
    }
}

async fn collect(chunks: &mut Chunks, limit: usize) -> Result<BytesMut, Problem> {
    let mut body = BytesMut::new();
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|_| Problem::bad_request("the body broke off"))?;
        if body.len() + chunk.len() > limit {
            return Err(Problem::too_large(limit));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// Extracts the request, admitted or refused.
pub(super) fn inbound<G: Guard>(
    app: App,
) -> impl Filter<Extract = (Result<Inbound<G>, Problem>,), Error = Rejection> + Clone {
    let query = warp::query::raw().or(warp::any().map(String::new)).unify();
    warp::any()
        .map(move || app.clone())
        .and(warp::header::headers_cloned())
        .and(query)
        .and(warp::ext::get::<Peer>())
        .and(warp::ext::optional::<OnUpgrade>())
        .and(warp::body::stream())
        .then(|app: App, headers: HeaderMap, query, peer: Peer, upgrade, body| async move {
            let who = G::admit(&app, &headers, peer.ip()).await?;
            let body: Chunks = Box::pin(chunks(body));
            Ok(Inbound { app, who, peer, headers, upgrade, query, body })
        })
}

fn chunks<B: Buf>(
    body: impl Stream<Item = Result<B, warp::Error>>,
) -> impl Stream<Item = Result<Bytes, warp::Error>> {
    body.map(|chunk| chunk.map(|mut chunk| chunk.copy_to_bytes(chunk.remaining())))
}
