//! Moving pictures: however many watch a series, its camera sends one stream of it, and none once nobody watches.
//!
//! Whoever watches sees the newest picture each time it is ready for one, so a slow reader skips pictures and waits behind none.

mod rate;

use std::{
    collections::HashMap,
    pin::pin,
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

use self::rate::Demand;
use super::{Series, picture::whole_next};
use crate::{
    metrics::ImageMetrics,
    relay::{Question, Relay, RelayError, bodies::Bodies},
};

/// How long a camera may take to come back in the middle.
const WITHIN: Duration = Duration::from_secs(10);

/// How long a camera that is asked anew may have no new picture before it is made sure that it is there.
const SILENCE: Duration = Duration::from_secs(30);

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
    /// The highest of them, and how long the most patient one waits for the first picture.
    demand: watch::Sender<Demand>,
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
    /// The first picture, until it is given.
    first: Option<Frame>,
    /// When the last picture was given, and whether it was taken quickly; none while that is not known.
    given: Option<Instant>,
    is_quick: Option<bool>,
}

impl Channels {
    /// None yet; at most so many bytes of pictures may wait for slow readers.
    pub(super) fn new(bytes: u64) -> Self {
        let units = usize::try_from(bytes).unwrap_or(usize::MAX) / UNIT;
        Self { open: Arc::default(), room: Arc::new(Semaphore::new(units.min(Semaphore::MAX_PERMITS))) }
    }

    /// Joins the stream of a series, or begins it; its first picture has come by `deadline` and has found room.
    pub(super) async fn watch(
        &self,
        relay: &Relay,
        series: &Series,
        fps: f32,
        deadline: Instant,
    ) -> Result<Viewing, RelayError> {
        let mut viewing = self.join(relay, series, Demand { fps, by: deadline });
        match timeout_at(deadline, viewing.next()).await {
            Ok(first) => viewing.first = Some(first?),
            Err(_) if viewing.newest.borrow().is_some() => return Err(RelayError::NoRoom),
            Err(_) => return Err(relay.doubt(&series.camera)),
        }
        Ok(viewing)
    }

    fn join(&self, relay: &Relay, series: &Series, demand: Demand) -> Viewing {
        let mut open = lock(&self.open);
        let present = open.get(series).and_then(Weak::upgrade);
        let channel = match &present {
            Some(channel) if !channel.has_ended() => Arc::clone(channel),
            _ => {
                let channel = Arc::new(self.begin(relay, series, demand));
                open.insert(series.clone(), Arc::downgrade(&channel));
                channel
            }
        };
        // In this order: the last one who holds an ended channel takes it out.
        drop(open);
        drop(present);
        channel.wish(demand);
        let mut newest = channel.newest.clone();
        // Also one that came before is new to whoever joins.
        newest.mark_changed();
        channel.metrics.live_viewers.inc();
        Viewing { channel, newest, fps: demand.fps, first: None, given: None, is_quick: Some(false) }
    }

    fn begin(&self, relay: &Relay, series: &Series, demand: Demand) -> Channel {
        let (newest_tx, newest) = watch::channel(None);
        let demand = watch::Sender::new(demand);
        let stream = Stream {
            relay: relay.clone(),
            series: series.clone(),
            newest_tx,
            demand: demand.subscribe(),
            room: Arc::clone(&self.room),
        };
        let metrics = relay.metrics().images.clone();
        metrics.live_streams.inc();
        Channel {
            series: series.clone(),
            newest,
            wishes: Mutex::default(),
            demand,
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

    fn wish(&self, Demand { fps, by }: Demand) {
        let mut wishes = lock(&self.wishes);
        wishes.push(fps);
        self.tell(&wishes, by);
    }

    fn leave(&self, fps: f32) {
        let mut wishes = lock(&self.wishes);
        if let Some(place) = wishes.iter().position(|wish| wish.total_cmp(&fps).is_eq()) {
            wishes.swap_remove(place);
        }
        self.tell(&wishes, Instant::now());
    }

    /// Tells the stream how many pictures a second are wanted, and that somebody waits until then at least.
    fn tell(&self, wishes: &[f32], by: Instant) {
        if let Some(fps) = wishes.iter().copied().max_by(f32::total_cmp) {
            self.demand.send_modify(|demand| *demand = Demand { fps, by: by.max(demand.by) });
        }
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
    demand: watch::Receiver<Demand>,
    room: Arc<Semaphore>,
}

/// Why a camera is asked no more for what it was asked for.
enum End {
    /// Another number of pictures a second is wanted.
    OtherRate,
    Failed(RelayError),
}

impl Stream {
    /// Asks the camera, and again when more or fewer pictures are wanted, or it has come back, or is there and has nothing new, until
    /// it fails.
    async fn run(self) {
        let (mut has_come, camera) = (false, self.series.camera.clone());
        loop {
            let demand = *self.demand.borrow();
            let by = if has_come { Instant::now() + SILENCE } else { demand.by };
            let End::Failed(error) = self.pass_on(demand.fps, by, &mut has_come).await else { continue };
            let is_gone = matches!(error, RelayError::Offline | RelayError::Interrupted);
            let goes_on = match has_come {
                true if error.is_late() => {
                    // A camera that says so before its time is up is not asked again and again.
                    sleep_until(by).await;
                    true
                }
                true => is_gone && self.relay.comes_online(&camera, WITHIN).await,
                false => error.is_late() && self.demand.borrow().by > by,
            };
            if !goes_on {
                self.newest_tx.send_replace(Some(Err(error)));
                return;
            }
        }
    }

    /// Passes on what the camera sends, which begins to come `by` then, until it does no more or another number of pictures is wanted.
    /// A picture that is under way then comes first.
    async fn pass_on(&self, fps: f32, by: Instant, has_come: &mut bool) -> End {
        let mut other_rate = pin!(rate::other_than(fps, self.demand.clone()));
        let call = Call::Live(LiveCall { class: self.series.class.clone(), max_fps: fps });
        let mut question = Question::new(self.series.camera.clone(), call, by);
        // What comes counts first, so that a picture that has begun to come is not given up.
        let answer = tokio::select! {
            biased;
            answer = self.relay.ask(&mut question) => answer,
            () = &mut other_rate => return End::OtherRate,
        };
        let mut bodies = match answer {
            Ok(answer) => Bodies::of(answer),
            Err(error) => return End::Failed(error),
        };
        loop {
            let comes = tokio::select! {
                biased;
                comes = bodies.wait() => comes,
                () = &mut other_rate => return End::OtherRate,
            };
            if let Err(error) = comes {
                return End::Failed(error);
            }
            let (head, jpeg, rest) = match whole_next(bodies).await {
                Ok(next) => next,
                Err(error) => return End::Failed(error),
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
        if let Some(first) = self.first.take() {
            self.given = Some(Instant::now());
            return Ok(first);
        }
        if let Some(given) = self.given {
            self.is_quick.get_or_insert_with(|| given.elapsed() <= QUICK);
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
            if self.is_quick == Some(true) || frame.held.take(frame.jpeg.len()) {
                (self.given, self.is_quick) = (Some(Instant::now()), None);
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
