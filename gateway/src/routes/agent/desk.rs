//! What an agent says unasked, taken in its order and given to who it concerns.
//!
//! Nearly everything is done at once, from memory. What needs the store waits in a queue beside the socket, and so does
//! everything that comes behind it, until a task of its own has worked the queue off.

use std::{
    collections::VecDeque,
    fmt::Display,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use oriel_proto::{
    CameraId, ImageClass, Seq, Timestamp,
    codec::decode_log,
    event::LostRange,
    frame::{self, Acked, Announce, Bound, Events, Health, LogFrame, Lost, RefusalCode, SpoolState},
    limits::CAMERAS_PER_AGENT,
};
use serde::de::IgnoredAny;

use crate::{
    cameras::Claim,
    clock,
    ingest::Upload,
    link::{Close, Inbox, Link, LinkFacts, pump::End},
    registry::{Fresh, Joined, Offer},
    routes::App,
    store::{Batch, Content, Delivery, NewEvents, Presence, StoreError},
};

/// Words that may wait: every camera announced twice. An agent that says more before it is answered is cut off.
const QUEUE: usize = 2 * CAMERAS_PER_AGENT;

/// How long an agent that has moved to another gateway may finish its answers here: longer than this gateway lives.
const LEAVE_WITHIN: Duration = Duration::from_secs(10);

/// The highest number of an event: the database has no higher ones.
const HIGHEST: Seq = i64::MAX as Seq;

/// The desk of one link; clones share it.
#[derive(Clone)]
pub(super) struct Desk(Arc<Parts>);

struct Parts {
    app: App,
    joined: Joined,
    /// None while nothing waits for the store.
    queue: Mutex<Option<VecDeque<Word>>>,
    /// An upload was not sound: no other one is read.
    is_unsound: AtomicBool,
}

/// Something that an agent said.
enum Word {
    Camera(Announce),
    Gone(CameraId),
    Ready,
    Health(Health),
}

/// An upload that waits to be read.
struct Unread {
    parts: Arc<Parts>,
    frame: Bytes,
    /// Whether it came of a log that is left on its device.
    ahead: bool,
}

impl Upload for Unread {
    fn read(self: Box<Self>) -> Option<Delivery> {
        self.parts.read(&self.frame, self.ahead)
    }
}

impl Desk {
    pub(super) fn new(app: App, joined: Joined) -> Self {
        Self(Arc::new(Parts { app, joined, queue: Mutex::new(None), is_unsound: AtomicBool::new(false) }))
    }

    /// The link has ended: nothing that still waits has an effect.
    pub(super) fn leave(&self, end: &End) {
        self.0.app.metrics.agents.dec();
        let LinkFacts { id, agent, peer, .. } = self.0.link().facts();
        tracing::info!(session = %id, %agent, %peer, ?end, "disconnected");
        let served = self.0.joined.served();
        self.0.app.cameras.seen(&served);
        self.0.app.access.agent_seen(*agent);
        let told: Vec<_> = served.iter().map(|camera| self.0.told(camera)).collect();
        self.0.joined.leave();
        for (camera, told) in served.into_iter().zip(told) {
            self.0.left(camera, told);
        }
    }

    fn hear(&self, word: Word) {
        let mut queue = self.0.lock();
        if let Some(waiting) = queue.as_mut() {
            if waiting.len() >= QUEUE {
                self.0.link().close(Close::Violation(1008));
            } else {
                waiting.push_back(word);
            }
        } else if let Some(announce) = self.0.now(word) {
            *queue = Some(VecDeque::new());
            drop(queue);
            let parts = Arc::clone(&self.0);
            self.0.app.tasks.spawn(async move { parts.work(announce).await });
        }
    }
}

impl Parts {
    /// Does what can be done from memory; gives back an announcement that needs the store.
    fn now(&self, word: Word) -> Option<Announce> {
        match word {
            Word::Camera(announce) if !self.joined.has_room_for(&announce.camera) => {
                let why = format!("one agent may serve {CAMERAS_PER_AGENT} cameras");
                self.link().refused(announce.camera, RefusalCode::Unknown, why);
            }
            Word::Camera(announce) => {
                match self.app.cameras.claim_known(self.link().facts().agent, &announce.camera) {
                    // Nothing can be held of what it has not got.
                    Some(Claim::Bound) if announce.spools.is_empty() => self.bind(announce, Vec::new()),
                    Some(Claim::Refused(code, why)) => self.refuse(&announce.camera, code, why),
                    Some(Claim::Bound) | None => return Some(announce),
                }
            }
            Word::Gone(camera) => {
                let told = self.told(&camera);
                self.joined.unbind(&camera);
                self.left(camera, told);
                if self.app.stopping.is_cancelled() && self.joined.served().is_empty() {
                    // It has moved to another gateway.
                    self.link().retire(LEAVE_WITHIN, Close::Restart);
                }
            }
            Word::Ready => self.joined.ready(),
            Word::Health(health) => {
                self.joined.agent_health(health.agent);
                for camera in health.cameras {
                    self.joined.told(&camera.camera, camera.epoch, camera.next, health.as_of);
                    self.joined.camera_health(camera);
                }
                self.joined.as_of(health.as_of);
            }
        }
        None
    }

    /// Asks the store about one announcement after the other, until nothing waits or the link has ended.
    async fn work(&self, first: Announce) {
        let mut next = Some(first);
        while let Some(announce) = next.take() {
            if self.link().is_closed() {
                return;
            }
            if let Err(error) = self.settle(announce).await {
                tracing::error!(%error, agent = %self.link().facts().agent, "a camera could not be bound");
                return self.link().close(Close::Restart);
            }
            next = self.until_the_store_is_needed();
        }
    }

    /// Works the queue off up to the next announcement that needs the store; when there is none, the queue ends.
    fn until_the_store_is_needed(&self) -> Option<Announce> {
        let mut queue = self.lock();
        while let Some(word) = queue.as_mut().and_then(VecDeque::pop_front) {
            if let Some(announce) = self.now(word) {
                return Some(announce);
            }
        }
        *queue = None;
        None
    }

    /// Binds a camera or refuses it, as the store says.
    async fn settle(&self, announce: Announce) -> Result<(), StoreError> {
        let (agent, camera) = (self.link().facts().agent, &announce.camera);
        let claim = match self.app.cameras.claim_known(agent, camera) {
            Some(claim) => claim,
            None => self.app.cameras.claim(agent, &announce).await?,
        };
        match claim {
            Claim::Bound => {
                let acked = self.app.cameras.acked(camera, &announce.spools, &announce.upload).await?;
                let overtaken =
                    self.app.cameras.overtaken(camera, &announce.spools, &announce.upload).await?;
                let camera = camera.clone();
                self.bind(announce, acked);
                overtaken.into_iter().for_each(|epoch| self.link().conflict(camera.clone(), epoch));
            }
            Claim::Refused(code, why) => self.refuse(camera, code, why),
        }
        Ok(())
    }

    /// Binds a camera, and says so and what is held of its log.
    fn bind(&self, announce: Announce, acked: Vec<Acked>) {
        let Announce { camera, classes, upload, spools, .. } = announce;
        // The id that the record has, so that it is in memory once.
        let camera = self.app.cameras.record(&camera).map_or(camera, |record| record.id.clone());
        let live = upload == frame::Upload::Live;
        let offer = Offer { classes: classes.into(), live, epochs: spools };
        let now = clock::now();
        self.joined.bind(camera.clone(), offer, now);
        self.app.cameras.seen(std::slice::from_ref(&camera));
        // Moved or removed meanwhile: what changed it looked for a link before this one was there.
        if !self.app.cameras.belongs(&camera, self.link().facts().agent) {
            self.joined.unbind(&camera);
            let why = "the camera is no longer this agent's";
            return self.link().refused(camera, RefusalCode::NotYours, why.into());
        }
        self.note(&camera, true, now, Vec::new());
        self.app.registry.watch_anew(&camera);
        self.link().bound(Bound { camera, acked });
    }

    fn refuse(&self, camera: &CameraId, code: RefusalCode, why: String) {
        tracing::warn!(agent = %self.link().facts().agent, %camera, %code, "camera refused");
        self.joined.refuse(camera, code.clone());
        self.link().refused(camera.clone(), code, why);
    }

    /// What a camera has said of its log.
    fn told(&self, camera: &CameraId) -> Vec<SpoolState> {
        self.app.registry.told_log(camera).map(|told| told.epochs).unwrap_or_default()
    }

    /// Writes down that a camera has left, and what it had `told` of its log, unless another link serves it.
    fn left(&self, camera: CameraId, told: Vec<SpoolState>) {
        let (registry, now) = (&self.app.registry, clock::now());
        if registry.find(&camera).is_none() {
            self.note(&camera, false, now, told);
            // It came back meanwhile, and that may stand before this in the queue.
            if registry.find(&camera).is_some() {
                self.note(&camera, true, now, Vec::new());
            }
        }
    }

    /// Writes down that a camera came or left; what finds no room is not worth a link.
    fn note(&self, camera: &CameraId, online: bool, at: Timestamp, told: Vec<SpoolState>) {
        let presence = Presence { online, at, why: None, told };
        if self.app.ingest.note(self.delivery(camera.clone(), Content::Presence(presence))).is_err() {
            tracing::warn!(%camera, online, "not written down: too much waits for the store");
        }
    }

    /// What an upload brings; none when there is nothing in it to be kept.
    fn read(&self, frame: &[u8], ahead: bool) -> Option<Delivery> {
        if self.is_unsound.load(Ordering::Relaxed) {
            return None;
        }
        let read = match decode_log(frame) {
            Ok(LogFrame::Events(events)) => self.events(events, ahead),
            Ok(LogFrame::Lost(lost)) => self.lost(lost),
            Err(wrong) => Err(self.unsound(wrong.close_code(), &wrong)),
        };
        read.map_err(|why| self.link().close(why)).ok()
    }

    fn events(&self, events: Events<NewEvents>, ahead: bool) -> Result<Delivery, Close> {
        let Events { camera, epoch, first, events, next, as_of } = events;
        if let Some(why) = unsound(first, &events, next) {
            return Err(self.unsound(1008, &why));
        }
        Ok(self.delivery(camera, Content::Events(Batch { epoch, first, events, next, as_of, ahead })))
    }

    fn lost(&self, lost: Lost) -> Result<Delivery, Close> {
        let Lost { camera, epoch, first, last, from, to, why } = lost;
        if first == 0 || last < first || last > HIGHEST {
            return Err(self.unsound(1008, &"a loss without a range"));
        }
        Ok(self.delivery(camera, Content::Lost(LostRange { epoch, first, last, from, to, why })))
    }

    fn delivery(&self, camera: CameraId, content: Content) -> Delivery {
        Delivery { camera, agent: Some(self.link().facts().agent), content }
    }

    /// Whether what comes up about this camera's log is this agent's to send; what is not is counted.
    fn is_wanted(&self, camera: &CameraId) -> bool {
        let wanted = self.app.cameras.belongs(camera, self.link().facts().agent);
        if !wanted {
            self.app.metrics.link.unwanted_events.inc();
        }
        wanted
    }

    /// An upload that no honest agent sends ends its link, and what came behind it is not read.
    fn unsound(&self, code: u16, why: &dyn Display) -> Close {
        self.is_unsound.store(true, Ordering::Relaxed);
        self.app.metrics.link.violations.inc();
        tracing::warn!(session = %self.link().id(), %why, "unsound upload");
        Close::Violation(code)
    }

    fn link(&self) -> &Link {
        self.joined.link()
    }

    fn lock(&self) -> MutexGuard<'_, Option<VecDeque<Word>>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inbox for Desk {
    fn camera(&mut self, announce: Announce) {
        self.hear(Word::Camera(announce));
    }

    fn gone(&mut self, camera: CameraId) {
        self.hear(Word::Gone(camera));
    }

    fn ready(&mut self) {
        self.hear(Word::Ready);
    }

    fn upload(&mut self, frame: &Bytes) -> Result<(), Close> {
        let head =
            decode_log::<IgnoredAny>(frame).map_err(|wrong| self.0.unsound(wrong.close_code(), &wrong))?;
        let mut ahead = false;
        // How far the log is written counts from now on, or the store would be taken for whole until the events are read.
        if let LogFrame::Events(head) = head {
            if !self.0.is_wanted(&head.camera) {
                return Ok(());
            }
            self.0.joined.told(&head.camera, head.epoch, head.next, head.as_of);
            ahead = self.0.app.registry.is_on_demand(&head.camera);
        }
        // A copy, because it would keep what was read along with it.
        let upload = Unread { parts: Arc::clone(&self.0), frame: Bytes::copy_from_slice(frame), ahead };
        self.0.app.ingest.take(Box::new(upload), frame.len()).map_err(|_| Close::Overloaded)
    }

    fn fresh(&mut self, camera: CameraId, class: ImageClass, at: Timestamp) {
        if self.0.app.cameras.belongs(&camera, self.0.link().facts().agent) {
            self.0.app.registry.fresh(Fresh { camera, class, at });
        }
    }

    fn health(&mut self, health: Health) {
        self.hear(Word::Health(health));
    }
}

/// What is wrong with the numbers or the sizes of a batch.
fn unsound(first: Seq, events: &NewEvents, next: Seq) -> Option<&'static str> {
    let end = first.saturating_add(events.count() as Seq);
    if first == 0 || end > next || next > HIGHEST {
        return Some("numbers that cannot be");
    }
    (!events.are_within_limits()).then_some("an event that exceeds its limits")
}
