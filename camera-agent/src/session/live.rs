//! A welcomed connection: what each frame of the gateway does, and what the passing of time does.

use std::future::poll_fn;

use oriel_proto::{
    AgentFrame, CameraId, Epoch, Failure, FailureCode, GatewayFrame, RequestId, Seq,
    frame::{AgentHealth, Bound, Fail, Feature, Notice, NoticeCode, Upload, Watch, Welcome},
};
use tokio::time::{Instant, sleep_until};

use super::{
    End, Setup,
    chores::{Chores, Done},
    handover::Handover,
    health::Told,
    outbox::Outbox,
    pulse::Pulse,
    said::Said,
    upload::{Reading, Uploads},
    watched::Watched,
};
use crate::{
    camera::Camera,
    foreign::tame,
    jobs::Jobs,
    wire::{Down, Wire, WireError},
};

/// How often Health is sent when nothing changes.
const HEALTH_EVERY: std::time::Duration = std::time::Duration::from_secs(60);

/// A connection that was welcomed.
pub(super) struct Live<W> {
    setup: Setup,
    outbox: Outbox<W>,
    jobs: Jobs,
    chores: Chores,
    pulse: Pulse,
    told: Told,
    /// None when the gateway does not store events.
    uploads: Option<Uploads>,
    health_at: Instant,
    offset_ms: i64,
    /// Each camera's epoch and next number when it was last looked at.
    seen: Vec<Option<(Epoch, Seq)>>,
    /// Whether nothing can change any more.
    deaf: bool,
    said: Said,
    watched: Watched,
    handover: Handover,
}

impl<W: Wire> Live<W> {
    pub(super) fn new(wire: W, welcome: Welcome, setup: Setup, offset_ms: i64) -> Self {
        let now = Instant::now();
        let handover = Handover::new(setup.phase.clone(), setup.leave.clone(), &setup.cameras);
        let ingest = welcome.features.contains(&Feature::Ingest);
        Self {
            outbox: Outbox::new(wire),
            jobs: Jobs::new(welcome.limits, setup.cameras.len()),
            chores: Chores::default(),
            pulse: Pulse::new(welcome.heartbeat_ms, now, rand::random()),
            told: Told::new(),
            uploads: ingest.then(|| Uploads::new(welcome.limits)),
            health_at: now + HEALTH_EVERY,
            offset_ms,
            seen: setup.cameras.iter().map(|camera| camera.spool.place()).collect(),
            deaf: false,
            said: Said::default(),
            watched: Watched::default(),
            handover,
            setup,
        }
    }

    /// Serves until the connection ends.
    pub(super) async fn run(&mut self) -> End {
        match self.serve().await {
            Ok(never) => match never {},
            Err(end) => end,
        }
    }

    /// Stops what the connection caused and gives the socket back.
    pub(super) async fn leave(self) -> W {
        self.jobs.stop().await;
        self.chores.finish().await;
        self.outbox.into_wire()
    }

    async fn serve(&mut self) -> Result<std::convert::Infallible, End> {
        for index in 0..self.setup.cameras.len() {
            self.announce(index)?;
        }
        self.outbox.push(AgentFrame::Ready {})?;
        self.tell_health()?;
        loop {
            self.upload_next();
            let due = self.pulse.ping_at().min(self.pulse.silent_at()).min(self.health_at);
            let due = self.handover.leave_by().map_or(due, |by| by.min(due));
            let step = tokio::select! {
                down = poll_fn(|cx| self.outbox.poll(&self.watched, &mut self.jobs, cx)) => Step::Down(down),
                done = self.chores.next() => Step::Done(done),
                changed = self.setup.bell.changed(), if !self.deaf => { self.deaf = changed.is_err(); Step::Changed }
                () = sleep_until(due) => Step::Due,
                () = self.handover.wanted_gone() => Step::Left,
                () = self.setup.stop.cancelled() => return Err(End::ours(1000, "stopping")),
            };
            match step {
                Step::Down(down) => self.receive(down)?,
                Step::Done(done) => self.finish(done)?,
                Step::Changed => self.look()?,
                Step::Due => self.tick(Instant::now())?,
                Step::Left => self.give_back()?,
            }
        }
    }

    fn receive(&mut self, down: Result<Option<Down>, WireError>) -> Result<(), End> {
        let now = Instant::now();
        let silence = self.pulse.hear(now);
        match down.map_err(|error| End::failed(error).after(silence))? {
            Some(Down::Frame(frame)) => self.obey(frame),
            Some(Down::Pong(n)) => {
                self.pulse.pong(n, now);
                self.outbox.reached(n, now);
                Ok(())
            }
            Some(Down::Ping) => Ok(()),
            Some(Down::Unknown { tag, id, known }) => self.skip(&tag, id, known),
            Some(Down::Closed(code, reason)) => Err(End::theirs(code, reason)),
            None => Err(End::gone().after(silence)),
        }
    }

