//! One device's connection: what waits to be sent, and who waits for which answer.

use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use bytes::{Buf, BufMut, Bytes, BytesMut};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::{Notify, oneshot},
};

use crate::{failure::Result, fleet::opaque::Opaque};

/// What stands before each message: the number of its question.
pub(crate) const NUMBER_BYTES: usize = size_of::<u64>();

/// A device that is connected.
#[derive(Debug, Default)]
pub(super) struct Line {
    queue: Mutex<VecDeque<Bytes>>,
    queued: Notify,
    waiting: Mutex<HashMap<u64, oneshot::Sender<Bytes>>>,
    number: AtomicU64,
}

impl Line {
    /// Sends a question and waits for its answer; none when the device leaves first.
    pub(super) async fn ask(&self, question: &[u8]) -> Option<Bytes> {
        let number = self.number.fetch_add(1, Ordering::Relaxed);
        let (answer_tx, answer_rx) = oneshot::channel();
        lock(&self.waiting).insert(number, answer_tx);
        let mut message = BytesMut::with_capacity(NUMBER_BYTES + question.len());
        message.put_u64(number);
        message.put_slice(question);
        lock(&self.queue).push_back(message.freeze());
        self.queued.notify_one();
        answer_rx.await.ok()
    }

    /// Carries questions down and answers up until the connection ends.
    pub(super) async fn run<S>(&self, mut socket: Opaque<S>) -> Result<()>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        loop {
            tokio::select! {
                message = socket.next() => match message {
                    Some(message) => self.answered(message),
                    None => return Ok(()),
                },
                () = self.queued.notified() => {
                    while let Some(message) = self.next() {
                        socket.feed(message).await?;
                    }
                    socket.flush().await?;
                }
            }
        }
    }

    /// Nobody waits for an answer any more.
    pub(super) fn close(&self) {
        lock(&self.waiting).clear();
    }

    fn next(&self) -> Option<Bytes> {
        lock(&self.queue).pop_front()
    }

    fn answered(&self, mut message: Bytes) {
        let Ok(number) = message.try_get_u64() else { return };
        let waiting = lock(&self.waiting).remove(&number);
        if let Some(answer_tx) = waiting {
            // Who hung up wants no answer.
            _ = answer_tx.send(message);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
