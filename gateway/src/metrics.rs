//! Every metric in one struct, in the text format that Prometheus reads.

use std::sync::Arc;

use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{
        counter::Counter,
        family::Family,
        gauge::Gauge,
        histogram::{Histogram, exponential_buckets},
    },
    registry::{Registry, Unit},
};

/// What the gateway counts.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    /// HTTP requests by method and status.
    pub requests: Family<RequestLabels, Counter>,
    /// Open HTTP connections.
    pub connections: Gauge,
    /// HTTP connections refused because a limit was reached.
    pub connections_refused: Counter,
    /// Connected agents.
    pub agents: Gauge,
    /// Agent sockets refused, by reason.
    pub agents_refused: Family<ReasonLabels, Counter>,
    /// How questions to cameras ended.
    pub calls: Family<OutcomeLabels, Counter>,
    /// Questions that wait for their answers or for more of them, as last counted.
    pub calls_open: Gauge,
    /// Callers who got the answer to an equal question that was open already.
    pub calls_joined: Counter,
    /// Cameras that callers wait for, as last counted.
    pub cameras_awaited: Gauge,
    /// Seconds from question to first piece of the answer.
    pub call_seconds: Histogram,
    /// What happens on camera sockets.
    pub link: Arc<LinkMetrics>,
    /// What becomes of uploaded events.
    pub ingest: IngestMetrics,
    /// Who looks at pictures.
    pub images: ImageMetrics,
}

/// Who looks at pictures; clones share it.
#[derive(Clone, Debug, Default)]
pub struct ImageMetrics {
    /// Streams of moving pictures that cameras send, or are asked for.
    pub live_streams: Gauge,
    /// Who watches them.
    pub live_viewers: Gauge,
}

/// What becomes of uploaded events; clones share it.
#[derive(Clone, Debug, Default)]
pub struct IngestMetrics {
    /// Events written down for the first time.
    pub stored: Counter,
    /// Events that were held already.
    pub doubled: Counter,
    /// Uploads that were not taken, by reason.
    pub refused: Family<ReasonLabels, Counter>,
    /// Events that retention removed.
    pub expired: Counter,
    /// Bytes of uploads that wait for the store.
    pub waiting_bytes: Gauge,
    /// 1 while the store can be written, else 0.
    pub writable: Gauge,
}

/// What happens on camera sockets.
#[derive(Debug, Default)]
pub struct LinkMetrics {
    /// Frames that agents sent.
    pub frames_in: Counter,
    /// Pieces of answers that nobody waited for any more.
    pub late_frames: Counter,
    /// Frames of an unknown kind.
    pub unknown_frames: Counter,
    /// Broken frames, each of which closed its socket.
    pub violations: Counter,
    /// Uploads for cameras that their link does not serve.
    pub unwanted_events: Counter,
}

/// How an HTTP request ended.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct RequestLabels {
    /// The method.
    pub method: &'static str,
    /// The status.
    pub status: u16,
}

/// Why something was refused.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ReasonLabels {
    /// A stable word.
    pub reason: &'static str,
}

/// How a question to a camera ended.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct OutcomeLabels {
    /// `ok` once the answer began; `offline`, `busy`, `timeout` or `failed` when it did not.
    pub outcome: &'static str,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut metrics = Self {
            registry: Registry::with_prefix("oriel"),
            requests: Family::default(),
            connections: Gauge::default(),
            connections_refused: Counter::default(),
            agents: Gauge::default(),
            agents_refused: Family::default(),
            calls: Family::default(),
            calls_open: Gauge::default(),
            calls_joined: Counter::default(),
            cameras_awaited: Gauge::default(),
            call_seconds: Histogram::new(exponential_buckets(0.001, 2.0, 16)),
            link: Arc::default(),
            ingest: IngestMetrics::default(),
            images: ImageMetrics::default(),
        };
        metrics.ingest.writable.set(1);
        metrics.register();
        metrics
    }
}

impl Metrics {
    /// The metrics as text.
    pub fn encode(&self) -> Result<String, std::fmt::Error> {
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        Ok(text)
    }

    fn register(&mut self) {
        let registry = &mut self.registry;
        registry.register("http_requests", "HTTP requests by method and status", self.requests.clone());
        registry.register("http_connections", "Open HTTP connections", self.connections.clone());
        registry.register(
            "http_connections_refused",
            "HTTP connections refused because a limit was reached",
            self.connections_refused.clone(),
        );
        registry.register("agents", "Connected agents", self.agents.clone());
        registry.register("agents_refused", "Agent sockets refused", self.agents_refused.clone());
        registry.register("calls", "Questions to cameras by outcome", self.calls.clone());
        registry.register("calls_open", "Questions that wait for answers", self.calls_open.clone());
        registry.register("calls_joined", "Callers who shared an answer", self.calls_joined.clone());
        registry.register("cameras_awaited", "Cameras that callers wait for", self.cameras_awaited.clone());
        registry.register_with_unit(
            "call",
            "Time from question to the first piece of the answer",
            Unit::Seconds,
            self.call_seconds.clone(),
        );
        let link = &self.link;
        registry.register("frames_received", "Frames that agents sent", link.frames_in.clone());
        registry.register(
            "frames_late",
            "Pieces of answers that nobody waited for",
            link.late_frames.clone(),
        );
        registry.register("frames_unknown", "Frames of an unknown kind", link.unknown_frames.clone());
        registry.register("frames_broken", "Frames that closed their socket", link.violations.clone());
        registry.register("events_unwanted", "Uploads for cameras not served", link.unwanted_events.clone());
        self.ingest.register(registry);
        let images = &self.images;
        registry.register("live_streams", "Streams of moving pictures", images.live_streams.clone());
        registry.register("live_viewers", "Who watches them", images.live_viewers.clone());
    }
}

impl IngestMetrics {
    fn register(&self, registry: &mut Registry) {
        registry.register("events_stored", "Events written down", self.stored.clone());
        registry.register("events_doubled", "Events that were held already", self.doubled.clone());
        registry.register("events_refused", "Uploads that were not taken", self.refused.clone());
        registry.register("events_expired", "Events that retention removed", self.expired.clone());
        registry.register(
            "ingest_waiting_bytes",
            "Uploads waiting for the store",
            self.waiting_bytes.clone(),
        );
        registry.register("store_writable", "1 while events can be stored", self.writable.clone());
    }
}

/// The media type of [`Metrics::encode`].
pub const MEDIA_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
