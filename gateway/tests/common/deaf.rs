//! An inbox for links of which only the answers matter.

use oriel_gateway::link::{Close, pump::Inbox};
use oriel_proto::{
    CameraId, ImageClass, Timestamp,
    frame::{Announce, Events, Health, Lost},
};

/// Takes what comes unasked, and forgets it.
pub(crate) struct Deaf;

impl Inbox for Deaf {
    fn camera(&mut self, _: Announce) {}
    fn gone(&mut self, _: CameraId) {}
    fn ready(&mut self) {}
    fn events(&mut self, _: Events, _: usize) -> Result<(), Close> {
        Ok(())
    }
    fn lost(&mut self, _: Lost, _: usize) -> Result<(), Close> {
        Ok(())
    }
    fn fresh(&mut self, _: CameraId, _: ImageClass, _: Timestamp) {}
    fn health(&mut self, _: Health) {}
}
