//! The right to one answer, and what it is made of as its holder takes it.

use std::sync::Arc;

use bytes::Bytes;
use oriel_proto::RequestId;
use tokio::time::Instant;

use super::{
    Link,
    credit::Window,
    pending::{CallError, Came, End, Slot},
};

/// A piece of an answer: the frame as it came, well-formed and of this answer, of which the contents may still be wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// A Part.
    More(Bytes),
    /// A Reply or a Done: nothing comes behind it.
    Last(Bytes),
}

impl Piece {
    /// The frame.
    pub const fn frame(&self) -> &Bytes {
        match self {
            Self::More(frame) | Self::Last(frame) => frame,
        }
    }
}

/// The right to one answer. Dropping it takes the question back.
#[derive(Debug)]
pub struct Ticket {
    link: Link,
    id: RequestId,
    slot: Arc<Slot>,
    window: Window,
}

impl Ticket {
    pub(super) fn take(link: &Link, id: RequestId) -> Result<Self, CallError> {
        let slot = Arc::<Slot>::default();
        link.0.pending.insert(id, &slot)?;
        let window = Window::new(Instant::now());
        Ok(Self { link: link.clone(), id, slot, window })
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
        match self.slot.next().await {
            Came::Part(frame) => {
                self.allow(frame.len());
                Ok(Piece::More(frame))
            }
            Came::End(End::Frame(frame)) => Ok(Piece::Last(frame)),
            Came::End(End::Error(error)) => Err(error),
        }
    }

    /// The piece cannot be read; gives what that means for the question.
    pub fn unreadable(&self, why: &str) -> CallError {
        self.link.0.metrics.unknown_frames.inc();
        CallError::unreadable(why)
    }

    /// A Part of so many bytes was taken: lets the sender go on.
    fn allow(&mut self, bytes: usize) {
        let cost = u32::try_from(bytes).unwrap_or(u32::MAX);
        if let Some(credit) = self.window.take(cost, &self.link.0.budget, Instant::now())
            && self.slot.allow(credit)
        {
            self.link.0.outbox.credit(self.id, credit);
        }
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
