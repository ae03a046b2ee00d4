//! `POST /v1/enroll`: a device trades its one-time code for a token.

use oriel_proto::{AgentId, CameraId, Secret};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use warp::reply::Response;

use super::{guard::Open, inbound::Inbound, reply};
use crate::{access::AccessError, problem::Problem};

/// A device that wants in.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = CodeTrade)]
#[serde(deny_unknown_fields)]
pub struct Trade {
    /// The one-time code.
    #[schema(value_type = String, example = "oen_1c9v4m8gkq2t5w7x3y6z0b8d4f1h5j9k-7m2n4p")]
    code: Secret,
    /// What the device calls itself, for people.
    #[schema(example = "porch-pi")]
    name: String,
}

/// A device that is in.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = TradedCode)]
pub struct Traded {
    /// The device's name from now on.
    #[schema(value_type = String, format = Uuid)]
    agent: AgentId,
    /// What it connects with; said only this once.
    #[schema(value_type = String, example = "oat_1c9v4m8gkq2t5w7x3y6z0b8d4f1h5j9k-7m2n4p")]
    token: Secret,
    /// The cameras that are bound to it.
    #[schema(value_type = Vec<String>, example = json!(["porch"]))]
    cameras: Vec<CameraId>,
    /// Which further cameras it may bring.
    #[schema(example = "site7-*")]
    new_cameras: Option<String>,
}

/// Trades a code for a token.
#[utoipa::path(post, path = "/v1/enroll", tag = "agents", operation_id = "enroll", security(()), request_body = Trade,
    responses((status = 201, description = "The device is enrolled", body = Traded)))]
pub async fn trade(mut inbound: Inbound<Open>) -> Result<Response, Problem> {
    inbound.query(&[])?;
    let trade: Trade = inbound.json().await?;
    let enrolled = inbound.app.access.enroll(trade.code.expose(), &trade.name, inbound.peer.ip()).await;
    let enrolled = enrolled.map_err(refusal)?;
    let cameras = enrolled.cameras.iter().map(|camera| camera.id.clone()).collect();
    tracing::info!(agent = %enrolled.agent.id, peer = %inbound.peer.address, "enrolled");
    reply::created(&Traded {
        agent: enrolled.agent.id,
        token: enrolled.token,
        cameras,
        new_cameras: enrolled.agent.new_cameras.map(|pattern| pattern.as_str().to_owned()),
    })
}

/// Says what to do about a code that is no good; which of the three it is stays the gateway's secret.
fn refusal(error: AccessError) -> Problem {
    match error {
        AccessError::Unknown | AccessError::Expired => Problem::unauthorized(
            "this code was used before, has expired or never existed: make another with oriel enroll",
        ),
        other => other.into(),
    }
}
