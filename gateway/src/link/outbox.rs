//! What waits to go down a socket: questions in a queue, everything else as state that the pump reads when the socket has room.
//!
//! Control is state, so that it is never lost for lack of room and needs no waiting: credits are added up, a camera's newest
//! answer replaces an older one, a question taken back before it was sent is simply taken out again.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Mutex, MutexGuard, PoisonError},
};

use futures_util::task::AtomicWaker;
use oriel_proto::{
    Call, CameraId, Epoch, GatewayFrame, RequestId, Secret, Seq,
    frame::{Notice, Request, Watch},
    limits::{CALLS, CAMERAS_PER_AGENT},
};
use tokio::time::Instant;

use super::{Close, pending::CallError};

/// Cameras whose answers may wait: more than an agent that reads them can have.
const TOLD: usize = 2 * CAMERAS_PER_AGENT;

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
    retire: Option<Retire>,
    probe: bool,
}

/// How a link that gets no new questions ends.
#[derive(Clone, Copy, Debug)]
pub(super) struct Retire {
    /// At the latest then.
    pub(super) by: Instant,
    /// What the agent is told.
    pub(super) why: Close,
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
    /// Bound or Refused, the newest of each camera.
    told: BTreeMap<CameraId, GatewayFrame>,
    credits: BTreeMap<RequestId, u32>,
    /// How far each epoch of a log is held.
    acks: BTreeMap<(CameraId, Epoch), Seq>,
    /// What is wanted of each camera that somebody watches, or has watched until now.
    watches: BTreeMap<CameraId, Watch>,
    /// The newest of each camera.
    notices: BTreeMap<Option<CameraId>, Notice>,
    cancels: Vec<RequestId>,
    token: Option<Secret>,
    /// When the gateway will end the link.
    drain: Option<Instant>,
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

    /// Queues an answer to an announcement. An agent that announces without end and reads no answer is cut off.
    pub(super) fn tell(&self, camera: CameraId, frame: GatewayFrame) {
        let mut state = self.lock();
        let told = &mut state.control.get_or_insert_default().told;
        if told.len() < TOLD || told.contains_key(&camera) {
            told.insert(camera, frame);
        } else {
            state.close.get_or_insert(Close::Violation(1008));
        }
        drop(state);
        self.pump.wake();
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

    /// Acknowledges everything of `epoch` up to `seq`; the highest one is sent.
    pub(super) fn ack(&self, camera: CameraId, epoch: Epoch, seq: Seq) {
        self.control(|control| {
            let ack = control.acks.entry((camera, epoch)).or_default();
            *ack = seq.max(*ack);
        });
    }

    /// Says what is wanted of a camera that somebody watches, in place of what has not been said yet.
    pub(super) fn watch(&self, watch: Watch) {
        self.control(|control| _ = control.watches.insert(watch.camera.clone(), watch));
    }

    /// Tells the agent something, in place of what it has not been told yet about the same camera.
    pub(super) fn notice(&self, notice: Notice) {
        self.control(|control| _ = control.notices.insert(notice.camera.clone(), notice));
    }

    /// Gives the agent a token, in place of one that still waits.
    pub(super) fn token(&self, token: Secret) {
        self.control(|control| control.token = Some(token));
    }

    /// Tells the agent that the link will end at `by`.
    pub(super) fn drain(&self, by: Instant) {
        self.control(|control| control.drain = Some(by));
    }

    /// Ends the link now; the first reason counts.
    pub(super) fn close(&self, why: Close) {
        self.lock().close.get_or_insert(why);
        self.pump.wake();
    }

    /// Ends the link once nothing is open; the first reason counts.
    pub(super) fn retire(&self, retire: Retire) {
        self.lock().retire.get_or_insert(retire);
        self.pump.wake();
    }

    /// Asks for a ping.
    pub(super) fn probe(&self) {
        self.lock().probe = true;
        self.pump.wake();
    }

    /// Whether a ping was asked for since this was last called.
    pub(super) fn take_probe(&self) -> bool {
        std::mem::take(&mut self.lock().probe)
    }

    /// Why the link is to end now.
    pub(super) fn closing(&self) -> Option<Close> {
        self.lock().close
    }

    /// How the link is to end.
    pub(super) fn retiring(&self) -> Option<Retire> {
        self.lock().retire
    }

    /// Whether frames wait.
    pub(super) fn has_frames(&self) -> bool {
        let state = self.lock();
        !state.requests.is_empty() || state.control.is_some()
    }

    /// Gives back the room of the questions that waited, when none does.
    pub(super) fn rest(&self) {
        let mut state = self.lock();
        if state.requests.is_empty() && state.requests.capacity() > 0 {
            state.requests = VecDeque::new();
        }
    }

    /// The next frame to send: control first, because it frees work at the other end. A question whose time has run out
    /// meanwhile is left out: its asker has left or is about to.
    pub(super) fn next(&self, now: Instant) -> Option<GatewayFrame> {
        let mut state = self.lock();
        if let Some(control) = &mut state.control {
            if let Some(frame) = control.next(now) {
                return Some(frame);
            }
            state.control = None;
        }
        while let Some(waiting) = state.requests.pop_front() {
            if waiting.deadline > now {
                return Some(waiting.into_frame(now));
            }
        }
        None
    }

    fn control(&self, change: impl FnOnce(&mut Control)) {
        change(self.lock().control.get_or_insert_default());
        self.pump.wake();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting {
    fn into_frame(self, now: Instant) -> GatewayFrame {
        let deadline_ms = millis_left(self.deadline, now).max(1);
        GatewayFrame::Request(Request { id: self.id, camera: self.camera, deadline_ms, call: self.call })
    }
}

impl Control {
    fn next(&mut self, now: Instant) -> Option<GatewayFrame> {
        if let Some(id) = self.cancels.pop() {
            return Some(GatewayFrame::Cancel { id });
        }
        if let Some((id, bytes)) = self.credits.pop_first() {
            return Some(GatewayFrame::Credit { id, bytes });
        }
        if let Some((_, frame)) = self.told.pop_first() {
            return Some(frame);
        }
        if let Some(((camera, epoch), seq)) = self.acks.pop_first() {
            return Some(GatewayFrame::Ack { camera, epoch, seq });
        }
        if let Some((_, watch)) = self.watches.pop_first() {
            return Some(GatewayFrame::Watch(watch));
        }
        if let Some((_, notice)) = self.notices.pop_first() {
            return Some(GatewayFrame::Notice(notice));
        }
        if let Some(token) = self.token.take() {
            return Some(GatewayFrame::Token { token });
        }
        self.drain.take().map(|by| GatewayFrame::Drain { within_ms: millis_left(by, now) })
    }
}

fn millis_left(until: Instant, now: Instant) -> u32 {
    u32::try_from(until.duration_since(now).as_millis()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use oriel_proto::call::{EventsCall, Order};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_outbox_at_rest_keeps_no_room_for_questions() {
        let (outbox, now) = (Outbox::default(), Instant::now());
        let camera = "porch".parse().unwrap_or_else(|error| panic!("{error}"));
        let call = Call::Events(EventsCall::all(Order::Desc));
        let asked = outbox.ask(RequestId::new(), camera, call, now + std::time::Duration::from_secs(1));
        assert_eq!(asked, Ok(()));
        outbox.rest();
        assert!(outbox.next(now).is_some(), "what waits is kept");
        outbox.rest();
        assert_eq!(outbox.lock().requests.capacity(), 0);
    }
}