    /// Passes over a frame that cannot be read; who waits for its answer is told.
    fn skip(&mut self, tag: &str, id: Option<RequestId>, known: bool) -> Result<(), End> {
        tracing::debug!(tag = tame(tag), "a frame was skipped");
        let Some(id) = id.filter(|_| !known || tag == "Request") else { return Ok(()) };
        self.jobs.cancel(id);
        let why =
            if known { "this agent cannot read the question" } else { "this agent does not know the frame" };
        self.outbox.push(AgentFrame::Fail(Fail::of(id, Failure::new(FailureCode::Unsupported, why))))
    }

    fn obey(&mut self, frame: GatewayFrame) -> Result<(), End> {
        match frame {
            GatewayFrame::Welcome(_) => Err(End::ours(1002, "the gateway said Welcome twice")),
            GatewayFrame::Bound(bound) => self.bound(bound),
            GatewayFrame::Refused { camera, code, message } => {
                self.said.say(Some(&camera), code.as_str(), &message);
                self.handover.settle(&camera);
                self.watched.end(&camera);
                if let Some(uploads) = &mut self.uploads {
                    uploads.end(&camera);
                }
                Ok(())
            }
            GatewayFrame::Request(request) => {
                let camera = self.setup.cameras.iter().find(|camera| *camera.id() == request.camera);
                match self.jobs.start(request, camera) {
                    Ok(()) => Ok(()),
                    Err(fail) => self.outbox.push(AgentFrame::Fail(fail)),
                }
            }
            GatewayFrame::Cancel { id } => {
                self.jobs.cancel(id);
                Ok(())
            }
            GatewayFrame::Credit { id, bytes } => {
                self.jobs.credit(id, bytes);
                Ok(())
            }
            GatewayFrame::Ack { camera, epoch, seq } => {
                if let (Some(uploads), Some(known)) = (&mut self.uploads, find(&self.setup.cameras, &camera))
                {
                    uploads.acked(&camera, epoch, seq);
                    // Of a log that is asked for it only says what has come.
                    if known.config.upload == Upload::Live {
                        self.chores.acknowledge(known, epoch, seq);
                    }
                }
                self.bounded()
            }
            GatewayFrame::Watch(watch) => {
                self.watch(&watch);
                Ok(())
            }
            GatewayFrame::Token { token } => {
                tracing::info!("the gateway gave a new token; it is used from the next connection on");
                self.chores.rotate(&self.setup.tokens, token);
                self.bounded()
            }
            GatewayFrame::Drain { within_ms } => {
                tracing::info!(
                    within_ms,
                    "the gateway will stop; this connection stays until then or until another has taken over"
                );
                self.handover.drain();
                Ok(())
            }
            GatewayFrame::Notice(notice) => self.noticed(notice),
        }
    }

    fn bound(&mut self, bound: Bound) -> Result<(), End> {
        let Some(camera) = find(&self.setup.cameras, &bound.camera) else { return Ok(()) };
        tracing::info!(camera = %bound.camera, "the camera is taken");
        self.handover.settle(&bound.camera);
        if let Some(uploads) = &mut self.uploads
            && camera.config.upload == Upload::Live
        {
            uploads.bound(&bound.camera, &bound.acked);
        }
        if !bound.acked.is_empty() {
            self.chores.reconcile(camera, bound.acked);
        }
        self.bounded()
    }

    /// Somebody looks at a camera, or nobody does any more: new pictures are told of, and a log that is otherwise asked for goes up
    /// meanwhile.
    fn watch(&mut self, watch: &Watch) {
        let Some(camera) = find(&self.setup.cameras, &watch.camera) else { return };
        self.watched.watch(camera, watch);
        let Some(uploads) = &mut self.uploads else { return };
        match (&camera.config.upload, watch.on && watch.events) {
            (Upload::OnDemand, true) => {
                let ends = camera.spool.states(&camera.config.upload).into_iter();
                uploads.follow(camera.id(), ends.map(|spool| (spool.epoch, spool.next - 1)));
            }
            (Upload::OnDemand, false) => uploads.end(camera.id()),
            _ => {}
        }
    }

    /// Gives the cameras back: the gateway asks nothing more then, and closes when its open questions are answered.
    fn give_back(&mut self) -> Result<(), End> {
        self.handover.begin_to_leave(Instant::now());
        for index in 0..self.setup.cameras.len() {
            let camera = self.setup.cameras[index].id().clone();
            self.watched.end(&camera);
            self.outbox.push(AgentFrame::Gone { camera })?;
        }
        Ok(())
    }

    fn noticed(&mut self, notice: Notice) -> Result<(), End> {
        self.said.say(notice.camera.as_ref(), notice.code.as_str(), &notice.message);
        if let (NoticeCode::EpochConflict, Some(camera), Some(epoch)) =
            (notice.code, notice.camera, notice.epoch)
            && let Some(camera) = find(&self.setup.cameras, &camera)
        {
            self.chores.supersede(camera, epoch);
        }
        self.bounded()
    }

