//! Moving pictures: however many watch a series, its camera sends one stream of it, and none once nobody watches.
//!
//! Whoever watches sees the newest picture each time it is ready for one, so a slow reader skips pictures and waits behind none.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak},
    time::Duration,
};

use bytes::Bytes;
use oriel_proto::{Call, Timestamp, call::LiveCall};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, watch},
    time::{Instant, sleep_until, timeout_at},
};
use tokio_util::task::AbortOnDropHandle;

use super::{Series, picture::whole_next};
use crate::{
    metrics::ImageMetrics,
    relay::{Question, Relay, RelayError, bodies::Bodies},
};

/// How long a camera may take for its first picture, and to come back in the middle.
const WITHIN: Duration = Duration::from_secs(10);

/// Whoever takes a picture within this time is quick.
const QUICK: Duration = Duration::from_secs(1);

/// Bytes of room that are counted as one.
const UNIT: usize = 1 << 10;

/// The streams that somebody watches.
#[derive(Debug)]
pub(super) struct Channels {
    open: Arc<Open>,
    /// Room for pictures that slow readers hold, in units.
    room: Arc<Semaphore>,
}

type Open = Mutex<HashMap<Series, Weak<Channel>>>;

/// A picture of a stream.
#[derive(Clone, Debug)]
pub struct Frame {
    /// When it was taken.
    pub at: Timestamp,
    /// The whole picture.
    pub jpeg: Bytes,
    held: Arc<Held>,
}

/// A picture as it is written to everybody who watches; it takes its room as long as one of them holds it.
#[derive(Debug)]
pub struct Written {
    bytes: Bytes,
    _held: Arc<Held>,
}

/// What a picture takes that slow readers hold.
#[derive(Debug)]
struct Held {
    room: Arc<Semaphore>,
    permit: OnceLock<OwnedSemaphorePermit>,
    /// As it is written.
    written: OnceLock<Bytes>,
}

/// What a stream has come to: none before its first picture.
type Newest = Option<Result<Frame, RelayError>>;

/// One stream and who watches it. The camera is asked as long as this is held.
#[derive(Debug)]
struct Channel {
    series: Series,
    newest: watch::Receiver<Newest>,
    /// How many pictures a second each viewer wants.
    wishes: Mutex<Vec<f32>>,
    /// The highest of them.
    fps: watch::Sender<f32>,
    open: Weak<Open>,
    metrics: ImageMetrics,
    _asking: AbortOnDropHandle<()>,
}

/// Somebody watches a stream, until this is dropped.
#[derive(Debug)]
pub struct Viewing {
    channel: Arc<Channel>,
    newest: watch::Receiver<Newest>,
    fps: f32,
    /// When the last picture was given, and whether it had been taken quickly before that.
    given: Option<Instant>,
    is_quick: bool,
}

impl Channels {
    /// None yet; at most so many bytes of pictures may wait for slow readers.
    pub(super) fn new(bytes: u64) -> Self {
        let units = usize::try_from(bytes).unwrap_or(usize::MAX) / UNIT;
        Self { open: Arc::default(), room: Arc::new(Semaphore::new(units.min(Semaphore::MAX_PERMITS))) }
    }

    /// Joins the stream of a series, or begins it; its first picture has come by `deadline`.
    pub(super) async fn watch(
        &self,
        relay: &Relay,
        series: &Series,
        fps: f32,
        deadline: Instant,
    ) -> Result<Viewing, RelayError> {
        let mut viewing = self.join(relay, series, fps);
        match timeout_at(deadline, viewing.newest.wait_for(Option::is_some)).await {
            Ok(Ok(newest)) => match &*newest {
                Some(Err(error)) => return Err(error.clone()),
                _ => drop(newest),
            },
            Ok(Err(_)) => return Err(RelayError::Interrupted),
            Err(_) => return Err(relay.doubt(&series.camera)),
        }
        viewing.newest.mark_changed();
        Ok(viewing)
    }

    fn join(&self, relay: &Relay, series: &Series, fps: f32) -> Viewing {
        let mut open = lock(&self.open);
        let present = open.get(series).and_then(Weak::upgrade);
        let channel = match &present {
            Some(channel) if !channel.has_ended() => Arc::clone(channel),
            _ => {
                let channel = Arc::new(self.begin(relay, series, fps));
                open.insert(series.clone(), Arc::downgrade(&channel));
                channel
            }
        };
        // In this order: the last one who holds an ended channel takes it out.
        drop(open);
        drop(present);
        channel.wish(fps);
        let newest = channel.newest.clone();
        channel.metrics.live_viewers.inc();
        Viewing { channel, newest, fps, given: None, is_quick: false }
    }

    fn begin(&self, relay: &Relay, series: &Series, fps: f32) -> Channel {
        let (newest_tx, newest) = watch::channel(None);
        let fps = watch::Sender::new(fps);
        let stream = Stream {
            relay: relay.clone(),
            series: series.clone(),
            newest_tx,
            fps: fps.subscribe(),
            room: Arc::clone(&self.room),
        };
        let metrics = relay.metrics().images.clone();
        metrics.live_streams.inc();
        Channel {
            series: series.clone(),
            newest,
            wishes: Mutex::default(),
            fps,
            open: Arc::downgrade(&self.open),
            metrics,
            _asking: AbortOnDropHandle::new(tokio::spawn(stream.run())),
        }
    }
}

