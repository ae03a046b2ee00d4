//! `GET /v1/agent/connect`: an agent's socket, from upgrade to end.

mod desk;

use std::{future::Future, sync::Arc, time::Duration};

use futures_util::FutureExt;
use oriel_proto::{
    SUBPROTOCOL,
    frame::{Feature, Hello, Welcome},
    limits::Limits,
};
use tokio::{sync::OwnedSemaphorePermit, time::timeout};
use tracing::{Instrument, debug_span};
use warp::{
    http::{HeaderMap, HeaderValue, StatusCode, header},
    reply::Response,
};

use self::desk::Desk;
use super::{App, guard::Device, inbound::Inbound, wire::taken_back};
use crate::{
    access::AgentGrant,
    clock,
    link::{
        Close, Link, LinkFacts,
        handshake::{self, HandshakeError, Socket},
        pump,
    },
    metrics::ReasonLabels,
    problem::Problem,
    registry::{JoinError, Joined},
};

/// The upgrade itself must be done within this time.
const UPGRADE_WITHIN: Duration = Duration::from_secs(10);

/// Opens an agent's socket.
#[utoipa::path(get, path = "/v1/agent/connect", tag = "agents", operation_id = "connect_agent", security(("agent" = [])),
    responses((status = 101, description = "The socket is open: frames follow"),
        (status = 426, description = "Not a WebSocket upgrade, or another sub-protocol", body = crate::problem::ProblemBody, content_type = "application/problem+json")))]
pub async fn connect(inbound: Inbound<Device>) -> Result<Response, Problem> {
    let Inbound { app, who: Device(grant), peer, headers, upgrade, .. } = inbound;
    if headers.contains_key(header::ORIGIN) {
        return Err(Problem::forbidden("browsers may not open agent sockets"));
    }
    let accept = accept_key(&headers)?;
    let upgrade = upgrade.ok_or_else(|| Problem::upgrade_required("agents connect over HTTP/1.1"))?;
    if app.stopping.is_cancelled() {
        return Err(Problem::draining());
    }
    let permits = Arc::clone(&app.agent_permits);
    let permit = permits.try_acquire_owned().map_err(|_| Problem::overloaded("no room for another agent"))?;
    let tasks = app.tasks.clone();
    // What is said below names both: a span that is on costs as much as the rest of what is said here, and keeps its room.
    let span = debug_span!("agent", agent = %grant.id, peer = %peer.address);
    let opening = async move {
        let Ok(Ok(upgraded)) = timeout(UPGRADE_WITHIN, upgrade).await else { return };
        let Some((io, read)) = taken_back(upgraded) else { return };
        let socket = handshake::server_side(io, &read);
        open(app, grant, peer.address, socket, permit).await;
    };
    tasks.spawn(opening.instrument(span));
    switching(&accept)
}

/// Checks that the request is an upgrade to our sub-protocol.
fn accept_key(headers: &HeaderMap) -> Result<String, Problem> {
    let has = |name: header::HeaderName, token: &str| {
        let values = headers.get_all(name);
        let mut tokens =
            values.iter().filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(','));
        tokens.any(|value| value.trim().eq_ignore_ascii_case(token))
    };
    if !has(header::CONNECTION, "upgrade") || !has(header::UPGRADE, "websocket") {
        return Err(Problem::upgrade_required("agents connect by a WebSocket upgrade over HTTP/1.1"));
    }
    if !has(header::SEC_WEBSOCKET_VERSION, "13") {
        return Err(Problem::upgrade_required("the WebSocket version must be 13"));
    }
    if !has(header::SEC_WEBSOCKET_PROTOCOL, SUBPROTOCOL) {
        return Err(Problem::upgrade_required(format!("the sub-protocol must be {SUBPROTOCOL}")));
    }
    let key = headers.get(header::SEC_WEBSOCKET_KEY).and_then(|key| handshake::accept_key(key.as_bytes()));
    key.ok_or_else(|| Problem::bad_request("Sec-WebSocket-Key is missing or not 16 bytes in base64"))
}

