//! The gateway's end of a WebSocket, which keeps no buffer while nothing is under way.
//!
//! A codec keeps its read buffer for as long as it lives, and most cameras are silent most of the time. So the codec is let go
//! whenever it holds nothing (the socket is parked), and a new one is made when something comes or is to be sent (it is awake).
//! It holds nothing when it has given every whole message away, what it read ends at the end of a message ([`Position`]), all
//! that it had to send is written, and no side has begun to close. Only reading parks: so one task must both read and write.

mod position;
#[cfg(test)]
mod tests;

use std::{
    cell::RefCell,
    io, mem,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use futures_util::{FutureExt as _, Sink, Stream};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        Error, Message,
        protocol::{Role, WebSocketConfig},
    },
};

use self::position::{Position, Tracked};

/// The most that is read at once while a socket is parked.
const READ_AT_ONCE: usize = 64 << 10;

thread_local! {
    /// What parked sockets read into, so that waiting needs no buffer of their own; used within one poll alone.
    static SCRATCH: RefCell<Box<[u8]>> = RefCell::new(vec![0; READ_AT_ONCE].into_boxed_slice());
}

/// A WebSocket of a server.
#[derive(Debug)]
pub struct IdleSocket<T> {
    state: State<T>,
    /// Whether a close is under way, which is state of the codec.
    closing: bool,
    config: fn() -> WebSocketConfig,
}

#[derive(Debug)]
enum State<T> {
    Parked(T),
    Awake(Box<WebSocketStream<Tracked<T>>>),
    Ended,
}

impl<T: AsyncRead + AsyncWrite + Unpin> IdleSocket<T> {
    /// A connection that was upgraded; `head` was read behind the upgrade already. `config` is that of an awake one.
    pub fn new(io: T, head: &Bytes, config: fn() -> WebSocketConfig) -> Self {
        let mut socket = Self { state: State::Parked(io), closing: false, config };
        if !head.is_empty() {
            socket.wake(head.to_vec());
        }
        socket
    }

    /// Makes a codec for what comes now; `head` was read while the socket was parked.
    fn wake(&mut self, head: Vec<u8>) {
        self.state = match mem::replace(&mut self.state, State::Ended) {
            State::Parked(io) => {
                let mut position = Position::default();
                position.advance(&head);
                let io = Tracked { io, position };
                let codec =
                    WebSocketStream::from_partially_read(io, head, Role::Server, Some((self.config)()));
                // There is no handshake, and so nothing to wait for.
                codec.now_or_never().map_or(State::Ended, |codec| State::Awake(Box::new(codec)))
            }
            other => other,
        };
    }

    fn park(&mut self) {
        if let State::Awake(codec) = mem::replace(&mut self.state, State::Ended) {
            self.state = State::Parked(codec.into_inner().io);
        }
    }

    /// The codec, which is made if there is none.
    fn awake(&mut self) -> Result<Pin<&mut WebSocketStream<Tracked<T>>>, Error> {
        self.wake(Vec::new());
        match &mut self.state {
            State::Awake(codec) => Ok(Pin::new(&mut **codec)),
            State::Parked(_) | State::Ended => Err(Error::AlreadyClosed),
        }
    }

    #[cfg(test)]
    const fn is_parked(&self) -> bool {
        matches!(self.state, State::Parked(_))
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> Stream for IdleSocket<T> {
    type Item = Result<Message, Error>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        loop {
            match &mut this.state {
                // The end of the stream is an empty read, which the codec meets again and judges.
                State::Parked(io) => match ready!(poll_read(io, cx)) {
                    Ok(head) => this.wake(head),
                    Err(error) => {
                        this.state = State::Ended;
                        return Poll::Ready(Some(Err(error.into())));
                    }
                },
                State::Awake(codec) => {
                    let mut codec = Pin::new(&mut **codec);
                    if let Poll::Ready(item) = codec.as_mut().poll_next(cx) {
                        this.closing |= !matches!(&item, Some(Ok(message)) if !message.is_close());
                        return Poll::Ready(item);
                    }
                    if this.closing || !codec.get_ref().position.is_between_messages() {
                        return Poll::Pending;
                    }
                    ready!(codec.poll_flush(cx))?;
                    // Goes round once more, so that the bare stream knows whom to wake.
                    this.park();
                }
                State::Ended => return Poll::Ready(None),
            }
        }
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> Sink<Message> for IdleSocket<T> {
    type Error = Error;

    fn poll_ready(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        match &mut self.state {
            State::Awake(codec) => Pin::new(&mut **codec).poll_ready(cx),
            State::Parked(_) | State::Ended => Poll::Ready(Ok(())),
        }
    }

    fn start_send(mut self: Pin<&mut Self>, message: Message) -> Result<(), Error> {
        self.closing |= message.is_close();
        self.awake()?.start_send(message)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        match &mut self.state {
            State::Awake(codec) => Pin::new(&mut **codec).poll_flush(cx),
            State::Parked(_) | State::Ended => Poll::Ready(Ok(())),
        }
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.closing = true;
        self.awake()?.poll_close(cx)
    }
}

/// A copy of just what came.
fn poll_read<T: AsyncRead + Unpin>(io: &mut T, cx: &mut Context<'_>) -> Poll<io::Result<Vec<u8>>> {
    SCRATCH.with_borrow_mut(|scratch| {
        let mut buf = ReadBuf::new(scratch);
        ready!(Pin::new(io).poll_read(cx, &mut buf))?;
        Poll::Ready(Ok(buf.filled().to_vec()))
    })
}
