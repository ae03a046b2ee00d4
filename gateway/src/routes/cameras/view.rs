//! A camera as the API shows it.

use oriel_proto::{AgentId, CameraId, ImageClass};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{cameras::State, clock, registry::Presence, routes::App, store::CameraRecord};

/// A camera and how it is.
#[derive(Debug, Serialize, ToSchema)]
pub struct Camera {
    /// Its id.
    #[schema(value_type = String, example = "porch")]
    id: CameraId,
    /// Its display name.
    #[schema(example = "Front porch")]
    name: String,
    /// Words to group it by.
    #[schema(example = json!(["site:7"]))]
    tags: Vec<String>,
    /// online, degraded, offline, never_seen or refused.
    #[schema(example = "online")]
    status: &'static str,
    /// Since when it is so, as far as is known.
    #[schema(format = DateTime)]
    since: Option<String>,
    /// The reason, where there is one to give.
    why: Option<String>,
    /// The series of pictures it offers.
    #[schema(value_type = Vec<String>)]
    classes: Vec<ImageClass>,
    /// The device's clock minus the gateway's in milliseconds, as far as the device can tell.
    clock_offset_ms: Option<i64>,
    /// The device that serves it now.
    agent: Option<Agent>,
    /// How it is, as far as its device said.
    health: Option<Health>,
}

/// The device that serves a camera.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = CameraAgent)]
pub(super) struct Agent {
    /// Its name for programs.
    #[schema(value_type = String, format = Uuid)]
    id: AgentId,
    /// Its program's version.
    version: String,
    /// Seconds since its program started.
    uptime_s: Option<u64>,
    /// The last round trip that it measured, in milliseconds.
    rtt_ms: Option<u32>,
    /// Where it connected from.
    address: String,
}

/// How a camera is.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = CameraHealth)]
pub(super) struct Health {
    /// Bytes on disk in its spool of events.
    spool: u64,
    /// Bytes on disk in its ring of pictures.
    ring_bytes: u64,
    /// ok, starting or failing.
    source: String,
}

impl Camera {
    /// A camera as it is now.
    pub fn of(app: &App, record: &CameraRecord) -> Self {
        let State { status, since, why, presence } = app.cameras.state(record);
        let link = presence.as_ref().map(|presence| presence.link.facts());
        let connected = link.and_then(|link| app.registry.agent(link.agent));
        let said = connected.and_then(|connected| connected.health);
        Self {
            id: record.id.clone(),
            name: record.name.clone(),
            tags: record.tags.clone(),
            status: status.as_str(),
            since: since.map(clock::format),
            why,
            classes: presence.as_ref().map(|presence| presence.classes.to_vec()).unwrap_or_default(),
            clock_offset_ms: said.and_then(|said| said.clock_offset_ms),
            agent: link.map(|link| Agent {
                id: link.agent,
                version: link.version.to_string(),
                uptime_s: said.map(|said| said.uptime_s),
                rtt_ms: said.and_then(|said| said.rtt_ms),
                address: link.peer.ip().to_string(),
            }),
            health: presence.as_ref().and_then(Health::of),
        }
    }
}

impl Health {
    fn of(presence: &Presence) -> Option<Self> {
        let said = presence.health.as_ref()?;
        Some(Self { spool: said.spool, ring_bytes: said.ring, source: said.source.to_string() })
    }
}
