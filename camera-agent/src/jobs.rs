//! Questions being worked on: bounded, each with a deadline and its credit, cancelled at a word, taking turns.

mod answer;
mod counts;
mod events;
mod images;
mod live;
mod outlet;
mod pieces;
#[cfg(test)]
mod tests;

use std::{
    collections::HashMap,
    panic::AssertUnwindSafe,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use futures_util::FutureExt as _;
use oriel_proto::{
    AgentFrame, Call, CameraId, Failure, FailureCode, RequestId,
    frame::{Fail, Request},
    limits::{CALLS, Limits},
};
use tokio::{
    sync::mpsc,
    task::{AbortHandle, JoinSet},
    time::sleep,
};

use self::{
    answer::Room,
    outlet::{Credit, Outlet, Queued, Ways},
};
use crate::{
    camera::Camera,
    precedence::{Lane, Precedence},
};

/// When somebody refused as busy may ask again, in milliseconds.
const BUSY_MS: u32 = 1_000;

/// The questions of one connection.
#[derive(Debug)]
pub(crate) struct Jobs {
    open: HashMap<RequestId, Job>,
    tasks: JoinSet<()>,
    ways: Ways,
    room: Arc<Room>,
    /// How many cameras share all of this.
    cameras: usize,
    singles_rx: mpsc::Receiver<Queued>,
    lives_rx: mpsc::Receiver<Queued>,
}

#[derive(Debug)]
struct Job {
    camera: CameraId,
    credit: Arc<Credit>,
    abort: AbortHandle,
}

impl Jobs {
    /// None yet, about so many cameras; `limits` are those of `Welcome`.
    pub(crate) fn new(limits: Limits, cameras: usize) -> Self {
        // An answer has one frame in the queue and joins its end with the next: so those that are ready take turns.
        let (singles_tx, singles_rx) = mpsc::channel(CALLS as usize);
        let (lives_tx, lives_rx) = mpsc::channel(CALLS as usize);
        let (precedence, piece) = (Precedence::default(), Arc::new(AtomicU32::new(limits.part)));
        let ways = Ways { singles_tx, lives_tx, precedence, limits, piece };
        let (open, tasks, room) = (HashMap::new(), JoinSet::new(), Arc::default());
        Self { open, tasks, ways, room, cameras, singles_rx, lives_rx }
    }

    /// Begins to answer `request` for `camera`; the failure, when that cannot be.
    pub(crate) fn start(&mut self, request: Request, camera: Option<&Camera>) -> Result<(), Fail> {
        let id = request.id;
        let Some(camera) = camera else {
            let why = format!("this agent serves no camera {}", request.camera);
            return Err(Fail::of(id, Failure::new(FailureCode::UnknownCamera, why)));
        };
        if self.open.contains_key(&id) {
            tracing::warn!(%id, "the gateway used one id for two questions; the second is not answered");
            return Ok(());
        }
        while self.tasks.try_join_next().is_some() {}
        if let Some(why) = self.full(camera.id()) {
            let mut busy = Failure::new(FailureCode::Busy, why);
            busy.retry_after_ms = Some(BUSY_MS);
            return Err(Fail::of(id, busy));
        }
        let (camera, room) = (camera.clone(), self.room.clone());
        let lane = if matches!(request.call, Call::Live(_)) { Lane::Live } else { Lane::Single };
        self.begin(id, camera.id().clone(), lane, |outlet| work(request, camera, room, outlet));
        Ok(())
    }

    /// Why no question about `camera` has a place, if that is so. A camera among others has no more places than are left free: whatever
    /// is asked of it without end, and of any others, there is always one for a camera that is asked nothing.
    fn full(&self, camera: &CameraId) -> Option<String> {
        let open = self.open.len();
        let free = (self.ways.limits.calls.min(CALLS) as usize).saturating_sub(open);
        if free == 0 {
            return Some(format!("{open} questions are open"));
        }
        let own = self.open.values().filter(|job| job.camera == *camera).count();
        (self.cameras > 1 && own >= free).then(|| format!("{own} questions about this camera are open"))
    }

    /// Lets `work` answer the question `id` about `camera`.
    fn begin<W>(&mut self, id: RequestId, camera: CameraId, lane: Lane, work: impl FnOnce(Outlet) -> W)
    where
        W: Future<Output = ()> + Send + 'static,
    {
        let credit = Arc::new(Credit::default());
        let outlet = Outlet::new(id, lane, self.ways.clone(), credit.clone());
        let abort = self.tasks.spawn(work(outlet));
        self.open.insert(id, Job { camera, credit, abort });
    }

    /// Pieces of answers are cut into about `bytes` from now on.
    pub(crate) fn cut_into(&self, bytes: u64) {
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX).min(self.ways.limits.part);
        self.ways.piece.store(bytes, Ordering::Relaxed);
    }

    /// Nobody waits for `id` any more: its work stops and nothing more is sent.
    pub(crate) fn cancel(&mut self, id: RequestId) {
        if let Some(job) = self.open.remove(&id) {
            job.abort.abort();
        }
    }

    /// `bytes` more may be sent for `id`.
    pub(crate) fn credit(&self, id: RequestId, bytes: u32) {
        if let Some(job) = self.open.get(&id) {
            job.credit.add(bytes);
        }
    }

    /// The next frame to send; frames of cancelled questions are passed over.
    pub(crate) fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<AgentFrame> {
        while let Poll::Ready(Some(_)) = self.tasks.poll_join_next(cx) {}
        while let Poll::Ready(Some(Queued { frame, .. })) = self.poll_queues(cx) {
            let (id, last) = match &frame {
                AgentFrame::Part { id, .. } => (*id, false),
                AgentFrame::Reply { id, .. } | AgentFrame::Done { id, .. } => (*id, true),
                AgentFrame::Fail(fail) => (fail.id, true),
                _ => continue,
            };
            let open = if last { self.open.remove(&id).is_some() } else { self.open.contains_key(&id) };
            if open {
                return Poll::Ready(frame);
            }
        }
        Poll::Pending
    }

    /// What is first in the queue of single answers, and only while that is empty, in that of live ones.
    fn poll_queues(&mut self, cx: &mut Context<'_>) -> Poll<Option<Queued>> {
        match self.singles_rx.poll_recv(cx) {
            Poll::Ready(queued) => Poll::Ready(queued),
            Poll::Pending => self.lives_rx.poll_recv(cx),
        }
    }

    /// Stops everything and waits until it has stopped.
    pub(crate) async fn stop(mut self) {
        self.tasks.shutdown().await;
    }
}

/// Answers one question, whatever happens.
async fn work(request: Request, camera: Camera, room: Arc<Room>, mut outlet: Outlet) {
    let deadline = Duration::from_millis(request.deadline_ms.into());
    let started = outlet.started();
    let answer = answer::answer(request.call, &camera, &room, &mut outlet);
    let answer = AssertUnwindSafe(answer).catch_unwind();
    let late = async {
        if !deadline.is_zero() {
            sleep(deadline).await;
        }
        if started.is_set() {
            // The deadline is for the first byte; from then on the asker's credit is the clock.
            std::future::pending::<()>().await;
        }
    };
    let done = tokio::select! {
        biased;
        () = late => Err(late_failure(deadline)),
        done = answer => done.unwrap_or_else(|_| Err(Failure::new(FailureCode::Internal, "the agent failed"))),
    };
    if let Err(failure) = done {
        outlet.fail(failure).await;
    }
}

fn late_failure(deadline: Duration) -> Failure {
    Failure::new(FailureCode::Deadline, format!("no answer within {} ms", deadline.as_millis()))
}