fn switching(accept: &str) -> Result<Response, Problem> {
    let mut response = Response::default();
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(SUBPROTOCOL));
    let accept = HeaderValue::from_str(accept).map_err(|_| Problem::internal())?;
    headers.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
    Ok(response)
}

/// From Hello to the pump, which gets a task of its own: a task keeps the largest state it ever had.
async fn open(
    app: App,
    grant: AgentGrant,
    peer: std::net::SocketAddr,
    mut socket: impl Socket + 'static,
    permit: OwnedSemaphorePermit,
) {
    let hello = tokio::select! {
        hello = handshake::hello(&mut socket) => hello,
        () = app.closing.cancelled() => return handshake::refuse(&mut socket, Close::Restart).await,
    };
    let hello = match hello {
        Ok(hello) => hello,
        Err(error) => {
            tracing::info!(agent = %grant.id, %peer, %error, "no handshake");
            refused(&app, "handshake");
            if matches!(error, HandshakeError::Broken(_)) {
                app.metrics.link.violations.inc();
            }
            return handshake::refuse(&mut socket, error.close()).await;
        }
    };
    let (budget, metrics) = (Arc::clone(&app.credit), Arc::clone(&app.metrics.link));
    let link = Link::new(facts(&grant, &hello, peer), budget, metrics);
    let joined = match app.registry.join(link.clone()) {
        Ok(joined) => joined,
        Err(error) => {
            tracing::warn!(agent = %grant.id, %peer, %error, generation = hello.generation, "refused");
            refused(&app, if error == JoinError::OtherInstance { "other_instance" } else { "not_newer" });
            return handshake::refuse(&mut socket, Close::Duplicate).await;
        }
    };
    if let Err(error) = handshake::welcome(&mut socket, welcome(&app, &link)).await {
        tracing::info!(agent = %grant.id, %peer, %error, "left during the handshake");
        return;
    }
    if let Some(token) = grant.rotate {
        link.rotate(token);
    }
    tracing::info!(session = %link.id(), agent = %grant.id, %peer, version = hello.agent.version, "connected");
    let tasks = app.tasks.clone();
    // A task of its own: a task keeps the largest state it ever had.
    tasks.spawn(serve(app, socket, link, joined, permit));
}

fn facts(grant: &AgentGrant, hello: &Hello, peer: std::net::SocketAddr) -> LinkFacts {
    LinkFacts {
        id: oriel_proto::SessionId::new(),
        agent: grant.id,
        instance: hello.instance,
        generation: hello.generation,
        features: hello.features.clone().into(),
        version: hello.agent.version.as_str().into(),
        peer,
        since: clock::now(),
    }
}

fn welcome(app: &App, link: &Link) -> Welcome {
    Welcome {
        session: link.id(),
        now: clock::now(),
        heartbeat_ms: u32::try_from(app.settings.heartbeat.as_millis()).unwrap_or(u32::MAX),
        features: vec![Feature::Ingest],
        limits: Limits::default(),
    }
}

fn refused(app: &App, reason: &'static str) {
    app.metrics.agents_refused.get_or_create(&ReasonLabels { reason }).inc();
}

/// Runs a joined link until it ends. Made of parts that keep one place for each thing, as an async function would not.
pub(crate) fn serve(
    app: App,
    socket: impl Socket,
    link: Link,
    joined: Joined,
    permit: OwnedSemaphorePermit,
) -> impl Future<Output = ()> {
    app.metrics.agents.inc();
    // Whoever ended all links may have looked before this one had joined.
    if app.access.is_revoked(link.facts().agent) {
        link.close(Close::Revoked);
    } else if app.closing.is_cancelled() {
        link.close(Close::Restart);
    }
    let heartbeat = app.settings.heartbeat;
    let desk = Desk::new(app, joined);
    pump::run(socket, link, desk.clone(), heartbeat).map(move |end| {
        desk.leave(&end);
        drop(permit);
    })
}
