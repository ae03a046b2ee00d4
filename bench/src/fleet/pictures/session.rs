//! One connection of a light agent with pictures, and its open answers.

use std::{
    collections::{HashMap, VecDeque},
    convert::Infallible,
    sync::{Arc, atomic::Ordering},
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use camera_agent::backoff::Ending;
use futures_util::FutureExt;
use oriel_proto::{
    AgentFrame, Answer, Body, Call, EncodeError, FailureCode, GatewayFrame, RequestId, Timestamp, Trailer,
    call::{Head, ImageMatch},
    encode,
    frame::Request,
    limits::{FIRST_CREDIT, FRAME_BYTES},
};
use tokio::{
    sync::watch,
    time::{Instant, sleep_until},
};

use super::{Album, Member, PIECE, Roll, Seen};
use crate::fleet::{Socket, answer::fail};

/// What a small answer takes beside its picture.
const REPLY_HEAD: usize = 512;

/// One connection.
pub(super) struct Session {
    album: Album,
    seen: Arc<Seen>,
    roll: Arc<Roll>,
    held: watch::Receiver<bool>,
    answers: HashMap<RequestId, Sending>,
    /// Answers that have something to send and may have credit, in turn.
    ready: VecDeque<RequestId>,
}

/// An answer on its way.
struct Sending {
    jpeg: Bytes,
    at: Timestamp,
    /// Bytes of the picture that are sent.
    sent: usize,
    /// Whether its head is.
    begun: bool,
    n: u32,
    credit: u32,
    /// Only of a stream: the time between two pictures, and when the next one is due.
    stream: Option<(Duration, Instant)>,
}

impl Session {
    /// One without questions.
    pub(super) fn new(album: Album, seen: Arc<Seen>, roll: Arc<Roll>) -> Self {
        let held = seen.held.subscribe();
        Self { album, seen, roll, held, answers: HashMap::new(), ready: VecDeque::new() }
    }

    /// Connects and serves until the connection ends.
    pub(super) async fn live(mut self, mut member: Member) -> Result<Infallible, Ending> {
        let mut socket = member.dial(false).await?;
        member.announce(&mut socket).await?;
        let (pause, mut unbound) = (socket.heartbeat.mul_f64(0.9), member.cameras.len());
        let mut ping_at = Instant::now() + pause;
        loop {
            while let Some(frame) = socket.next().now_or_never() {
                self.hear(frame?, &mut unbound, &mut socket).await?;
            }
            self.send(&mut socket).await?;
            socket.flush().await?;
            let next = self.next_picture().map_or(ping_at, |at| ping_at.min(at));
            tokio::select! {
                frame = socket.next() => self.hear(frame?, &mut unbound, &mut socket).await?,
                Ok(()) = self.held.changed() => {}
                () = sleep_until(next) => {
                    if Instant::now() >= ping_at {
                        socket.ping().await?;
                        ping_at = Instant::now() + pause;
                    }
                    self.begin_pictures();
                }
            }
        }
    }

    async fn hear(
        &mut self,
        frame: GatewayFrame,
        unbound: &mut usize,
        socket: &mut Socket,
    ) -> Result<(), Ending> {
        match frame {
            GatewayFrame::Request(request) => return self.asked(request, socket).await,
            GatewayFrame::Credit { id, bytes } => {
                if let Some(answer) = self.answers.get_mut(&id) {
                    answer.credit += bytes;
                    self.ready.push_back(id);
                }
            }
            GatewayFrame::Cancel { id } => {
                let cancelled = self.answers.remove(&id);
                cancelled.filter(|answer| answer.stream.is_some()).iter().for_each(|_| self.seen.stops());
            }
            GatewayFrame::Bound(_) if *unbound > 0 => {
                *unbound -= 1;
                if *unbound == 0 {
                    self.roll.enter();
                }
            }
            _ => {}
        }
        Ok(())
    }

    async fn asked(&mut self, request: Request, socket: &mut Socket) -> Result<(), Ending> {
        let (class, at, stream) = match &request.call {
            Call::Image(call) => {
                self.seen.asked.fetch_add(1, Ordering::Relaxed);
                let at = if call.matching == ImageMatch::Latest { now() } else { call.at };
                (&call.class, at, None)
            }
            Call::Live(call) => {
                self.seen.begins();
                let between = Duration::try_from_secs_f32(1.0 / call.max_fps).unwrap_or(Duration::MAX);
                (&call.class, now(), Some((between, Instant::now() + between)))
            }
            _ => {
                return socket.send(&fail(request.id, FailureCode::Unsupported, "only pictures")).await;
            }
        };
        let jpeg = self.album.of(class).clone();
        let sending = Sending { jpeg, at, sent: 0, begun: false, n: 0, credit: FIRST_CREDIT, stream };
        self.answers.insert(request.id, sending);
        self.ready.push_back(request.id);
        Ok(())
    }

    /// When the next picture of a stream is due.
    fn next_picture(&self) -> Option<Instant> {
        self.answers.values().filter_map(|answer| answer.stream.map(|(_, at)| at)).min()
    }

    /// Begins the pictures that are due, in streams that have sent the one before; the others miss one.
    fn begin_pictures(&mut self) {
        for (id, answer) in &mut self.answers {
            let (now, whole) = (Instant::now(), answer.sent == answer.jpeg.len());
            let Some((between, due)) = &mut answer.stream else { continue };
            if *due <= now {
                *due = (*due + *between).max(now);
                if whole {
                    (answer.sent, answer.begun, answer.at) = (0, false, self::now());
                    self.ready.push_back(*id);
                }
            }
        }
    }

    /// Whether answers wait; the look at it ends before anything is waited for.
    fn is_held(&self) -> bool {
        *self.held.borrow()
    }

    /// Writes what credit allows, a Part of each answer in turn.
    async fn send(&mut self, socket: &mut Socket) -> Result<(), Ending> {
        while !self.is_held()
            && let Some(id) = self.ready.pop_front()
        {
            let Some(answer) = self.answers.get_mut(&id) else { continue };
            let Some(frame) = answer.frame(id) else { continue };
            let (is_part, is_whole) =
                (matches!(frame, AgentFrame::Part { .. }), answer.begun && answer.sent == answer.jpeg.len());
            let bytes = encoded(&frame).map_err(|_| Ending::Broken)?;
            if is_part && !answer.pay(bytes.len()) {
                // Nothing of it counts: it is made again when there is credit.
                answer.take_back(&frame);
                continue;
            }
            socket.feed_bytes(bytes).await?;
            if !is_part {
                self.answers.remove(&id);
            } else if is_whole && answer.stream.is_some() {
                self.seen.shows(answer.at);
            } else {
                self.ready.push_back(id);
            }
        }
        Ok(())
    }
}

impl Sending {
    /// What comes next; none while a stream waits for its next picture.
    fn frame(&mut self, id: RequestId) -> Option<AgentFrame> {
        let is_whole = self.begun && self.sent == self.jpeg.len();
        if is_whole {
            return self.stream.is_none().then_some(AgentFrame::Done { id, trailer: Trailer::Nothing {} });
        }
        if !self.begun {
            self.begun = true;
            if self.stream.is_none() && self.jpeg.len() + REPLY_HEAD <= FRAME_BYTES {
                let body = vec![Body::Head(self.head()), Body::Bytes(self.jpeg.clone())];
                return Some(AgentFrame::Reply { id, answer: Answer { body, trailer: Trailer::Nothing {} } });
            }
            return Some(AgentFrame::Part { id, n: self.n, body: Body::Head(self.head()) });
        }
        let piece = self.jpeg.slice(self.sent..self.jpeg.len().min(self.sent + PIECE));
        self.sent += piece.len();
        Some(AgentFrame::Part { id, n: self.n, body: Body::Bytes(piece) })
    }

    /// Takes the credit for a Part of so many bytes; false when there is too little.
    fn pay(&mut self, bytes: usize) -> bool {
        let cost = u32::try_from(bytes).unwrap_or(u32::MAX);
        let Some(left) = self.credit.checked_sub(cost) else { return false };
        (self.credit, self.n) = (left, self.n + 1);
        true
    }

    /// A Part that was not sent is still to be sent.
    fn take_back(&mut self, frame: &AgentFrame) {
        match frame {
            AgentFrame::Part { body: Body::Bytes(piece), .. } => self.sent -= piece.len(),
            _ => self.begun = false,
        }
    }

    fn head(&self) -> Head {
        Head {
            media_type: "image/jpeg".into(),
            length: self.jpeg.len() as u64,
            at: self.at,
            etag: format!("{:x}", self.at.as_micros()),
            prev: None,
            next: None,
        }
    }
}

/// The bytes of a frame; a piece of a picture is written at once, as what an agent costs is not to be seen.
fn encoded(frame: &AgentFrame) -> Result<Vec<u8>, EncodeError> {
    let AgentFrame::Part { id, n, body: Body::Bytes(piece) } = frame else { return encode(frame) };
    let mut bytes = Vec::with_capacity(64 + piece.len());
    bytes.extend_from_slice(b"\x81\xa4Part\x83\xa2id\xc4\x10");
    bytes.extend_from_slice(id.as_uuid().as_bytes());
    bytes.extend_from_slice(b"\xa1n\xce");
    bytes.extend_from_slice(&n.to_be_bytes());
    bytes.extend_from_slice(b"\xa4body\x81\xa5Bytes\xc6");
    bytes.extend_from_slice(&u32::try_from(piece.len()).unwrap_or(u32::MAX).to_be_bytes());
    bytes.extend_from_slice(piece);
    Ok(bytes)
}

/// Now, as pictures are named.
fn now() -> Timestamp {
    let now: Timestamp = SystemTime::now().into();
    Timestamp::from_millis(now.as_micros().div_euclid(1_000))
}

#[cfg(test)]
mod tests {
    use oriel_proto::decode;

    use super::*;

    #[test]
    fn a_piece_that_is_written_at_once_is_the_frame_that_it_should_be() {
        let body = Body::Bytes(Bytes::from(vec![7; PIECE]));
        let part = AgentFrame::Part { id: RequestId::new(), n: 300, body };
        assert_eq!(decode::<AgentFrame>(&encoded(&part).unwrap()).unwrap(), part);
    }
}
