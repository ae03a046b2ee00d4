//! A long body, of which each chunk is made when the one before has been written to the network, as long as its caller may have it.
//!
//! The HTTP library asks for chunks as long as its own buffer has room, which for a slow reader only moves what waits to where no
//! window counts it.

use std::{
    cell::RefCell,
    error::Error,
    fmt::Display,
    future::{Future, poll_fn},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::Poll,
};

use bytes::Bytes;
use futures_util::{stream, task::AtomicWaker};
use tokio::task::yield_now;
use warp::{
    Reply,
    http::{HeaderValue, header::CONTENT_TYPE},
    reply::Response,
};

use super::reply;
use crate::access::{AccessError, Viewer};

thread_local! {
    /// Where a chunk grows, so that it is kept without room to grow, and leaves no holes.
    static SCRATCH: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// What a long body is made of.
pub(super) trait Chunks: Send + Sync + 'static {
    /// Why it breaks off.
    type Error: Error + From<AccessError> + Send + Sync + 'static;

    /// Makes the next chunk, which takes the place; nothing is asked for behind the last one, or behind an error. May be dropped before
    /// it is done, and then nothing is asked for either.
    fn next(&mut self, place: &Place) -> impl Future<Output = Result<Chunk, Self::Error>> + Send + Sync;
}

/// One chunk of a body.
#[derive(Debug)]
pub(super) enum Chunk {
    /// Another one comes behind it.
    More(Bytes),
    /// The body ends with it.
    Last(Bytes),
}

/// 200 with a body that is made as it is taken. When the chunks cannot go on, or the viewer's access ends, the body ends as broken, and
/// the log says `whose` it was.
pub(super) fn response(
    chunks: impl Chunks,
    viewer: Viewer,
    media_type: &'static str,
    whose: impl Display + Send + Sync + 'static,
) -> Response {
    let begin = Some((chunks, viewer, whose, Place::default()));
    let body = stream::unfold(begin, |state| async {
        let (mut chunks, viewer, whose, place) = state?;
        match next(&mut chunks, &viewer, &place).await {
            Ok(Chunk::More(chunk)) => Some((Ok(chunk), Some((chunks, viewer, whose, place)))),
            Ok(Chunk::Last(chunk)) => Some((Ok(chunk), None)),
            Err(error) => {
                tracing::info!(%whose, %error, "an answer broke off");
                // The connection ends with the error; what came before it is sent first.
                yield_now().await;
                Some((Err(error), None))
            }
        }
    });
    let mut response = warp::reply::stream(body).into_response();
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    reply::as_it_comes(response)
}

/// The next chunk, once the place is free for it and unless the viewer's access ends before.
async fn next<C: Chunks>(chunks: &mut C, viewer: &Viewer, place: &Place) -> Result<Chunk, C::Error> {
    let next = async {
        place.free().await;
        chunks.next(place).await
    };
    tokio::select! {
        biased;
        ended = viewer.ended() => Err(ended.into()),
        chunk = next => chunk,
    }
}

/// The place of the chunk that is being written.
#[derive(Clone, Debug, Default)]
pub(super) struct Place(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    taken: AtomicBool,
    maker: AtomicWaker,
}

impl Place {
    /// Waits until the last chunk has been written, or was given up.
    async fn free(&self) {
        poll_fn(|cx| {
            self.0.maker.register(cx.waker());
            if self.0.taken.load(Ordering::Acquire) { Poll::Pending } else { Poll::Ready(()) }
        })
        .await;
    }

    /// A chunk of what `write` writes, which takes the place until its last byte has been written to the network.
    pub(super) fn take<E>(&self, write: impl FnOnce(&mut Vec<u8>) -> Result<(), E>) -> Result<Bytes, E> {
        SCRATCH.with_borrow_mut(|scratch| {
            scratch.clear();
            write(scratch)?;
            self.0.taken.store(true, Ordering::Release);
            let bytes: Box<[u8]> = scratch.as_slice().into();
            Ok(Bytes::from_owner(Taken { bytes, place: self.clone() }))
        })
    }

    /// A chunk of bytes that are there already, which takes the place in the same way.
    pub(super) fn hold(&self, bytes: impl AsRef<[u8]> + Send + 'static) -> Bytes {
        self.0.taken.store(true, Ordering::Release);
        Bytes::from_owner(Taken { bytes, place: self.clone() })
    }
}

struct Taken<B> {
    bytes: B,
    place: Place,
}

impl<B: AsRef<[u8]>> AsRef<[u8]> for Taken<B> {
    fn as_ref(&self) -> &[u8] {
        self.bytes.as_ref()
    }
}

impl<B> Drop for Taken<B> {
    fn drop(&mut self) {
        self.place.0.taken.store(false, Ordering::Release);
        self.place.0.maker.wake();
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use futures_util::FutureExt as _;

    use super::*;

    #[tokio::test]
    async fn the_next_chunk_waits_until_the_last_byte_of_the_one_before_is_written() {
        let place = Place::default();
        place.free().await;
        let mut chunk = place.take(|chunk| chunk.write_all(&[1, 2, 3])).unwrap();
        let first = chunk.split_to(1);
        drop(chunk);
        assert!(place.free().now_or_never().is_none(), "one byte is still there");
        let waiting = tokio::spawn(async move { place.free().await });
        tokio::task::yield_now().await;
        drop(first);
        waiting.await.unwrap();
    }
}
