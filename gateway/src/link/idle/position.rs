//! How far the bytes that come are in their frames.

use std::{
    io::{self, Cursor},
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_tungstenite::tungstenite::protocol::frame::{FrameHeader, coding::OpCode};

/// The longest header of a frame.
const HEADER: usize = 14;

/// A place in a stream of frames; headers are read by the codec's own parser.
#[derive(Debug, Default)]
pub(super) struct Position {
    /// The beginning of a header, when what was read ended inside one.
    header: [u8; HEADER],
    header_len: usize,
    /// Bytes of payload that are still to come.
    payload: u64,
    /// Whether more fragments of a message are to come.
    fragmented: bool,
    /// Whether a message ends with the frame that is being read.
    last: bool,
    /// Messages that are whole.
    whole: u64,
    /// Whether this is no stream of frames; the codec will say what is wrong.
    broken: bool,
}

impl Position {
    /// Whether the last message is whole and the next has not begun.
    pub(super) const fn is_between_messages(&self) -> bool {
        self.header_len == 0 && self.payload == 0 && !self.fragmented && !self.broken
    }

    /// How many messages were whole so far.
    pub(super) const fn whole(&self) -> u64 {
        self.whole
    }

    /// Moves on by what was read.
    pub(super) fn advance(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() && !self.broken {
            let read = if self.payload > 0 { self.skip_payload(bytes) } else { self.read_header(bytes) };
            bytes = &bytes[read..];
        }
    }

    /// How many of the bytes were payload.
    fn skip_payload(&mut self, bytes: &[u8]) -> usize {
        let read = usize::try_from(self.payload).map_or(bytes.len(), |payload| payload.min(bytes.len()));
        self.payload -= read as u64;
        self.note_end();
        read
    }

    fn note_end(&mut self) {
        if self.payload == 0 && self.last {
            self.whole += 1;
        }
    }

    /// How many of the bytes were header.
    fn read_header(&mut self, bytes: &[u8]) -> usize {
        let known = self.header_len;
        let more = bytes.len().min(HEADER - known);
        self.header[known..known + more].copy_from_slice(&bytes[..more]);
        let mut cursor = Cursor::new(&self.header[..known + more]);
        match FrameHeader::parse(&mut cursor) {
            Ok(Some((header, payload))) => {
                let end = usize::try_from(cursor.position()).unwrap_or(HEADER);
                (self.header_len, self.payload, self.last) = (0, payload, header.is_final);
                if let OpCode::Data(_) = header.opcode {
                    self.fragmented = !header.is_final;
                }
                self.note_end();
                end - known
            }
            Ok(None) => {
                self.header_len += more;
                more
            }
            Err(_) => {
                self.broken = true;
                more
            }
        }
    }
}

/// What an awake codec reads from, which notes how far it has come.
#[derive(Debug)]
pub(super) struct Tracked<T> {
    pub(super) io: T,
    pub(super) position: Position,
}

impl<T: AsyncRead + Unpin> AsyncRead for Tracked<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.io).poll_read(cx, buf))?;
        self.position.advance(&buf.filled()[before..]);
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Tracked<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}
