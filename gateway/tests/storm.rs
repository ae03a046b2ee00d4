//! Many cameras, many callers, and everything that can go wrong at once: no answer may reach a wrong caller.
//!
//! The seed is printed; `ORIEL_SEED` repeats a run.

#![allow(clippy::unwrap_used, reason = "what these helpers cannot do fails the test")]

mod common;

use std::{sync::Arc, time::Duration};

use common::*;
use futures_util::{SinkExt, StreamExt};
use oriel_gateway::link::Link;
use oriel_proto::{
    AgentFrame, Body, Call, Epoch, FailureCode, GatewayFrame, Items, decode, encode, frame::Request,
};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use reqwest::Method;
use tokio::{
    sync::Semaphore,
    task::JoinSet,
    time::{Instant, sleep_until, timeout},
};
use tokio_tungstenite::tungstenite::Message;

const CAMERAS: usize = 50;
const REQUESTS: usize = 5_000;

/// Clients with a pool of connections each: enough that questions are really open at the same time.
const CLIENTS: usize = 10;

/// Requests that are open at once: all, where the system allows a program two files for each.
fn at_once() -> usize {
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"));
    let files = line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(256_usize);
    (files.saturating_sub(200) / 2).clamp(1, REQUESTS)
}

/// How a camera treats its questions.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Manner {
    /// Answers at once.
    Quick,
    /// Answers after a while, in pieces, and out of order.
    Slow,
    /// Never answers.
    Silent,
    /// Fails.
    Failing,
    /// Answers twice, and others' questions again.
    Confused,
    /// Cuts its connection now and then and comes back.
    Leaving,
}

impl Manner {
    const ALL: [Self; 6] =
        [Self::Quick, Self::Slow, Self::Silent, Self::Failing, Self::Confused, Self::Leaving];

    fn of(camera: usize) -> Self {
        Self::ALL[camera % Self::ALL.len()]
    }

    /// The problems that such a camera's callers may see.
    fn allowed(self) -> &'static [&'static str] {
        match self {
            Self::Quick | Self::Confused => &["camera_timeout"],
            Self::Slow | Self::Silent => &["camera_timeout"],
            Self::Failing => &["camera_failed", "camera_busy", "camera_unsupported", "camera_timeout"],
            Self::Leaving => &["camera_offline", "camera_failed", "camera_timeout"],
        }
    }
}

/// The marker of a question.
fn marker(request: &Request) -> String {
    match &request.call {
        Call::Events(call) => call.text.clone().unwrap(),
        other => panic!("not asked here: {other:?}"),
    }
}

/// What an agent sends for a question, and how much later.
fn answer(manner: Manner, request: &Request, rng: &mut StdRng) -> Vec<(Duration, AgentFrame)> {
    let (id, said) = (request.id, marker(request));
    let soon = |rng: &mut StdRng| Duration::from_millis(rng.random_range(0..400));
    match manner {
        Manner::Quick | Manner::Leaving => vec![(Duration::ZERO, page(id, &said))],
        Manner::Silent => Vec::new(),
        Manner::Confused => {
            vec![
                (Duration::ZERO, page(id, &said)),
                (soon(rng), page(id, "twice")),
                (soon(rng), page(id, &said)),
            ]
        }
        Manner::Failing => {
            let codes = [FailureCode::SourceFailed, FailureCode::Busy, FailureCode::Unsupported];
            vec![(soon(rng), fail(id, codes[rng.random_range(0..codes.len())].clone(), &said))]
        }
        Manner::Slow => {
            let body = Body::Items(Items::Events(vec![event(Epoch::new(), 1, &said)]));
            let (first, then) = (soon(rng), soon(rng));
            let done = AgentFrame::Done { id, trailer: events_trailer(false) };
            vec![(first, AgentFrame::Part { id, n: 0, body }), (first + then, done)]
        }
    }
}

/// Serves one camera in its manner until the gateway closes.
async fn serve(enrolled: Enrolled, camera: String, manner: Manner, mut rng: StdRng) {
    let instance = oriel_proto::InstanceId::new();
    for generation in 1.. {
        let mut agent = enrolled.welcomed(instance, generation).await;
        agent.serve(&[&camera]).await;
        let mut socket = agent.into_socket();
        let mut due: Vec<(Instant, AgentFrame)> = Vec::new();
        let leave_after = rng.random_range(20..60);
        let mut asked = 0;
        while manner != Manner::Leaving || asked < leave_after {
            due.sort_by_key(|(at, _)| std::cmp::Reverse(*at));
            let next = due.last().map(|(at, _)| *at);
            tokio::select! {
                message = socket.next() => match message {
                    Some(Ok(Message::Binary(bytes))) => {
                        if let Ok(GatewayFrame::Request(request)) = decode(&bytes) {
                            asked += 1;
                            let later = answer(manner, &request, &mut rng);
                            due.extend(later.into_iter().map(|(after, frame)| (Instant::now() + after, frame)));
                        }
                    }
                    Some(Ok(Message::Close(_)) | Err(_)) | None => return,
                    Some(Ok(_)) => {}
                },
                () = sleep_until(next.unwrap_or_else(Instant::now)), if next.is_some() => {
                    let (_, frame) = due.pop().unwrap();
                    _ = socket.send(Message::Binary(encode(&frame).unwrap().into())).await;
                }
            }
        }
    }
}

