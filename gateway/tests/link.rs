//! A link's promises, over a socket in memory and with a clock that is moved, not waited for.

#![allow(clippy::expect_used, reason = "what these helpers cannot do fails the test")]

#[path = "common/deaf.rs"]
mod deaf;

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures_util::{FutureExt, SinkExt, StreamExt};
use oriel_gateway::{
    link::{
        Budget, CallError, Close, Link, Piece,
        handshake::server_side,
        pump::{self, End},
    },
    metrics::LinkMetrics,
};
use oriel_proto::{
    AgentFrame, Answer, Body, Call, CameraId, Failure, FailureCode, GatewayFrame, RequestId, Trailer, decode,
    encode,
    frame::{Fail, Request},
    limits::{CALLS, FIRST_CREDIT},
};
use tokio::{
    io::DuplexStream,
    task::{JoinHandle, yield_now},
    time::{Instant, timeout},
};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{Message, protocol::Role},
};
use tokio_util::io::InspectWriter;

use self::deaf::{Deaf, facts};

const HEARTBEAT: Duration = Duration::from_secs(30);
const SECOND: Duration = Duration::from_secs(1);

/// A link, its pump, and the agent's end of the socket.
struct Pair {
    link: Link,
    agent: WebSocketStream<DuplexStream>,
    pump: JoinHandle<End>,
    metrics: Arc<LinkMetrics>,
}

impl Pair {
    async fn new() -> Self {
        Self::counting(&Arc::default()).await
    }

    /// Counts how often the pump writes into the socket.
    async fn counting(writes: &Arc<AtomicUsize>) -> Self {
        let (ours, theirs) = tokio::io::duplex(1 << 20);
        let ours = InspectWriter::new(ours, {
            let writes = Arc::clone(writes);
            move |_: &[u8]| _ = writes.fetch_add(1, Ordering::Relaxed)
        });
        let metrics = Arc::<LinkMetrics>::default();
        let link = Link::new(facts(), Budget::shared(16 << 20), Arc::clone(&metrics));
        let for_pump = link.clone();
        let socket = server_side(ours, &bytes::Bytes::new());
        let pump = tokio::spawn(pump::run(socket, for_pump, Deaf, HEARTBEAT));
        let agent = WebSocketStream::from_raw_socket(theirs, Role::Client, None).await;
        Self { link, agent, pump, metrics }
    }

    fn ask(&self) -> Result<oriel_gateway::link::Ticket, CallError> {
        self.link.call(camera(), Call::Describe {}, Instant::now() + 10 * SECOND)
    }

    async fn frame(&mut self) -> GatewayFrame {
        match timeout(SECOND, self.agent.next()).await.expect("a frame comes") {
            Some(Ok(Message::Binary(bytes))) => decode(&bytes).expect("a good frame"),
            other => panic!("no frame but {other:?}"),
        }
    }

    async fn request(&mut self) -> Request {
        match self.frame().await {
            GatewayFrame::Request(request) => request,
            other => panic!("no request but {other:?}"),
        }
    }

    async fn say(&mut self, frame: &AgentFrame) {
        let bytes = encode(frame).expect("it fits");
        self.agent.send(Message::Binary(bytes.into())).await.expect("the socket is open");
    }

    async fn close_code(&mut self) -> u16 {
        loop {
            match self.agent.next().await {
                Some(Ok(Message::Close(Some(frame)))) => return frame.code.into(),
                Some(Ok(_)) => {}
                other => panic!("no close but {other:?}"),
            }
        }
    }
}

fn camera() -> CameraId {
    "porch".parse().expect("an id")
}

fn bytes(n: usize) -> Body {
    Body::Bytes(vec![7; n].into())
}

fn reply(id: RequestId, body: Vec<Body>) -> AgentFrame {
    AgentFrame::Reply { id, answer: Answer { body, trailer: Trailer::Nothing {} } }
}

/// A Reply as its asker gets it.
fn whole(id: RequestId, body: Vec<Body>) -> Piece {
    Piece::Last(encode(&reply(id, body)).expect("it fits").into())
}

