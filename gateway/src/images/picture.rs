//! A picture on its way from its camera: read by one, or by everybody who asked for it at the same time, as it comes.
//!
//! Who has read everything that has come fetches the next piece for all. So a shared picture comes as quickly as its quickest reader
//! takes it, needs no task of its own, and its question is taken back when the last one leaves.

use std::{
    mem,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use futures_util::FutureExt as _;
use oriel_proto::{Body, call::Head, jpeg, limits::IMAGE_BYTES};
use tokio::sync::OwnedSemaphorePermit;

use super::kept::Done;
use crate::relay::{
    Answering, RelayError,
    bodies::{Bodies, Next},
};

/// A picture whose first bytes have come.
#[derive(Debug)]
pub(super) struct Begun {
    /// What is known of it.
    pub(super) head: Head,
    first: Bytes,
    rest: Rest,
}

/// The bytes of a picture that are still to come.
#[derive(Debug)]
struct Rest {
    bodies: Bodies,
    left: u64,
    /// How many pieces may still come.
    pieces: u64,
    /// Why no more comes behind what was given.
    failed: Option<RelayError>,
}

/// Bytes of a picture that each piece of it but the last few brings at least: smaller ones would take more room than the picture.
const LEAST_PIECE: u64 = 1 << 10;

/// About so many bytes of a shared picture are written at once when they are there: a write costs as much as some ten pieces.
const WRITTEN_AT_ONCE: usize = 64 << 10;

/// Pieces that may be smaller.
const SMALL_PIECES: u64 = 8;

/// Waits for the beginning of a picture, which must be that of a JPEG.
pub(super) async fn begin(answer: Answering) -> Result<Begun, RelayError> {
    begin_next(Bodies::of(answer)).await
}

/// Waits for the beginning of the picture that comes next.
async fn begin_next(mut bodies: Bodies) -> Result<Begun, RelayError> {
    let Next::Body(Body::Head(head)) = bodies.next().await? else { return Err(RelayError::other_content()) };
    let Next::Body(Body::Bytes(first)) = bodies.next().await? else {
        return Err(RelayError::other_content());
    };
    let left = head.length.checked_sub(first.len() as u64).filter(|_| head.length <= IMAGE_BYTES as u64);
    match left.filter(|_| jpeg::begins(&first)) {
        Some(left) => {
            let pieces = left / LEAST_PIECE + SMALL_PIECES;
            Ok(Begun { head, first, rest: Rest { bodies, left, pieces, failed: None } })
        }
        None => Err(RelayError::other_content()),
    }
}

/// The whole of the picture that comes next, and the answer that it came from.
pub(super) async fn whole_next(bodies: Bodies) -> Result<(Head, Bytes, Bodies), RelayError> {
    let Begun { head, first, mut rest } = begin_next(bodies).await?;
    let mut jpeg = Vec::with_capacity(usize::try_from(head.length).unwrap_or_default());
    jpeg.extend_from_slice(&first);
    while rest.left > 0 {
        let piece = rest.next().await?.ok_or(RelayError::Interrupted)?;
        jpeg.extend_from_slice(&piece);
    }
    Ok((head, jpeg.into(), rest.bodies))
}

impl Rest {
    /// The next bytes; none behind the last ones. Safe to drop and call again.
    async fn next(&mut self) -> Result<Option<Bytes>, RelayError> {
        if let Some(error) = self.failed.take() {
            return Err(error);
        }
        match self.bodies.next().await? {
            Next::Body(Body::Bytes(bytes)) if !bytes.is_empty() => {
                let left = self.left.checked_sub(bytes.len() as u64);
                let (Some(left), Some(pieces)) = (left, self.pieces.checked_sub(1)) else {
                    return Err(RelayError::other_content());
                };
                (self.left, self.pieces) = (left, pieces);
                Ok(Some(bytes))
            }
            Next::End(_) if self.left == 0 => Ok(None),
            // An answer that ends before its picture does is no whole one.
            _ => Err(RelayError::other_content()),
        }
    }

    /// A piece and those behind it that are here already: together they are written at once.
    fn with_what_is_here(&mut self, piece: Bytes) -> Bytes {
        let (mut length, mut pieces) = (piece.len(), vec![piece]);
        while self.left > 0 && length < WRITTEN_AT_ONCE && self.failed.is_none() {
            match self.next().now_or_never() {
                Some(Ok(Some(next))) => {
                    length += next.len();
                    pieces.push(next);
                }
                Some(Err(error)) => self.failed = Some(error),
                Some(Ok(None)) | None => break,
            }
        }
        if pieces.len() == 1 { pieces.remove(0) } else { pieces.concat().into() }
    }
}

/// A picture that one reads.
#[derive(Debug)]
pub(super) struct Alone {
    head: Head,
    waited: Duration,
    first: Option<Bytes>,
    rest: Rest,
}

impl Alone {
    pub(super) fn of(begun: Begun) -> Self {
        let Begun { head, first, rest } = begun;
        Self { head, waited: rest.bodies.waited(), first: Some(first), rest }
    }

    async fn next(&mut self) -> Result<Option<Bytes>, RelayError> {
        match self.first.take() {
            Some(first) => Ok(Some(first)),
            None => self.rest.next().await,
        }
    }
}

/// A picture that several may read, each at its own pace.
#[derive(Debug)]
pub(super) struct Picture {
    head: Head,
    waited: Duration,
    came: Mutex<Vec<Bytes>>,
    /// None once it has ended.
    rest: tokio::sync::Mutex<Option<Rest>>,
    /// How it has ended.
    end: OnceLock<Result<(), RelayError>>,
    /// Told of the end; at the latest when nobody reads it any more.
    done: Mutex<Option<Done>>,
    _room: OwnedSemaphorePermit,
}

impl Picture {
    /// The picture that has begun, for which there is room.
    pub(super) fn new(begun: Begun, room: OwnedSemaphorePermit, done: Done) -> Self {
        let Begun { head, first, mut rest } = begun;
        let first = rest.with_what_is_here(first);
        let (waited, end) = (rest.bodies.waited(), OnceLock::new());
        let (came, done) = (Mutex::new(vec![first]), Mutex::new(Some(done)));
        Self { head, waited, came, rest: tokio::sync::Mutex::new(Some(rest)), end, done, _room: room }
    }

    /// What is known of it.
    pub(super) const fn head(&self) -> &Head {
        &self.head
    }

    fn piece(&self, n: usize) -> Option<Bytes> {
        lock(&self.came).get(n).cloned()
    }

    /// Fetches the piece `n`, unless somebody else has meanwhile. Safe to drop and call again.
    async fn fetch(self: &Arc<Self>, n: usize) {
        let mut rest = self.rest.lock().await;
        let Some(coming) = rest.as_mut().filter(|_| lock(&self.came).len() <= n) else { return };
        match coming.next().await {
            Ok(Some(bytes)) => {
                let bytes = coming.with_what_is_here(bytes);
                lock(&self.came).push(bytes);
                self.end_if_whole(&mut rest);
            }
            Ok(None) => self.end(&mut rest, Ok(())),
            Err(error) => self.end(&mut rest, Err(error)),
        }
    }

    /// Ends it if all of it came with its first piece: whoever has read that asks for nothing more.
    pub(super) fn end_if_it_came_whole(self: &Arc<Self>) {
        if let Ok(mut rest) = self.rest.try_lock() {
            self.end_if_whole(&mut rest);
        }
    }

    fn end_if_whole(self: &Arc<Self>, rest: &mut Option<Rest>) {
        let Some(whole) = rest.as_mut().filter(|rest| rest.left == 0) else { return };
        // Nobody may ask for what comes behind the last byte. Mostly it is here, and then the camera need not be told to stop.
        _ = whole.next().now_or_never();
        self.end(rest, Ok(()));
    }

    fn end(self: &Arc<Self>, rest: &mut Option<Rest>, end: Result<(), RelayError>) {
        *rest = None;
        let is_whole = end.is_ok();
        // Only who fetches sets it, and only once.
        _ = self.end.set(end);
        let done = mem::take(&mut *lock(&self.done));
        if let Some(done) = done.filter(|_| is_whole) {
            done.keep(self);
        }
    }
}

/// A picture as one caller reads it.
#[derive(Debug)]
pub struct Reading(From);

#[derive(Debug)]
enum From {
    Shared { picture: Arc<Picture>, taken: usize },
    Alone(Box<Alone>),
}

impl Reading {
    pub(super) const fn shared(picture: Arc<Picture>) -> Self {
        Self(From::Shared { picture, taken: 0 })
    }

    pub(super) fn alone(alone: Alone) -> Self {
        Self(From::Alone(Box::new(alone)))
    }

    /// What is known of it.
    pub fn head(&self) -> &Head {
        match &self.0 {
            From::Shared { picture, .. } => &picture.head,
            From::Alone(alone) => &alone.head,
        }
    }

    /// From the question to the camera's first word.
    pub fn waited(&self) -> Duration {
        match &self.0 {
            From::Shared { picture, .. } => picture.waited,
            From::Alone(alone) => alone.waited,
        }
    }

    /// Its next bytes, at once if they have come; none behind the last ones. Safe to drop and call again.
    pub async fn next(&mut self) -> Result<Option<Bytes>, RelayError> {
        match &mut self.0 {
            From::Alone(alone) => alone.next().await,
            From::Shared { picture, taken } => loop {
                if let Some(piece) = picture.piece(*taken) {
                    *taken += 1;
                    return Ok(Some(piece));
                }
                if let Some(end) = picture.end.get() {
                    return end.clone().map(|()| None);
                }
                picture.fetch(*taken).await;
            },
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
