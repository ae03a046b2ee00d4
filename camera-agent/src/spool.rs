//! Events on disk until they are acknowledged: one SQLite file per camera, never read or written on the runtime.

mod db;
mod epochs;
mod head;
mod losses;
mod places;
mod query;
mod rows;
mod run;
#[cfg(test)]
mod tests;
mod upload;
mod write;

use std::{
    fmt, io, mem,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use oriel_proto::{
    Epoch, EventId, Kind, LoggedEvent, Seq, Severity, Timestamp,
    call::{EventsCall, EventsTrailer},
    event::Data,
    frame::{Acked, SpoolState},
};
use tokio::sync::{Semaphore, oneshot, watch};

pub(crate) use self::{db::Bounds, places::Place, upload::Next, write::CLOCK_SET};
use self::{db::Db, head::Head, query::Plan};
use crate::disk::off_runtime;

/// Where the time of events comes from.
pub(crate) type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// How old the time may be up to which an answer says that it is complete: that time is noted on the disk.
const ANSWER_AGE: Duration = Duration::from_secs(1);

/// Writers that may wait for the disk at once.
const WRITERS: usize = 64;

/// Why a spool cannot do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum SpoolError {
    /// The file cannot be opened.
    #[error("the spool {} cannot be opened: {source}", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// What SQLite said.
        source: rusqlite::Error,
    },
    /// A broken file cannot be moved out of the way.
    #[error("the broken spool {} cannot be moved aside: {source}", path.display())]
    Aside {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// SQLite failed.
    #[error("the spool failed: {0}")]
    Sqlite(#[from] rusqlite::Error),
    /// The spool has no epoch to write to; opening it again makes one.
    #[error("the spool has no epoch")]
    NoEpoch,
    /// The program is stopping.
    #[error("the spool is closing")]
    Closing,
    /// Another writer's transaction, which this one was part of, failed.
    #[error("the spool failed: {0}")]
    Together(String),
}

/// An event that has not been written yet.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Draft {
    /// When it happened, for events of the past; none means now.
    pub(crate) at: Option<Timestamp>,
    /// What happened.
    pub(crate) kind: Kind,
    /// How much it matters.
    pub(crate) severity: Severity,
    /// One line for people.
    pub(crate) description: String,
    /// Small facts for programs.
    pub(crate) data: Data,
    /// The time of the picture that shows it.
    pub(crate) image_at: Option<Timestamp>,
}

/// What a spool is at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Now {
    /// The present epoch.
    pub(crate) epoch: Epoch,
    /// The number of the next event.
    pub(crate) next: Seq,
    /// A time of the clock, at most about a minute ago: everything written up to it is below `next`.
    pub(crate) as_of: Timestamp,
    /// Bytes in use on disk.
    pub(crate) bytes: u64,
}

/// Drafts that wait for the next transaction, which writes all of one writer or nothing.
#[derive(Debug)]
struct Waiting {
    drafts: Vec<Draft>,
    place: Option<Place>,
    written: oneshot::Sender<Result<Vec<EventId>, SpoolError>>,
}

/// A handle to one camera's spool; clones share it.
#[derive(Clone)]
pub(crate) struct Spool {
    db: Arc<tokio::sync::Mutex<Db>>,
    head: Arc<Mutex<Head>>,
    /// Drafts that the next transaction takes along.
    waiting: Arc<Mutex<Vec<Waiting>>>,
    room: Arc<Semaphore>,
    clock: Clock,
    bell: watch::Sender<()>,
}

impl Spool {
    /// Opens or makes the spool at `path`, which rings `bell` whenever it changes; reads the disk.
    pub(crate) async fn open(
        path: &Path,
        bounds: Bounds,
        clock: Clock,
        bell: watch::Sender<()>,
    ) -> Result<Self, SpoolError> {
        let (path, its_clock) = (path.to_owned(), clock.clone());
        let db = blocking(move || Db::open(&path, bounds, its_clock)).await?;
        Ok(Self::over(db, clock, bell))
    }

    /// The spool at `path` while it cannot be opened: it has no epoch, and each use tries again.
    pub(crate) fn shut(
        path: &Path,
        bounds: Bounds,
        clock: Clock,
        bell: watch::Sender<()>,
    ) -> Result<Self, SpoolError> {
        Ok(Self::over(Db::shut(path, bounds, clock.clone())?, clock, bell))
    }

