//! How many instructions a question takes on its way through the gateway, and its answer on the way back.
//!
//! valgrind counts them, so the machine's mood does not matter. Each has a limit about a tenth above what it takes now;
//! above it the run fails. `docs/design/performance.md` holds the figures.

#![allow(missing_docs, reason = "the macros write functions that nobody calls")]
#![allow(clippy::expect_used, reason = "what cannot be prepared fails the run")]

#[path = "../common/deaf.rs"]
mod deaf;

use std::{hint::black_box, sync::Arc, time::Duration};

use bytes::Bytes;
use gungraun::{
    Callgrind, EventKind, LibraryBenchmarkConfig, library_benchmark, library_benchmark_group, main,
};
use oriel_gateway::{
    events::{PAGE_HEAD, text::Text},
    link::{
        Budget, Link, LinkFacts, Piece,
        handshake::server_side,
        pump::{self, End},
    },
    metrics::LinkMetrics,
};
use oriel_proto::{
    AgentFrame, AgentId, Answer, Body, Call, CameraId, Epoch, Event, GatewayFrame, InstanceId, Items, Kind,
    LoggedEvent, RequestId, SessionId, Severity, Timestamp, Trailer,
    call::{EventsCall, EventsTrailer, Order},
    codec::outline,
    encode,
    frame::Request,
    view::read_events,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream},
    runtime::{Builder, Runtime},
    task::JoinHandle,
    time::Instant,
};
use uuid::Uuid;

use self::deaf::{Deaf, facts};

/// Events of an answer.
const EVENTS: u64 = 20;

/// Calls before the one that is counted: what the first ones alone cost (thread-local buffers, random numbers) is not
/// meant.
const WARM_UP: usize = 3;

/// What every id and epoch of the prepared frames is.
const NAME: Uuid = Uuid::from_u128(0x0199_7a5c_5f60_7000_8000_0123_4567_89ab);

/// valgrind counts each byte that `rep stosb` or `rep movsb` writes as an instruction, and so a large `memset` as much
/// more than it is: the C library is to use neither.
const NO_REP: &str =
    "glibc.cpu.x86_rep_stosb_threshold=1073741824:glibc.cpu.x86_rep_movsb_threshold=1073741824";

/// Fails a benchmark that takes more instructions.
fn at_most(instructions: u64) -> LibraryBenchmarkConfig {
    let mut callgrind = Callgrind::default();
    callgrind.hard_limits([(EventKind::Ir, instructions)]);
    let mut config = LibraryBenchmarkConfig::default();
    config.tool(callgrind).env("GLIBC_TUNABLES", NO_REP);
    config
}

#[library_benchmark(config = at_most(2_760))]
#[bench::a_page(question())]
fn encode_request(question: GatewayFrame) -> (GatewayFrame, Vec<u8>) {
    let bytes = encode(black_box(&question)).expect("it fits");
    (question, bytes)
}

#[library_benchmark(config = at_most(9_720))]
#[bench::twenty_events(reply())]
fn outline_reply(reply: Vec<u8>) -> (Vec<u8>, Option<RequestId>) {
    let outline = black_box(outline(black_box(&reply)).expect("well-formed"));
    let id = outline.id;
    (reply, id)
}

// What the handler does with `EventStream::read` and `Text`, without the few fields of the page around the events.
#[library_benchmark(config = at_most(37_900))]
#[bench::twenty_events(reply(), camera())]
fn reply_to_json(reply: Vec<u8>, camera: CameraId) -> (Vec<u8>, Text, Option<EventsTrailer>) {
    let mut json = Text::of(&camera, PAGE_HEAD, b',', 2 * reply.len());
    let trailer = read_events(black_box(&reply), |event| json.push(event)).expect("events");
    (reply, json, trailer)
}

// From the question to the bytes of its answer; the pump's codec is let go and made anew, as for a camera that was
// silent.
#[library_benchmark(config = at_most(28_400))]
#[bench::twenty_events(Connected::new())]
fn call_over_link(mut connected: Connected) -> (Connected, Piece) {
    let piece = connected.call();
    (connected, piece)
}

library_benchmark_group!(
    name = hot_path,
    benchmarks = [encode_request, outline_reply, reply_to_json, call_over_link]
);
main!(library_benchmark_groups = hot_path);

