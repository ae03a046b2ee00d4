//! One device's connection: what waits to be sent, and who waits for which answer.
//!
//! Each message begins with the number of its question. In an answer that comes in pieces the bytes that are left follow,
//! those of the piece itself included.

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
    sync::{Notify, mpsc, oneshot},
};

use super::pieces::{Piece, Pieces, WAITING};
use crate::{failure::Result, fleet::opaque::Opaque};

/// What stands before each message: the number of its question.
pub(crate) const NUMBER_BYTES: usize = size_of::<u64>();

/// A device that is connected.
#[derive(Debug, Default)]
pub(super) struct Line {
    queue: Mutex<VecDeque<Bytes>>,
    queued: Notify,
    waiting: Mutex<HashMap<u64, Waiting>>,
    number: AtomicU64,
}

/// Who waits for an answer.
#[derive(Debug)]
enum Waiting {
    Whole(oneshot::Sender<Bytes>),
    Pieces(mpsc::Sender<Piece>),
}

impl Line {
    /// Sends a question and waits for its answer; none when the device leaves first.
    pub(super) async fn ask(&self, question: &[u8]) -> Option<Bytes> {
        let (answer_tx, answer_rx) = oneshot::channel();
        self.put(question, Waiting::Whole(answer_tx));
        answer_rx.await.ok()
    }

    /// Sends a question and waits for the first piece of its answer; none when the device leaves first.
    pub(super) async fn ask_for_pieces(&self, question: &[u8]) -> Option<Pieces> {
        let (pieces_tx, pieces_rx) = mpsc::channel(WAITING);
        self.put(question, Waiting::Pieces(pieces_tx));
        Pieces::begin(pieces_rx).await
    }

    fn put(&self, question: &[u8], waiting: Waiting) {
        let number = self.number.fetch_add(1, Ordering::Relaxed);
        lock(&self.waiting).insert(number, waiting);
        let mut message = BytesMut::with_capacity(NUMBER_BYTES + question.len());
        message.put_u64(number);
        message.put_slice(question);
        lock(&self.queue).push_back(message.freeze());
        self.queued.notify_one();
    }

    /// Carries questions down and answers up until the connection ends.
    pub(super) async fn run<S>(&self, mut socket: Opaque<S>) -> Result<()>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        loop {
            tokio::select! {
                message = socket.next() => match message {
                    Some(message) => self.answered(message).await,
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

    async fn answered(&self, mut message: Bytes) {
        let Ok(number) = message.try_get_u64() else { return };
        let waiting = lock(&self.waiting).remove(&number);
        match waiting {
            // Who hung up wants no answer.
            Some(Waiting::Whole(answer_tx)) => _ = answer_tx.send(message),
            Some(Waiting::Pieces(pieces_tx)) => {
                let Ok(left) = message.try_get_u64() else { return };
                let is_last = message.len() as u64 >= left;
                if pieces_tx.send((left, message)).await.is_ok() && !is_last {
                    lock(&self.waiting).insert(number, Waiting::Pieces(pieces_tx));
                }
            }
            None => {}
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