    fn over(db: Db, clock: Clock, bell: watch::Sender<()>) -> Self {
        let (head, db) = (db.share_head(), Arc::new(tokio::sync::Mutex::new(db)));
        let room = Arc::new(Semaphore::new(WRITERS));
        Self { db, head, waiting: Arc::default(), room, clock, bell }
    }

    /// Writes events; when this returns they survive a power cut. Writers that come while the disk is busy share the next commit.
    pub(crate) async fn append(&self, drafts: Vec<Draft>) -> Result<Vec<EventId>, SpoolError> {
        self.write(drafts, None).await
    }

    /// Writes events and how far their source is with them: both survive, or neither.
    pub(crate) async fn append_with_place(
        &self,
        drafts: Vec<Draft>,
        place: Place,
    ) -> Result<Vec<EventId>, SpoolError> {
        self.write(drafts, Some(place)).await
    }

    /// How far the source of that name is; none when it has not begun, or its spool was set aside.
    pub(crate) async fn place_of(&self, source: &str) -> Result<Option<String>, SpoolError> {
        let source = source.to_owned();
        self.with(move |db| Ok(places::find(&db.conn, &source)?)).await
    }

    async fn write(&self, drafts: Vec<Draft>, place: Option<Place>) -> Result<Vec<EventId>, SpoolError> {
        let _room = self.room.acquire().await.map_err(|_| SpoolError::Closing)?;
        let (written, written_rx) = oneshot::channel();
        let waiting = Waiting { drafts, place, written };
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).push(waiting);
        let waiting = self.waiting.clone();
        self.with(move |db| {
            let group = mem::take(&mut *waiting.lock().unwrap_or_else(PoisonError::into_inner));
            write_group(db, group)
        })
        .await?;
        let ids = written_rx.await.map_err(|_| SpoolError::Closing)??;
        self.bell.send_replace(());
        Ok(ids)
    }

    /// Drops what is past its time, and notes that the log is complete up to now.
    pub(crate) async fn tidy(&self) -> Result<(), SpoolError> {
        let tidy = |db: &mut Db| {
            db.keep_bounds(db.now())?;
            db.note_complete(Duration::ZERO)
        };
        self.with(tidy).await
    }

    /// Begins to answer a question.
    pub(crate) async fn query(&self, call: EventsCall) -> Result<Query, SpoolError> {
        let begin = move |db: &mut Db| {
            if let Err(e) = db.note_complete(ANSWER_AGE) {
                tracing::debug!("up to when the log is complete could not be noted: {e}");
            }
            Plan::new(db, &call)
        };
        let plan = self.with(begin).await?;
        Ok(Query { spool: self.clone(), plan: Some(plan) })
    }

    /// Takes what a gateway holds; true when a new epoch had to begin.
    pub(crate) async fn reconcile(&self, acked: Vec<Acked>) -> Result<bool, SpoolError> {
        let changed = self.with(move |db| db.reconcile(&acked)).await?;
        self.bell.send_replace(());
        Ok(changed)
    }

    /// Everything of `epoch` up to `seq` is safe at the gateway.
    pub(crate) async fn acknowledge(&self, epoch: Epoch, seq: Seq) -> Result<(), SpoolError> {
        self.with(move |db| db.acknowledge(epoch, seq)).await
    }

    /// Begins a new epoch because the gateway holds other events of `epoch`.
    pub(crate) async fn supersede(&self, epoch: Epoch) -> Result<(), SpoolError> {
        self.with(move |db| db.supersede(epoch)).await?;
        self.bell.send_replace(());
        Ok(())
    }

    /// What an upload sends after `sent`, at most about `bytes` of text.
    pub(crate) async fn next_upload(
        &self,
        sent: Vec<(Epoch, Seq)>,
        bytes: usize,
    ) -> Result<Option<Next>, SpoolError> {
        let last = move |epoch| sent.iter().find(|(sent, _)| *sent == epoch).map_or(0, |(_, seq)| *seq);
        self.with(move |db| db.next_upload(&last, bytes)).await
    }

    /// Its epochs as they are announced by a camera that uploads like this.
    pub(crate) fn states(&self, upload: &oriel_proto::frame::Upload) -> Vec<SpoolState> {
        let now = (self.clock)();
        db::lock(&self.head).states(now, upload)
    }

    /// Its state at this moment; reads no disk.
    pub(crate) fn now(&self) -> Option<Now> {
        let clock = (self.clock)();
        let head = db::lock(&self.head);
        let as_of = head.as_of(clock);
        let bytes = head.bytes;
        head.current().map(|epoch| Now { epoch: epoch.id, next: epoch.next, as_of, bytes })
    }

    /// The clock, without a promise of what is written up to it.
    pub(crate) fn time(&self) -> Timestamp {
        (self.clock)()
    }

    /// Whether nothing was ever written.
    pub(crate) fn is_new(&self) -> bool {
        let head = db::lock(&self.head);
        head.epochs.len() == 1 && head.current().is_some_and(|epoch| epoch.next == 1)
    }

    /// Whether no conflict has ended `epoch`.
    pub(crate) fn is_alive(&self, epoch: Epoch) -> bool {
        db::lock(&self.head).find(epoch).is_some_and(|epoch| !epoch.superseded)
    }

    /// The present epoch and the number of its next event.
    pub(crate) fn place(&self) -> Option<(Epoch, Seq)> {
        db::lock(&self.head).current().map(|epoch| (epoch.id, epoch.next))
    }

    /// Runs `work` on the file, off the runtime, in order of arrival; opens the file anew when it proves broken.
    async fn with<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Db) -> Result<T, SpoolError> + Send + 'static,
    ) -> Result<T, SpoolError> {
        let mut db = self.db.clone().lock_owned().await;
        blocking(move || {
            if db.is_broken() {
                db.reopen()?;
            }
            let done = work(&mut db);
            if let Err(SpoolError::Sqlite(e)) = &done
                && db::is_broken(e)
            {
                db.reopen()?;
            }
            done
        })
        .await
    }
}

