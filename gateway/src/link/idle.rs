//! The gateway's end of a WebSocket, which keeps no buffer while nothing is under way.
//!
//! A codec keeps its read buffer for as long as it lives, and most cameras are silent most of the time. So the codec is let go
//! whenever it holds nothing (the socket is parked), and a new one is made when something comes or is to be sent (it is awake).
//! It holds nothing when it has given every whole message away, what it read ends at the end of a message ([`Position`]), all
//! that it had to send is written, and no side has begun to close. Only reading parks: so one task must both read and write.
//!
//! What most frames are needs no codec at all: a binary message in one frame that came whole is taken where it stands (`plain`).
//! And a codec that holds nothing is not asked for more: it would clear its whole buffer before it finds that nothing has come.

mod plain;
mod position;
#[cfg(test)]
mod tests;

use std::{
    cell::RefCell,
    io, mem,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{Bytes, BytesMut};
use futures_util::{FutureExt as _, Sink, Stream};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        Error, Message,
        protocol::{Role, WebSocketConfig},
    },
};
use tokio_util::io::poll_read_buf;

use self::{
    plain::Begins,
    position::{Position, Tracked},
};

/// The most that is read at once while a socket is parked.
const READ_AT_ONCE: usize = 64 << 10;

/// Whoever reads so much keeps the buffer that it was read into.
const LARGE: usize = READ_AT_ONCE / 4;

thread_local! {
    /// What parked sockets read into, so that waiting needs no buffer of their own; used within one poll alone.
    static SCRATCH: RefCell<BytesMut> = RefCell::new(BytesMut::new());
}

/// A WebSocket of a server.
#[derive(Debug)]
pub struct IdleSocket<T> {
    state: State<T>,
    /// What was read while parked and has not been given away.
    came: BytesMut,
    /// Messages that the present codec has given away.
    given: u64,
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
        Self { state: State::Parked(io), came: BytesMut::from(&head[..]), given: 0, closing: false, config }
    }

    /// Makes a codec for what comes now, and for what has been read already.
    fn wake(&mut self) {
        self.state = match mem::replace(&mut self.state, State::Ended) {
            State::Parked(io) => {
                let head = mem::take(&mut self.came).to_vec();
                let mut position = Position::default();
                position.advance(&head);
                self.given = 0;
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
        self.wake();
        match &mut self.state {
            State::Awake(codec) => Ok(Pin::new(&mut **codec)),
            State::Parked(_) | State::Ended => Err(Error::AlreadyClosed),
        }
    }

    #[cfg(test)]
    fn is_parked(&self) -> bool {
        matches!(self.state, State::Parked(_)) && self.came.is_empty()
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> Stream for IdleSocket<T> {
    type Item = Result<Message, Error>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        loop {
            match &mut this.state {
                State::Parked(io) => {
                    let most = (this.config)().max_frame_size;
                    match plain::take(&mut this.came, most) {
                        Begins::Whole(message) => return Poll::Ready(Some(Ok(Message::Binary(message)))),
                        Begins::Foreign => {
                            this.wake();
                            continue;
                        }
                        Begins::Partly => {}
                    }
                    match ready!(poll_read(io, &mut this.came, cx)) {
                        // The end of the stream, which the codec meets again and judges.
                        Ok(0) => {
                            this.closing = true;
                            this.wake();
                        }
                        Ok(_) => {}
                        Err(error) => {
                            this.state = State::Ended;
                            return Poll::Ready(Some(Err(error.into())));
                        }
                    }
                }
                State::Awake(codec) => {
                    let mut codec = Pin::new(&mut **codec);
                    let position = &codec.get_ref().position;
                    let empty = position.is_between_messages() && position.whole() == this.given;
                    if !this.closing && empty && codec.as_mut().poll_flush(cx)?.is_ready() {
                        // Goes round once more, so that the bare stream knows whom to wake.
                        this.park();
                        continue;
                    }
                    let item = ready!(codec.poll_next(cx));
                    this.given += 1;
                    this.closing |= !matches!(&item, Some(Ok(message)) if !message.is_close());
                    return Poll::Ready(item.map(|item| item.map(alone)));
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

/// Adds what comes next to what came; gives how much it is.
fn poll_read<T: AsyncRead + Unpin>(
    io: &mut T,
    came: &mut BytesMut,
    cx: &mut Context<'_>,
) -> Poll<io::Result<usize>> {
    SCRATCH.with_borrow_mut(|scratch| {
        scratch.clear();
        // The beginning of a message, mostly: it is copied, and not what is read behind it.
        scratch.extend_from_slice(came);
        scratch.reserve(READ_AT_ONCE);
        let read = ready!(poll_read_buf(Pin::new(io), cx, scratch))?;
        if scratch.len() >= LARGE {
            mem::swap(came, scratch);
        } else if read > 0 {
            *came = BytesMut::from(&scratch[..]);
        }
        Poll::Ready(Ok(read))
    })
}

/// A message that shares its memory with nothing, as what needs no codec does: whoever keeps it keeps just it.
fn alone(message: Message) -> Message {
    match message {
        Message::Binary(payload) => Message::Binary(Bytes::copy_from_slice(&payload)),
        other => other,
    }
}
