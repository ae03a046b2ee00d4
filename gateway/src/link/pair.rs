//! A socket in memory: who speaks for cameras in this process speaks as an agent does, and the pump cannot tell.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use futures_util::{Sink, Stream};
use oriel_proto::{GatewayFrame, decode};
use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_util::sync::PollSender;

/// Messages of at most 16 KiB that may wait in each direction.
const ROOM: usize = 32;

/// Both ends of a new socket: the gateway's, and what the agent says and hears.
pub fn pair() -> (Near, Voice, Ear) {
    let (up_tx, up_rx) = mpsc::channel(ROOM);
    let (down_tx, down_rx) = mpsc::channel(ROOM);
    let voice = Voice(up_tx);
    let ear = Ear { down: down_rx, voice: voice.clone() };
    (Near { up: up_rx, down: PollSender::new(down_tx) }, voice, ear)
}

/// The gateway's end.
#[derive(Debug)]
pub struct Near {
    up: mpsc::Receiver<Message>,
    down: PollSender<Message>,
}

/// What the agent's end says; clones speak on the same socket.
#[derive(Clone, Debug)]
pub struct Voice(mpsc::Sender<Message>);

/// What the agent's end hears.
#[derive(Debug)]
pub struct Ear {
    down: mpsc::Receiver<Message>,
    voice: Voice,
}

/// The gateway has ended the socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the gateway has ended the socket")]
pub struct Ended;

impl Voice {
    /// Says an encoded frame; waits for room.
    pub async fn say(&self, frame: Vec<u8>) -> Result<(), Ended> {
        self.0.send(Message::Binary(frame.into())).await.map_err(|_| Ended)
    }

    /// Says that it is there. What finds no room need not be said: whatever waits says the same.
    pub fn ping(&self) {
        _ = self.0.try_send(Message::Ping(Bytes::new()));
    }
}

impl Ear {
    /// The next frame; none once the gateway has ended the socket. Safe to drop and call again.
    pub async fn next(&mut self) -> Option<GatewayFrame> {
        loop {
            match self.down.recv().await? {
                Message::Binary(bytes) => match decode(&bytes) {
                    Ok(frame) => return Some(frame),
                    Err(error) => tracing::error!(%error, "frame not read"),
                },
                // Whatever is said answers a ping.
                Message::Ping(_) => self.voice.ping(),
                Message::Close(_) => return None,
                Message::Pong(_) | Message::Text(_) | Message::Frame(_) => {}
            }
        }
    }
}

impl Stream for Near {
    type Item = Result<Message, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.up.poll_recv(cx).map(|message| message.map(Ok))
    }
}

impl Sink<Message> for Near {
    type Error = Error;

    fn poll_ready(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.down.poll_reserve(cx).map_err(|_| Error::ConnectionClosed)
    }

    fn start_send(mut self: Pin<&mut Self>, message: Message) -> Result<(), Error> {
        self.down.send_item(message).map_err(|_| Error::ConnectionClosed)
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.down.close();
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use futures_util::{SinkExt as _, StreamExt as _};
    use oriel_proto::{AgentFrame, RequestId, encode};

    use super::*;

    #[tokio::test]
    async fn frames_pass_both_ways_and_a_ping_is_answered() {
        let (mut near, voice, mut ear) = pair();
        let ready = encode(&AgentFrame::Ready {}).unwrap();
        voice.say(ready.clone()).await.unwrap();
        assert_eq!(near.next().await.unwrap().unwrap(), Message::Binary(ready.into()));
        let cancel = GatewayFrame::Cancel { id: RequestId::new() };
        near.send(Message::Ping(Bytes::new())).await.unwrap();
        near.send(Message::Binary(encode(&cancel).unwrap().into())).await.unwrap();
        assert_eq!(ear.next().await, Some(cancel));
        assert!(matches!(near.next().await, Some(Ok(Message::Ping(_)))));
    }

    #[tokio::test]
    async fn each_end_learns_that_the_other_has_gone() {
        let (near, voice, mut ear) = pair();
        drop(near);
        assert_eq!((ear.next().await, voice.say(Vec::new()).await), (None, Err(Ended)));
        let (mut near, voice, ear) = pair();
        drop((voice, ear));
        assert!(near.next().await.is_none());
    }
}
