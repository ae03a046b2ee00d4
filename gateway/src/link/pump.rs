//! The one task that owns a camera socket: it sends what the outbox holds, hands answers to who waits for them, and gives
//! everything else to an [`Inbox`].
//!
//! Neither direction waits for the other: one poll writes what the socket takes and reads what it has.

use std::{
    future::{Future, poll_fn},
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use oriel_proto::{
    AgentFrame, CameraId, DecodeError, Failure, FailureCode, GatewayFrame, ImageClass, RequestId, Timestamp,
    codec::{Outline, Violation, decode_outlined, outline},
    encode,
    frame::{Announce, Health},
};
use tokio::{
    task::yield_now,
    time::{Instant, Sleep, sleep_until},
};
use tokio_tungstenite::tungstenite::{Error, Message};

use super::{
    Close, Link,
    handshake::{self, Socket, violation},
    heartbeat::{Heartbeat, Verdict},
    pending::Slot,
};

/// What comes up a socket unasked. Nothing here may wait: not for the disk, not for anybody.
pub trait Inbox: Send {
    /// A camera, or a change of its facts.
    fn camera(&mut self, announce: Announce);
    /// A camera that the agent serves no longer.
    fn gone(&mut self, camera: CameraId);
    /// All cameras have been announced.
    fn ready(&mut self);
    /// A well-formed Events or Lost frame, whose fields are not read yet: they may be many; an error ends the link.
    fn upload(&mut self, frame: &Bytes) -> Result<(), Close>;
    /// A new picture.
    fn fresh(&mut self, camera: CameraId, class: ImageClass, at: Timestamp);
    /// How agent and cameras are.
    fn health(&mut self, health: Health);
}

/// How a connection ended.
#[derive(Debug)]
pub enum End {
    /// The agent closed it, with this code if it gave one.
    ByAgent(Option<u16>),
    /// The gateway closed it.
    ByGateway(Close),
    /// The network did.
    Broken(Box<Error>),
}

/// Runs a link until it ends; afterwards every waiter has its answer and late tickets are refused.
pub fn run<S: Socket, I: Inbox>(
    socket: S,
    link: Link,
    mut inbox: I,
    heartbeat: Duration,
) -> impl Future<Output = End> {
    let heartbeat = Heartbeat::new(heartbeat, Instant::now());
    let turn = Turn::Reading;
    let mut pump = Pump { socket, link, unflushed: false, ping: false, fed: None, turn, heartbeat };
    // What an async function is given it keeps room for twice, once it has moved it; a block uses it where it is.
    async move {
        let end = pump.until_its_end(&mut inbox).await;
        pump.link.0.pending.close();
        pump.farewell(&end).await;
        end
    }
}

struct Pump<S> {
    socket: S,
    link: Link,
    unflushed: bool,
    /// A ping waits to be sent.
    ping: bool,
    /// Parts have come for this answer, and nobody was told: Parts that come together are taken and written together.
    fed: Option<Arc<Slot>>,
    turn: Turn,
    heartbeat: Heartbeat,
}

/// Whose turn it is, so that neither a steady stream of questions nor one of answers keeps the other waiting.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Turn {
    /// What has come is taken before anything new is sent.
    Reading,
    /// What waits to be sent goes before anything more is taken.
    Asking,
    /// Everything that waits is being sent; the socket is read meanwhile.
    Sending,
}

/// What one poll of the socket came to.
enum Step {
    /// The outbox has frames and the socket has room.
    Queued,
    /// The outbox says that the link is to end.
    Closing(Close),
    Received(Message),
    Alarm,
    Ended(End),
}

impl<S: Socket> Pump<S> {
    async fn until_its_end<I: Inbox>(&mut self, inbox: &mut I) -> End {
        let mut alarm = pin!(sleep_until(self.heartbeat.alarm()));
        loop {
            let step = poll_fn(|cx| self.poll(cx, alarm.as_mut())).await;
            let give_way = match self.take(step, inbox, alarm.as_mut()) {
                Ok(give_way) => give_way,
                Err(end) => return end,
            };
            if give_way {
                yield_now().await;
            }
        }
    }

    /// Lets go of the socket. Boxed, because the task would keep the room for it as long as it lives.
    async fn farewell(&mut self, end: &End) {
        match end {
            End::ByGateway(why) => Box::pin(handshake::refuse(&mut self.socket, *why)).await,
            // The socket has its answer to the agent's close ready.
            End::ByAgent(_) => Box::pin(handshake::flush(&mut self.socket)).await,
            End::Broken(_) => {}
        }
    }

