//! The device beside a camera: its connection to the gateway, over which it uploads, tells, and answers what it is asked.

use std::sync::{Arc, Mutex, MutexGuard};

use futures_util::{SinkExt, StreamExt, stream::SplitSink};
use oriel_proto::{
    AgentFrame, Body, Call, GatewayFrame, InstanceId, Items, LoggedEvent, Timestamp, Trailer,
    call::{EventCount, EventsCall},
    decode, encode,
    frame::{AgentHealth, CameraHealth, Health, SourceState, Upload},
};
use tokio::{net::TcpStream, task::JoinHandle};
use tokio_tungstenite::{WebSocketStream, tungstenite::Message};

use crate::{
    camera::{Camera, Next},
    common::{Enrolled, TestGateway, announcement, soon, until},
};

/// Events of one piece of an answer.
const PIECE: usize = 7;

/// A camera that others look at too.
pub(crate) type Shared = Arc<Mutex<Camera>>;

/// The device of one camera.
pub(crate) struct Device {
    camera: Shared,
    enrolled: Enrolled,
    instance: InstanceId,
    generation: u64,
    link: Option<(Sink, JoinHandle<()>)>,
}

type Sink = Arc<tokio::sync::Mutex<SplitSink<WebSocketStream<TcpStream>, Message>>>;

impl Device {
    /// One that has not connected yet.
    pub(crate) fn new(camera: Shared, enrolled: Enrolled) -> Self {
        Self { camera, enrolled, instance: InstanceId::new(), generation: 0, link: None }
    }

    pub(crate) fn camera(&self) -> MutexGuard<'_, Camera> {
        self.camera.lock().unwrap()
    }

    pub(crate) fn is_online(&self) -> bool {
        self.link.is_some()
    }

    /// Connects and announces the camera.
    pub(crate) async fn connect(&mut self) {
        self.generation += 1;
        let mut agent = self.enrolled.welcomed(self.instance, self.generation).await;
        let announce = {
            let mut camera = self.camera();
            let (id, upload, spools) = (camera.id.clone(), camera.upload.clone(), camera.spools());
            announcement(&id, upload, spools)
        };
        let bound = agent.bound(announce).await;
        agent.send(AgentFrame::Ready {}).await;
        for acked in bound.acked {
            let mut camera = self.camera();
            let run = camera.runs.iter_mut().find(|run| run.id == acked.epoch).unwrap();
            run.acked = run.acked.max(acked.seq);
        }
        let (sink, mut stream) = agent.into_socket().split();
        let sink = Arc::new(tokio::sync::Mutex::new(sink));
        let (camera, answers) = (self.camera.clone(), sink.clone());
        let task = tokio::spawn(async move {
            while let Some(Ok(message)) = stream.next().await {
                let Message::Binary(bytes) = message else { continue };
                for frame in heard(&camera, decode(&bytes).unwrap()) {
                    send(&answers, frame).await;
                }
            }
        });
        self.link = Some((sink, task));
    }

    /// Leaves, and waits until the gateway knows.
    pub(crate) async fn leave(&mut self, gateway: &TestGateway) {
        let Some((sink, task)) = self.link.take() else { return };
        let path = format!("/v1/cameras/{}/events?source=store&kind=offline&limit=1", self.camera().id);
        let newest = async || gateway.get(&path).await.expect(200).json()["events"][0]["id"].clone();
        let before = newest().await;
        _ = sink.lock().await.close().await;
        soon("the link ends", task).await.unwrap();
        until("it is written down that the camera left", async || newest().await != before).await;
    }

    /// Uploads the next events, if they are uploaded, at most so many, and waits until they are acknowledged.
    pub(crate) async fn upload(&self, most: u64) {
        let Some((sink, _)) = &self.link else { return };
        let next = {
            let mut camera = self.camera();
            if camera.upload == Upload::Live { camera.next_upload(most) } else { None }
        };
        let Some(next) = next else { return };
        let (epoch, last, frame) = match next {
            Next::Events(events) => {
                (events.epoch, events.first + events.events.len() as u64 - 1, AgentFrame::Events(events))
            }
            Next::Lost(lost) => (lost.epoch, lost.last, AgentFrame::Lost(lost)),
        };
        send(sink, frame).await;
        let is_acked = || self.camera().runs.iter().any(|run| run.id == epoch && run.acked >= last);
        until("an acknowledgement", async || is_acked()).await;
    }

    /// Tells how far it has written its log, and waits until the gateway knows.
    pub(crate) async fn tell(&self, gateway: &TestGateway) {
        let Some((sink, _)) = &self.link else { return };
        let (id, as_of, health) = {
            let mut camera = self.camera();
            let as_of = camera.as_of();
            let (epoch, next) = camera.tell(as_of);
            let (camera, source) = (camera.id.clone(), SourceState::Ok);
            (
                camera.clone(),
                as_of,
                CameraHealth { camera, epoch, next, spool: 0, ring: 0, source, why: None },
            )
        };
        let epoch = health.epoch;
        let agent = AgentHealth { uptime_s: 1, rtt_ms: None, clock_offset_ms: None };
        send(sink, AgentFrame::Health(Health { as_of, agent, cameras: vec![health] })).await;
        let told = || {
            gateway.registry.told_log(&id).is_some_and(|told| {
                let present = told.epochs.last().unwrap();
                present.epoch == epoch && present.as_of >= as_of
            })
        };
        until("the gateway knows", async || told()).await;
    }
}

