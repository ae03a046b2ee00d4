//! Link: a cheap handle to one connected agent. The socket itself belongs to one task, the pump.
//!
//! [`Link::call`] takes a [`Ticket`] before anything is sent; dropping the ticket takes the question back, whether it still
//! waits in the outbox or has already gone down the socket.

pub mod close;
mod credit;
pub mod handshake;
mod heartbeat;
mod idle;
mod outbox;
pub mod pair;
mod pending;
pub mod pump;
mod ticket;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use oriel_proto::{
    AgentId, Call, CameraId, Epoch, GatewayFrame, InstanceId, RequestId, Secret, Seq, SessionId, Timestamp,
    frame::{Bound, Feature, Notice, NoticeCode, RefusalCode, Watch},
};
use tokio::time::Instant;

pub use self::{
    close::Close,
    credit::Budget,
    idle::IdleSocket,
    pending::CallError,
    pump::Inbox,
    ticket::{Piece, Ticket},
};
use self::{
    outbox::{Outbox, Retire},
    pending::Pending,
};
use crate::metrics::LinkMetrics;

/// A handle to one connected agent; clones share it.
#[derive(Clone, Debug)]
pub struct Link(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    facts: LinkFacts,
    outbox: Outbox,
    pending: Pending,
    /// Credit that the answers of this socket may have out.
    budget: Budget,
    metrics: Arc<LinkMetrics>,
}

/// What is known of a connection from its handshake.
#[derive(Clone, Debug)]
pub struct LinkFacts {
    /// Names this connection; another one of the same agent has another name.
    pub id: SessionId,
    /// Whose token it was opened with.
    pub agent: AgentId,
    /// The agent's state folder.
    pub instance: InstanceId,
    /// Which dial of that folder this is.
    pub generation: u64,
    /// What it understands beyond the first version.
    pub features: Box<[Feature]>,
    /// The version of the agent program.
    pub version: Box<str>,
    /// Where it connected from.
    pub peer: SocketAddr,
    /// When it was accepted.
    pub since: Timestamp,
}

impl Link {
    /// A link whose pump has not begun; the credit of its answers comes out of `budget`.
    pub fn new(facts: LinkFacts, budget: Arc<Budget>, metrics: Arc<LinkMetrics>) -> Self {
        let budget = Budget::of_socket(budget);
        let (outbox, pending) = (Outbox::default(), Pending::default());
        Self(Arc::new(Shared { facts, outbox, pending, budget, metrics }))
    }

    /// What is known of the connection.
    pub fn facts(&self) -> &LinkFacts {
        &self.0.facts
    }

    /// The connection's name.
    pub fn id(&self) -> SessionId {
        self.0.facts.id
    }

    /// Asks `camera`; the agent is told the time left until `deadline`. Fails at once when the link has ended or too many
    /// questions are open on it; the answer comes through the ticket.
    pub fn call(&self, camera: CameraId, call: Call, deadline: Instant) -> Result<Ticket, CallError> {
        let ticket = Ticket::take(self, RequestId::new())?;
        let asked = self.0.outbox.ask(ticket.id(), camera, call, deadline);
        if asked.is_err() {
            // Never queued, so there is nothing that the ticket's end should cancel.
            self.0.pending.remove(ticket.id());
        }
        asked.map(|()| ticket)
    }

    /// Tells the agent that a camera is taken.
    pub fn bound(&self, bound: Bound) {
        self.0.outbox.tell(bound.camera.clone(), GatewayFrame::Bound(bound));
    }

    /// Tells the agent that a camera is not taken, or no longer.
    pub fn refused(&self, camera: CameraId, code: RefusalCode, message: String) {
        self.0.outbox.tell(camera.clone(), GatewayFrame::Refused { camera, code, message });
    }

    /// Tells the agent that everything of `epoch` up to `seq` is on disk or known lost.
    pub fn ack(&self, camera: CameraId, epoch: Epoch, seq: Seq) {
        self.0.outbox.ack(camera, epoch, seq);
    }

    /// Tells the agent what somebody who watches a camera wants of it now.
    pub fn watch(&self, watch: Watch) {
        self.0.outbox.watch(watch);
    }

    /// Tells the agent that other events of an epoch are held than it has.
    pub fn conflict(&self, camera: CameraId, epoch: Epoch) {
        let message = "the gateway holds other events of this epoch".to_owned();
        let code = NoticeCode::EpochConflict;
        self.0.outbox.notice(Notice { code, message, camera: Some(camera), epoch: Some(epoch) });
    }

    /// Gives the agent a new token; a later one replaces one that has not been sent yet.
    pub fn rotate(&self, token: Secret) {
        self.0.outbox.token(token);
    }

    /// Makes sure that the agent is still there: it is pinged now, and the link ends when nothing is heard of it soon.
    pub fn probe(&self) {
        self.0.outbox.probe();
    }

    /// Ends the link now: open questions fail, the agent is told why.
    pub fn close(&self, why: Close) {
        self.0.outbox.close(why);
    }

    /// Ends the link when its open questions are answered, at the latest after `within`, and tells the agent why.
    pub fn retire(&self, within: Duration, why: Close) {
        self.0.outbox.retire(Retire { by: Instant::now() + within, why });
    }

    /// Tells the agent that the link will end in `within`, so that it can go to another gateway first.
    pub fn drain(&self, within: Duration) {
        self.0.outbox.drain(Instant::now() + within);
    }

    /// Whether the pump has ended.
    pub fn is_closed(&self) -> bool {
        self.0.pending.is_closed()
    }

    /// Whether the agent has another gateway that it can go to.
    pub fn can_move(&self) -> bool {
        self.0.facts.features.contains(&Feature::Move)
    }

    /// How many questions wait for an answer.
    pub fn open_calls(&self) -> usize {
        self.0.pending.len()
    }
}