    /// Does what a step asks for; whether to give way to others before the next one.
    fn take<I: Inbox>(&mut self, step: Step, inbox: &mut I, alarm: Pin<&mut Sleep>) -> Result<bool, End> {
        match step {
            Step::Queued => {
                self.turn = Turn::Sending;
                self.tell();
                // Where others ask too, their frames get into the same flush; one that is alone waits for nobody, since
                // giving way means to wait until every other task has had its turn.
                return Ok(self.link.open_calls() > 1);
            }
            Step::Closing(why) => return Err(End::ByGateway(why)),
            Step::Received(message) => {
                self.heartbeat.heard(Instant::now());
                if self.turn == Turn::Reading {
                    self.turn = Turn::Asking;
                }
                self.receive(message, inbox)?;
            }
            Step::Alarm => self.look(alarm)?,
            Step::Ended(end) => return Err(end),
        }
        Ok(false)
    }

    fn poll(&mut self, cx: &mut Context<'_>, alarm: Pin<&mut Sleep>) -> Poll<Step> {
        self.link.0.outbox.pump.register(cx.waker());
        if let Some(why) = self.link.0.outbox.closing() {
            return Poll::Ready(Step::Closing(why));
        }
        if self.link.0.outbox.take_probe() {
            self.heartbeat.ask(Instant::now());
            self.ping = true;
            self.turn = Turn::Sending;
        }
        match self.poll_send(cx) {
            Poll::Ready(Ok(())) if self.turn == Turn::Sending => self.turn = Turn::Reading,
            Poll::Ready(Err(error)) => return Poll::Ready(Step::Ended(broken(error))),
            _ => {}
        }
        if self.turn == Turn::Asking && self.link.0.outbox.has_frames() {
            return Poll::Ready(Step::Queued);
        }
        match Pin::new(&mut self.socket).poll_next(cx) {
            Poll::Ready(Some(Ok(message))) => return Poll::Ready(Step::Received(message)),
            Poll::Ready(Some(Err(error))) => return Poll::Ready(Step::Ended(broken(error))),
            Poll::Ready(None) => return Poll::Ready(Step::Ended(End::ByAgent(None))),
            Poll::Pending => self.tell(),
        }
        if self.turn != Turn::Sending && self.link.0.outbox.has_frames() {
            return Poll::Ready(Step::Queued);
        }
        let idle = self.link.open_calls() == 0 && self.turn != Turn::Sending;
        if idle {
            self.link.0.outbox.rest();
        }
        if let Some(retire) = self.link.0.outbox.retiring().filter(|_| idle) {
            return Poll::Ready(Step::Closing(retire.why));
        }
        self.poll_alarm(cx, alarm)
    }