async fn send(sink: &Sink, frame: AgentFrame) {
    // A gateway that has closed is found out by who reads.
    _ = sink.lock().await.send(Message::Binary(encode(&frame).unwrap().into())).await;
}

/// What a camera answers to a frame.
fn heard(camera: &Shared, frame: GatewayFrame) -> Vec<AgentFrame> {
    let mut camera = camera.lock().unwrap();
    match frame {
        GatewayFrame::Ack { epoch, seq, .. } => {
            let run = camera.runs.iter_mut().find(|run| run.id == epoch).unwrap();
            run.acked = run.acked.max(seq);
            Vec::new()
        }
        GatewayFrame::Request(request) => {
            let Call::Events(call) = &request.call else { panic!("not a question for events: {request:?}") };
            let (events, trailer) = camera.answer(call);
            let pieces = (0..).zip(items(call, events));
            let parts =
                pieces.map(|(n, items)| AgentFrame::Part { id: request.id, n, body: Body::Items(items) });
            let done = AgentFrame::Done { id: request.id, trailer: Trailer::Events(trailer) };
            parts.chain([done]).collect()
        }
        GatewayFrame::Notice(notice) => panic!("a conflict: {notice:?}"),
        _ => Vec::new(),
    }
}

/// The pieces of an answer: events, or how many there are of each kind in each stretch of time.
fn items(call: &EventsCall, events: Vec<LoggedEvent>) -> Vec<Items> {
    let Some(bucket_ms) = call.bucket_ms else {
        return events.chunks(PIECE).map(|events| Items::Events(events.to_vec())).collect();
    };
    let mut counts: Vec<EventCount> = Vec::new();
    for (at, kind) in events.into_iter().map(|event| (event.event.at, event.event.kind)) {
        let at = stretch(at, bucket_ms);
        match counts.iter_mut().find(|count| (count.at, &count.kind) == (at, &kind)) {
            Some(count) => count.count += 1,
            None => counts.push(EventCount { at, kind, count: 1 }),
        }
    }
    counts.chunks(PIECE).map(|counts| Items::EventCounts(counts.to_vec())).collect()
}

/// The beginning of the stretch of so many milliseconds in which a time lies.
pub(crate) fn stretch(at: Timestamp, bucket_ms: u64) -> Timestamp {
    let length = bucket_ms as i64 * 1_000;
    Timestamp::from_micros(at.as_micros().div_euclid(length) * length)
}
