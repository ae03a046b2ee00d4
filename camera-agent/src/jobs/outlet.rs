//! The way out of one answer: its frames in turn with those of others, against its credit.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::Duration,
};

use oriel_proto::{
    AgentFrame, Answer, Body, Failure, FailureCode, RequestId, Trailer,
    codec::encoded_len,
    frame::Fail,
    limits::{FIRST_CREDIT, FRAME_BYTES, Limits},
};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit, mpsc},
    time::timeout,
};

use crate::precedence::{Claim, Lane, Precedence};

/// The longest an answer waits for credit before it is given up: its asker neither reads nor cancels.
const CREDIT_WITHIN: Duration = Duration::from_secs(300);

/// More credit than this is not kept, whatever the gateway sends.
const MOST_CREDIT: usize = 1 << 26;
// A semaphore counts to an eighth of the word, and panics beyond it; devices have words of 32 bits.
const _: () = assert!(MOST_CREDIT <= (u32::MAX >> 3) as usize);

/// The smallest body of a Part that is taken from a gateway's limits: room for one large event.
const LEAST_PART: usize = 2 << 10;

/// What a Part needs beside its body: names, id and number.
const PART_HEAD: usize = 64;

/// Bytes that one answer may still send.
#[derive(Debug)]
pub(super) struct Credit(Semaphore);

impl Default for Credit {
    fn default() -> Self {
        Self(Semaphore::new(FIRST_CREDIT as usize))
    }
}

impl Credit {
    /// More bytes may be sent.
    pub(super) fn add(&self, bytes: u32) {
        let room = MOST_CREDIT.saturating_sub(self.0.available_permits());
        self.0.add_permits(room.min(bytes as usize));
    }

    /// Takes `bytes`, if they may be sent now.
    fn try_take(&self, bytes: u32) -> bool {
        self.0.try_acquire_many(bytes).is_ok_and(|permit| {
            permit.forget();
            true
        })
    }

    /// Waits until `bytes` may be sent, and takes them.
    async fn take(&self, bytes: u32) -> Result<(), Failure> {
        self.some(bytes).await.map(SemaphorePermit::forget)
    }

    /// Waits until `bytes` may be sent; they are free again when what this gives is dropped.
    async fn some(&self, bytes: u32) -> Result<SemaphorePermit<'_>, Failure> {
        match timeout(CREDIT_WITHIN, self.0.acquire_many(bytes)).await {
            Ok(Ok(permit)) => Ok(permit),
            _ => Err(Failure::new(FailureCode::Deadline, "nobody takes the answer")),
        }
    }
}

/// Whether the first frame of an answer is on its way.
#[derive(Clone, Debug, Default)]
pub(super) struct Started(Arc<AtomicBool>);

impl Started {
    /// Whether it is.
    pub(super) fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// A frame in the queue of all answers; its answer queues no other before this one is taken out.
#[derive(Debug)]
pub(super) struct Queued {
    /// What is to be sent.
    pub(super) frame: AgentFrame,
    _turn: OwnedSemaphorePermit,
}

/// What all answers of one connection share on their way out.
#[derive(Clone, Debug)]
pub(super) struct Ways {
    /// Where single answers queue.
    pub(super) singles_tx: mpsc::Sender<Queued>,
    /// Where live ones do: it is looked at while the other queue is empty.
    pub(super) lives_tx: mpsc::Sender<Queued>,
    /// Who goes first.
    pub(super) precedence: Precedence,
    /// The gateway's limits.
    pub(super) limits: Limits,
    /// Into what pieces are cut now, in bytes.
    pub(super) piece: Arc<AtomicU32>,
}

/// Where one answer's frames go.
#[derive(Debug)]
pub(super) struct Outlet {
    id: RequestId,
    n: u32,
    ways: Ways,
    lane: Lane,
    /// Held by a single answer while it has something to send.
    claim: Option<Claim>,
    /// Free while none of its frames is in the queue.
    turn: Arc<Semaphore>,
    credit: Arc<Credit>,
    started: Started,
}

impl Outlet {
    pub(super) fn new(id: RequestId, lane: Lane, ways: Ways, credit: Arc<Credit>) -> Self {
        let (turn, started) = (Arc::new(Semaphore::new(1)), Started::default());
        Self { id, n: 0, ways, lane, claim: None, turn, credit, started }
    }

