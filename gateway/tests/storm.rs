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
use serde_json::Value;
use tokio::{
    sync::Semaphore,
    task::JoinSet,
    time::{Instant, sleep_until, timeout},
};
use tokio_tungstenite::tungstenite::Message;

const CAMERAS: usize = 50;
const REQUESTS: usize = 5_000;

/// Longer than any answer takes, by far: who waits so long waits for nothing.
const HUNG: Duration = Duration::from_secs(90);

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

    /// How a question may end that has all the time that it needs.
    fn ends(self, marker: &str) -> Vec<Ended> {
        match self {
            Self::Quick | Self::Slow | Self::Confused => vec![Ended::Well],
            Self::Silent => Vec::new(),
            Self::Failing => vec![Ended::failed(failure(marker).1)],
            Self::Leaving => vec![Ended::Well, Ended::failed("camera_offline")],
        }
    }
}

/// How somebody asks.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Asker {
    /// Has more time than anything here takes, and waits.
    Patient,
    /// Gives the camera so many milliseconds, and waits.
    Hurried(u64),
    /// Has time, but leaves after so many milliseconds.
    Fickle(u64),
}

impl Asker {
    /// Nobody is patient with a camera that never answers.
    fn of(manner: Manner, rng: &mut StdRng) -> Self {
        match rng.random_range(0..10) {
            0..5 if manner != Manner::Silent => Self::Patient,
            0..8 => Self::Hurried(rng.random_range(300..1_500)),
            _ => Self::Fickle(rng.random_range(0..600)),
        }
    }

    fn timeout(self) -> String {
        match self {
            Self::Hurried(millis) => format!("{millis}ms"),
            Self::Patient | Self::Fickle(_) => "60s".into(),
        }
    }

    /// Every way in which this asker's question may end, however busy the machine is. Only one is left wherever the camera and
    /// the asker leave no choice.
    fn ends(self, manner: Manner, marker: &str) -> Vec<Ended> {
        let mut ends = manner.ends(marker);
        match self {
            Self::Patient => {}
            Self::Hurried(_) => ends.push(Ended::failed("camera_timeout")),
            Self::Fickle(_) => ends.push(Ended::HungUp),
        }
        ends
    }
}

/// The marker of a question.
fn marker(request: &Request) -> String {
    match &request.call {
        Call::Events(call) => call.text.clone().unwrap(),
        other => panic!("not asked here: {other:?}"),
    }
}

/// How a failing camera fails a question, and what its asker is told.
fn failure(marker: &str) -> (FailureCode, &'static str) {
    match marker.bytes().map(usize::from).sum::<usize>() % 3 {
        0 => (FailureCode::SourceFailed, "camera_failed"),
        1 => (FailureCode::Busy, "camera_busy"),
        _ => (FailureCode::Unsupported, "camera_unsupported"),
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
            vec![(soon(rng), fail(id, failure(&said).0, &said))]
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
#[derive(Debug, PartialEq)]
enum Ended {
    Well,
    Failed(String),
    HungUp,
}

impl Ended {
    fn failed(code: &str) -> Self {
        Self::Failed(code.into())
    }
}

/// Asks once, and checks that the answer is its own.
async fn ask(request: reqwest::RequestBuilder, marker: &str, asker: Asker) -> Ended {
    let asked = async {
        let response = request.send().await.unwrap();
        (response.status().as_u16(), response.json::<Value>().await.unwrap())
    };
    let leaves = match asker {
        Asker::Fickle(millis) => Duration::from_millis(millis),
        Asker::Patient | Asker::Hurried(_) => HUNG,
    };
    let (status, answer) = match timeout(leaves, asked).await {
        Ok(answer) => answer,
        Err(_) => return Ended::HungUp,
    };
    if status == 200 {
        let events = answer["events"].as_array().unwrap();
        assert_eq!(events.len(), 1, "{answer}");
        assert_eq!(events[0]["description"], marker, "somebody else's answer");
        return Ended::Well;
    }
    if let Some((_, said)) = answer["detail"].as_str().unwrap().split_once("source_failed: ") {
        assert_eq!(said, marker, "somebody else's failure");
    }
    Ended::failed(answer["code"].as_str().unwrap())
}

/// How the requests ended, and how many of them could not end otherwise.
#[derive(Debug, Default)]
struct Tally {
    well: usize,
    failed: usize,
    hung_up: usize,
    certain: usize,
}

async fn storm(gateway: &Arc<TestGateway>, rng: &mut StdRng) -> Tally {
    let clients: Vec<_> = (0..CLIENTS).map(|_| common::client(&[])).collect();
    let (room, mut asking) = (Arc::new(Semaphore::new(at_once())), JoinSet::new());
    for n in 0..REQUESTS {
        let camera = rng.random_range(0..CAMERAS);
        let (marker, manner) = (format!("question {n} of camera {camera}"), Manner::of(camera));
        let asker = Asker::of(manner, rng);
        let url = format!("http://{}/v1/cameras/camera-{camera}/events?source=camera", gateway.address);
        let query = [("q", marker.clone()), ("timeout", asker.timeout())];
        let request =
            clients[n % CLIENTS].request(Method::GET, url).query(&query).bearer_auth(&gateway.admin);
        let place = Arc::clone(&room).acquire_owned().await.unwrap();
        asking.spawn(async move {
            let ended = ask(request, &marker, asker).await;
            drop(place);
            let ends = asker.ends(manner, &marker);
            assert!(ends.contains(&ended), "{asker:?} at a {manner:?} camera: {ended:?}, not {ends:?}");
            (ended, ends.len() == 1)
        });
    }
    let mut tally = Tally::default();
    while let Some(asked) = asking.join_next().await {
        let (ended, certain) = asked.unwrap();
        tally.certain += usize::from(certain);
        match ended {
            Ended::Well => tally.well += 1,
            Ended::HungUp => tally.hung_up += 1,
            Ended::Failed(_) => tally.failed += 1,
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
    // A third is asked patiently of cameras that do always the same, a sixth of those that never answer.
    assert!(tally.certain > REQUESTS / 3 && tally.hung_up > 0, "{tally:?}");
    let idle = || registry.links().iter().map(Link::open_calls).sum::<usize>() == 0;
    until("nothing is open any more", async || idle()).await;
    // Late answers came, and reached nobody.
    gateway.metric_reaches("oriel_frames_late_total", 1.0).await;
    let broken = gateway.metric("oriel_frames_broken_total").await;
    assert!(broken == 0.0 && agents.try_join_next().is_none(), "no agent was cut off");
}
