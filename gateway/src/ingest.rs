//! Ingest: what agents say unasked about their logs goes into the store, in groups, and is acknowledged once it is on disk.
//!
//! A hundred events take their time to read, and uploads come many at once. So they are read here, one after the other by one
//! task, and whoever asks a camera meanwhile waits for one of them at most, not for as many as there are agents.
//!
//! A store that cannot write shows as missing acknowledgements, never as a socket that is not read: agents send no more than
//! they may have unacknowledged, and what all of them have waiting here is bounded by a budget.

#[cfg(test)]
mod tests;

use std::{
    collections::VecDeque,
    fmt,
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

use tokio::{spawn, sync::Notify, task::yield_now, time::sleep};
use tokio_util::task::AbortOnDropHandle;

use crate::{
    clock,
    metrics::{IngestMetrics, ReasonLabels},
    registry::Registry,
    store::{Content, Delivery, Kept, Store, StoreError},
};

/// Events in one commit: more would keep those waiting that come behind it (events.md, "Upload").
const GROUP: usize = 1_000;

/// Events that are read ahead of the writer: the next group, while one is written.
const AHEAD: usize = 2 * GROUP;

/// How long after a failed commit the next one is tried.
const AGAIN_AFTER: Duration = Duration::from_secs(1);

/// Takes deliveries for the store; clones share it.
#[derive(Clone, Debug)]
pub struct Ingest(Arc<Parts>);

/// What came up a link about a camera's log, to be read in its turn.
pub trait Upload: Send {
    /// What it brings; none when there is nothing in it to be kept.
    fn read(self: Box<Self>) -> Option<Delivery>;
}

#[derive(Debug)]
struct Parts {
    store: Store,
    registry: Registry,
    metrics: IngestMetrics,
    /// Bytes that may wait.
    budget: usize,
    queue: Mutex<Queue>,
    /// Something came.
    came: Notify,
    /// Something was read, or may be written.
    was_read: Notify,
    /// Why the last commit failed; none while the store can be written.
    trouble: Mutex<Option<String>>,
}

#[derive(Default)]
struct Queue {
    unread: VecDeque<(Box<dyn Upload>, usize)>,
    read: VecDeque<(Delivery, usize)>,
    /// How many events were read and wait.
    events: usize,
    /// Of what waits, is being read and is being written.
    bytes: usize,
    /// Nothing comes any more.
    closed: bool,
    /// And everything that came is read.
    all_read: bool,
}

/// What is to be read next.
enum Next {
    /// This, which came in a frame of so many bytes.
    Upload(Box<dyn Upload>, usize),
    /// Nothing has come, or enough was read.
    Nothing,
    /// Nothing ever more.
    End,
}

impl Queue {
    /// What is to be read next. Events take far more room than the frame that they came in, so only the next groups are read.
    fn next_unread(&mut self) -> Next {
        if self.events >= AHEAD {
            return Next::Nothing;
        }
        match self.unread.pop_front() {
            Some((upload, bytes)) => Next::Upload(upload, bytes),
            None if self.closed => {
                self.all_read = true;
                Next::End
            }
            None => Next::Nothing,
        }
    }

    fn keep_read(&mut self, delivery: Delivery, bytes: usize) {
        self.events += delivery.content.events();
        self.read.push_back((delivery, bytes));
    }

    /// What is written together next, in the order in which it came, its bytes, and whether there will be no more.
    fn group(&mut self) -> (Vec<Delivery>, usize, bool) {
        let (mut group, mut events, mut total) = (Vec::new(), 0, 0);
        while let Some((delivery, bytes)) = self.read.pop_front_if(|_| events < GROUP) {
            events += delivery.content.events();
            total += bytes;
            group.push(delivery);
        }
        self.events -= events;
        (group, total, self.all_read)
    }

    /// Lets go of what nobody will read or write.
    fn end(&mut self) {
        self.closed = true;
        self.unread.clear();
        self.read.clear();
    }
}

impl fmt::Debug for Queue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (unread, read) = (self.unread.len(), self.read.len());
        f.debug_struct("Queue").field("unread", &unread).field("read", &read).finish_non_exhaustive()
    }
}

/// No room is left for what came: too much waits for the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

impl Ingest {
    /// Nothing waits yet; `budget` is how many bytes may.
    pub fn new(store: Store, registry: Registry, metrics: IngestMetrics, budget: usize) -> Self {
        let (queue, trouble) = (Mutex::default(), Mutex::default());
        let (came, was_read) = (Notify::new(), Notify::new());
        Self(Arc::new(Parts { store, registry, metrics, budget, queue, came, was_read, trouble }))
    }

    /// Takes an upload that came in a frame of so many bytes; it is acknowledged later, or never.
    pub fn take(&self, upload: Box<dyn Upload>, bytes: usize) -> Result<(), Full> {
        self.0.admit(bytes, |queue| queue.unread.push_back((upload, bytes)))?;
        self.0.came.notify_one();
        // Whoever acknowledges a group sets all its agents going, and each sends at once.
        thread::yield_now();
        Ok(())
    }

    /// Takes what the gateway itself has to say of a camera.
    pub fn note(&self, delivery: Delivery) -> Result<(), Full> {
        let bytes = size_of::<Delivery>();
        self.0.admit(bytes, |queue| queue.keep_read(delivery, bytes))?;
        self.0.was_read.notify_one();
        Ok(())
    }

