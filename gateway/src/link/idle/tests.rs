//! Promises of an idle socket: the same bytes, cut anywhere, give the messages and the replies that a plain one gives.
//!
//! Seen failing with a position that forgets fragments, and with a socket that parks before its pong is written.

use futures_util::{SinkExt as _, StreamExt as _};
use proptest::{collection::vec, prelude::*};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex},
    task::unconstrained,
};

use super::*;

const BINARY: u8 = 2;
const TEXT: u8 = 1;
const MORE: u8 = 0;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;

fn config() -> WebSocketConfig {
    WebSocketConfig::default().read_buffer_size(16 << 10).max_frame_size(Some(1 << 20))
}

/// A frame of a client.
fn frame(last: bool, opcode: u8, payload: &[u8]) -> Vec<u8> {
    const MASK: [u8; 4] = [0x11, 0x22, 0x33, 0x44];
    let mut frame = vec![u8::from(last) << 7 | opcode];
    match payload.len() {
        len @ ..126 => frame.push(0x80 | len as u8),
        len @ 126..65_536 => {
            frame.push(0x80 | 126);
            frame.extend((len as u16).to_be_bytes());
        }
        len => {
            frame.push(0x80 | 127);
            frame.extend((len as u64).to_be_bytes());
        }
    }
    frame.extend(MASK);
    frame.extend(payload.iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    frame
}

/// Messages of every kind, whole and in fragments with others among them.
fn mixed() -> Vec<u8> {
    let (head, tail) = "é".as_bytes().split_at(1);
    [
        frame(true, BINARY, b"one"),
        frame(true, TEXT, "grüße".as_bytes()),
        frame(true, PING, b"ping"),
        frame(false, TEXT, "hé".as_bytes()),
        frame(true, PING, b"within"),
        frame(false, MORE, head),
        frame(true, PONG, b"pong"),
        frame(true, MORE, tail),
        frame(true, BINARY, b""),
        frame(true, BINARY, &[7; 300]),
    ]
    .concat()
}

fn idle() -> (IdleSocket<DuplexStream>, DuplexStream) {
    let (io, peer) = duplex(1 << 20);
    (IdleSocket::new(io, &Bytes::new(), config), peer)
}

/// What a socket says, in order, and what it replied.
#[derive(Debug, Default, PartialEq)]
struct Said {
    messages: Vec<String>,
    replies: Vec<u8>,
}

impl Said {
    /// Takes everything until the socket waits or ends.
    async fn take<S>(&mut self, socket: &mut S)
    where
        S: Stream<Item = Result<Message, Error>> + Unpin,
    {
        // Unconstrained: the runtime would let it wait now and then although there is more.
        while let Some(message) = unconstrained(socket.next()).now_or_never() {
            self.messages.push(format!("{message:?}"));
            if !matches!(message, Some(Ok(_))) {
                break;
            }
        }
    }

    /// Takes what has come to the other end.
    async fn replied(&mut self, peer: &mut DuplexStream) {
        while let Some(Ok(1..)) = unconstrained(peer.read_buf(&mut self.replies)).now_or_never() {}
    }
}

async fn feed<S>(socket: &mut S, peer: &mut DuplexStream, chunks: &[&[u8]]) -> Said
where
    S: Stream<Item = Result<Message, Error>> + Unpin,
{
    let mut said = Said::default();
    for chunk in chunks {
        // Who has ended reads no more.
        _ = unconstrained(peer.write_all(chunk)).await;
        said.take(socket).await;
    }
    said.replied(peer).await;
    said
}

async fn by_a_plain_one(chunks: &[&[u8]]) -> Said {
    let (io, mut peer) = duplex(1 << 20);
    let mut plain = WebSocketStream::from_raw_socket(io, Role::Server, Some(config())).await;
    feed(&mut plain, &mut peer, chunks).await
}

async fn by_an_idle_one(chunks: &[&[u8]]) -> (Said, bool) {
    let (mut socket, mut peer) = idle();
    (feed(&mut socket, &mut peer, chunks).await, socket.is_parked())
}

#[tokio::test]
async fn a_socket_keeps_nothing_of_the_message_that_it_has_given_away() {
    let (mut socket, mut peer) = idle();
    unconstrained(peer.write_all(&frame(true, BINARY, &[7; 300]))).await.unwrap();
    let Some(Ok(Message::Binary(given))) = socket.next().await else { panic!("a message came") };
    assert!(given.is_unique() && socket.is_parked());
}

#[tokio::test]
async fn a_stream_cut_at_any_byte_says_the_same_and_ends_parked() {
    let all = mixed();
    let whole = by_a_plain_one(&[&all]).await;
    assert_eq!(whole.messages.len(), 8);
    for cut in 0..=all.len() {
        let chunks = [&all[..cut], &all[cut..]];
        let (said, parked) = by_an_idle_one(&chunks).await;
        assert_eq!(said, by_a_plain_one(&chunks).await, "cut at {cut}");
        assert_eq!(said.messages, whole.messages, "cut at {cut}");
        assert!(parked, "cut at {cut}");
    }
    let bytes = all.chunks(1).collect::<Vec<_>>();
    assert_eq!(by_an_idle_one(&bytes).await.0.messages, whole.messages);
}

/// One frame of a peer that mostly does what it should.
fn any_frame() -> impl Strategy<Value = Vec<u8>> {
    let size = prop_oneof![0..300_usize, 125..128_usize, 65_534..65_538_usize, 60_000..120_000_usize];
    (0..100_u8, any::<bool>(), size).prop_map(|(kind, last, size)| match kind {
        0..10 => frame(true, PING, &vec![1; size.min(125)]),
        10..15 => frame(true, PONG, &vec![2; size.min(125)]),
        15..17 => frame(true, CLOSE, b"\x03\xe8bye"),
        // An opcode that does not exist, and a frame that is not masked.
        17..19 => frame(true, 3, b"x"),
        19..20 => b"\x82\x01x".to_vec(),
        20..50 => frame(last, MORE, &vec![3; size]),
        _ => frame(last, BINARY, &vec![4; size]),
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]
    #[test]
    fn any_stream_in_any_pieces_says_the_same(
        frames in vec(any_frame(), 0..12),
        pieces in vec(prop_oneof![1..9_usize, 1..3_000_usize, 1..200_000_usize], 1..40),
    ) {
        let all = frames.concat();
        let (mut chunks, mut rest) = (Vec::new(), all.as_slice());
        for piece in pieces.iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (chunk, after) = rest.split_at((*piece).min(rest.len()));
            (rest, _) = (after, chunks.push(chunk));
        }
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let plain = runtime.block_on(by_a_plain_one(&chunks));
        prop_assert_eq!(runtime.block_on(by_an_idle_one(&chunks)).0, plain);
    }
}

#[tokio::test]
async fn it_parks_only_between_messages() {
    let (mut socket, mut peer) = idle();
    let mut said = Said::default();
    for (bytes, parked) in [
        (frame(true, BINARY, b"x"), true),
        (frame(false, BINARY, b"x"), false),
        (frame(true, PING, b""), false),
        (frame(true, MORE, b"y"), true),
        (vec![0x82], false),
        (vec![0x80, 1, 2, 3], false),
        (vec![4], true),
    ] {
        peer.write_all(&bytes).await.unwrap();
        said.take(&mut socket).await;
        assert_eq!(socket.is_parked(), parked, "{bytes:?}");
    }
}

#[tokio::test]
async fn a_reply_that_does_not_fit_keeps_it_awake_until_it_is_written() {
    // Two pongs of 40 bytes fill the pipe.
    let (io, mut peer) = duplex(64);
    let mut socket = IdleSocket::new(io, &Bytes::new(), config);
    let mut said = Said::default();
    for _ in 0..3 {
        for chunk in frame(true, PING, &[1; 40]).chunks(30) {
            unconstrained(peer.write_all(chunk)).await.unwrap();
            said.take(&mut socket).await;
        }
    }
    assert!(said.messages.len() == 3 && !socket.is_parked());
    while !socket.is_parked() {
        said.replied(&mut peer).await;
        said.take(&mut socket).await;
    }
    said.replied(&mut peer).await;
    let pong = [&[0x8a, 40][..], &[1; 40]].concat();
    assert_eq!(said.replies, [&pong[..], &pong, &pong].concat());
}

#[tokio::test]
async fn sending_wakes_it_and_it_parks_again() {
    let (mut socket, io) = idle();
    let mut peer = WebSocketStream::from_raw_socket(io, Role::Client, None).await;
    for n in 0..100_u8 {
        assert!(socket.is_parked());
        socket.feed(Message::Binary(vec![n].into())).await.unwrap();
        socket.feed(Message::Text("t".into())).await.unwrap();
        socket.flush().await.unwrap();
        assert_eq!(peer.next().await.unwrap().unwrap(), Message::Binary(vec![n].into()));
        assert_eq!(peer.next().await.unwrap().unwrap(), Message::Text("t".into()));
        peer.send(Message::Binary(vec![n; 100_000].into())).await.unwrap();
        assert_eq!(socket.next().await.unwrap().unwrap().len(), 100_000);
        assert!(socket.next().now_or_never().is_none());
    }
}

#[tokio::test]
async fn what_was_read_behind_the_upgrade_is_not_lost() {
    let (io, _peer) = duplex(64);
    let mut socket = IdleSocket::new(io, &frame(true, BINARY, b"hello").into(), config);
    assert_eq!(socket.next().await.unwrap().unwrap(), Message::Binary("hello".into()));
    assert!(socket.next().now_or_never().is_none() && socket.is_parked());
}

#[tokio::test]
async fn data_and_the_end_wake_a_parked_reader() {
    let (mut socket, mut peer) = idle();
    let reader = tokio::spawn(async move {
        let mut count = 0;
        while let Some(Ok(_)) = socket.next().await {
            count += 1;
        }
        count
    });
    for _ in 0..50 {
        tokio::task::yield_now().await;
        peer.write_all(&frame(true, BINARY, b"hello")).await.unwrap();
    }
    drop(peer);
    assert_eq!(reader.await.unwrap(), 50);
}

#[tokio::test]
async fn either_end_can_close() {
    let (mut socket, io) = idle();
    let mut peer = WebSocketStream::from_raw_socket(io, Role::Client, None).await;
    peer.send(Message::Close(None)).await.unwrap();
    assert!(socket.next().await.unwrap().unwrap().is_close());
    assert!(socket.next().await.is_none());
    assert!(peer.next().await.unwrap().unwrap().is_close());

    let (mut socket, io) = idle();
    let mut peer = WebSocketStream::from_raw_socket(io, Role::Client, None).await;
    socket.close().await.unwrap();
    assert!(socket.next().now_or_never().is_none() && !socket.is_parked());
    assert!(socket.send(Message::Binary("late".into())).await.is_err());
    assert!(peer.next().await.unwrap().unwrap().is_close());
    peer.flush().await.unwrap();
    assert!(socket.next().await.unwrap().unwrap().is_close());
    assert!(socket.next().await.is_none());
}

#[tokio::test]
async fn a_connection_that_was_cut_is_told_as_such() {
    for part in [0, 1, 3, 9] {
        let (mut socket, mut peer) = idle();
        peer.write_all(&frame(true, BINARY, b"hello")[..part]).await.unwrap();
        assert!(socket.next().now_or_never().is_none());
        drop(peer);
        assert!(format!("{:?}", socket.next().await).contains("ResetWithoutClosingHandshake"));
        assert!(socket.next().await.is_none());
    }
}
