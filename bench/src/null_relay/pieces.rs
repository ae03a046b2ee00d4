//! An answer that passes through the null relay piece by piece.

use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use tokio::sync::mpsc;

/// Pieces that may wait for a caller before the device's connection does: the least care for slow callers that there can be.
pub(super) const WAITING: usize = 64;

/// A piece, and how much of the answer is left with it.
pub(super) type Piece = (u64, Bytes);

/// The pieces of an answer of which the first has come.
#[derive(Debug)]
pub(super) struct Pieces {
    next: Option<Bytes>,
    left: u64,
    coming: mpsc::Receiver<Piece>,
}

impl Pieces {
    /// Those of an answer that begins to come; none when its device leaves first.
    pub(super) async fn begin(mut coming: mpsc::Receiver<Piece>) -> Option<Self> {
        let (left, first) = coming.recv().await?;
        Some(Self { next: Some(first), left, coming })
    }
}

impl Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        let piece = match self.next.take() {
            Some(first) => Some(first),
            None => ready!(self.coming.poll_recv(cx)).map(|(_, piece)| piece),
        };
        Poll::Ready(piece.map(|piece| {
            self.left = self.left.saturating_sub(piece.len() as u64);
            Ok(Frame::data(piece))
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}
