//! What an agent says unasked, taken in its order and given to who it concerns.
//!
//! Nearly everything is done at once, from memory. What needs the store waits in a queue beside the socket, and so does
//! everything that comes behind it, until a task of its own has worked the queue off.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use oriel_proto::{
    CameraId, ImageClass, Timestamp,
    frame::{Announce, Bound, Events, Health, Lost, RefusalCode},
    limits::CAMERAS_PER_AGENT,
};

use crate::{
    cameras::Claim,
    clock,
    link::{Close, Inbox, Link, LinkFacts, pump::End},
    registry::Joined,
    routes::App,
};

/// Words that may wait: every camera announced twice. An agent that says more before it is answered is cut off.
const QUEUE: usize = 2 * CAMERAS_PER_AGENT;

/// How long an agent that has moved to another gateway may finish its answers here: longer than this gateway lives.
const LEAVE_WITHIN: Duration = Duration::from_secs(10);

/// The desk of one link; clones share it.
#[derive(Clone)]
pub(super) struct Desk(Arc<Parts>);

struct Parts {
    app: App,
    joined: Joined,
    /// None while nothing waits for the store.
    queue: Mutex<Option<VecDeque<Word>>>,
}

/// Something that an agent said.
enum Word {
    Camera(Announce),
    Gone(CameraId),
    Ready,
    Health(Health),
}

impl Desk {
    pub(super) fn new(app: App, joined: Joined) -> Self {
        Self(Arc::new(Parts { app, joined, queue: Mutex::new(None) }))
    }

    /// The link has ended: nothing that still waits has an effect.
    pub(super) fn leave(&self, end: &End) {
        self.0.app.metrics.agents.dec();
        let LinkFacts { id, agent, peer, .. } = self.0.link().facts();
        tracing::info!(session = %id, %agent, %peer, ?end, "disconnected");
        let served = self.0.joined.served();
        self.0.app.cameras.seen(&served);
        self.0.app.access.agent_seen(*agent);
        self.0.joined.leave();
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
                    Some(claim) => self.settle(announce, claim),
                    None => return Some(announce),
                }
            }
            Word::Gone(camera) => {
                self.joined.unbind(&camera);
                if self.app.stopping.is_cancelled() && self.joined.served().is_empty() {
                    // It has moved to another gateway.
                    self.link().retire(LEAVE_WITHIN, Close::Restart);
                }
            }
            Word::Ready => self.joined.ready(),
            Word::Health(health) => {
                self.joined.agent_health(health.agent);
                health.cameras.into_iter().for_each(|camera| self.joined.camera_health(camera));
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
            match self.app.cameras.claim(self.link().facts().agent, &announce).await {
                Ok(claim) => self.settle(announce, claim),
                Err(error) => {
                    tracing::error!(%error, camera = %announce.camera, "claim failed");
                    return self.link().close(Close::Restart);
                }
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

    /// Binds a camera or refuses it, and says so.
    fn settle(&self, announce: Announce, claim: Claim) {
        let Announce { camera, classes, .. } = announce;
        match claim {
            Claim::Bound => {
                // The id that the record has, so that it is in memory once.
                let camera = self.app.cameras.record(&camera).map_or(camera, |record| record.id.clone());
                self.joined.bind(camera.clone(), classes.into(), clock::now());
                self.app.cameras.seen(std::slice::from_ref(&camera));
                // Moved or removed meanwhile: what changed it looked for a link before this one was there.
                if !self.app.cameras.belongs(&camera, self.link().facts().agent) {
                    self.joined.unbind(&camera);
                    let why = "the camera is no longer this agent's";
                    return self.link().refused(camera, RefusalCode::NotYours, why.into());
                }
                self.link().bound(Bound { camera, acked: Vec::new() });
            }
            Claim::Refused(code, why) => {
                tracing::warn!(agent = %self.link().facts().agent, %camera, %code, "camera refused");
                self.joined.refuse(&camera, code.clone());
                self.link().refused(camera, code, why);
            }
        }
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

    /// This gateway does not offer to take events: an agent that sends some all the same is counted.
    fn events(&mut self, _: Events) {
        self.0.app.metrics.link.unwanted_events.inc();
    }

    fn lost(&mut self, _: Lost) {
        self.0.app.metrics.link.unwanted_events.inc();
    }

    /// Nothing is watched, so nothing is asked for.
    fn fresh(&mut self, _: CameraId, _: ImageClass, _: Timestamp) {}

    fn health(&mut self, health: Health) {
        self.hear(Word::Health(health));
    }
}