    /// Tells whether the answer has begun.
    pub(super) fn started(&self) -> Started {
        self.started.clone()
    }

    /// The most bytes of body in one Part.
    pub(super) fn part_bytes(&self) -> usize {
        (self.ways.piece.load(Ordering::Relaxed) as usize).clamp(LEAST_PART, FRAME_BYTES - PART_HEAD)
    }

    /// The most bytes of a frame.
    pub(super) fn frame_bytes(&self) -> usize {
        (self.ways.limits.frame as usize).min(FRAME_BYTES)
    }

    /// Sends a whole answer, if it fits one frame; gives it back otherwise.
    pub(super) async fn reply(&mut self, answer: Answer) -> Result<Option<Answer>, Failure> {
        let frame = AgentFrame::Reply { id: self.id, answer };
        if encoded_len(&frame) > self.frame_bytes() {
            let AgentFrame::Reply { answer, .. } = frame else { return Ok(None) };
            return Ok(Some(answer));
        }
        self.send(frame).await?;
        Ok(None)
    }

    /// Sends a piece, once there is credit for its whole frame.
    pub(super) async fn part(&mut self, body: Body) -> Result<(), Failure> {
        let frame = AgentFrame::Part { id: self.id, n: self.n, body };
        let bytes = u32::try_from(encoded_len(&frame)).unwrap_or(u32::MAX);
        if bytes as usize > FRAME_BYTES {
            return Err(Failure::new(FailureCode::Internal, "a piece of the answer does not fit a frame"));
        }
        if !self.credit.try_take(bytes) {
            self.rest();
            self.credit.take(bytes).await?;
        }
        self.n += 1;
        self.send(frame).await
    }

    /// Has nothing to send for now, so that live answers need not wait for this one.
    pub(super) fn rest(&mut self) {
        self.claim = None;
    }

    /// Waits until a live answer may send: its last frame has gone, there is credit for one Part, and no single answer has anything
    /// to send. What it then shows is the newest.
    pub(super) async fn ready(&self) -> Result<(), Failure> {
        let part = u32::try_from(self.part_bytes() + PART_HEAD).unwrap_or(u32::MAX);
        let _credit = self.credit.some(part).await?;
        let _turn = self.turn.acquire().await.map_err(|_| gone())?;
        self.ways.precedence.clear().await;
        Ok(())
    }

    /// Ends the answer.
    pub(super) async fn done(&mut self, trailer: Trailer) -> Result<(), Failure> {
        let frame = AgentFrame::Done { id: self.id, trailer };
        self.send(frame).await
    }

    /// Ends the answer with a failure.
    pub(super) async fn fail(mut self, failure: Failure) {
        // The session that would send it may be gone.
        let _ = self.send(AgentFrame::Fail(Fail::of(self.id, failure))).await;
    }

    /// Joins the end of its queue, once the answer's last frame has left it; a live answer only while no single one has anything to
    /// send.
    async fn send(&mut self, frame: AgentFrame) -> Result<(), Failure> {
        if self.lane == Lane::Single {
            self.claim.get_or_insert_with(|| self.ways.precedence.claim());
        }
        let turn = self.turn.clone().acquire_owned().await.map_err(|_| gone())?;
        let frames_tx = match self.lane {
            Lane::Single => &self.ways.singles_tx,
            Lane::Live => {
                self.ways.precedence.clear().await;
                &self.ways.lives_tx
            }
        };
        let place = frames_tx.reserve().await.map_err(|_| gone())?;
        self.started.0.store(true, Ordering::Relaxed);
        place.send(Queued { frame, _turn: turn });
        Ok(())
    }
}

fn gone() -> Failure {
    Failure::new(FailureCode::Cancelled, "the connection is gone")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn credit_is_bounded_however_much_is_given() {
        let credit = Credit::default();
        for _ in 0..3 {
            credit.add(u32::MAX);
            assert_eq!(credit.0.available_permits(), MOST_CREDIT);
        }
        credit.take(1_000).await.unwrap();
        credit.add(999);
        assert_eq!(credit.0.available_permits(), MOST_CREDIT - 1);
    }
}