impl Channel {
    fn has_ended(&self) -> bool {
        self.newest.has_changed().is_err()
    }

    fn wish(&self, fps: f32) {
        let mut wishes = lock(&self.wishes);
        wishes.push(fps);
        self.tell(&wishes);
    }

    fn leave(&self, fps: f32) {
        let mut wishes = lock(&self.wishes);
        if let Some(place) = wishes.iter().position(|wish| wish.total_cmp(&fps).is_eq()) {
            wishes.swap_remove(place);
        }
        self.tell(&wishes);
    }

    /// Tells the stream how many pictures a second are wanted, if that has changed.
    fn tell(&self, wishes: &[f32]) {
        let highest = wishes.iter().copied().fold(0.0, f32::max);
        self.fps.send_if_modified(|fps| {
            let is_other = highest > 0.0 && fps.total_cmp(&highest).is_ne();
            if is_other {
                *fps = highest;
            }
            is_other
        });
    }
}

impl Drop for Channel {
    fn drop(&mut self) {
        self.metrics.live_streams.dec();
        let Some(open) = self.open.upgrade() else { return };
        let mut open = lock(&open);
        // Another one may have begun meanwhile.
        if open.get(&self.series).is_some_and(|present| present.strong_count() == 0) {
            open.remove(&self.series);
        }
    }
}

/// Where the pictures of a channel come from.
struct Stream {
    relay: Relay,
    series: Series,
    newest_tx: watch::Sender<Newest>,
    fps: watch::Receiver<f32>,
    room: Arc<Semaphore>,
}

impl Stream {
    /// Asks the camera, and again when more or fewer pictures are wanted or it has come back, until it fails.
    async fn run(mut self) {
        let (mut has_come, camera) = (false, self.series.camera.clone());
        loop {
            let fps = *self.fps.borrow_and_update();
            let mut changes = self.fps.clone();
            let end = tokio::select! {
                end = self.pass_on(fps, &mut has_come) => end,
                Ok(()) = changes.changed() => continue,
            };
            let is_gone = matches!(end, RelayError::Offline | RelayError::Interrupted);
            if is_gone && has_come && self.relay.comes_online(&camera, WITHIN).await {
                continue;
            }
            self.newest_tx.send_replace(Some(Err(end)));
            return;
        }
    }

    /// Passes on what the camera sends, until it does no more.
    async fn pass_on(&self, fps: f32, has_come: &mut bool) -> RelayError {
        let call = Call::Live(LiveCall { class: self.series.class.clone(), max_fps: fps });
        let mut question = Question::new(self.series.camera.clone(), call, Instant::now() + WITHIN);
        let mut bodies = match self.relay.ask(&mut question).await {
            Ok(answer) => Bodies::of(answer),
            Err(error) => return error,
        };
        loop {
            let (head, jpeg, rest) = match whole_next(bodies).await {
                Ok(next) => next,
                Err(error) => return error,
            };
            (bodies, *has_come) = (rest, true);
            let held = Arc::new(Held {
                room: Arc::clone(&self.room),
                permit: OnceLock::new(),
                written: OnceLock::new(),
            });
            self.newest_tx.send_replace(Some(Ok(Frame { at: head.at, jpeg, held })));
        }
    }
}

impl Frame {
    /// The picture as `write` writes it, once for all who watch.
    pub fn written(&self, write: impl FnOnce(&Self) -> Bytes) -> Written {
        let bytes = self.held.written.get_or_init(|| write(self)).clone();
        Written { bytes, _held: Arc::clone(&self.held) }
    }
}

impl AsRef<[u8]> for Written {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Held {
    /// Takes room for a picture that a slow reader will hold, unless another one has; false when there is none.
    fn take(&self, bytes: usize) -> bool {
        if self.permit.get().is_some() {
            return true;
        }
        let units = u32::try_from(bytes.div_ceil(UNIT)).unwrap_or(u32::MAX);
        match Arc::clone(&self.room).try_acquire_many_owned(units) {
            // Whoever else has taken it meanwhile gives this one back.
            Ok(permit) => self.permit.set(permit).is_ok() || self.permit.get().is_some(),
            Err(_) => false,
        }
    }
}

impl Viewing {
    /// The next picture, the newest there is once it is time for one; an error when no more will come. Safe to drop and call again.
    pub async fn next(&mut self) -> Result<Frame, RelayError> {
        if let Some(given) = self.given {
            self.is_quick = given.elapsed() <= QUICK;
            sleep_until(given + Duration::from_secs_f32(1.0 / self.fps)).await;
        }
        loop {
            self.newest.changed().await.map_err(|_| RelayError::Interrupted)?;
            let frame = match &*self.newest.borrow_and_update() {
                Some(Ok(frame)) => frame.clone(),
                Some(Err(error)) => return Err(error.clone()),
                None => continue,
            };
            // A slow reader holds its picture for long; where there is no room for another one, it waits for one that there is room for.
            if self.is_quick || frame.held.take(frame.jpeg.len()) {
                self.given = Some(Instant::now());
                return Ok(frame);
            }
        }
    }
}

impl Drop for Viewing {
    fn drop(&mut self) {
        self.channel.metrics.live_viewers.dec();
        self.channel.leave(self.fps);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
