//! The right to one answer, and what it is made of as its holder takes it.

use std::{collections::VecDeque, sync::Arc};

use oriel_proto::{AgentFrame, Body, Failure, FailureCode, RequestId, Trailer, decode};
use tokio::time::Instant;

use super::{
    Close, Link,
    credit::Window,
    pending::{CallError, Came, End, Slot},
};

/// A piece of an answer.
#[derive(Clone, Debug, PartialEq)]
pub enum Piece {
    /// More of it.
    Body(Body),
    /// The end of it.
    End(Trailer),
}

/// The right to one answer. Dropping it takes the question back.
#[derive(Debug)]
pub struct Ticket {
    link: Link,
    id: RequestId,
    slot: Arc<Slot>,
    window: Window,
    /// The number of the next Part.
    next_n: u32,
    /// Bodies and trailer of a Reply, of which the first have been taken.
    reply: Option<(VecDeque<Body>, Trailer)>,
}

impl Ticket {
    pub(super) fn take(link: &Link, id: RequestId) -> Result<Self, CallError> {
        let slot = Arc::<Slot>::default();
        link.0.pending.insert(id, &slot)?;
        let window = Window::new(Instant::now());
        Ok(Self { link: link.clone(), id, slot, window, next_n: 0, reply: None })
    }

    /// The question's name.
    pub const fn id(&self) -> RequestId {
        self.id
    }

    /// The answer did not come in time: makes sure that the agent is still there.
    pub fn doubt(&self) {
        self.link.probe();
    }

    /// The next piece, as it comes. Safe to drop and call again. After the end it never returns.
    pub async fn next(&mut self) -> Result<Piece, CallError> {
        if let Some(piece) = self.of_reply() {
            return Ok(piece);
        }
        match self.slot.next().await {
            Came::Part(frame) => self.part(&frame),
            Came::End(End::Frame(frame)) => self.end(&frame),
            Came::End(End::Error(error)) => Err(error),
        }
    }

    /// Reads a Part, and lets the sender go on.
    fn part(&mut self, frame: &[u8]) -> Result<Piece, CallError> {
        let AgentFrame::Part { n, body, .. } = self.read(frame)? else { return Err(unreadable("no Part")) };
        if n != self.next_n {
            self.link.close(Close::OverCredit);
            return Err(CallError::Closed);
        }
        self.next_n += 1;
        let cost = u32::try_from(frame.len()).unwrap_or(u32::MAX);
        if let Some(credit) = self.window.take(cost, &self.link.0.budget, Instant::now())
            && self.slot.allow(credit)
        {
            self.link.0.outbox.credit(self.id, credit);
        }
        Ok(Piece::Body(body))
    }

    fn end(&mut self, frame: &[u8]) -> Result<Piece, CallError> {
        match self.read(frame)? {
            AgentFrame::Reply { answer, .. } => {
                let mut bodies = VecDeque::from(answer.body);
                let Some(first) = bodies.pop_front() else { return Ok(Piece::End(answer.trailer)) };
                self.reply = Some((bodies, answer.trailer));
                Ok(Piece::Body(first))
            }
            AgentFrame::Done { trailer, .. } => Ok(Piece::End(trailer)),
            AgentFrame::Fail(fail) => Err(CallError::Failed(fail.into_failure())),
            _ => Err(unreadable("no end of an answer")),
        }
    }

    /// Reads a frame that was well-formed when it came; one whose fields are not what they should be fails this answer alone.
    fn read(&self, frame: &[u8]) -> Result<AgentFrame, CallError> {
        decode(frame).map_err(|error| {
            self.link.0.metrics.unknown_frames.inc();
            unreadable(&error.to_string())
        })
    }

    /// The next piece of a Reply that has begun to be taken.
    fn of_reply(&mut self) -> Option<Piece> {
        let (mut bodies, trailer) = self.reply.take()?;
        let Some(body) = bodies.pop_front() else { return Some(Piece::End(trailer)) };
        self.reply = Some((bodies, trailer));
        Some(Piece::Body(body))
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.window.close(&self.link.0.budget);
        if self.link.0.pending.remove(self.id).is_some() {
            self.link.0.outbox.cancel(self.id);
        }
    }
}

fn unreadable(what: &str) -> CallError {
    let why = format!("the camera's answer cannot be read by this gateway: {what}");
    CallError::Failed(Failure::new(FailureCode::Internal, why))
}
