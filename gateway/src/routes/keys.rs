//! `/v1/keys`: credentials of programs.

use oriel_proto::CameraId;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use warp::reply::Response;

use super::{guard::Admin, inbound::Inbound, page, reply};
use crate::{
    access::NewKey,
    clock,
    problem::Problem,
    store::{KeyId, KeyRecord, Scope},
};

/// A key, without its secret.
#[derive(Debug, Serialize, ToSchema)]
pub struct Key {
    /// Its name for programs.
    #[schema(value_type = String, format = Uuid)]
    id: KeyId,
    /// Its name for people.
    #[schema(example = "dashboard script")]
    name: String,
    /// What it may do: viewer, operator or admin.
    #[schema(example = "viewer")]
    role: String,
    /// The cameras it may see.
    #[schema(value_type = Vec<String>)]
    cameras: Vec<CameraId>,
    /// It may see the cameras that carry one of these tags.
    tags: Vec<String>,
    /// Whether it may see every camera.
    all: bool,
    /// When it was made.
    #[schema(format = DateTime)]
    created_at: String,
    /// When it stops being good.
    #[schema(format = DateTime)]
    expires_at: Option<String>,
}

impl From<KeyRecord> for Key {
    fn from(record: KeyRecord) -> Self {
        Self {
            id: record.id,
            name: record.name,
            role: record.role.to_string(),
            cameras: record.scope.cameras,
            tags: record.scope.tags,
            all: record.scope.all,
            created_at: clock::format(record.created_at),
            expires_at: record.expires_at.map(clock::format),
        }
    }
}

/// A key that is wanted.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = NewKey)]
#[serde(deny_unknown_fields)]
pub struct Wanted {
    /// Its name for people.
    #[schema(example = "dashboard script", min_length = 1, max_length = 200)]
    name: String,
    /// What it may do: viewer, operator or admin.
    #[schema(example = "viewer", pattern = "^(viewer|operator|admin)$")]
    role: String,
    /// The cameras it may see.
    #[serde(default)]
    #[schema(value_type = Vec<String>, example = json!(["porch"]))]
    cameras: Vec<CameraId>,
    /// It may see the cameras that carry one of these tags.
    #[serde(default)]
    tags: Vec<String>,
    /// Whether it may see every camera.
    #[serde(default)]
    all: bool,
    /// When it stops being good.
    #[serde(default)]
    #[schema(example = "2027-01-01T00:00:00Z")]
    expires_at: Option<String>,
}

/// A new key.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = MadeKey)]
pub struct Made {
    /// What was made.
    key: Key,
    /// The credential; said only this once.
    #[schema(example = "oak_1c9v4m8gkq2t5w7x3y6z0b8d4f1h5j9k-7m2n4p")]
    secret: String,
}

/// All keys.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = KeyList)]
pub struct List {
    /// Oldest first.
    keys: Vec<Key>,
    /// Give it as `cursor` for the next page; null on the last one.
    next: Option<String>,
}

/// Lists the keys.
#[utoipa::path(get, path = "/v1/keys", tag = "access", operation_id = "list_keys", security(("key" = ["admin"])),
    params(("limit" = Option<u64>, Query, description = "The most on one page; 100 by default", minimum = 1, maximum = 1000),
        ("cursor" = Option<String>, Query, description = "The `next` of the page before")),
    responses((status = 200, description = "All keys, without their secrets", body = List)))]
pub async fn list(inbound: Inbound<Admin>) -> Result<Response, Problem> {
    let query = inbound.query(&["limit", "cursor"])?;
    let mut records = inbound.app.access.keys().await?;
    let next = page::cut(&inbound.app.cursors, &mut records, &query, &"keys", |record| record.id)?;
    reply::json(&List { keys: records.into_iter().map(Key::from).collect(), next })
}

/// Makes a key.
#[utoipa::path(post, path = "/v1/keys", tag = "access", operation_id = "create_key", security(("key" = ["admin"])), request_body = Wanted,
    responses((status = 201, description = "The key and its secret", body = Made)))]
pub async fn create(mut inbound: Inbound<Admin>) -> Result<Response, Problem> {
    inbound.query(&[])?;
    let wanted: Wanted = inbound.json().await?;
    let role = wanted.role.parse().map_err(|error| Problem::bad_request(format!("role: {error}")))?;
    let expires_at = wanted.expires_at.map(|text| clock::parse(&text, clock::now())).transpose()?;
    let scope = Scope { all: wanted.all, cameras: wanted.cameras, tags: wanted.tags };
    let key = NewKey { name: wanted.name, role, scope, expires_at };
    let (record, secret) = inbound.app.access.add_key(key).await?;
    tracing::info!(key = %record.id, by = inbound.who.0.label(), "key made");
    reply::created(&Made { key: record.into(), secret: secret.expose().to_owned() })
}

/// One key.
#[utoipa::path(get, path = "/v1/keys/{id}", tag = "access", operation_id = "get_key", security(("key" = ["admin"])),
    params(("id" = String, Path, format = Uuid, description = "The key")),
    responses((status = 200, description = "The key, without its secret", body = Key)))]
pub async fn show(inbound: Inbound<Admin>, id: KeyId) -> Result<Response, Problem> {
    inbound.query(&[])?;
    reply::json(&Key::from(inbound.app.access.key(id).await?))
}

/// Revokes a key for good; its streams end.
#[utoipa::path(delete, path = "/v1/keys/{id}", tag = "access", operation_id = "revoke_key", security(("key" = ["admin"])),
    params(("id" = String, Path, format = Uuid, description = "The key")),
    responses((status = 204, description = "The key is no longer good")))]
pub async fn revoke(inbound: Inbound<Admin>, id: KeyId) -> Result<Response, Problem> {
    inbound.query(&[])?;
    inbound.app.access.revoke_key(id).await?;
    tracing::info!(key = %id, by = inbound.who.0.label(), "key revoked");
    Ok(reply::no_content())
}