#[tokio::test(start_paused = true)]
async fn an_answer_reaches_the_one_who_asked() {
    let mut pair = Pair::new().await;
    let (mut first, mut second) = (pair.ask().expect("room"), pair.ask().expect("room"));
    let (one, two) = (pair.request().await, pair.request().await);
    assert_eq!((one.id, two.id), (first.id(), second.id()));
    pair.say(&reply(two.id, vec![bytes(2)])).await;
    pair.say(&reply(one.id, vec![bytes(1)])).await;
    assert_eq!(first.next().await, Ok(whole(one.id, vec![bytes(1)])));
    assert_eq!(second.next().await, Ok(whole(two.id, vec![bytes(2)])));
    assert_eq!(pair.link.open_calls(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_question_that_is_alone_is_sent_without_giving_way() {
    let mut pair = Pair::new().await;
    yield_now().await;
    let _ticket = pair.ask().expect("room");
    // Whoever gives way in this turn too has his own next one only behind this one.
    yield_now().await;
    assert!(pair.agent.next().now_or_never().is_some());
}

#[tokio::test(start_paused = true)]
async fn a_question_that_comes_while_others_are_open_goes_in_one_write_with_who_is_about_to_ask() {
    let writes = Arc::<AtomicUsize>::default();
    let mut pair = Pair::counting(&writes).await;
    let _open = pair.ask().expect("room");
    pair.request().await;
    let before = writes.load(Ordering::Relaxed);
    let _first = pair.ask().expect("room");
    let link = pair.link.clone();
    // Its first turn comes behind the pump's.
    let second = tokio::spawn(async move { link.call(camera(), Call::Describe {}, Instant::now() + SECOND) });
    pair.request().await;
    pair.request().await;
    assert_eq!(writes.load(Ordering::Relaxed) - before, 1);
    assert!(second.await.expect("it ends").is_ok());
}

#[tokio::test(start_paused = true)]
async fn the_agent_is_told_the_time_that_is_left() {
    let mut pair = Pair::new().await;
    let _ticket = pair.link.call(camera(), Call::Describe {}, Instant::now() + 3 * SECOND).expect("room");
    let left = pair.request().await.deadline_ms;
    assert!((2_900..=3_000).contains(&left), "{left}");
}

#[tokio::test(start_paused = true)]
async fn dropping_a_ticket_cancels_a_question_that_was_sent() {
    let mut pair = Pair::new().await;
    let ticket = pair.ask().expect("room");
    let id = pair.request().await.id;
    drop(ticket);
    assert_eq!(pair.frame().await, GatewayFrame::Cancel { id });
    assert_eq!(pair.link.open_calls(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_question_taken_back_before_it_was_sent_is_never_sent() {
    let mut pair = Pair::new().await;
    drop(pair.ask().expect("room"));
    let kept = pair.ask().expect("room");
    assert_eq!(pair.request().await.id, kept.id());
}

#[tokio::test(start_paused = true)]
async fn a_late_answer_reaches_nobody_and_is_counted() {
    let mut pair = Pair::new().await;
    let ticket = pair.ask().expect("room");
    let id = pair.request().await.id;
    drop(ticket);
    pair.say(&reply(id, vec![])).await;
    let mut next = pair.ask().expect("room");
    assert_eq!(pair.frame().await, GatewayFrame::Cancel { id });
    let other = pair.request().await.id;
    pair.say(&reply(other, vec![bytes(9)])).await;
    assert_eq!(next.next().await, Ok(whole(other, vec![bytes(9)])));
    assert_eq!(pair.metrics.late_frames.get(), 1);
}

#[tokio::test(start_paused = true)]
async fn when_the_socket_ends_every_waiter_is_told_and_late_tickets_are_refused() {
    let mut pair = Pair::new().await;
    let mut waiting = pair.ask().expect("room");
    pair.request().await;
    drop(pair.agent);
    assert_eq!(waiting.next().await, Err(CallError::Closed));
    pair.pump.await.expect("the pump ends");
    assert!(pair.link.is_closed());
    let refused = pair.link.call(camera(), Call::Describe {}, Instant::now() + SECOND);
    assert_eq!(refused.err(), Some(CallError::Closed));
}

#[tokio::test(start_paused = true)]
async fn a_failure_of_the_camera_is_passed_on() {
    let mut pair = Pair::new().await;
    let mut ticket = pair.ask().expect("room");
    let failure = Failure::new(FailureCode::SourceFailed, "lens cap");
    let id = pair.request().await.id;
    pair.say(&AgentFrame::Fail(Fail::of(id, failure.clone()))).await;
    assert_eq!(ticket.next().await, Err(CallError::Failed(failure)));
}

#[tokio::test(start_paused = true)]
async fn credit_comes_as_the_answer_is_taken() {
    let mut pair = Pair::new().await;
    let mut ticket = pair.ask().expect("room");
    let id = pair.request().await.id;
    for n in 0..3 {
        pair.say(&AgentFrame::Part { id, n, body: bytes(8 << 10) }).await;
    }
    ticket.next().await.expect("a piece");
    match pair.frame().await {
        GatewayFrame::Credit { id: named, bytes } => {
            assert_eq!(named, id);
            assert!(bytes >= FIRST_CREDIT / 4, "in steps of at least a quarter, not {bytes}");
        }
        other => panic!("no credit but {other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_sender_over_its_credit_is_closed() {
    let mut pair = Pair::new().await;
    let _ticket = pair.ask().expect("room");
    let id = pair.request().await.id;
    for n in 0..4 {
        pair.say(&AgentFrame::Part { id, n, body: bytes(8 << 10) }).await;
    }
    assert_eq!(pair.close_code().await, 1008);
}

#[tokio::test(start_paused = true)]
async fn a_silent_agent_is_closed_after_two_and_a_half_heartbeats() {
    let mut pair = Pair::new().await;
    let start = Instant::now();
    assert_eq!(pair.close_code().await, 4008);
    assert_eq!(start.elapsed(), HEARTBEAT * 5 / 2);
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_does_not_answer_a_probe_is_closed_within_five_seconds() {
    let mut pair = Pair::new().await;
    let start = Instant::now();
    pair.link.probe();
    // Not polled meanwhile, so that it answers nothing.
    (&mut pair.pump).await.map(|end| assert!(matches!(end, End::ByGateway(Close::Silent)))).expect("it ends");
    assert_eq!(start.elapsed(), SECOND * 49 / 10, "nobody is there to wait for");
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_answers_a_probe_stays() {
    let mut pair = Pair::new().await;
    pair.link.probe();
    let next = timeout(20 * SECOND, pair.agent.next()).await.expect("a ping").expect("open");
    assert!(matches!(next, Ok(Message::Ping(_))));
    assert!(
        timeout(20 * SECOND, pair.agent.next()).await.is_err(),
        "nothing more is said, and nothing closed"
    );
    assert!(!pair.link.is_closed());
}

#[tokio::test(start_paused = true)]
async fn a_link_that_is_to_end_says_so_and_in_how_long() {
    let mut pair = Pair::new().await;
    pair.link.drain(8 * SECOND);
    assert_eq!(pair.frame().await, GatewayFrame::Drain { within_ms: 8_000 });
}

#[tokio::test(start_paused = true)]
async fn a_ping_keeps_a_link_alive() {
    let mut pair = Pair::new().await;
    let start = Instant::now();
    tokio::time::advance(HEARTBEAT).await;
    pair.agent.send(Message::Ping("x".into())).await.expect("open");
    assert_eq!(pair.close_code().await, 4008);
    assert_eq!(start.elapsed(), HEARTBEAT + HEARTBEAT * 5 / 2);
}

#[tokio::test(start_paused = true)]
async fn a_retired_link_finishes_its_answers_first() {
    let mut pair = Pair::new().await;
    let mut ticket = pair.ask().expect("room");
    let id = pair.request().await.id;
    pair.link.retire(10 * SECOND, Close::Superseded);
    pair.say(&reply(id, vec![])).await;
    assert_eq!(ticket.next().await, Ok(whole(id, vec![])));
    assert_eq!(pair.close_code().await, Close::Superseded.code());
}

#[tokio::test(start_paused = true)]
async fn a_retired_link_does_not_wait_for_ever() {
    let mut pair = Pair::new().await;
    let mut ticket = pair.link.call(camera(), Call::Describe {}, Instant::now() + 60 * SECOND).expect("room");
    pair.request().await;
    let start = Instant::now();
    pair.link.retire(10 * SECOND, Close::Superseded);
    assert_eq!(pair.close_code().await, Close::Superseded.code());
    assert_eq!(start.elapsed(), 10 * SECOND);
    assert_eq!(ticket.next().await, Err(CallError::Closed));
}

#[tokio::test(start_paused = true)]
async fn too_many_questions_are_refused_at_once() {
    let pair = Pair::new().await;
    let open: Vec<_> = (0..CALLS).map(|_| pair.ask().expect("room")).collect();
    assert_eq!(pair.ask().err(), Some(CallError::Busy));
    drop(open);
    assert!(pair.ask().is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_link_that_cannot_write_still_reads() {
    // The agent reads nothing and the pipe is small: the pump's requests get stuck, its ears do not.
    let (ours, theirs) = tokio::io::duplex(256);
    let base = Pair::new().await;
    let link = Link::new(base.link.facts().clone(), Budget::shared(16 << 20), Arc::default());
    let for_pump = link.clone();
    let socket = server_side(ours, &bytes::Bytes::new());
    tokio::spawn(pump::run(socket, for_pump, Deaf, HEARTBEAT));
    let mut agent = WebSocketStream::from_raw_socket(theirs, Role::Client, None).await;
    let mut tickets: Vec<_> = (0..200)
        .map(|_| link.call(camera(), Call::Describe {}, Instant::now() + 60 * SECOND).expect("room"))
        .collect();
    tokio::time::advance(SECOND).await;
    let last = tickets.pop().expect("one");
    let answer = whole(last.id(), vec![bytes(100)]);
    agent.send(Message::Binary(answer.frame().clone())).await.expect("it is read");
    let mut last = last;
    assert_eq!(timeout(SECOND, last.next()).await.expect("in time"), Ok(answer));
}
