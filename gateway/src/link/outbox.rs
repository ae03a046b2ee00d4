//! What waits to go down a socket: questions in a queue, everything else as state that the pump reads before each flush.
//!
//! Control is state, so that it is never lost for lack of room and needs no waiting: credits are added up, a cancelled question
//! that has not been sent yet is simply taken out again.

use std::{
    collections::{HashMap, VecDeque},
    mem,
    sync::{Mutex, MutexGuard, PoisonError},
};

use futures_util::task::AtomicWaker;
use oriel_proto::{
    Call, CameraId, GatewayFrame, RequestId, Secret,
    frame::Request,
    limits::{CALLS, CAMERAS_PER_AGENT},
};
use tokio::time::Instant;

use super::{Close, pending::CallError};

/// The sending side of a link, shared by its handles and its pump.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    state: Mutex<State>,
    /// The pump, which is the only one that waits here.
    pub(super) pump: AtomicWaker,
}

#[derive(Debug, Default)]
struct State {
    requests: VecDeque<Waiting>,
    control: Option<Box<Control>>,
    close: Option<Close>,
    retire: Option<Instant>,
}

/// A question that has not been sent; its deadline becomes the time left when it is.
#[derive(Debug)]
struct Waiting {
    id: RequestId,
    camera: CameraId,
    call: Call,
    deadline: Instant,
}

/// Everything else that waits; allocated while something does.
#[derive(Debug, Default)]
struct Control {
    /// Bound and Refused, one at most for each frame of the agent that asked for it.
    told: Vec<GatewayFrame>,
    credits: HashMap<RequestId, u32>,
    cancels: Vec<RequestId>,
    token: Option<Secret>,
}

impl Outbox {
    /// Queues a question.
    pub(super) fn ask(
        &self,
        id: RequestId,
        camera: CameraId,
        call: Call,
        deadline: Instant,
    ) -> Result<(), CallError> {
        let mut state = self.lock();
        let cancels = state.control.as_ref().map_or(0, |control| control.cancels.len());
        if state.requests.len() + cancels >= CALLS as usize {
            return Err(CallError::Busy);
        }
        state.requests.push_back(Waiting { id, camera, call, deadline });
        drop(state);
        self.pump.wake();
        Ok(())
    }

    /// Queues an answer to an announcement. When an agent announces faster than it reads, the oldest answers give way: the same
    /// camera's newer answer is what counts.
    pub(super) fn tell(&self, frame: GatewayFrame) {
        self.control(|control| {
            if control.told.len() >= CAMERAS_PER_AGENT {
                control.told.remove(0);
            }
            control.told.push(frame);
        });
    }

    /// Allows `bytes` more of an answer.
    pub(super) fn credit(&self, id: RequestId, bytes: u32) {
        self.control(|control| {
            let credit = control.credits.entry(id).or_default();
            *credit = credit.saturating_add(bytes);
        });
    }

    /// Takes a question back: out of the queue when it is still there, else by a Cancel.
    pub(super) fn cancel(&self, id: RequestId) {
        let mut state = self.lock();
        if let Some(place) = state.requests.iter().position(|waiting| waiting.id == id) {
            state.requests.remove(place);
            return;
        }
        let control = state.control.get_or_insert_default();
        control.credits.remove(&id);
        control.cancels.push(id);
        drop(state);
        self.pump.wake();
    }

    /// Gives the agent a token, in place of one that still waits.
    pub(super) fn token(&self, token: Secret) {
        self.control(|control| control.token = Some(token));
    }

    /// Ends the link now; the first reason counts.
    pub(super) fn close(&self, why: Close) {
        self.lock().close.get_or_insert(why);
        self.pump.wake();
    }

    /// Ends the link once nothing is open, or at `by`.
    pub(super) fn retire(&self, by: Instant) {
        self.lock().retire.get_or_insert(by);
        self.pump.wake();
    }

    /// Why the link is to end now.
    pub(super) fn closing(&self) -> Option<Close> {
        self.lock().close
    }

    /// By when the link is to end.
    pub(super) fn retiring(&self) -> Option<Instant> {
        self.lock().retire
    }

    /// Whether frames wait.
    pub(super) fn has_frames(&self) -> bool {
        let state = self.lock();
        !state.requests.is_empty() || state.control.is_some()
    }

    /// Takes every frame that waits: control first, because it frees work at the other end. A question whose time has run out
    /// meanwhile is left out: its asker has left or is about to.
    pub(super) fn drain(&self, now: Instant, out: &mut VecDeque<GatewayFrame>) {
        let (requests, control) = {
            let mut state = self.lock();
            (mem::take(&mut state.requests), state.control.take())
        };
        if let Some(control) = control {
            out.extend(control.told);
            out.extend(control.cancels.into_iter().map(|id| GatewayFrame::Cancel { id }));
            out.extend(control.credits.into_iter().map(|(id, bytes)| GatewayFrame::Credit { id, bytes }));
            out.extend(control.token.map(|token| GatewayFrame::Token { token }));
        }
        out.extend(requests.into_iter().filter(|waiting| waiting.deadline > now).map(|waiting| {
            let left = waiting.deadline.duration_since(now).as_millis();
            GatewayFrame::Request(Request {
                id: waiting.id,
                camera: waiting.camera,
                deadline_ms: u32::try_from(left).unwrap_or(u32::MAX).max(1),
                call: waiting.call,
            })
        }));
    }

    fn control(&self, change: impl FnOnce(&mut Control)) {
        change(self.lock().control.get_or_insert_default());
        self.pump.wake();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
