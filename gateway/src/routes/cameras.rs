//! `/v1/cameras` and `/v1/cameras/{id}`: what cameras there are and how they are.

mod list;
mod view;

use oriel_proto::{AgentId, CameraId};
use serde::Deserialize;
use utoipa::ToSchema;
use warp::reply::Response;

pub use self::view::Camera;
use super::{guard::Admin, inbound::Inbound, reply};
use crate::{access::Viewer, problem::Problem, store::CameraPatch};

#[doc(hidden)]
pub use self::list::__path_list;
pub use self::list::{List, list};

/// A camera to make ahead of its agent.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewCamera {
    /// Its id: 1 to 64 lower-case letters, digits, `-` and `_`.
    #[schema(value_type = String, example = "porch", pattern = "^[a-z0-9][a-z0-9_-]{0,63}$")]
    id: CameraId,
    /// Its display name; the id when absent.
    #[serde(default)]
    #[schema(example = "Front porch")]
    name: Option<String>,
    /// Words to group it by.
    #[serde(default)]
    #[schema(example = json!(["site:7"]))]
    tags: Vec<String>,
}

/// What is to change about a camera.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = CameraChange)]
#[serde(deny_unknown_fields)]
pub struct Change {
    /// Another display name.
    #[serde(default)]
    name: Option<String>,
    /// Other tags.
    #[serde(default)]
    tags: Option<Vec<String>>,
    /// Another agent; needs the role admin.
    #[serde(default)]
    #[schema(value_type = Option<String>, format = Uuid)]
    agent: Option<AgentId>,
}

/// Makes a camera ahead of its agent.
#[utoipa::path(post, path = "/v1/cameras", tag = "cameras", operation_id = "create_camera", security(("key" = ["admin"])), request_body = NewCamera,
    responses((status = 201, description = "The camera", body = Camera),
        (status = 409, description = "The id is taken", body = crate::problem::ProblemBody, content_type = "application/problem+json")))]
pub async fn create(mut inbound: Inbound<Admin>) -> Result<Response, Problem> {
    inbound.query(&[])?;
    let camera: NewCamera = inbound.json().await?;
    let record = inbound.app.cameras.create(camera.id, camera.name, camera.tags).await?;
    reply::created(&Camera::of(&inbound.app, &record))
}

/// One camera.
#[utoipa::path(get, path = "/v1/cameras/{id}", tag = "cameras", operation_id = "get_camera",
    params(("id" = String, Path, description = "The camera", example = "porch")),
    responses((status = 200, description = "The camera", body = Camera)))]
pub async fn show(inbound: Inbound<Viewer>, id: CameraId) -> Result<Response, Problem> {
    inbound.query(&[])?;
    let record = inbound.app.cameras.get(&inbound.who, &id)?;
    reply::json(&Camera::of(&inbound.app, &record))
}

/// Renames, tags or moves a camera.
#[utoipa::path(patch, path = "/v1/cameras/{id}", tag = "cameras", operation_id = "change_camera", request_body = Change,
    params(("id" = String, Path, description = "The camera", example = "porch")),
    responses((status = 200, description = "The camera as it is now", body = Camera)))]
pub async fn change(mut inbound: Inbound<Viewer>, id: CameraId) -> Result<Response, Problem> {
    inbound.query(&[])?;
    // A camera that is not the caller's to see is not found, whatever the body says.
    inbound.app.cameras.get(&inbound.who, &id)?;
    let change: Change = inbound.json().await?;
    let patch = CameraPatch { name: change.name, tags: change.tags, agent: change.agent };
    let record = inbound.app.cameras.change(&inbound.who, &id, patch).await?;
    reply::json(&Camera::of(&inbound.app, &record))
}

/// Removes a camera and refuses it to its agent from now on.
#[utoipa::path(delete, path = "/v1/cameras/{id}", tag = "cameras", operation_id = "remove_camera",
    params(("id" = String, Path, description = "The camera", example = "porch")),
    responses((status = 202, description = "The camera is going; from now on it is not found", body = serde_json::Value, example = json!({"id": "porch"}))))]
pub async fn remove(inbound: Inbound<Viewer>, id: CameraId) -> Result<Response, Problem> {
    inbound.query(&[])?;
    inbound.app.cameras.remove(&inbound.who, &id).await?;
    tracing::info!(camera = %id, by = inbound.who.label(), "camera removed");
    reply::accepted(&serde_json::json!({"id": id}))
}
