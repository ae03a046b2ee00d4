//! What a link needs of which only the answers matter: an inbox, and facts of an agent.

use std::net::SocketAddr;

use bytes::Bytes;
use oriel_gateway::link::{Close, LinkFacts, pump::Inbox};
use oriel_proto::{
    AgentId, CameraId, ImageClass, InstanceId, SessionId, Timestamp,
    frame::{Announce, Health},
};

/// Facts of an agent that nothing is known of.
pub(crate) fn facts() -> LinkFacts {
    LinkFacts {
        id: SessionId::new(),
        agent: AgentId::new(),
        instance: InstanceId::new(),
        generation: 1,
        features: Box::default(),
        version: "0".into(),
        peer: SocketAddr::from(([127, 0, 0, 1], 1)),
        since: Timestamp::default(),
    }
}

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
