//! What a connection has said of its cameras, and the Health frames that tell what changed.

use std::collections::HashMap;

use oriel_proto::{
    AgentFrame, CameraId, Epoch, Seq, Timestamp,
    codec::encoded_len,
    frame::{AgentHealth, Announce, CameraHealth, Health, SourceState},
    limits::FRAME_BYTES,
};

use crate::camera::Camera;

/// Bytes of one Health frame that cameras may take.
const CAMERAS_BYTES: usize = FRAME_BYTES - 512;

/// What was said of one camera.
#[derive(Debug, Default)]
struct Said {
    next: Option<(Epoch, Seq)>,
    source: Option<(SourceState, Option<String>)>,
    ring: u64,
}

/// What was said of all cameras.
#[derive(Debug)]
pub(super) struct Told {
    cameras: HashMap<CameraId, Said>,
    as_of: Timestamp,
}

impl Told {
    /// Nothing yet.
    pub(super) fn new() -> Self {
        Self { cameras: HashMap::new(), as_of: Timestamp::MIN }
    }

    /// A camera was announced.
    pub(super) fn announced(&mut self, announce: &Announce) {
        let next = announce.spools.last().map(|spool| (spool.epoch, spool.next));
        self.cameras.entry(announce.camera.clone()).or_default().next = next;
    }

    /// Events were sent that told what comes next.
    pub(super) fn sent(&mut self, camera: &CameraId, epoch: Epoch, next: Seq) {
        if let Some(said) = self.cameras.get_mut(camera) {
            said.next = Some((epoch, next));
        }
    }

    /// Whether the camera's source is not as it was told.
    pub(super) fn source_changed(&self, camera: &Camera) -> bool {
        let now = camera.source();
        self.cameras.get(camera.id()).is_none_or(|said| said.source != Some((now.state, now.why)))
    }

    /// The frames that tell how agent and cameras are; with at least one, as it also says that nothing changed.
    pub(super) fn health(&mut self, agent: AgentHealth, cameras: &[Camera]) -> Vec<AgentFrame> {
        let now: Vec<_> = cameras.iter().filter_map(Camera::health).collect();
        let Some(as_of) = now.iter().map(|(_, as_of)| *as_of).min() else { return Vec::new() };
        let mut frames = Vec::new();
        let (mut changed, mut bytes) = (Vec::new(), 0);
        for (health, _) in now {
            if !self.changes(&health) {
                continue;
            }
            let size = encoded_len(&health);
            if bytes + size > CAMERAS_BYTES {
                // Only the last frame may vouch for the new time: the others leave changes out.
                let cameras = std::mem::take(&mut changed);
                frames.push(AgentFrame::Health(Health { as_of: self.as_of, agent, cameras }));
                bytes = 0;
            }
            bytes += size;
            changed.push(health);
        }
        self.as_of = as_of;
        frames.push(AgentFrame::Health(Health { as_of, agent, cameras: changed }));
        frames
    }

    /// Whether `health` says something new; it counts as said.
    fn changes(&mut self, health: &CameraHealth) -> bool {
        let said = self.cameras.entry(health.camera.clone()).or_default();
        let next = Some((health.epoch, health.next));
        let source = Some((health.source.clone(), health.why.clone()));
        let changed = said.next != next || said.source != source || said.ring != health.ring;
        (said.next, said.source, said.ring) = (next, source, health.ring);
        changed
    }
}
