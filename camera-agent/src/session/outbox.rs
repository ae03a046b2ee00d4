//! The socket with what waits to be sent: both directions move in one poll, so neither end stops reading while it writes.

use std::{
    collections::VecDeque,
    task::{Context, Poll},
};

use futures_util::{SinkExt as _, StreamExt as _};
use oriel_proto::{AgentFrame, codec::encoded_len};
use tokio::time::Instant;

use super::{End, pace::Pace, watched::Watched};
use crate::{
    jobs::Jobs,
    wire::{Down, Up, Wire, WireError},
};

/// Frames that may wait beside answers: a gateway that asks faster than it reads is cut off.
const WAITING: usize = 4_096;

/// Frames written before reading gets its turn.
const WRITES: usize = 8;

/// A socket and its queue of short frames, which go before pieces of answers.
#[derive(Debug)]
pub(super) struct Outbox<W> {
    wire: W,
    waiting: VecDeque<Up>,
    unflushed: bool,
    pace: Pace,
}

impl<W: Wire> Outbox<W> {
    pub(super) fn new(wire: W) -> Self {
        Self { wire, waiting: VecDeque::new(), unflushed: false, pace: Pace::new(Instant::now()) }
    }

    /// Queues a frame; fails when the other end does not read.
    pub(super) fn push(&mut self, frame: AgentFrame) -> Result<(), End> {
        self.push_up(Up::Frame(frame))
    }

    /// Queues a ping; gives its number.
    pub(super) fn ping(&mut self, now: Instant) -> Result<u32, End> {
        let n = self.pace.mark(now);
        self.push_up(Up::Ping(n))?;
        Ok(n)
    }

    fn push_up(&mut self, up: Up) -> Result<(), End> {
        if self.waiting.len() >= WAITING {
            return Err(End::ours(1008, "the gateway asks faster than it reads"));
        }
        self.waiting.push_back(up);
        Ok(())
    }

    /// What comes down next, while everything that may goes up.
    pub(super) fn poll(
        &mut self,
        watched: &Watched,
        jobs: &mut Jobs,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<Down>, WireError>> {
        if let Poll::Ready(Err(e)) = self.poll_write(watched, jobs, cx) {
            return Poll::Ready(Err(e));
        }
        self.wire.poll_next_unpin(cx).map(Option::transpose)
    }

    fn poll_write(
        &mut self,
        watched: &Watched,
        jobs: &mut Jobs,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), WireError>> {
        for _ in 0..WRITES {
            if self.wire.poll_ready_unpin(cx)?.is_pending() {
                return Poll::Pending;
            }
            let next = match self.waiting.pop_front() {
                Some(up) => up,
                // The answer to a mark comes down, after which this is asked again.
                None if !self.pace.may_send() => return self.poll_flush(cx),
                None => match watched.poll_frame(cx) {
                    Poll::Ready(frame) => self.paced(frame, jobs),
                    Poll::Pending => match jobs.poll_frame(cx) {
                        Poll::Ready(frame) => self.paced(frame, jobs),
                        Poll::Pending => return self.poll_flush(cx),
                    },
                },
            };
            self.wire.start_send_unpin(next)?;
            self.unflushed = true;
        }
        // More may be there: come back after reading.
        cx.waker().wake_by_ref();
        self.poll_flush(cx)
    }

    /// A frame that a mark may follow.
    fn paced(&mut self, frame: AgentFrame, jobs: &Jobs) -> Up {
        if let Some(n) = self.pace.send(encoded_len(&frame) as u64, Instant::now()) {
            self.waiting.push_back(Up::Ping(n));
        }
        jobs.cut_into(self.pace.piece());
        Up::Frame(frame)
    }

    /// The gateway has read everything up to the ping `n`.
    pub(super) fn reached(&mut self, n: u32, now: Instant) {
        self.pace.reach(n, now);
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), WireError>> {
        if self.unflushed && self.wire.poll_flush_unpin(cx)?.is_ready() {
            self.unflushed = false;
        }
        Poll::Pending
    }

    /// Gives the socket back for its close.
    pub(super) fn into_wire(self) -> W {
        self.wire
    }
}