/// How one request ended.
#[derive(Debug)]
enum Ended {
    Well,
    Failed(String),
    HungUp,
}

/// Asks once, patiently or not, and checks that the answer is its own.
async fn ask(request: reqwest::RequestBuilder, marker: &str, patience: Option<Duration>) -> Ended {
    let asked = Answer::of(request);
    let answer = match patience {
        None => asked.await,
        Some(patience) => match timeout(patience, asked).await {
            Ok(answer) => answer,
            Err(_) => return Ended::HungUp,
        },
    };
    if answer.status == 200 {
        let events = answer.json()["events"].as_array().unwrap().clone();
        assert_eq!(events.len(), 1, "{}", answer.text);
        assert_eq!(events[0]["description"], marker, "somebody else's answer");
        return Ended::Well;
    }
    if let Some((_, said)) = answer.detail().split_once("source_failed: ") {
        assert_eq!(said, marker, "somebody else's failure");
    }
    Ended::Failed(answer.code())
}

#[derive(Debug, Default)]
struct Tally {
    well: usize,
    failed: usize,
    hung_up: usize,
}

async fn storm(gateway: &Arc<TestGateway>, rng: &mut StdRng) -> Tally {
    let clients: Vec<_> = (0..CLIENTS).map(|_| common::client(&[])).collect();
    let (room, mut asking) = (Arc::new(Semaphore::new(at_once())), JoinSet::new());
    for n in 0..REQUESTS {
        let camera = rng.random_range(0..CAMERAS);
        let (marker, millis) = (format!("question {n} of camera {camera}"), rng.random_range(300..1_500));
        let patience = rng.random_bool(0.2).then(|| Duration::from_millis(rng.random_range(0..600)));
        let url = format!("http://{}/v1/cameras/camera-{camera}/events", gateway.address);
        let query = [("q", marker.clone()), ("timeout", format!("{millis}ms"))];
        let request =
            clients[n % CLIENTS].request(Method::GET, url).query(&query).bearer_auth(&gateway.admin);
        let place = Arc::clone(&room).acquire_owned().await.unwrap();
        asking.spawn(async move {
            let ended = ask(request, &marker, patience).await;
            drop(place);
            (Manner::of(camera), ended)
        });
    }
    let mut tally = Tally::default();
    while let Some(ended) = asking.join_next().await {
        match ended.unwrap() {
            (_, Ended::Well) => tally.well += 1,
            (_, Ended::HungUp) => tally.hung_up += 1,
            (manner, Ended::Failed(code)) => {
                assert!(manner.allowed().contains(&code.as_str()), "{manner:?}: {code}");
                tally.failed += 1;
            }
        }
    }
    tally
}

#[tokio::test(flavor = "multi_thread")]
async fn no_answer_reaches_a_wrong_caller() {
    let seed = std::env::var("ORIEL_SEED").map_or_else(|_| rand::random(), |seed| seed.parse().unwrap());
    println!("ORIEL_SEED={seed}");
    let mut rng = StdRng::seed_from_u64(seed);
    let gateway =
        TestGateway::with(|config| config.limits.connections_per_address = REQUESTS + CAMERAS).await;
    let gateway = Arc::new(gateway);
    let mut agents = JoinSet::new();
    for n in 0..CAMERAS {
        let camera = format!("camera-{n}");
        let enrolled = gateway.enroll(&[&camera]).await;
        agents.spawn(serve(enrolled, camera, Manner::of(n), StdRng::seed_from_u64(rng.random())));
    }
    let registry = gateway.registry.clone();
    let connected = |n: usize| registry.find(&format!("camera-{n}").parse().unwrap()).is_some();
    until("all are connected", async || (0..CAMERAS).all(connected)).await;
    let tally = storm(&gateway, &mut rng).await;
    println!("{tally:?}");
    assert_eq!(tally.well + tally.failed + tally.hung_up, REQUESTS);
    assert!(tally.well > 0 && tally.failed > 0 && tally.hung_up > 0);
    let idle = || registry.links().iter().map(Link::open_calls).sum::<usize>() == 0;
    until("nothing is open any more", async || idle()).await;
    assert!(gateway.metric("oriel_frames_late_total").await > 0.0, "late answers came, and reached nobody");
    let broken = gateway.metric("oriel_frames_broken_total").await;
    assert!(broken == 0.0 && agents.try_join_next().is_none(), "no agent was cut off");
}
