//! `/v1/agents`: devices, their connections and their tokens.

use oriel_proto::{AgentId, CameraId};
use serde::Serialize;
use utoipa::ToSchema;
use warp::reply::Response;

use super::{App, guard::Admin, inbound::Inbound, page, reply};
use crate::{clock, link::Close, problem::Problem, store::AgentRecord};

/// A device.
#[derive(Debug, Serialize, ToSchema)]
pub struct Agent {
    /// Its name for programs.
    #[schema(value_type = String, format = Uuid)]
    id: AgentId,
    /// What it called itself when it was enrolled.
    #[schema(example = "porch-pi")]
    name: String,
    /// When it was enrolled.
    #[schema(format = DateTime)]
    created_at: String,
    /// Whether it is connected now.
    connected: bool,
    /// Since when it is connected, else when it was last.
    #[schema(format = DateTime)]
    since: Option<String>,
    /// Its program's version.
    version: Option<String>,
    /// Where it connected from.
    address: Option<String>,
    /// The cameras bound to it.
    #[schema(value_type = Vec<String>)]
    cameras: Vec<CameraId>,
    /// What somebody should look into.
    warning: Option<String>,
}

/// All devices.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AgentList)]
pub struct List {
    /// Oldest first.
    agents: Vec<Agent>,
    /// Give it as `cursor` for the next page; null on the last one.
    next: Option<String>,
}

/// A device whose token is being rotated.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RotatingAgent)]
pub struct Rotating {
    /// The device.
    agent: Agent,
}

fn view(app: &App, record: AgentRecord) -> Agent {
    let connected = app.registry.agent(record.id);
    let facts = connected.as_ref().map(|connected| connected.link.facts());
    let contested = connected.as_ref().is_some_and(|connected| connected.contested);
    Agent {
        id: record.id,
        name: record.name,
        created_at: clock::format(record.created_at),
        connected: connected.is_some(),
        since: facts.map(|facts| facts.since).or(record.last_seen_at).map(clock::format),
        version: facts.map(|facts| facts.version.to_string()),
        address: facts.map(|facts| facts.peer.ip().to_string()),
        cameras: app.cameras.of_agent(record.id),
        warning: contested.then(|| Close::Duplicate.reason().to_owned()),
    }
}

/// Lists the devices.
#[utoipa::path(get, path = "/v1/agents", tag = "agents", operation_id = "list_agents", security(("key" = ["admin"])),
    params(("limit" = Option<u64>, Query, description = "The most on one page; 100 by default", minimum = 1, maximum = 1000),
        ("cursor" = Option<String>, Query, description = "The `next` of the page before")),
    responses((status = 200, description = "All devices", body = List)))]
pub async fn list(inbound: Inbound<Admin>) -> Result<Response, Problem> {
    let query = inbound.query(&["limit", "cursor"])?;
    let mut records = inbound.app.access.agents().await?;
    let next = page::cut(&inbound.app.cursors, &mut records, &query, &"agents", |record| record.id)?;
    let agents = records.into_iter().map(|record| view(&inbound.app, record)).collect();
    reply::json(&List { agents, next })
}

/// One device.
#[utoipa::path(get, path = "/v1/agents/{id}", tag = "agents", operation_id = "get_agent", security(("key" = ["admin"])),
    params(("id" = String, Path, format = Uuid, description = "The device")),
    responses((status = 200, description = "The device", body = Agent)))]
pub async fn show(inbound: Inbound<Admin>, id: AgentId) -> Result<Response, Problem> {
    inbound.query(&[])?;
    let record = inbound.app.access.agent_record(id).await?;
    reply::json(&view(&inbound.app, record))
}

/// Revokes a device's tokens for good, ends its socket and unbinds its cameras.
#[utoipa::path(delete, path = "/v1/agents/{id}", tag = "agents", operation_id = "revoke_agent", security(("key" = ["admin"])),
    params(("id" = String, Path, format = Uuid, description = "The device")),
    responses((status = 204, description = "The device is out")))]
pub async fn revoke(inbound: Inbound<Admin>, id: AgentId) -> Result<Response, Problem> {
    inbound.query(&[])?;
    let app = &inbound.app;
    let registry = app.registry.clone();
    app.access.revoke_agent(id, move || registry.end_all_of(id, Close::Revoked)).await?;
    tracing::info!(agent = %id, by = inbound.who.0.label(), "agent revoked");
    Ok(reply::no_content())
}

/// Gives a device a new token: at once when it is connected, else when it comes back.
#[utoipa::path(post, path = "/v1/agents/{id}/rotate", tag = "agents", operation_id = "rotate_agent", security(("key" = ["admin"])),
    params(("id" = String, Path, format = Uuid, description = "The device")),
    responses((status = 202, description = "The old token works until the new one has been used", body = Rotating)))]
pub async fn rotate(inbound: Inbound<Admin>, id: AgentId) -> Result<Response, Problem> {
    inbound.query(&[])?;
    let app = &inbound.app;
    let token = app.access.rotate_agent(id).await?;
    if let Some(connected) = app.registry.agent(id) {
        connected.link.rotate(token);
    }
    let record = app.access.agent_record(id).await?;
    reply::accepted(&Rotating { agent: view(app, record) })
}
