//! An inbox for links of which only the answers matter.

use bytes::Bytes;
use oriel_gateway::link::{Close, pump::Inbox};
use oriel_proto::{
    CameraId, ImageClass, Timestamp,
    frame::{Announce, Health},
};

/// Takes what comes unasked, and forgets it.
pub(crate) struct Deaf;

impl Inbox for Deaf {
    fn camera(&mut self, _: Announce) {}
    fn gone(&mut self, _: CameraId) {}
    fn ready(&mut self) {}
    fn upload(&mut self, _: &Bytes) -> Result<(), Close> {
        Ok(())
    }
    fn fresh(&mut self, _: CameraId, _: ImageClass, _: Timestamp) {}
    fn health(&mut self, _: Health) {}
}