    /// Why nothing can be written at present; none while the store can be.
    pub fn trouble(&self) -> Option<String> {
        self.0.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Nothing comes any more: [`Ingest::run`] ends once what waits is written, or cannot be.
    pub fn close(&self) {
        self.0.lock().closed = true;
        self.0.came.notify_one();
    }

    /// Reads and writes what comes until it is closed; before that, that the cameras went which a killed gateway left connected.
    pub async fn run(self) {
        let began = clock::now();
        if self.0.persist(|| self.0.store.close_presences(began)).await.is_some() {
            // A task of its own, because whatever wakes a task ends its giving way.
            let parts = Arc::clone(&self.0);
            let _reading = AbortOnDropHandle::new(spawn(async move { parts.read_all().await }));
            self.0.write_all().await;
        }
        self.0.lock().end();
    }
}

impl Parts {
    /// Puts something into the queue, if there is room for so many bytes and it is not closed.
    fn admit(&self, bytes: usize, put: impl FnOnce(&mut Queue)) -> Result<(), Full> {
        let mut queue = self.lock();
        if queue.closed || queue.bytes + bytes > self.budget {
            return Err(Full);
        }
        queue.bytes += bytes;
        put(&mut queue);
        self.metrics.waiting_bytes.set(i64::try_from(queue.bytes).unwrap_or(i64::MAX));
        Ok(())
    }

    /// Reads one upload after the other, and gives way in between, until nothing comes any more.
    async fn read_all(&self) {
        loop {
            let next = self.lock().next_unread();
            match next {
                Next::Upload(upload, bytes) => {
                    self.read(upload, bytes);
                    // To other threads, as while events are written, and to other tasks of this one.
                    thread::yield_now();
                    yield_now().await;
                }
                Next::Nothing => self.came.notified().await,
                Next::End => return self.was_read.notify_one(),
            }
        }
    }

    /// Reads one upload. One that this program cannot cope with is none of the others' concern.
    fn read(&self, upload: Box<dyn Upload>, bytes: usize) {
        let read = catch_unwind(AssertUnwindSafe(|| upload.read()));
        match read.unwrap_or_default() {
            Some(delivery) => self.lock().keep_read(delivery, bytes),
            None => self.let_go(bytes),
        }
        self.was_read.notify_one();
    }

    /// Writes what was read until there will be no more of it.
    async fn write_all(&self) {
        loop {
            let (group, bytes, is_last) = self.lock().group();
            self.came.notify_one();
            if !group.is_empty() {
                if self.write(group).await.is_none() {
                    // Not acknowledged, so their agents bring them again.
                    return tracing::error!(bytes = self.lock().bytes, "stopped without writing what came");
                }
                self.let_go(bytes);
            } else if is_last {
                return;
            } else {
                self.was_read.notified().await;
            }
        }
    }

    /// Writes a group and answers for each of its deliveries; none when that was given up.
    async fn write(&self, group: Vec<Delivery>) -> Option<()> {
        let group = Arc::new(group);
        let kept = self.persist(|| self.store.keep(Arc::clone(&group), clock::now())).await?;
        group.iter().zip(kept).for_each(|(delivery, kept)| self.answer(delivery, kept));
        Some(())
    }

    /// What `write` gives once the store can be written, however often it must be tried; none when it is closed before that.
    async fn persist<T, F>(&self, write: impl Fn() -> F) -> Option<T>
    where
        F: Future<Output = Result<T, StoreError>>,
    {
        loop {
            match write().await {
                Ok(done) => {
                    self.recovered();
                    return Some(done);
                }
                Err(error) => {
                    self.failed(&error);
                    if matches!(error, StoreError::Closed) || self.lock().closed {
                        return None;
                    }
                    sleep(AGAIN_AFTER).await;
                }
            }
        }
    }

    /// Tells the camera's present agent how far its log is held, or why it was not taken.
    fn answer(&self, delivery: &Delivery, kept: Kept) {
        let camera = &delivery.camera;
        let refused = |reason| {
            self.metrics.refused.get_or_create(&ReasonLabels { reason }).inc();
        };
        let link = || self.registry.find(camera);
        match kept {
            // What the gateway writes itself nobody waits for.
            Kept::UpTo { .. } if matches!(delivery.content, Content::Presence(_)) => {}
            Kept::UpTo { epoch, acked, stored, doubled } => {
                self.metrics.stored.inc_by(stored);
                self.metrics.doubled.inc_by(doubled);
                // Of what was sent ahead it would say too much to one that has turned live meanwhile.
                let is_ahead = matches!(&delivery.content, Content::Events(batch) if batch.ahead);
                if let Some(link) = link().filter(|_| !is_ahead || self.registry.is_on_demand(camera)) {
                    link.ack(camera.clone(), epoch, acked);
                }
            }
            Kept::Conflict { epoch } => {
                refused("conflict");
                tracing::warn!(%camera, %epoch, "two events have one name: the first is kept");
                if let Some(link) = link() {
                    link.conflict(camera.clone(), epoch);
                }
            }
            Kept::Gap { epoch } => {
                refused("gap");
                tracing::debug!(%camera, %epoch, "events came without those before them");
            }
            Kept::NotYours => {
                refused("not_yours");
                tracing::debug!(%camera, "events of a camera that is not this agent's any more");
            }
        }
    }

    fn let_go(&self, bytes: usize) {
        let mut queue = self.lock();
        queue.bytes -= bytes;
        self.metrics.waiting_bytes.set(i64::try_from(queue.bytes).unwrap_or(i64::MAX));
    }

    fn failed(&self, error: &StoreError) {
        let mut trouble = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        if trouble.is_none() {
            tracing::error!(%error, "events cannot be stored; they stay on their devices, and are tried again every second");
        }
        *trouble = Some(error.to_string());
        self.metrics.writable.set(0);
    }

    fn recovered(&self) {
        let mut trouble = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        if trouble.take().is_some() {
            tracing::info!("events are stored again");
        }
        self.metrics.writable.set(1);
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