    /// Gives the socket all that it takes; pending means that it takes no more for now.
    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        let mut socket = Pin::new(&mut self.socket);
        while self.turn == Turn::Sending {
            // The socket must have room first: what waits in the outbox can still be taken back.
            std::task::ready!(socket.as_mut().poll_ready(cx))?;
            if std::mem::take(&mut self.ping) {
                socket.as_mut().start_send(Message::Ping(Bytes::new()))?;
                self.unflushed = true;
                continue;
            }
            let Some(frame) = self.link.0.outbox.next(Instant::now()) else { break };
            if let Some(message) = encoded(frame) {
                socket.as_mut().start_send(message)?;
                self.unflushed = true;
            }
        }
        if self.unflushed {
            std::task::ready!(socket.poll_flush(cx))?;
            self.unflushed = false;
        }
        Poll::Ready(Ok(()))
    }

    fn poll_alarm(&self, cx: &mut Context<'_>, mut alarm: Pin<&mut Sleep>) -> Poll<Step> {
        let silent = self.heartbeat.alarm();
        let due = self.link.0.outbox.retiring().map_or(silent, |retire| retire.by.min(silent));
        if due < alarm.deadline() {
            alarm.as_mut().reset(due);
        }
        alarm.poll(cx).map(|()| Step::Alarm)
    }

    fn look(&self, alarm: Pin<&mut Sleep>) -> Result<(), End> {
        let now = Instant::now();
        if let Some(retire) = self.link.0.outbox.retiring().filter(|retire| retire.by <= now) {
            return Err(End::ByGateway(retire.why));
        }
        match self.heartbeat.judge(now) {
            Verdict::Alive(next) => {
                alarm.reset(next);
                Ok(())
            }
            Verdict::Silent => Err(End::ByGateway(Close::Silent)),
        }
    }

    fn receive<I: Inbox>(&mut self, message: Message, inbox: &mut I) -> Result<(), End> {
        match message {
            Message::Binary(bytes) => match outline(&bytes) {
                Ok(outline) => {
                    if outline.tag != "Part" {
                        self.tell();
                    }
                    self.frame(outline, &bytes, inbox)
                }
                Err(violation) => Err(self.broken(violation)),
            },
            Message::Close(frame) => Err(End::ByAgent(frame.map(|frame| frame.code.into()))),
            Message::Ping(_) | Message::Pong(_) => {
                self.tell();
                Ok(())
            }
            Message::Text(_) | Message::Frame(_) => Err(End::ByGateway(Close::NotBinary)),
        }
    }

    /// Answers go as they are to who waits for them; everything else is read here.
    fn frame<I: Inbox>(&mut self, outline: Outline<'_>, bytes: &Bytes, inbox: &mut I) -> Result<(), End> {
        let pending = &self.link.0.pending;
        let waited_for = match (outline.tag, outline.id, outline.n) {
            ("Part", Some(id), Some(n)) => {
                let slot = pending.part(id, n, bytes).map_err(|_| End::ByGateway(Close::OverCredit))?;
                let waited_for = slot.is_some();
                self.feed(slot);
                waited_for
            }
            ("Reply" | "Done", Some(id), _) => pending.end(id, bytes.clone()),
            ("Fail", Some(id), _) => match decode_outlined(bytes, outline) {
                Ok(AgentFrame::Fail(fail)) => pending.fail(id, fail.into_failure()),
                _ => {
                    self.unknown(outline.tag, Some(id));
                    return Ok(());
                }
            },
            ("Events" | "Lost", ..) => {
                self.link.0.metrics.frames_in.inc();
                return inbox.upload(bytes).map_err(End::ByGateway);
            }
            _ => return self.unasked(outline, bytes, inbox),
        };
        self.link.0.metrics.frames_in.inc();
        if !waited_for {
            self.link.0.metrics.late_frames.inc();
        }
        Ok(())
    }

    /// A Part lies in this slot; whoever waits for another answer is told first.
    fn feed(&mut self, slot: Option<Arc<Slot>>) {
        let Some(slot) = slot else { return };
        if self.fed.as_ref().is_some_and(|fed| !Arc::ptr_eq(fed, &slot)) {
            self.tell();
        }
        self.fed = Some(slot);
    }

    /// Tells who waits for what has come.
    fn tell(&mut self) {
        if let Some(slot) = self.fed.take() {
            slot.tell();
        }
    }

    fn unasked<I: Inbox>(&mut self, outline: Outline<'_>, bytes: &[u8], inbox: &mut I) -> Result<(), End> {
        match decode_outlined(bytes, outline) {
            Ok(AgentFrame::Hello(_)) => return Err(End::ByGateway(Close::Violation(1002))),
            Ok(frame) => {
                self.link.0.metrics.frames_in.inc();
                deliver(frame, inbox);
            }
            Err(DecodeError::Violation(violation)) => return Err(self.broken(violation)),
            Err(DecodeError::Unknown { tag, id }) => self.unknown(&tag, id),
            Err(DecodeError::Unreadable { tag, id, .. }) => self.unknown(&tag, Some(id)),
        }
        Ok(())
    }

    fn broken(&self, violation: Violation) -> End {
        self.link.0.metrics.violations.inc();
        tracing::warn!(session = %self.link.id(), %violation, "broken frame");
        End::ByGateway(Close::Violation(violation.close_code()))
    }

    /// A frame of a newer agent: counted and skipped; a question that it answers fails.
    fn unknown(&self, tag: &str, id: Option<RequestId>) {
        self.link.0.metrics.unknown_frames.inc();
        tracing::debug!(session = %self.link.id(), tag, "unknown frame");
        if let Some(id) = id {
            let why = format!("the camera answered with a {tag} frame that this gateway cannot read");
            if self.link.0.pending.fail(id, Failure::new(FailureCode::Internal, why)) {
                self.link.0.outbox.cancel(id);
            }
        }
    }
}

/// Gives the inbox what came unasked.
fn deliver<I: Inbox>(frame: AgentFrame, inbox: &mut I) {
    match frame {
        AgentFrame::Camera(announce) => inbox.camera(announce),
        AgentFrame::Gone { camera } => inbox.gone(camera),
        AgentFrame::Ready {} => inbox.ready(),
        AgentFrame::Fresh { camera, class, at } => inbox.fresh(camera, class, at),
        AgentFrame::Health(health) => inbox.health(health),
        // Uploads, answers and Hello never come here.
        AgentFrame::Events(_)
        | AgentFrame::Lost(_)
        | AgentFrame::Hello(_)
        | AgentFrame::Reply { .. }
        | AgentFrame::Part { .. }
        | AgentFrame::Done { .. }
        | AgentFrame::Fail(_) => {}
    }
}

/// The frame's message. A frame that cannot be written is left out: its asker gets no answer before the deadline.
fn encoded(frame: GatewayFrame) -> Option<Message> {
    match encode(&frame) {
        Ok(bytes) => Some(Message::Binary(bytes.into())),
        Err(error) => {
            tracing::error!(%error, "frame not sent");
            None
        }
    }
}

fn broken(error: Error) -> End {
    match violation(&error) {
        Some(close) => End::ByGateway(close),
        None => End::Broken(Box::new(error)),
    }
}