fn camera() -> CameraId {
    "porch".parse().expect("an id")
}

/// What `GET /v1/cameras/porch/events?source=camera&limit=20` asks.
fn page() -> Call {
    Call::Events(EventsCall { limit: Some(EVENTS), ..EventsCall::all(Order::Desc) })
}

fn question() -> GatewayFrame {
    let id = RequestId::from(NAME);
    GatewayFrame::Request(Request { id, camera: camera(), deadline_ms: 10_000, call: page() })
}

/// What a camera answers: the frame that `oriel-bench relay` is measured with.
fn reply() -> Vec<u8> {
    let events = Items::Events((0..EVENTS).map(|back| event(EVENTS - back)).collect());
    let trailer = EventsTrailer {
        scanned: Vec::new(),
        lost: Vec::new(),
        as_of: Timestamp::from_millis(1_800_000_000_000),
        more: false,
    };
    let answer = Answer { body: vec![Body::Items(events)], trailer: Trailer::Events(trailer) };
    encode(&AgentFrame::Reply { id: RequestId::from(NAME), answer }).expect("it fits")
}

fn event(seq: u64) -> LoggedEvent {
    let event = Event {
        at: Timestamp::from_millis(1_700_000_000_000 + seq.cast_signed()),
        kind: Kind::Motion,
        severity: Severity::Info,
        description: "detected motion".into(),
        data: serde_json::Map::new(),
        image_at: None,
        was: None,
    };
    LoggedEvent { epoch: Epoch::from(NAME), seq, event }
}

/// A link with its pump, and the agent's end of the socket, on one thread and with a clock that stands still.
struct Connected {
    runtime: Runtime,
    link: Link,
    agent: Agent,
    _pump: JoinHandle<End>,
}

impl Connected {
    fn new() -> Self {
        let runtime = Builder::new_current_thread().enable_time().start_paused(true).build();
        let runtime = runtime.expect("a runtime");
        let (ours, theirs) = tokio::io::duplex(64 << 10);
        let link = link();
        let for_pump = link.clone();
        let pump = runtime.spawn(async move {
            let socket = server_side(ours, &Bytes::new());
            pump::run(socket, for_pump, Deaf, Duration::from_secs(30)).await
        });
        let mut connected = Self { runtime, link, agent: Agent::new(theirs), _pump: pump };
        for _ in 0..WARM_UP {
            connected.call();
        }
        connected
    }

    fn call(&mut self) -> Piece {
        let Self { runtime, link, agent, .. } = self;
        runtime.block_on(async {
            let deadline = Instant::now() + Duration::from_secs(10);
            let mut ticket = link.call(camera(), page(), deadline).expect("room");
            agent.answer().await;
            ticket.next().await.expect("an answer")
        })
    }
}

fn link() -> Link {
    let facts = LinkFacts {
        id: SessionId::from(NAME),
        agent: AgentId::from(NAME),
        instance: InstanceId::from(NAME),
        ..facts()
    };
    Link::new(facts, Budget::shared(16 << 20), Arc::<LinkMetrics>::default())
}

/// An agent that costs next to nothing, so that what is counted is the gateway: it copies the question's id into an
/// answer that is ready to be sent.
struct Agent {
    socket: DuplexStream,
    question: [u8; 512],
    answer: Vec<u8>,
}

impl Agent {
    fn new(socket: DuplexStream) -> Self {
        let reply = reply();
        let length = u16::try_from(reply.len()).expect("a short answer");
        // A final binary message, masked by nothing but zeros.
        let mut answer = vec![0x82, 0x80 | 126];
        answer.extend_from_slice(&length.to_be_bytes());
        answer.extend_from_slice(&[0; 4]);
        answer.extend_from_slice(&reply);
        Self { socket, question: [0; 512], answer }
    }

    async fn answer(&mut self) {
        let length = self.socket.read(&mut self.question).await.expect("a question");
        id(&mut self.answer).copy_from_slice(id(&mut self.question[..length]));
        self.socket.write_all(&self.answer).await.expect("the socket is open");
    }
}

/// Where the id stands in a message: 16 bytes behind their name and their length.
fn id(message: &mut [u8]) -> &mut [u8] {
    let before = b"\xa2id\xc4\x10";
    let at = message.windows(before.len()).position(|window| window == before).expect("an id");
    &mut message[at + before.len()..][..16]
}