    /// A gateway that causes more work on the disk than the disk can do is cut off.
    fn bounded(&self) -> Result<(), End> {
        if self.chores.is_full() { Err(End::ours(1008, "the gateway asks for too much")) } else { Ok(()) }
    }

    fn finish(&mut self, done: Done) -> Result<(), End> {
        match done {
            Done::Token(Err(e)) => tracing::error!("the new token could not be kept: {e}"),
            Done::Reconciled(camera, true) | Done::Superseded(camera, Ok(())) => {
                if let Some(index) = self.setup.cameras.iter().position(|known| *known.id() == camera) {
                    self.announce(index)?;
                }
                self.compared(&camera);
            }
            Done::Superseded(camera, Err(e)) | Done::Acknowledged(camera, Err(e)) => {
                tracing::error!(%camera, "{e}");
            }
            Done::Upload(camera, next) => {
                let next = next.unwrap_or_else(|e| {
                    tracing::error!(%camera, "{e}");
                    None
                });
                self.upload(&camera, next)?;
            }
            Done::Reconciled(camera, false) => self.compared(&camera),
            Done::Token(Ok(())) | Done::Acknowledged(_, Ok(())) => {}
        }
        Ok(())
    }

    /// Looks what changed at the cameras since they were last looked at.
    fn look(&mut self) -> Result<(), End> {
        let mut source_changed = false;
        for index in 0..self.setup.cameras.len() {
            let camera = &self.setup.cameras[index];
            source_changed |= self.told.source_changed(camera);
            let place = camera.spool.place();
            if self.seen[index] == place {
                continue;
            }
            let (id, seen) = (camera.id().clone(), std::mem::replace(&mut self.seen[index], place));
            self.grown(&id);
            if seen.map(|(epoch, _)| epoch) != place.map(|(epoch, _)| epoch) {
                self.announce(index)?;
            }
        }
        if source_changed { self.tell_health() } else { Ok(()) }
    }

    fn tick(&mut self, now: Instant) -> Result<(), End> {
        if self.handover.leave_by().is_some_and(|by| now >= by) {
            return Err(End::ours(1000, "another gateway has taken over"));
        }
        if now >= self.pulse.silent_at() {
            return Err(End::ours(4008, "the gateway was silent too long"));
        }
        if now >= self.pulse.ping_at() {
            let n = self.outbox.ping(now)?;
            self.pulse.ping(n, now, rand::random());
        }
        if now >= self.health_at {
            self.tell_health()?;
        }
        Ok(())
    }

    fn announce(&mut self, index: usize) -> Result<(), End> {
        let Some(camera) = self.setup.cameras.get(index).filter(|_| self.handover.leave_by().is_none())
        else {
            return Ok(());
        };
        let announce = camera.announce();
        self.told.announced(&announce);
        self.outbox.push(AgentFrame::Camera(announce))
    }

    fn tell_health(&mut self) -> Result<(), End> {
        self.health_at = Instant::now() + HEALTH_EVERY;
        let agent = AgentHealth {
            uptime_s: self.setup.since.elapsed().as_secs(),
            rtt_ms: self.pulse.rtt_ms(),
            clock_offset_ms: Some(self.offset_ms),
        };
        let frames = self.told.health(agent, &self.setup.cameras);
        frames.into_iter().try_for_each(|frame| self.outbox.push(frame))
    }

    fn grown(&mut self, camera: &CameraId) {
        if let Some(uploads) = &mut self.uploads {
            uploads.grown(camera);
        }
    }

    fn compared(&mut self, id: &CameraId) {
        if let (Some(uploads), Some(camera)) = (&mut self.uploads, find(&self.setup.cameras, id)) {
            uploads.compared(id, |epoch| camera.spool.is_alive(epoch));
        }
    }

    fn upload_next(&mut self) {
        let Some(uploads) = &mut self.uploads else { return };
        let Some(Reading { camera, sent, bytes }) = uploads.next() else { return };
        if let Some(camera) = find(&self.setup.cameras, &camera) {
            self.chores.upload(camera, sent, bytes);
        }
    }

    fn upload(&mut self, camera: &CameraId, next: Option<crate::spool::Next>) -> Result<(), End> {
        let Some(uploads) = &mut self.uploads else { return Ok(()) };
        let Some(frame) = uploads.read(camera, next) else { return Ok(()) };
        if let AgentFrame::Events(events) = &frame {
            self.told.sent(camera, events.epoch, events.next);
        }
        self.outbox.push(frame)
    }
}

fn find<'a>(cameras: &'a [Camera], id: &CameraId) -> Option<&'a Camera> {
    cameras.iter().find(|camera| camera.id() == id)
}

/// What moves a connection on.
enum Step {
    Down(Result<Option<Down>, WireError>),
    Done(Done),
    Changed,
    Due,
    Left,
}
