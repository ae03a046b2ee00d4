//! A long body, of which each chunk is made when the one before has been written to the network.
//!
//! The HTTP library asks for chunks as long as its own buffer has room, which for a slow reader only moves what waits to where no
//! window counts it.

use std::{
    cell::RefCell,
    future::poll_fn,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::Poll,
};

use bytes::Bytes;
use futures_util::task::AtomicWaker;

thread_local! {
    /// Where a chunk grows, so that it is kept without room to grow, and leaves no holes.
    static SCRATCH: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
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
    pub(super) async fn free(&self) {
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
            Ok(Bytes::from_owner(Chunk { bytes: scratch.as_slice().into(), place: self.clone() }))
        })
    }
}

struct Chunk {
    bytes: Box<[u8]>,
    place: Place,
}

impl AsRef<[u8]> for Chunk {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Chunk {
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