impl fmt::Debug for Spool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Spool").finish_non_exhaustive()
    }
}

/// A question being answered, page by page.
#[derive(Debug)]
pub(crate) struct Query {
    spool: Spool,
    plan: Option<Plan>,
}

impl Query {
    /// How many stretches of the log are in memory at once.
    pub(crate) fn stretches(&self) -> u32 {
        self.plan.as_ref().map_or(1, Plan::stretches)
    }

    /// The next events and whether they are the last.
    pub(crate) async fn page(&mut self) -> Result<(Vec<LoggedEvent>, bool), SpoolError> {
        let Some(mut plan) = self.plan.take() else { return Ok((Vec::new(), true)) };
        let (plan, page) = self
            .spool
            .with(move |db| {
                let page = plan.page(db)?;
                Ok((plan, page))
            })
            .await?;
        let ended = plan.is_ended();
        self.plan = Some(plan);
        Ok((page, ended))
    }

    /// How complete the answer was.
    pub(crate) async fn trailer(self) -> Result<EventsTrailer, SpoolError> {
        let Some(plan) = self.plan else { return Err(SpoolError::Closing) };
        self.spool.with(move |db| plan.trailer(db)).await
    }
}

/// The clock of the machine.
pub(crate) fn system_clock() -> Clock {
    Arc::new(|| SystemTime::now().into())
}

/// Writes everything that waits in one transaction and tells each writer its part.
fn write_group(db: &mut Db, mut group: Vec<Waiting>) -> Result<(), SpoolError> {
    // A writer that was told of a failure will write again itself.
    group.retain(|waiting| !waiting.written.is_closed());
    if group.is_empty() {
        return Ok(());
    }
    let (mut drafts, mut places, mut writers) = (Vec::new(), Vec::new(), Vec::new());
    for waiting in group {
        writers.push((waiting.drafts.len(), waiting.written));
        drafts.extend(waiting.drafts);
        places.extend(waiting.place);
    }
    let (ids, failed) = match db.write(drafts, &places) {
        Ok(ids) => (ids, None),
        Err(e) => (Vec::new(), Some(e)),
    };
    let mut ids = ids.into_iter();
    for (size, writer) in writers {
        let part = match &failed {
            Some(why) => Err(SpoolError::Together(why.to_string())),
            None => Ok(ids.by_ref().take(size).collect()),
        };
        // A writer that left has nobody to tell.
        let _ = writer.send(part);
    }
    failed.map_or(Ok(()), Err)
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, SpoolError> + Send + 'static,
) -> Result<T, SpoolError> {
    off_runtime(work).await.unwrap_or(Err(SpoolError::Closing))
}
